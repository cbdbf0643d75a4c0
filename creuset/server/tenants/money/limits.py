"""Limits and budgets: how much of something a subject may use in a window, and the arithmetic of that.

A limit on requests or tokens in a minute, an hour or a day is a token bucket, kept as one number (GCRA): the moment at
which the bucket is full again. It refills all the time, so nobody waits for the turn of a clock, and in any window no
more passes than the limit and one burst. A limit in a month, and every budget, counts in the calendar of a stated time
zone: what was spent, and what requests that run have reserved.

Nothing here knows a database or a clock. One process counts in memory; where several share a database, the same
functions work on rows that are locked there (counting.py).
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from creuset.core.errors import ConfigError
from creuset.server.tenants.money.windows import SECONDS, US, WINDOWS, zone_of

What = Literal["requests", "tokens", "concurrent", "money"]
Kind = Literal["key", "user", "service_account", "group", "project", "organization"]
WHATS: tuple[str, ...] = get_args(What)
KINDS: tuple[str, ...] = get_args(Kind)
EACH = "*"  # as a subject: every one of its kind, each by itself
NS = 1_000_000_000
SOON_S = 1.0  # when to come again for what becomes free as soon as some other request ends
MOST = 1 << 53


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """One limit. `amount`: requests, tokens, requests at a time, or millionths of `currency`; None: only counted."""

    id: str
    organization: str
    kind: str
    subject: str
    what: str
    window: str = ""  # none for `concurrent`
    amount: int | None
    model: str = ""  # "": all models together
    zone: str = "UTC"
    burst: int | None = None  # of a sliding window: what may come at once; None: the whole amount
    currency: str = ""
    created: int = 0
    # Of a sliding window: that it is one, what may come at one moment, and nanoseconds in which one unit comes back.
    sliding: bool = field(init=False, repr=False)
    at_once: int = field(init=False, repr=False)
    interval: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sliding = self.window in SECONDS and self.what in ("requests", "tokens")
        amount = self.amount or 0
        give = object.__setattr__
        give(self, "sliding", sliding)
        give(self, "at_once", amount if self.burst is None else self.burst)
        give(self, "interval", -(-SECONDS[self.window] * NS // max(1, amount)) if sliding else 0)
        for name, value, known in (("kind", self.kind, KINDS), ("what", self.what, WHATS)):
            if value not in known:
                raise ConfigError(f"a limit's `{name}` must be one of {', '.join(known)}, got `{value}`")
        windows = ("",) if self.what == "concurrent" else WINDOWS
        if self.window not in windows:
            said = "none" if self.what == "concurrent" else f"one of {', '.join(windows)}"
            raise ConfigError(f"the window of a limit on {self.what} must be {said}, got `{self.window}`")
        for name in ("amount", "burst"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MOST:
                raise ConfigError(f"a limit's `{name}` must be between 0 and {MOST}, got {value}")
        if self.burst is not None and not self.sliding:
            raise ConfigError("`burst` belongs to requests or tokens in a minute, an hour or a day")
        if self.sliding and self.amount is None:
            raise ConfigError(f"a limit on {self.what} in one {self.window} needs an amount")
        if self.sliding and (self.amount or 0) > SECONDS[self.window] * NS // 2:
            raise ConfigError(f"{self.amount} {self.what} in one {self.window} are more than can be counted")
        if bool(self.currency) != (self.what == "money"):
            raise ConfigError(f"a limit on {self.what} has {'a' if self.what == 'money' else 'no'} currency")
        zone_of(self.zone)

    def row(self) -> dict[str, Any]:
        """All that was said of it."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    def applies(self, kind: str, subject: str, model: str) -> bool:
        return kind == self.kind and self.subject in (EACH, subject) and self.model in ("", model)


@dataclass(slots=True)
class LimitCounter:
    """What was counted against one limit for one subject."""

    limit: str
    subject: str
    period: int = 0  # when the window of the calendar began; 0 for a sliding one
    full: int = 0  # of a sliding window: nanoseconds since 1970 at which the bucket is full again
    spent: int = 0
    held: int = 0  # reserved by requests that run

    def enter(self, begin: int) -> None:
        """Begin a new window of the calendar. What requests of the last one still hold is theirs.

        A clock that was put back opens no window again: what was counted stays counted.
        """
        if self.period < begin:
            self.period, self.spent, self.held = begin, 0, 0


def debt(limit: Limit, counter: LimitCounter, at: int) -> int:
    """Nanoseconds until a sliding window is full again. A clock that was put back does not lock anybody out."""
    return min(max(0, counter.full - 1000 * at), limit.at_once * limit.interval)


def left(limit: Limit, counter: LimitCounter, at: int) -> int | None:
    """How much would be taken now; None: any."""
    if limit.sliding:
        return limit.at_once - -(-debt(limit, counter, at) // limit.interval) if limit.amount else 0
    return None if limit.amount is None else max(0, limit.amount - counter.spent - counter.held)


def wait_for(limit: Limit, counter: LimitCounter, amount: int, at: int, end: int) -> float:
    """Seconds until `amount` more are taken: 0 for now, infinite for never. `end`: of the window of the calendar."""
    if limit.sliding:
        if amount > limit.at_once or not limit.amount:
            return math.inf if amount else 0.0
        over = debt(limit, counter, at) + (amount - limit.at_once) * limit.interval
        return max(0, over) / NS
    if limit.amount is None or counter.spent + counter.held + amount <= limit.amount:
        return 0.0
    if amount > limit.amount:
        return math.inf
    if counter.spent + amount <= limit.amount:
        return SOON_S
    return (end - at) / US


def rescale(old: Limit, new: Limit, counter: LimitCounter, at: int) -> None:
    """What was used of a sliding window stays used, in units, when its limit changes."""
    if old.sliding and old.interval != new.interval:
        counter.full = 1000 * at + debt(old, counter, at) * new.interval // old.interval


def take(limit: Limit, counter: LimitCounter, amount: int, at: int) -> None:
    """Reserve `amount`."""
    if limit.sliding:
        counter.full = 1000 * at + debt(limit, counter, at) + amount * limit.interval
    else:
        counter.held += amount


def give_back(limit: Limit, counter: LimitCounter, amount: int, period: int) -> None:
    """End a reservation of `amount` that was made in `period`."""
    if limit.sliding:
        counter.full -= amount * limit.interval
    elif counter.period == period:
        counter.held -= amount


def spend(limit: Limit, counter: LimitCounter, amount: int, period: int) -> None:
    """Count what was really used, by a request that came in `period`."""
    if limit.sliding:
        counter.full += amount * limit.interval
    elif counter.period == period and limit.what != "concurrent":
        counter.spent += amount
