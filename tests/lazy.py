"""Modules that are imported when a test first uses them.

Each process of the suite collects all test files, and a package that takes a second to import is used by few of them.
"""

import importlib
import importlib.util
import sys
from types import ModuleType


class _Later(ModuleType):
    """A module in name; whatever is asked of it is asked of the real one, which is imported then."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):  # pytest asks every name of a test file whether it is a fixture
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


def lazily(name: str) -> ModuleType:
    """The module `name`, not imported yet. Raises ModuleNotFoundError where its package is not installed."""
    if name in sys.modules:
        return sys.modules[name]
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _Later(name)
