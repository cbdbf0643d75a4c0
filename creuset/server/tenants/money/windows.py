"""Windows of time. A minute, an hour and a day slide; the others begin where the calendar of a stated zone says.

All times are microseconds since 1970.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from creuset.core.errors import ConfigError

WindowName = Literal["minute", "hour", "day", "month", "total"]
WINDOWS: tuple[str, ...] = get_args(WindowName)
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
US = 1_000_000
NEVER = 1 << 62  # the end of the window `total`


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name. ConfigError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"`{name}` is not a time zone", hint="write it as Europe/Paris, or UTC") from None


def calendar_window(window: str, zone: str, at: int) -> tuple[int, int]:
    """Begin and end of the window of the calendar that holds the moment `at`; the end is in the next one."""
    if window == "total":
        return 0, NEVER
    local = datetime.fromtimestamp(at // US, zone_of(zone))
    if window in ("minute", "hour"):
        # Counted from the zone's offset, so that an hour of a clock that is put back counts once.
        offset = int((local.utcoffset() or timedelta()).total_seconds())
        size = SECONDS[window]
        begin = (at // US + offset) // size * size - offset
        return begin * US, (begin + size) * US
    first = datetime(local.year, local.month, local.day if window == "day" else 1, tzinfo=local.tzinfo)
    if window == "day":
        after = first.date() + timedelta(days=1)
        last = datetime(after.year, after.month, after.day, tzinfo=local.tzinfo)
    else:
        year, month = divmod(12 * first.year + first.month, 12)
        last = datetime(year, month + 1, 1, tzinfo=local.tzinfo)
    return int(first.timestamp()) * US, int(last.timestamp()) * US


class Calendar:
    """The windows of the calendar that hold this moment: each is worked out once, and again when it is over."""

    def __init__(self) -> None:
        self._now: dict[tuple[str, str], tuple[int, int]] = {}

    def window(self, window: str, zone: str, at: int) -> tuple[int, int]:
        found = self._now.get((window, zone))
        if found is None or not found[0] <= at < found[1]:
            found = self._now[window, zone] = calendar_window(window, zone, at)
        return found


class ClockJumps:
    """Notices that somebody has set the clock, by a clock that nobody sets."""

    def __init__(self, steady: Callable[[], float] | None) -> None:
        """`steady`: seconds, as time.monotonic. None: the other clock is a test's, and never jumps."""
        self._steady, self._ahead = steady, 0

    def by(self, at: int) -> int:
        """Microseconds by which the clock, which says `at`, was set since the last look: 0 below two seconds."""
        if self._steady is None:
            return 0
        before, self._ahead = self._ahead, at - int(self._steady() * US)
        jump = self._ahead - before
        return jump if before and abs(jump) > 2 * US else 0


def now_us() -> int:
    """This moment."""
    return time.time_ns() // 1000


def as_time(at: int, zone: str = "UTC") -> str:
    """A moment in words, to the second."""
    return datetime.fromtimestamp(at // US, zone_of(zone)).strftime("%Y-%m-%d %H:%M:%S")


def as_iso(at: int) -> str:
    return datetime.fromtimestamp(at // US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
