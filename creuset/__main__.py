"""`python -m creuset`."""

from creuset.cli import entry

if __name__ == "__main__":
    entry()
