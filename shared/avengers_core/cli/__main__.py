"""`python -m avengers_core.cli`."""

from . import main

main()
