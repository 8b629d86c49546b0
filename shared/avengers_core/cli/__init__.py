"""The `avengers` command: arguments in, tables or JSON out."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; importing it can be interrupted, too."""
    try:
        from .app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
