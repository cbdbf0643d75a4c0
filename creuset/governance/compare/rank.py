"""From cells to a ranking, for weights that only the reader can choose. Pure; static/rank.js computes the same.

utility     of a cell, 0 to 1: a share counts as itself, a price as best/value, words by their stated points
half        of a cell, half the width of its 95 % interval as a utility; 0 where it has none: it counts as exact
weight      of a row: its group's weight divided among the group's rows that are known for at least one system
coverage    the weight that lies on known cells
low, high   the total if every unknown cell were worth 0, or 1
total       by the reader's choice for unknown cells: `ignore`, mean of what is known; `worst`, they are worth 0;
            `interval`, the middle of low and high, and whatever lies between them stays open
half        of a total: those of its cells together as if they erred independently, root of the sum of squares
rank        only systems of which at least LEAST_KNOWN of the weight lies on known cells have a place
place       (best, worst): one system is before another only where their difference is larger than the root of
            the sum of their squared halves (for `interval`: low of one against high of the other)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from creuset.governance.compare.card import WEIGHED, Cell, Row, Scale

Missing = Literal["ignore", "worst", "interval"]
DRAWS = 2000
LEAST_KNOWN = 0.5  # static/rank.js and the page's rules say the same
# Square roots of primes: multiples of them, modulo one, fill a cube evenly (Weyl); one for each group.
ROOTS = tuple(math.sqrt(p) for p in (2, 3, 5, 7, 11, 13, 17, 19, 23))


@dataclass(frozen=True, slots=True)
class Standing:
    """What one system gets from one choice of weights. `total` is None where nothing can be said."""

    total: float | None
    coverage: float
    low: float
    high: float
    half: float
    by_group: dict[str, float]  # contributions; they sum to `total`, but for `interval`, where to `low`


@dataclass(frozen=True, slots=True)
class GroupPart:
    """One group of one system, for a weight of 1: how much is known, what it is worth, its variance in half-widths."""

    known: float
    points: float
    square: float


def utilities(scale: Scale, values: Sequence[float | None]) -> list[float | None]:
    """0 (worst) to 1 (best) for each value; None stays None. `high` and `low` compare with the best of `values`."""
    known = [v for v in values if v is not None]
    if not known or scale == "":
        return [None] * len(values)
    return [None if v is None else _utility(scale, v, known) for v in values]


def _utility(scale: Scale, value: float, known: Sequence[float]) -> float:
    return min(1.0, max(0.0, _raw(scale, value, known)))


def _raw(scale: Scale, value: float, known: Sequence[float]) -> float:
    if scale == "share" or scale == "points":
        return value
    if scale == "share_low":
        return 1 - value
    if scale == "percent":
        return value / 100
    if scale == "zero":
        return 1 - abs(value)
    if scale == "fifty":
        return 1 - abs(value - 50) / 50
    if scale == "high":
        best = max(known)
        return value / best if best > 0 else 1.0
    best = min(known)
    return best / value if value > 0 else 1.0


def halves(scale: Scale, cells: Sequence[Cell]) -> list[float]:
    """Half the width of each cell's interval, as a utility."""
    known = [c.value for c in cells if c.value is not None]
    found = []
    for cell in cells:
        if scale == "" or cell.value is None or cell.low is None or cell.high is None:
            found.append(0.0)
            continue
        ends = [_utility(scale, v, known) for v in (cell.low, cell.value, cell.high)]
        found.append((max(ends) - min(ends)) / 2)
    return found


def weighable(row: Row) -> bool:
    """Whether any weight can lie on it."""
    return (
        bool(row.scale)
        and not row.why_unranked
        and row.group in WEIGHED
        and any(c.value is not None for c in row.cells)
    )


def parts(rows: Sequence[Row], *, shared_only: bool = False) -> list[dict[str, GroupPart]]:
    """For each system, each group that has something to weigh. With `shared_only`, rows known for every system."""
    rows = [r for r in rows if weighable(r) and (not shared_only or all(c.value is not None for c in r.cells))]
    size: dict[str, int] = {}
    for row in rows:
        size[row.group] = size.get(row.group, 0) + 1
    columns = len(rows[0].cells) if rows else 0
    made: list[dict[str, GroupPart]] = [{g: GroupPart(0.0, 0.0, 0.0) for g in size} for _ in range(columns)]
    for row in rows:
        each = 1 / size[row.group]
        marks, widths = utilities(row.scale, [c.value for c in row.cells]), halves(row.scale, row.cells)
        for mine, mark, half in zip(made, marks, widths, strict=True):
            if mark is not None:
                old = mine[row.group]
                mine[row.group] = GroupPart(old.known + each, old.points + each * mark, old.square + (each * half) ** 2)
    return made


