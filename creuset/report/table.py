"""Measures as a table with a plot in it: one axis a unit, intervals as bands, chance as a line. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.report.page import both, text
from creuset.types.measure import Measure

Row = Mapping[str, Any]
STATUS = {
    "measured": ("measured", "mesuré"),
    "reported": ("reported by others", "déclaré par d'autres"),
    "not_applicable": ("not applicable", "sans objet"),
    "not_testable": ("not testable from outside", "non vérifiable de l'extérieur"),
    "not_tested": ("not tested", "non testé"),
}
GOOD = {
    "higher": ("higher is better", "plus haut est meilleur"),
    "lower": ("lower is better", "plus bas est meilleur"),
    "zero": ("0 is ideal", "0 est l'idéal"),
    "fifty": ("50 is ideal", "50 est l'idéal"),
}
_FIELDS = (
    ("interval_by", "interval by", "intervalle par"), ("form", "form", "forme"),
    ("extractor", "extractor", "extracteur"), ("chance", "by guessing", "au hasard"),
    ("verdict", "verdict", "constat"), ("caveat", "caveat", "réserve"), ("articles", "articles", "articles"),
    ("data", "data", "données"), ("data_sha256", "data sha256", "sha256 des données"),
    ("prompt_sha256", "prompts sha256", "sha256 des invites"), ("licence", "licence", "licence"),
    ("seed", "seed", "graine"), ("date", "date", "date"),
    ("judge", "judge", "juge"), ("judge_models", "judge, by its own name", "juge, selon lui-même"),
    ("judge_at", "judge at", "adresse du juge"), ("judge_temperature", "judge's temperature", "température du juge"),
    ("judge_prompt_sha256", "judge's prompts sha256", "sha256 des invites du juge"),
    ("judge_calls", "calls to the judge", "appels au juge"), ("judge_failed", "failed", "échecs du juge"),
    ("unread", "without a verdict", "sans verdict"), ("judge_cost", "cost of the judge", "coût du juge"),
)  # fmt: skip
_SHOWN = {"task", "metric", "score", "interval", "unit", "better", "n", "denominator", "failed", "unextracted",
          "status", "why", "requirement", *(name for name, *_ in _FIELDS)}  # fmt: skip


def tag(status: str) -> str:
    return f'<span class="tag {text(status)}">{both(*STATUS.get(status, (status, status)))}</span>'


def number(value: object) -> str:
    """A score as people read it: four significant digits, thousands apart; JSON has the rest."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 100):
        return f"{int(value):,}".replace(",", "\u202f")
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}"
    return f"{value:,.3f}".replace(",", "\u202f") if abs(value) < 1000 else f"{value:,.0f}".replace(",", "\u202f")


def tick(value: float) -> str:
    return f"{value:.3g}"


def interval_text(row: Row) -> str:
    found = row.get("interval")
    return f"[{number(found[0])}, {number(found[1])}]" if found else ""


def axis(rows: Sequence[Row]) -> tuple[float, float] | None:
    """The ends that the bars of `rows` share: those of the unit where it has ends, else of what is drawn."""
    ends = [float(v) for row in rows for v in (row.get("score"), *(row.get("interval") or ())) if _real(v)]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    units = {row.get("unit", "share") for row in rows if _real(row.get("score"))}
    if units == {"percent"} and low >= 0 and high <= 100:
        return 0.0, 100.0
    if units == {"share"} and low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    low = min(low, 0.0)
    return (low, high if high > low else low + 1.0)


