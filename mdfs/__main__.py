"""`python -m mdfs`: the same as the `mdfs` command."""

from mdfs.cli import main

if __name__ == "__main__":
    main()
