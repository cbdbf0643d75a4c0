"""Threads that compute a step together (native/pool.h): spinning shortly, then asleep, fewer where others are busy."""

import ctypes
from dataclasses import dataclass
from typing import Any, Self

from creuset.core.errors import ConfigError
from creuset.core.host import usable_cores
from creuset.core.native.library import Library


@dataclass(frozen=True, slots=True)
class PoolStats:
    threads: int
    active: int  # threads that the next run will have
    runs: int
    drops: int  # times that the controller took fewer threads
    rises: int  # times that it took more
    sleeps: int  # times that a thread fell asleep while it waited
    waiting: float  # share of the last measured span that was spent waiting, over all threads


class _Stats(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("threads", "active", "runs", "drops", "rises", "sleeps")),
        ("waiting", ctypes.c_double),
    ]  # fmt: skip


class ThreadPool:
    """`threads` of them, the caller's own included; 0: as many as this process has processors.

    `handle` is what the functions of the library take. A child that was forked starts threads of its own.
    """

    def __init__(self, library: Library, threads: int = 0) -> None:
        functions = library.functions
        functions.creuset_pool_new.restype = ctypes.c_void_p
        functions.creuset_pool_new.argtypes = [ctypes.c_int]
        functions.creuset_pool_free.argtypes = [ctypes.c_void_p]
        functions.creuset_pool_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64]
        functions.creuset_pool_stats.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Stats)]
        self._functions = functions
        self.handle: int | None = functions.creuset_pool_new(threads or usable_cores())
        if self.handle is None:
            raise ConfigError(f"a pool of {threads} threads cannot be made: there is no memory for it")

    @property
    def stats(self) -> PoolStats:
        found = _Stats()
        self._functions.creuset_pool_stats(self.handle, ctypes.byref(found))
        return PoolStats(**{name: getattr(found, name) for name in PoolStats.__slots__})

    def hold(self, controlled: bool = False, spin_us: float | None = None) -> None:
        """Use all threads always; with `controlled` the controller decides again. `spin_us`: how long they spin."""
        self._functions.creuset_pool_set(self.handle, controlled, -1 if spin_us is None else int(spin_us * 1000))

    def close(self) -> None:
        """End the threads. Twice does no harm."""
        if self.handle is not None:
            self._functions.creuset_pool_free(self.handle)
            self.handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
