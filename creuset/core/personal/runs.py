"""Runs of letters and digits in a line, and the ways in which neighbours make one number.

People write one number in groups: `4111 1111 1111 1111`, `FR76-3000-6000-...`. Other numbers may stand beside it. So a
line is cut into groups once, and every recogniser tries the runs of neighbouring groups that have the length it wants.
A run never begins or ends inside a group.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Space, no-break, narrow no-break, thin and figure space; full stop; hyphens; slash.
SEPARATORS = " \u00a0\u202f\u2009\u2007.-\u2010\u2011\u2013/"
BLANKS = " \u00a0\u202f\u2009\u2007"
_GROUP = re.compile(r"[^\W_]+")


class DigitGroup(NamedTuple):
    """A run of letters and digits. `joint` is what stands between it and the group before, if that can join the two."""

    text: str
    start: int
    end: int
    joint: str | None
    digits: bool


class DigitRun(NamedTuple):
    """Neighbouring groups as one number: `text` without separators, and where it stands in the line."""

    text: str
    sizes: tuple[int, ...]
    joints: str
    start: int
    end: int


def groups(line: str) -> list[DigitGroup]:
    found: list[DigitGroup] = []
    before = -1
    for match in _GROUP.finditer(line):
        joint = line[before : match.start()] if found else None
        if joint is not None and (len(joint) > 1 or joint not in SEPARATORS):
            joint = None
        found.append(DigitGroup(match[0], match.start(), match.end(), joint, match[0].isascii() and match[0].isdigit()))
        before = match.end()
    return found


def runs(
    found: list[DigitGroup],
    first: int,
    *,
    low: int,
    high: int,
    most: int,
    digits: bool,
    joints: str = SEPARATORS,
    mixed: bool = False,
) -> Iterator[DigitRun]:
    """Runs that begin at group `first` and have `low` to `high` characters in at most `most` groups, longest first.

    `digits`: every group is of digits. Unless `mixed`, all joints of a run are of one kind: blanks, or the same mark.
    """
    text, sizes, between = "", [], ""
    kept: list[DigitRun] = []
    for at in range(first, min(len(found), first + most)):
        group = found[at]
        if digits and not group.digits:
            break
        if at > first:
            if group.joint is None or group.joint not in joints:
                break
            kind = " " if group.joint in BLANKS else group.joint
            if between and between[-1] != kind and not mixed:
                break
            between += kind
        text += group.text
        sizes.append(len(group.text))
        if len(text) > high:
            break
        if len(text) >= low:
            kept.append(DigitRun(text, tuple(sizes), between, found[first].start, group.end))
    yield from reversed(kept)


def glued(line: str, start: int, end: int) -> bool:
    """Whether a mark ties the run to more of a longer number: `3.14159`, `1,234`, `/12`, `-7`."""
    before, after = line[max(0, start - 2) : start], line[end : end + 2]
    return bool(re.search(r"(?:\d[.,/:]|[\w][-+]|[/_#])$", before)) or bool(re.match(r"[.,:/-]\d|[_@]|-\w", after))
