"""`python -m nepfield` is the command `nepfield`."""

from nepfield.cli import main

if __name__ == "__main__":
    main()
