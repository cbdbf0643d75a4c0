"""The one writer of SVG: plots that need no script and no outside asset, readable in light and dark.

`plot` draws lines over numbers or over named levels, `bars` and `columns` count things, `interval` fits in a row of a
table. Colours are classes of the style sheet (s0 to s7, kept, held, drop); `alone` makes a file of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from creuset.report.blocks import Words
from creuset.report.language import Lang, Text, in_both
from creuset.report.markup import Markup, el

COLOURS = 8  # lines that can be told apart
Point = tuple[float, float]
NOTHING = el("p", Text("Nothing to plot yet.", "Rien à tracer pour l'instant."), cls="soft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line. `ranges` are (x, low, high); `cloud` single observations, drawn small."""

    name: str = ""
    points: Sequence[Point]
    ranges: Sequence[tuple[float, float, float]] = ()
    cloud: Sequence[Point] = ()


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """`1234567` -> `1.23M`, `0.0123` -> `0.0123`."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def thin(points: Sequence[Point], most: int) -> Sequence[Point]:
    """At most about `most` of the points, the last one kept."""
    if len(points) <= most:
        return points
    step = len(points) / most
    return [*(points[int(i * step)] for i in range(most)), points[-1]]


def drawing(width: float, height: float, label: Words, *parts: object) -> Markup:
    """A whole picture; `label` says what it shows to those who do not see it."""
    return el("svg", parts, viewBox=f"0 0 {width:.0f} {height:.0f}", width=f"{width:.0f}", role="img", aria_label=label)


def _text(x: float, y: float, words: object, *, anchor: str = "", cls: str = "") -> Markup:
    said = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text_anchor": anchor or None}
    if (two := in_both(words)) is not None:
        return Markup(
            el("text", two.en, cls=f"en {cls}".strip(), **said) + el("text", two.fr, cls=f"fr {cls}".strip(), **said)
        )
    return el("text", words, cls=cls, **said)


def _both(words: Words) -> tuple[str, ...]:
    two = in_both(words)
    return (two.en, two.fr) if two is not None else (str(words),)


def _across(y: float, x1: float, x2: float, cls: str, **more: str) -> Markup:
    return el("line", cls=cls, x1=f"{x1:.1f}", x2=f"{x2:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", **more)


def plot(
    series: Sequence[Series],
    *,
    x: Words,
    y: Words,
    levels: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    mark: float | None = None,
    width: int = 760,
    height: int = 300,
) -> Markup:
    """Lines over numbers; or, with `levels`, over their names: then x is the number of a level.

    `low` and `high` are ends of the y axis, otherwise those of the points; `mark` is a line across, such as chance.
    Points that are not finite are left out.
    """
    clean = [[p for p in one.points if math.isfinite(p[0]) and math.isfinite(p[1])] for one in series]
    points = [p for one in clean for p in one]
    if not points:
        return NOTHING
    named = any(one.name for one in series)
    left, right, top, bottom = 58, 16, 30 + 18 * (named and not levels), 44
    right = 150 if named and levels else right
    x0, x1 = (-0.5, len(levels) - 0.5) if levels else (min(p[0] for p in points), max(p[0] for p in points))
    tall = [p[1] for p in points] + [v for s in series for r in s.ranges for v in r[1:]]
    tall += [p[1] for s in series for p in s.cloud]
    y0, y1 = min(tall), max(tall)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)
    margin = 0.04 * (y1 - y0)
    y0, y1 = (y0 - margin if low is None else low), (y1 + margin if high is None else high)

    def across(value: float, line: int = 0) -> float:
        # Lines of one level stand side by side, so that no interval hides another.
        beside = 0.5 * ((line + 0.5) / len(series) - 0.5) if levels else 0.0
        return left + (value + beside - x0) / (x1 - x0) * (width - left - right)

    def down(value: float) -> float:
        return height - bottom - (value - y0) / (y1 - y0) * (height - top - bottom)

    parts = [
        (_across(down(v), left, width - right, "rail"), _text(left - 8, down(v) + 4, short(v), anchor="end"))
        for v in ticks(y0, y1)
    ]
    places = enumerate(levels) if levels else ((v, short(v)) for v in ticks(x0, x1, count=7))
    below: list[object] = [_text(across(v), height - bottom + 18, said, anchor="middle") for v, said in places]
    below.append(_text((left + width - right) / 2, height - 8, x, anchor="middle", cls="axis"))
    below.append(_text(4, 15, y, cls="axis"))
    legend = left
    for number, (one, kept) in enumerate(zip(series, clean, strict=True)):
        cls = f"s{number % COLOURS}"
        at = [(across(a, number), down(b)) for a, b in thin(kept, 600)]
        below += [
            el("circle", cls=f"{cls} faint", cx=f"{across(a, number):.1f}", cy=f"{down(b):.1f}", r=2)
            for a, b in one.cloud
        ]
        below += [
            el(
                "line",
                cls=cls,
                x1=f"{across(a, number):.1f}",
                x2=f"{across(a, number):.1f}",
                y1=f"{down(b):.1f}",
                y2=f"{down(c):.1f}",
            )
            for a, b, c in one.ranges
        ]
        below.append(el("polyline", cls=cls, points=" ".join(f"{a:.1f},{b:.1f}" for a, b in at)))
        if levels:
            below += [el("circle", cls=cls, cx=f"{a:.1f}", cy=f"{b:.1f}", r=3.5) for a, b in at]
        if one.name:
            spot = (width - right + 14, 22 + 16 * number) if levels else (legend + 5, 32)
            below.append(el("circle", cls=cls, cx=spot[0], cy=spot[1], r=4))
            below.append(_text(spot[0] + 10, spot[1] + 4, one.name))
            legend += 30 + 7 * len(one.name)
    if mark is not None and y0 <= mark <= y1:
        below.append(_across(down(mark), left, width - right, "mark", stroke_dasharray="4 3"))
    return drawing(width, height, y, parts, below)


@dataclass(frozen=True, slots=True)
class Bar:
    label: Words
    length: float
    said: str
    cls: str = "kept"
    start: float = 0.0


def bars(rows: Sequence[Bar], unit: Words, *, top: float = 0.0) -> Markup:
    """A bar a row, its words behind it; `top` is the value at the right end, otherwise the longest."""
    if not rows:
        return el("p", Text("None.", "Aucun."), cls="soft")
    top = top or max(row.start + row.length for row in rows) or 1.0
    longest = max(len(said) for row in rows for said in _both(row.label))
    width, left, line = 300.0, min(260.0, 20 + 6.8 * longest), 22
    parts = []
    for number, row in enumerate(rows):
        y, x, long = number * line, left + width * row.start / top, max(1.0, width * row.length / top)
        parts.append(
            (
                _text(left - 8, y + 15, row.label, anchor="end"),
                el("rect", cls=row.cls, x=f"{x:.1f}", y=y + 4, width=f"{long:.1f}", height=line - 8, rx=2),
                _text(left + width + 8 if row.start or row.length == top else x + long + 8, y + 15, row.said),
            )
        )
    height = len(rows) * line
    foot = _text(left, height + 16, unit, cls="axis") if unit else None
    return drawing(left + width + 105, height + 24 * bool(unit), unit, parts, foot)


def columns(pairs: Mapping[str, tuple[float, float]], label: Words) -> Markup:
    """Two columns, kept and drop, over each name."""
    top, step, height = max(max(pair) for pair in pairs.values()) or 1.0, 46, 160
    parts = []
    for number, (name, pair) in enumerate(pairs.items()):
        for side, (value, cls) in enumerate(zip(pair, ("kept", "drop"), strict=True)):
            tall = height * value / top
            parts.append(
                el(
                    "rect",
                    el("title", f"{value:,}"),
                    cls=cls,
                    x=10 + number * step + side * 18,
                    y=f"{height - tall + 12:.1f}",
                    width=16,
                    height=f"{tall:.1f}",
                )
            )
        parts.append(_text(26 + number * step, height + 28, name, anchor="middle"))
    return drawing(20 + len(pairs) * step, height + 34, label, parts)


def interval(score: float, band: Sequence[float] | None, ends: tuple[float, float], mark: object, label: str) -> Markup:
    """One row's score as a dot, its interval as a band, and chance or the ideal as a line; as wide as its cell."""
    low, high = ends

    def at(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / (high - low)))

    parts = [el("line", cls="rail", x1=0, x2="100%", y1=9, y2=9)]
    if band:
        left, right = map(at, band)
        parts.append(
            el("rect", cls="range", x=f"{left:.2f}%", width=f"{max(0.4, right - left):.2f}%", y=4, height=10, rx=2)
        )
    if isinstance(mark, int | float) and low <= mark <= high:
        spot = f"{at(mark):.2f}%"
        parts.append(el("line", cls="mark", x1=spot, x2=spot, y1=1, y2=17, stroke_dasharray="2 2"))
    parts.append(el("circle", cls="spot", cx=f"{at(score):.2f}%", cy=9, r=4))
    return el("svg", parts, cls="interval", role="img", aria_label=label)


FILE_STYLE = """text{font:12px system-ui,sans-serif;fill:#5d6570}.rail{stroke:#dcdfe3}.mark{stroke:#a8321f}
.faint{opacity:.35}
polyline{stroke-width:1.2;opacity:.7}
line{stroke-width:1.5}"""
SHADES = ("#2f6fde", "#d9622b", "#2d9d63", "#9a4fd0", "#b08522", "#3a97a5", "#c74474", "#7a7f87")  # as in base.css


def alone(drawn: Markup, lang: Lang = "en") -> str:
    """The drawing as a file of its own, in one language, on white; nothing stays nothing."""
    if not drawn:
        return ""
    shades = "".join(f".s{n}{{fill:{c};stroke:{c}}}polyline.s{n}{{fill:none}}" for n, c in enumerate(SHADES))
    style = f"{FILE_STYLE}{shades}.{'fr' if lang == 'en' else 'en'}{{display:none}}"
    back = el("rect", width="100%", height="100%", fill="#fff")
    return drawn.replace(">", f' xmlns="http://www.w3.org/2000/svg">{el("style", Markup(style))}{back}', 1)
