"""Plots as inline SVG: no script, no outside asset, readable in light and dark.

A chart is a string to put into a page; `page` makes a whole one with one style sheet.
"""

import html
import math
from collections.abc import Mapping, Sequence

COLOURS = ("#2f6fde", "#d9622b", "#2d9d63", "#9a4fd0", "#c2983a", "#4aa7b5", "#c74474", "#7a7f87")

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#68707a;--line:#d9dde2;--page:#fbfbfa}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa2ac;--line:#33383f;--page:#15181c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:62rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}
svg{max-width:100%;height:auto;display:block}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
svg .axis{stroke:var(--line)}
pre{white-space:pre-wrap;background:color-mix(in srgb,var(--ink) 6%,transparent);
padding:.6rem;border-radius:6px}
.soft{color:var(--soft)}.wide{overflow-x:auto}
"""


def page(title: str, body: str, *, lang: str = "en") -> str:
    """A whole HTML page around `body`, which is trusted; `title` is escaped."""
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )


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
    """`1234567` -> `1.2M`, `0.0123` -> `0.0123`."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    width: int = 760,
    height: int = 300,
    zero: bool = False,
) -> str:
    """A line chart of named series of (x, y) points; non-finite points are left out."""
    clean = {n: [(a, b) for a, b in p if math.isfinite(a) and math.isfinite(b)] for n, p in series.items()}
    points = [p for s in clean.values() for p in s]
    if not points:
        return '<p class="soft">nothing to plot yet</p>'
    left, right, top, bottom = 60, 16, 28, 40
    x0, x1 = min(p[0] for p in points), max(p[0] for p in points)
    y0, y1 = (0.0 if zero else min(p[1] for p in points)), max(p[1] for p in points)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)
    y0, y1 = (y0 if zero else y0 - 0.04 * (y1 - y0)), y1 + 0.04 * (y1 - y0)

    def place(a: float, b: float) -> str:
        across = left + (a - x0) / (x1 - x0) * (width - left - right)
        down = height - bottom - (b - y0) / (y1 - y0) * (height - top - bottom)
        return f"{across:.1f},{down:.1f}"

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(f"{y} against {x}")}">']
    for value in ticks(y0, y1):
        spot = place(x0, value).split(",")[1]
        parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{spot}" y2="{spot}"/>')
        parts.append(f'<text x="{left - 6}" y="{float(spot) + 4}" text-anchor="end">{short(value)}</text>')
    for value in ticks(x0, x1, count=7):
        spot = place(value, y0).split(",")[0]
        parts.append(f'<text x="{spot}" y="{height - bottom + 16}" text-anchor="middle">{short(value)}</text>')
    parts.append(
        f'<text x="{(left + width - right) / 2}" y="{height - 6}" text-anchor="middle">{html.escape(x)}</text>'
    )
    parts.append(f'<text x="4" y="14">{html.escape(y)}</text>')
    offset = left + 60
    for index, (name, values) in enumerate(clean.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(place(a, b) for a, b in thin(values, 600))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"/>')
        if len(clean) > 1:
            parts.append(f'<rect x="{offset}" y="5" width="10" height="10" fill="{colour}"/>')
            parts.append(f'<text x="{offset + 14}" y="14">{html.escape(name)}</text>')
            offset += 24 + 7 * len(name)
    return "".join(parts) + "</svg>"


def thin(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """At most about `most` of the points, the last one kept."""
    if len(points) <= most:
        return points
    step = len(points) / most
    kept = [points[int(i * step)] for i in range(most)]
    return [*kept, points[-1]]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; every cell is escaped."""
    top = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
