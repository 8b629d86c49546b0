"""What a router is worth: figures of merit, sweeps, comparisons, reports, drift."""
