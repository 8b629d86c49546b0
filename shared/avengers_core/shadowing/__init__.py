"""Ask other models what users asked, and judge their answers against the one that was given."""
