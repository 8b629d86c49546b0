"""Ask other models what users asked, and judge their answers against the one that was given."""

from .live import Shadow

__all__ = ["Shadow"]
