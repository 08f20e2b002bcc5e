"""`python -m vecpress` is the command `vecpress`."""

from vecpress.cli import main

if __name__ == "__main__":
    main()
