"""`python -m avengers_core.cli`."""

from . import main

if __name__ == "__main__":  # also where worker processes import it
    main()
