"""Numbers within a range, refused by name: `[0, 1)` is from 0 to below 1, `(0, inf)` above 0."""

import math
import re
from collections.abc import Callable
from typing import Any

_INTERVAL = re.compile(r"([\[(])(-?[\d.]+|-inf), ?(-?[\d.]+|inf)([\])])")


def within(value: float, interval: str) -> bool:
    """Whether `value` lies in `interval`. What is not a number, or not finite, lies in none."""
    parts = _INTERVAL.fullmatch(interval)
    assert parts is not None, f"{interval} is no interval"
    low, high = float(parts[2]), float(parts[3])
    above = value >= low if parts[1] == "[" else value > low
    below = value <= high if parts[4] == "]" else value < high
    return math.isfinite(value) and above and below


def words(interval: str) -> str:
    """The interval as people say it."""
    parts = _INTERVAL.fullmatch(interval)
    assert parts is not None, f"{interval} is no interval"
    low = "" if parts[2] == "-inf" else f"{'at least' if parts[1] == '[' else 'above'} {parts[2]}"
    high = "" if parts[3] == "inf" else f"{'at most' if parts[4] == ']' else 'below'} {parts[3]}"
    return " and ".join(part for part in (low, high) if part) or "any"


def refusal(value: float, interval: str) -> str:
    """`must be at least 0, got -3`; `must be a finite number, got nan`."""
    wanted = words(interval) if math.isfinite(value) else "a finite number"
    return f"must be {wanted}, got {value}"


def check_ranges(settings: Any, intervals: dict[str, str]) -> None:
    """Raise ValueError for the first field of `settings` that lies outside its interval. None is left alone."""
    for name, interval in intervals.items():
        value = getattr(settings, name)
        if value is not None and not within(value, interval):
            raise ValueError(f"{name} {refusal(value, interval)}")


def number(interval: str) -> Callable[[str], float]:
    """For `type=` of an argument: a number in the interval."""

    def parse(text: str) -> float:
        return _parsed(text, float, interval)

    return parse


def integer(interval: str) -> Callable[[str], int]:
    """For `type=` of an argument: a whole number in the interval."""

    def parse(text: str) -> int:
        return int(_parsed(text, int, interval))

    return parse


def _parsed(text: str, kind: Callable[[str], float], interval: str) -> float:
    from argparse import ArgumentTypeError

    try:
        value = kind(text)
    except ValueError:
        raise ArgumentTypeError(f"`{text}` is not a {'whole ' if kind is int else ''}number") from None
    if not within(value, interval):
        raise ArgumentTypeError(refusal(value, interval))
    return value
