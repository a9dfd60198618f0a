"""`python -m aiev` is the command line `aiev`."""

from aiev.cli.main import main

if __name__ == "__main__":
    main()
