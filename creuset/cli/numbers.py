"""Arguments that are numbers within a range."""

import argparse
from collections.abc import Callable

from creuset.core.config import refusal, within


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
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a {'whole ' if kind is int else ''}number") from None
    if not within(value, interval):
        raise argparse.ArgumentTypeError(refusal(value, interval))
    return value
