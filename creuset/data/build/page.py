"""The report as one HTML page: no outside asset, no script, plots in SVG, every text from a document escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_STYLE = Path(__file__).with_name("report.css")
_KEPT, _HELD, _DROP = "var(--kept)", "var(--held)", "var(--drop)"


def page(report: Mapping[str, Any]) -> str:
    total, speed = report["total"], report["speed"]
    share = total["kept"]["characters"] / max(1, total["read"]["characters"])
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>Corpus report</title><style>{_STYLE.read_text()}</style></head><body>",
        "<h1>Corpus report</h1>",
        f"<p>{total['read']['documents']:,} documents read, {total['kept']['documents']:,} kept "
        f"({share:.1%} of the characters), "
        f"{total['heldout']['documents']:,} held out, {total['dropped']['documents']:,} dropped. "
        f"<span class=soft>content {escape(report['content_sha256'][:16])}</span></p>",
        "<h2>Sources</h2>",
        _sources(report["sources"]),
        "<h2>Where the documents of each source went</h2>",
        *(_waterfall(name, one) for name, one in report["sources"].items()),
        "<h2>Why documents were dropped</h2>",
        _bars([(reason, n["documents"]) for reason, n in _by_count(total["reasons"])], _DROP, "documents"),
        "<h2>Length of the documents, in characters</h2>",
        _lengths(total["lengths"], total["lengths_dropped"]),
        "<h2>Languages of what is kept</h2>",
        _bars(sorted(total["languages"].items(), key=lambda kv: -kv[1])[:20], _KEPT, "documents"),
        "<h2>Personal data masked</h2>",
        _bars(sorted(total["masked"].items(), key=lambda kv: -kv[1]), _HELD, "places"),
        "<h2>Speed of each stage</h2>",
        _bars([(stage, s["mb_s"] or 0) for stage, s in speed["stages"].items()], _KEPT, "MB/s on one core"),
        f"<p class=soft>All stages: {speed['mb_s_per_core']} {escape(speed['note'])}. "
        f"{speed['core_seconds']:,} CPU seconds, {speed['wall_seconds']:,} s by the clock, "
        f"{speed['workers']} worker(s).</p>",
        _stages(report["sources"]),
        "<h2>Broken lines</h2>",
        _broken(report["sources"]),
        "<h2>Samples of what was dropped</h2>",
        "<p class=soft>A fixed random choice for each source and reason, cut at 600 characters.</p>",
        *(_samples(name, one["samples"]) for name, one in report["sources"].items()),
        "</body></html>",
    ]
    return "\n".join(parts)


def _by_count(reasons: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(reasons.items(), key=lambda kv: -kv[1]["documents"])


def _sources(sources: Mapping[str, Any]) -> str:
    names = ("kept", "held out", "dropped", "M characters kept", "lines removed", "masked", "MB/s a core")
    head = "<tr><th>source<th class=l>licence<th class=l>rules<th>read<th>" + "<th>".join(names) + "</tr>"
    rows = [
        f"<tr><td>{escape(name)}<td class=l>{escape(one['licence'] or 'unknown')}<td class=l>{escape(one['kind'])}"
        + "".join(f"<td>{one[part]['documents']:,}" for part in ("read", "kept", "heldout", "dropped"))
        + f"<td>{one['kept']['characters'] / 1e6:,.2f}<td>{one['removed_lines']:,}"
        f"<td>{sum(one['masked'].values()):,}<td>{one['speed']['mb_s_per_core']}</tr>"
        for name, one in sources.items()
    ]
    return f"<div class=wide><table>{head}{''.join(rows)}</table></div>"


def _stages(sources: Mapping[str, Any]) -> str:
    names = sorted({stage for one in sources.values() for stage in one["speed"]["stages"]})
    rows = []
    for name, one in sources.items():
        own = one["speed"]["stages"]
        cells = "".join(f"<td>{own[s]['mb_s'] if s in own and own[s]['mb_s'] else '-'}" for s in names)
        rows.append(f"<tr><td>{escape(name)}{cells}</tr>")
    head = "<tr><th>MB/s on one core<th>" + "<th>".join(map(escape, names)) + "</tr>"
    return f"<div class=wide><table>{head}{''.join(rows)}</table></div>"


def _waterfall(name: str, one: Mapping[str, Any]) -> str:
    """read, minus each reason, leaves held out and kept; bars hang where the last one ended."""
    read = max(1, one["read"]["documents"])
    reasons = _by_count(one["reasons"])
    shown, rest = reasons[:8], sum(n["documents"] for _, n in reasons[8:])
    steps = [("read", read, "var(--soft)")] + [(reason, n["documents"], _DROP) for reason, n in shown]
    if rest:
        steps.append((f"{len(reasons) - 8} other reasons", rest, _DROP))
    steps += [("held out", one["heldout"]["documents"], _HELD), ("kept", one["kept"]["documents"], _KEPT)]
    width, left, row = 560.0, 230, 18
    end, body = read, []
    for i, (label, count, color) in enumerate(steps):
        start = 0 if label in ("read", "kept") else end - count
        end = read if label == "read" else start
        x, w, y = left + width * start / read, max(1.0, width * count / read), i * row
        body.append(
            f"<text x={left - 6} y={y + 13} text-anchor=end>{escape(label)}</text>"
            f"<rect x={x:.1f} y={y + 3} width={w:.1f} height={row - 5} fill='{color}'/>"
            f"<text x={left + width + 8:.0f} y={y + 13}>{count:,} ({count / read:.1%})</text>"
        )
    drawn = _svg(left + width + 130, len(steps) * row + 4, f"Waterfall of {name}", "".join(body))
    return f"<h3>{escape(name)}</h3>{drawn}"


def _svg(width: float, height: float, label: str, body: str) -> str:
    return (
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}' width={width:.0f} role=img "
        f"aria-label='{escape(label, quote=True)}'>{body}</svg>"
    )


def _bars(rows: Sequence[tuple[str, float]], color: str, unit: str) -> str:
    if not rows:
        return "<p class=soft>none</p>"
    top = max(value for _, value in rows) or 1
    width, left, row = 480.0, 270, 18
    body = "".join(
        f"<text x={left - 6} y={i * row + 13} text-anchor=end>{escape(label)}</text>"
        f"<rect x={left} y={i * row + 3} width={max(1.0, width * value / top):.1f} height={row - 5} fill='{color}'/>"
        f"<text x={left + max(1.0, width * value / top) + 6:.0f} y={i * row + 13}>{value:,}</text>"
        for i, (label, value) in enumerate(rows)
    )
    foot = f"<text x={left} y={len(rows) * row + 16} class=soft>{escape(unit)}</text>"
    return _svg(left + width + 90, len(rows) * row + 22, unit, body + foot)


def _lengths(kept: Mapping[str, int], dropped: Mapping[str, int]) -> str:
    """Two columns for each power of two: kept and held out below the axis of none."""
    bits = sorted({int(b) for b in [*kept, *dropped]})
    if not bits:
        return "<p class=soft>none</p>"
    bits = list(range(bits[0], bits[-1] + 1))
    top = max([*kept.values(), *dropped.values(), 1])
    step, height = 46, 160
    body = []
    for i, bit in enumerate(bits):
        for j, (counts, color) in enumerate(((kept, _KEPT), (dropped, _DROP))):
            value = counts.get(str(bit), 0)
            tall = height * value / top
            body.append(
                f"<rect x={10 + i * step + j * 18} y={height - tall + 12:.1f} width=16 height={tall:.1f} "
                f"fill='{color}'><title>{value:,}</title></rect>"
            )
        body.append(f"<text x={10 + i * step} y={height + 28}>{_short(1 << max(0, bit - 1))}</text>")
    drawn = _svg(20 + len(bits) * step, height + 34, "Lengths of documents", "".join(body))
    return (
        f"{drawn}<p class=soft><span style='color:{_KEPT}'>■</span> kept <span style='color:{_DROP}'>■</span> dropped; "
        f"each pair counts the lengths from the number below it up to twice that. Highest column: {top:,}.</p>"
    )


def _short(number: int) -> str:
    return f"{number // (1 << 20)}M" if number >= 1 << 20 else f"{number // 1024}k" if number >= 1024 else str(number)


def _broken(sources: Mapping[str, Any]) -> str:
    rows = [f"<li>{escape(name)}: {escape(line)}" for name, one in sources.items() for line in one["broken"]]
    return f"<ul>{''.join(rows)}</ul>" if rows else "<p class=soft>none</p>"


def _samples(name: str, samples: Mapping[str, Any]) -> str:
    out = [f"<h3>{escape(name)}</h3>"]
    for reason, shown in samples.items():
        texts = "".join(
            f"<p class=soft>{escape(': '.join(filter(None, (one['id'], one['detail']))))}</p>"
            f"<pre>{escape(one['text'])}</pre>"
            for one in shown
        )
        head = f"<summary>{escape(reason)} <span class=soft>({len(shown)} shown)</span></summary>"
        out.append(f"<details>{head}{texts}</details>")
    return "".join(out) if samples else ""
