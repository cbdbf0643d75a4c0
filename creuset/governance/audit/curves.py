"""Curves of an audit's page: figures that mean something only side by side, as inline SVG. No torch, no script.

A curve is made from the rows of results.json, by the names that the parts gave their levels: nothing is computed here.
The levels are drawn at equal distances, in the order in which they come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.report.chart import COLOURS, short, ticks
from creuset.report.page import both, text

Row = Mapping[str, Any]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 56, 150, 18, 46


@dataclass(frozen=True, slots=True)
class Curve:
    task: str
    metric: str         # how the names of its rows begin
    level: str          # field of a row that names its place along the curve
    series: str         # field that names its line; empty: there is one
    title: tuple[str, str]
    across: tuple[str, str]
    share: bool = True  # from 0 to 1


CURVES = (
    Curve("canaries", "exposure.rep", "repetitions", "", ("Exposure, bits", "Exposition, bits"),
          ("times in the training data", "occurrences dans les données d'entraînement"), share=False),
    Curve("canaries", "person.", "repetitions", "asks", ("Addresses said", "Adresses dites"),
          ("times in the training data", "occurrences dans les données d'entraînement")),
    Curve("extraction", "extractable.", "occurrences", "prefix", ("Passages that come back", "Passages restitués"),
          ("times in the training data", "occurrences dans les données d'entraînement")),
    Curve("membership", "auroc.", "read", "attack", ("AUROC of membership", "AUROC d'appartenance"),
          ("times read in training", "lectures à l'entraînement")),
    Curve("watermark", "tpr_1e-3.", "length", "attack", ("Marked texts found", "Textes marqués trouvés"),
          ("tokens", "jetons")),
)  # fmt: skip
MOST = len(COLOURS)     # lines that can be told apart


def curves(rows: Sequence[Row]) -> str:
    """Every curve that `rows` have two levels for."""
    return "".join(_figure(curve, rows) for curve in CURVES)


def figure(curve: Curve, rows: Sequence[Row], *, lang: str = "en") -> str:
    """One curve as an SVG file of its own; empty where it has no two levels."""
    style = "text{font:12px system-ui,sans-serif;fill:#5d6570}.rail{stroke:#dcdfe3}.mark{stroke:#a8321f}"
    hidden = f".{'fr' if lang == 'en' else 'en'}{{display:none}}"
    drawn = _svg(curve, rows)
    return drawn.replace(
        ">", f' xmlns="http://www.w3.org/2000/svg"><style>{style}{hidden}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', 1
    )


def _figure(curve: Curve, rows: Sequence[Row]) -> str:
    drawn = _svg(curve, rows)
    caption = f"<figcaption>{both(*curve.title)}</figcaption>"
    return f'<figure class="curve">{caption}<div class="wide">{drawn}</div></figure>' if drawn else ""


def _svg(curve: Curve, rows: Sequence[Row]) -> str:
    mine = [
        r for r in rows
        if r.get("task") == curve.task and str(r.get("metric", "")).startswith(curve.metric)
        and curve.level in r and isinstance(r.get("score"), int | float)
    ]  # fmt: skip
    levels = list(dict.fromkeys(str(r[curve.level]) for r in mine))
    names = list(dict.fromkeys(str(r.get(curve.series, "")) for r in mine))[:MOST]
    if len(levels) < 2:
        return ""
    values = [float(v) for r in mine for v in (r["score"], *(r.get("interval") or ()))]
    values += [float(bits) for r in mine for _, bits in r.get("points") or ()]
    top = 1.0 if curve.share else max(values) * 1.04
    step = (WIDTH - LEFT - RIGHT) / len(levels)

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    def across(level: str, line: int) -> float:
        # Lines of one level stand side by side, so that no interval hides another.
        return LEFT + step * (levels.index(level) + 0.5 + 0.5 * ((line + 0.5) / len(names) - 0.5))

    parts = [
        f'<line class="rail" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(v):.1f}" y2="{down(v):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{down(v) + 4:.1f}" text-anchor="end">{short(v)}</text>'
        for v in ticks(0.0, top)
    ]
    parts += [
        f'<text x="{LEFT + step * (i + 0.5):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{text(level)}</text>'
        for i, level in enumerate(levels)
    ]
    middle = f'x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle"'
    parts += [f'<text class="{lang}" {middle}>{text(word)}</text>'
              for lang, word in zip(("en", "fr"), curve.across, strict=True)]  # fmt: skip
    for line, name in enumerate(names):
        own = [r for r in mine if str(r.get(curve.series, "")) == name]
        parts += _line(own, name, line, curve, across, down)
    chance = next((r[key] for r in mine for key in ("chance", "by_chance") if r.get(key)), None)
    if isinstance(chance, int | float) and chance <= top:
        parts.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(chance):.1f}" '
                     f'y2="{down(chance):.1f}" stroke-dasharray="4 3"/>')  # fmt: skip
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{text(curve.title[0])}">'
        f'{"".join(parts)}</svg>'
    )


def _line(own: Sequence[Row], name: str, line: int, curve: Curve, across: Any, down: Any) -> list[str]:
    colour = COLOURS[line % MOST]
    at = [(across(str(r[curve.level]), line), r) for r in own]
    parts = [
        f'<circle cx="{x:.1f}" cy="{down(bits):.1f}" r="2" fill="{colour}" opacity=".35"/>'
        for x, r in at for _, bits in r.get("points") or ()
    ]  # fmt: skip
    for x, r in at:
        if interval := r.get("interval"):
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{down(interval[0]):.1f}" y2="{down(interval[1]):.1f}" '
                         f'stroke="{colour}" stroke-width="1.5"/>')  # fmt: skip
        parts.append(f'<circle cx="{x:.1f}" cy="{down(r["score"]):.1f}" r="3.5" fill="{colour}"/>')
    path = " ".join(f"{x:.1f},{down(r['score']):.1f}" for x, r in at)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.2" opacity=".6"/>')
    if name:
        y = TOP + 16 * line + 8
        parts.append(f'<circle cx="{WIDTH - RIGHT + 14}" cy="{y - 4}" r="4" fill="{colour}"/>'
                     f'<text x="{WIDTH - RIGHT + 24}" y="{y}">{text(name)}</text>')  # fmt: skip
    return parts
