"""Helpers that every room may use: files, objects named by strings, token counts, event loops."""
