"""Guesses of a password get slower: after some failures an account, or an address, waits longer and longer."""

import time
from collections.abc import Callable

from creuset.core.errors import Overloaded

FREE = {"account": 5, "address": 30}  # failures that cost nothing
LONGEST_S = 300.0
KEEP_S = 900.0  # failures older than this are forgotten
MOST = 10_000  # of those that are remembered


class TooManyLogins(Overloaded):
    code = "too_many_logins"


class Throttle:
    """In memory: each replica counts for itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[tuple[str, str], tuple[int, float]] = {}  # how often, and when last

    def check(self, account: str, address: str) -> None:
        """Raises TooManyLogins with the seconds to wait."""
        now = self._clock()
        for of in (("account", account), ("address", address)):
            count, last = self._failed.get(of, (0, 0.0))
            over = count - FREE[of[0]]
            wait = min(LONGEST_S, 2.0**over) if over >= 0 else 0.0
            if last + wait > now:
                raise TooManyLogins("too many wrong passwords: wait before the next one", retry_after=last + wait - now)

    def failed(self, account: str, address: str) -> None:
        now = self._clock()
        if len(self._failed) >= MOST:
            self._failed = {of: seen for of, seen in self._failed.items() if seen[1] + KEEP_S > now}
        for of in (("account", account), ("address", address)):
            count, last = self._failed.get(of, (0, 0.0))
            self._failed[of] = (count + 1 if last + KEEP_S > now else 1, now)

    def succeeded(self, account: str) -> None:
        self._failed.pop(("account", account), None)
