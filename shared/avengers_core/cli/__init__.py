"""The `avengers` command: arguments in, tables or JSON out."""

from .app import main

__all__ = ["main"]
