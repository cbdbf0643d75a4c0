"""Curves of an audit's page: figures that mean something only side by side. No torch, no script.

A curve is made from the rows of results.json, by the names that the parts gave their levels: nothing is computed here.
The levels are drawn at equal distances, in the order in which they come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.core.sentences import sentence
from creuset.report.blocks import Chart, Words
from creuset.report.chart import COLOURS, Series, alone, plot
from creuset.report.language import Lang
from creuset.report.markup import Markup

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    task: str
    metric: str  # how the names of its rows begin
    level: str  # field of a row that names its place along the curve
    series: str  # field that names its line; empty: there is one
    title: Words
    across: Words
    share: bool = True  # from 0 to 1


CURVES = (
    Curve("canaries", "exposure.rep", "repetitions", "", sentence("audit.exposure_bits"),
          sentence("audit.times_in_the_training_data"), share=False),
    Curve("canaries", "person.", "repetitions", "asks", sentence("audit.addresses_said"),
          sentence("audit.times_in_the_training_data")),
    Curve("extraction", "extractable.", "occurrences", "prefix", sentence("audit.passages_that_come_back"),
          sentence("audit.times_in_the_training_data")),
    Curve("membership", "auroc.", "read", "attack", sentence("audit.auroc_of_membership"),
          sentence("audit.times_read_in_training")),
    Curve("watermark", "tpr_1e-3.", "length", "attack", sentence("audit.marked_texts_found"),
          sentence("audit.tokens")),
)  # fmt: skip


def curves(rows: Sequence[Row]) -> list[Chart]:
    """Every curve that `rows` have two levels for."""
    return [Chart(drawn, curve.title) for curve in CURVES if (drawn := _draw(curve, rows))]


def curve_file(curve: Curve, rows: Sequence[Row], *, lang: Lang = "en") -> str:
    """One curve as an SVG file of its own; empty where it has no two levels."""
    return alone(_draw(curve, rows), lang)


def _draw(curve: Curve, rows: Sequence[Row]) -> Markup:
    mine = [
        r for r in rows
        if r.get("task") == curve.task and str(r.get("metric", "")).startswith(curve.metric)
        and curve.level in r and isinstance(r.get("score"), int | float)
    ]  # fmt: skip
    levels = list(dict.fromkeys(str(r[curve.level]) for r in mine))
    names = list(dict.fromkeys(str(r.get(curve.series, "")) for r in mine))[:COLOURS]
    if len(levels) < 2:
        return Markup()
    series = []
    for name in names:
        at = [(levels.index(str(r[curve.level])), r) for r in mine if str(r.get(curve.series, "")) == name]
        series.append(
            Series(
                name=name,
                points=[(x, float(r["score"])) for x, r in at],
                ranges=[(x, *r["interval"]) for x, r in at if r.get("interval")],
                cloud=[(x, float(bits)) for x, r in at for _, bits in r.get("points") or ()],
            )
        )
    chance = next((float(r[key]) for r in mine for key in ("chance", "by_chance") if r.get(key)), None)
    return plot(
        series, x=curve.across, y=curve.title, levels=levels, low=0.0, high=1.0 if curve.share else None, mark=chance
    )
