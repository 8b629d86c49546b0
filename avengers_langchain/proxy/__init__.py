"""An OpenAI-compatible endpoint over `ChatAvengers` (extra ``serve``)."""

from .app import make_app
from .keys import Key, Keys, read_keys

__all__ = ["Key", "Keys", "make_app", "read_keys"]