def bar(row: Row, ends: tuple[float, float]) -> str:
    """The interval as a band, the score as a dot, chance or the ideal as a line; nothing for no score."""
    score = row.get("score")
    if not _real(score):
        return ""
    low, high = ends

    def at(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"

    parts = ['<line class="rail" x1="0" x2="100%" y1="9" y2="9"/>']
    if interval := row.get("interval"):
        left, right = (100 * min(1.0, max(0.0, (v - low) / (high - low))) for v in interval)
        band = f'x="{left:.2f}%" width="{max(0.4, right - left):.2f}%" y="4" height="10" rx="2"'
        parts.append(f'<rect class="range" {band}/>')
    ideal = {"zero": 0.0, "fifty": 50.0}.get(str(row.get("better")), row.get("chance"))
    if isinstance(ideal, int | float) and low <= ideal <= high:
        spot = at(float(ideal))
        parts.append(f'<line class="mark" x1="{spot}" x2="{spot}" y1="1" y2="17" stroke-dasharray="2 2"/>')
    parts.append(f'<circle class="spot" cx="{at(float(score))}" cy="9" r="4"/>')  # type: ignore[arg-type]
    said = f"{number(score)} {interval_text(row)}".strip()
    return f'<svg role="img" aria-label="{text(said)}">{"".join(parts)}</svg>'


def measure_table(rows: Sequence[Row], *, task: bool = True) -> str:
    """A sortable table for each unit; a row opens on all that is known of it. `task`: with the column of that name,
    which a table of one task alone does not need."""
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        scored = _real(row.get("score"))
        groups.setdefault((str(row.get("unit", "share")) if scored else "", _signed(row)), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: item[0][0] == "")     # what has no score comes last
    return "".join(_table(group, unit, task=task) for (unit, _), group in ordered)


def _signed(row: Row) -> bool:
    """Shares below zero (bias scores) have an axis of their own."""
    found = [row.get("score"), *(row.get("interval") or ())]
    return any(isinstance(v, int | float) and v < 0 for v in found) or row.get("better") == "zero"


def _table(rows: Sequence[Row], unit: str, *, task: bool) -> str:
    ends = axis(rows)
    scale = both("status", "état")
    if ends:
        said = "".join(f"<span>{part}</span>" for part in (tick(ends[0]), text(unit), tick(ends[1])))
        scale = f'<span class="scale">{said}</span>'
    head = (
        [_head("task", "tâche", "l")] if task else []
    ) + [
        _head("metric", "mesure", "l"), _head("score", "score", "score"),
        f'<th class="m interval">{both("95 % interval", "intervalle à 95 %")}</th>', f'<th class="bar l">{scale}</th>',
        _head("n", "n", "m n"), _head("failed", "échecs", "m few"), _head("not extracted", "non extraits", "m few"),
    ]
    bodies = "".join(_body(row, ends, task=task, columns=len(head)) for row in rows)
    kind = "measures" if task else "measures one"
    return f'<div class="wide"><table class="{kind}"><thead><tr>{"".join(head)}</tr></thead>{bodies}</table></div>'


def _head(en: str, fr: str, kind: str = "") -> str:
    return f'<th class="{kind}"><button data-sort>{both(en, fr)}</button></th>'


def _body(row: Row, ends: tuple[float, float] | None, *, task: bool, columns: int) -> str:
    name = f"{row['task']}.{row['metric']}"
    opener = f'<button class="open" aria-expanded="false" aria-label="{text(name)}"></button>'
    names = (breakable(row["task"]), breakable(row["metric"])) if task else (breakable(row["metric"]),)
    first = f'<td class="name">{opener}' + '</td><td class="name">'.join(names) + "</td>"
    scored = _real(row.get("score"))
    shown = bar(row, ends) if ends and scored else ""
    status = str(row.get("status", "measured"))
    if status != "measured":
        shown += f"{tag(status)} "
    n, asked = row.get("n") or 0, row.get("denominator") or row.get("n") or 0
    cells = (
        f'<td class="score" data-value="{row["score"] if scored else ""}">{number(row["score"]) if scored else ""}</td>'
        f'<td class="m">{interval_text(row)}</td><td class="bar l">{shown}</td>'
        f'<td class="m" data-value="{n}">{number(n)}{f" / {number(asked)}" if asked != n else ""}</td>'
        + "".join(f'<td class="m{" bad" if row.get(k) else " soft"}" data-value="{row.get(k) or 0}">'
                  f"{number(row.get(k) or 0)}</td>" for k in ("failed", "unextracted"))
    )  # fmt: skip
    return (
        f'<tbody><tr>{first}{cells}</tr><tr class="more" hidden><td colspan="{columns}">{_more(row)}</td></tr></tbody>'
    )


def breakable(name: object) -> str:
    """A name that may go on in the next line behind a dot or an underscore."""
    return text(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _more(row: Row) -> str:
    facts = []
    if why := row.get("why"):
        facts.append((both("why", "pourquoi"), text(why)))
    if row.get("better") in GOOD and _real(row.get("score")):
        facts.append((both("to read", "lecture"), both(*GOOD[row["better"]])))
    if interval := interval_text(row):
        facts.append((both("95 % interval", "intervalle à 95 %"), interval))
    facts.append(("n", f"{number(row.get('n') or 0)} {both('scored of', 'notés sur')} "
                  f"{number(row.get('denominator') or row.get('n') or 0)}"))  # fmt: skip
    for key, en, fr in (("failed", "failed", "échecs"), ("unextracted", "not extracted", "non extraits")):
        facts.append((both(en, fr), number(row.get(key) or 0)))
    for name, en, fr in _FIELDS:
        value = row.get(name)
        if value not in (None, "", [], ()):
            said = ", ".join(map(str, value)) if isinstance(value, list | tuple) else number(value)
            said = str(value) if name == "seed" else said      # a name, not a quantity
            facts.append((both(en, fr), text(said)))
    for name in sorted(set(row) - _SHOWN):
        if row[name] not in (None, "", [], {}):
            facts.append((text(name), text(_brief(row[name]))))
    return f'<dl class="facts">{"".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in facts)}</dl>'


def _brief(value: object) -> str:
    """What a task added: short things whole, long ones cut; results.json has them."""
    said = number(value) if not isinstance(value, dict) else ", ".join(f"{k}: {number(v)}" for k, v in value.items())
    return said if len(said) <= 600 else said[:600] + " ..."


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def csv_fields() -> list[str]:
    """Columns of results.csv: a measure's fields, the interval as two."""
    names = [name for name in Measure.__dataclass_fields__ if name not in ("extra", "interval")]
    at = names.index("score") + 1
    return [*names[:at], "low", "high", *names[at:]]
