"""`python -m tracejit`: what this machine is, and what a function of a script compiles to."""

from .command import main

if __name__ == "__main__":
    raise SystemExit(main())
