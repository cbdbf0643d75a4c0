"""The package from Python. The public names are those of `creuset` itself (creuset/__init__.py)."""
