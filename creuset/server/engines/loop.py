"""The event loop of a server: uvloop's where it is installed (`creuset[fast]`), else Python's own.

The parser of HTTP is chosen by uvicorn in the same way: httptools where it is installed, else h11.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(main)
    return uvloop.run(main)
