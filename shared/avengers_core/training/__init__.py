"""From records to an artifact."""
