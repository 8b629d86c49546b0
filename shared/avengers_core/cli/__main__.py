"""`python -m avengers_core.cli`."""

from .app import main

main()