def standing(groups: Mapping[str, GroupPart], weights: Mapping[str, float], missing: Missing) -> Standing:
    """One system's, from its parts."""
    every = known = points = square = 0.0
    for group, part in groups.items():
        weight = weights.get(group, 0.0)
        every += weight
        known += weight * part.known
        points += weight * part.points
        square += weight * weight * part.square
    if every <= 0 or (known <= 0 and missing != "worst"):
        return Standing(None, 0.0, 0.0, 1.0 if every > 0 else 0.0, 0.0, {})
    low, high = points / every, (points + every - known) / every
    over = known if missing == "ignore" else every
    total = (low + high) / 2 if missing == "interval" else points / over
    shares = {g: weights.get(g, 0.0) * p.points / over for g, p in groups.items() if p.known > 0}
    return Standing(total, known / every, low, high, math.sqrt(square) / over, shares)


def standings(
    rows: Sequence[Row], weights: Mapping[str, float], *, shared_only: bool = False, missing: Missing = "ignore"
) -> list[Standing]:
    """One for each column."""
    if not rows:
        return []
    found = parts(rows, shared_only=shared_only) or [{} for _ in rows[0].cells]
    return [standing(groups, weights, missing) for groups in found]


def before(a: Standing, b: Standing, missing: Missing) -> bool:
    """Whether `a` is surely before `b`: further than both intervals together explain."""
    if a.total is None or b.total is None:
        return False
    gap = a.low - b.high if missing == "interval" else a.total - b.total
    return gap > math.hypot(a.half, b.half) + 1e-12


def ranked(one: Standing) -> bool:
    return one.total is not None and one.coverage >= LEAST_KNOWN - 1e-12


def places(found: Sequence[Standing], missing: Missing) -> list[tuple[int, int] | None]:
    """(best, worst) place of each among those that are known well enough: (1, 1) is surely first, (1, 3) one of three.

    None for a system without a total, or of which too little is known: it is shown and has no place.
    """
    some = [s for s in found if ranked(s)]
    return [
        None
        if not ranked(s)
        else (1 + sum(before(o, s, missing) for o in some), len(some) - sum(before(s, o, missing) for o in some))
        for s in found
    ]


def weightings(groups: Sequence[str], draws: int = DRAWS) -> Iterator[dict[str, float]]:
    """`draws` choices of weights that sum to 1, spread evenly over all choices there are."""
    for n in range(1, draws + 1):
        # Exponential variates of a sum of 1 are uniform on the simplex.
        drawn = [-math.log(1 - (n * root) % 1.0) for root in ROOTS[: len(groups)]]
        yield dict(zip(groups, (d / sum(drawn) for d in drawn), strict=True))


def first_shares(
    found: Sequence[Mapping[str, GroupPart]], missing: Missing, *, draws: int = DRAWS
) -> list[tuple[float, float]]:
    """(share of all weightings in which it is surely first, share in which nobody is surely before it)."""
    groups = sorted({g for parts_ in found for g, p in parts_.items() if p.known > 0}, key=WEIGHED.index)
    alone, tied = [0] * len(found), [0] * len(found)
    for weights in weightings(groups, draws if groups else 0):
        now = [standing(parts_, weights, missing) for parts_ in found]
        for i, place in enumerate(places(now, missing)):
            if place is not None:
                alone[i] += place == (1, 1)
                tied[i] += place[0] == 1
    return [(a / draws, t / draws) for a, t in zip(alone, tied, strict=True)]


def sensitivity(
    rows: Sequence[Row], weights: Mapping[str, float], group: str, *, steps: int = 20
) -> list[tuple[float, list[float | None]]]:
    """(share of `group` in all weights, totals) from 0 to 1; the other groups keep their proportions."""
    rest = sum(w for g, w in weights.items() if g != group)
    curve = []
    for step in range(steps + 1):
        share = step / steps
        scaled = {g: w * (1 - share) / rest for g, w in weights.items() if g != group and rest > 0} | {group: share}
        curve.append((share, [s.total for s in standings(rows, scaled)]))
    return curve


def best(scale: Scale, cells: Sequence[Cell]) -> list[bool]:
    """Which cells are the best, or cannot be told from the best: their 95 % interval holds its value."""
    marks = utilities(scale, [c.value for c in cells])
    known = [(m, c) for m, c in zip(marks, cells, strict=True) if m is not None]
    if len(known) < 2 or len({m for m, _ in known}) < 2:
        return [False] * len(cells)
    top = max(m for m, _ in known)
    leader = next(c for m, c in known if m == top)
    assert leader.value is not None
    return [
        m is not None and (m == top or (c.low is not None and c.high is not None and c.low <= leader.value <= c.high))
        for m, c in zip(marks, cells, strict=True)
    ]
