"""Files, objects named by strings, token counts: what any room may use."""
