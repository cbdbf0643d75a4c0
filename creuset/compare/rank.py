"""From cells to a ranking, for weights that only the reader can choose. Pure; page.js computes the same.

    utility     of a cell, 0 to 1: a share counts as itself, a price as best/value, words by their stated points
    weight      of a row: its group's weight divided among the group's rows that are known for at least one system
    total       mean of the utilities of the known cells, by weight: an unknown cell is left out, it is not a zero
    coverage    the weight that lies on known cells
    low, high   the total if every unknown cell were worth 0, or 1: the ranking is only as sure as these are narrow
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from creuset.compare.card import Cell, Row, Scale


@dataclass(frozen=True, slots=True)
class Standing:
    """What one system gets from one choice of weights. `total` is None where nothing at all is known."""

    total: float | None
    coverage: float
    low: float
    high: float
    by_group: dict[str, float]          # contributions; they sum to `total`


def utilities(scale: Scale, values: Sequence[float | None]) -> list[float | None]:
    """0 (worst) to 1 (best) for each value; None stays None. `high` and `low` compare with the best of `values`."""
    known = [v for v in values if v is not None]
    if not known or scale == "":
        return [None] * len(values)
    return [None if v is None else min(1.0, max(0.0, _utility(scale, v, known))) for v in values]


def _utility(scale: Scale, value: float, known: Sequence[float]) -> float:
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


def row_weights(rows: Sequence[Row], weights: Mapping[str, float]) -> list[float]:
    """A group's weight, shared equally by its rows that can be weighed and are known for somebody."""
    counts = [bool(r.scale) and not r.why_unranked and any(c.value is not None for c in r.cells) for r in rows]
    size: dict[str, int] = {}
    for row, counted in zip(rows, counts, strict=True):
        size[row.group] = size.get(row.group, 0) + counted
    return [
        weights.get(row.group, 0.0) / size[row.group] if counted else 0.0
        for row, counted in zip(rows, counts, strict=True)
    ]


def standings(rows: Sequence[Row], weights: Mapping[str, float], *, shared_only: bool = False) -> list[Standing]:
    """One for each column. With `shared_only` only rows known for every system count."""
    if shared_only:
        rows = [r for r in rows if r.cells and all(c.value is not None for c in r.cells)]
    each = row_weights(rows, weights)
    marks = [utilities(r.scale, [c.value for c in r.cells]) for r in rows]
    columns = len(rows[0].cells) if rows else 0
    return [_standing([(r.group, w, m[i]) for r, w, m in zip(rows, each, marks, strict=True)]) for i in range(columns)]


def _standing(parts: Iterable[tuple[str, float, float | None]]) -> Standing:
    known_weight = weight = points = 0.0
    groups: dict[str, float] = {}
    for group, share, mark in parts:
        weight += share
        if mark is not None:
            known_weight += share
            points += share * mark
            groups[group] = groups.get(group, 0.0) + share * mark
    if known_weight == 0:
        return Standing(None, 0.0, 0.0, 1.0 if weight else 0.0, {})
    return Standing(
        points / known_weight, known_weight / weight, points / weight, (points + weight - known_weight) / weight,
        {g: v / known_weight for g, v in groups.items()},
    )


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
