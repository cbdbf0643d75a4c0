"""The audit as one HTML page: requirement by requirement, with its status, its figures and what helps. No torch here.

There is no total, no grade and no "compliant": a requirement has evidence, or a reason why it has none. What is not
tested is listed among the rest. Both languages are in the page; strings that tests wrote stay in English.

    document = {"subject": identity, "date": ISO 8601, "items": items.json, "rows": results of results.json,
                "limit": samples asked of each test, or None for all}
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.evals.report import samples_browser
from creuset.governance.audit.page_part import block
from creuset.report.page import both, sheet, text
from creuset.report.table import STATUS, number, tag
from creuset.types.measure import measure_row, plain

Row = Mapping[str, Any]
_PLAIN = {"en": "", "fr": ""}


def write_page(
    path: Path, document: Row, *, samples: Mapping[str, Sequence[dict[str, Any]]] | None = None, lang: str = "en"
) -> None:
    """Write the page of `document` to the file `path`; `samples` are the rows of each part, hidden ones among them."""
    path.write_text(page(document, samples=samples, lang=lang), encoding="utf-8", errors="replace")


def page(
    document: Row, *, samples: Mapping[str, Sequence[dict[str, Any]]] | None = None, lang: str = "en"
) -> str:
    found = plain(dict(document))
    subject = found.get("subject") or {}
    name = str(subject.get("name") or subject.get("model") or subject.get("url") or "?")
    items, rows = found["items"], [measure_row(row) for row in found["rows"]]
    stray = sorted({str(r.get("requirement")) for r in rows} - {str(item["row"]) for item in items})
    if stray:
        raise ValueError(f"figures of requirement {', '.join(stray)}, which is not in the list")
    body = "".join((
        _facts(subject, str(found.get("date") or "")), _partial(found.get("limit")), _overview(items, rows),
        *(_section(item, [r for r in rows if str(r["requirement"]) == str(item["row"])]) for item in items),
        samples_browser({k: [plain(row) for row in v] for k, v in (samples or {}).items() if v}),
    ))
    title = (f"Audit of {name}", f"Audit de {name}")
    return sheet(title, body, lang=lang, scripts=("browse.js",), styles=("browse.css",))


def _facts(subject: Row, date: str) -> str:
    facts = [(k, subject[k]) for k in ("kind", "url", "model", "dialect", "sha256") if subject.get(k)]
    said = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in [*facts, ("date", date)])
    return f'<dl class="facts">{said}</dl><p class="note">' + both(
        "This page holds evidence, with its uncertainty, for each requirement. It gives no overall grade and does not "
        "say that a system complies with any law: that depends on its use, and people decide it.",
        "Cette page réunit des preuves, avec leur incertitude, pour chaque exigence. Elle ne donne aucune note globale "
        "et ne dit pas qu'un système est conforme à une loi : cela dépend de son usage, et des personnes en décident.",
    ) + "</p>"


def _partial(limit: int | None) -> str:
    if limit is None:
        return ""
    return '<p class="note">' + both(
        f"Only the first {limit} samples of each test were asked: intervals are wider than those of the whole test, "
        "and kinds of questions that come later are missing.",
        f"Seuls les {limit} premiers échantillons de chaque épreuve ont été posés : les intervalles sont plus larges "
        "que ceux de l'épreuve entière, et les types de questions qui viennent après manquent.",
    ) + "</p>"


def _overview(items: Sequence[Row], rows: Sequence[Row]) -> str:
    counts = Counter(str(item["status"]) for item in items)
    buttons = f'<button data-only="" aria-pressed="true">{both("all", "toutes")} ({len(items)})</button>' + "".join(
        f'<button data-only="{status}" aria-pressed="false">{both(*STATUS[status])} ({counts[status]})</button>'
        for status in STATUS if counts[status]
    )  # fmt: skip
    bodies = []
    for item in items:
        mine = Counter(str(r.get("status", "measured")) for r in rows if str(r["requirement"]) == str(item["row"]))
        figures = mine["measured"] + mine["reported"]
        open_ = sum(mine.values()) - figures
        bodies.append(
            f'<tbody data-status="{text(item["status"])}"><tr><td class="name id">{text(item["row"])}</td>'
            f'<td class="name"><a href="#item-{text(item["row"])}">{_words(item["title"])}</a></td>'
            f'<td class="l">{tag(str(item["status"]))}</td><td class="m" data-value="{figures}">{number(figures)}</td>'
            f'<td class="soft m" data-value="{open_}">{number(open_)}</td></tr></tbody>'
        )
    heads = (("no", "n°", "l"), ("requirement", "exigence", "l"), ("status", "état", "l"),
             ("figures", "chiffres", "m"), ("without", "sans", "m"))  # fmt: skip
    head = "".join(f'<th class="{k}"><button data-sort>{both(en, fr)}</button></th>' for en, fr, k in heads)
    return (
        f'<h2>{both("Requirements", "Exigences")}</h2><div class="tools">{buttons}</div>'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div>'
    )


def _section(item: Row, rows: Sequence[Row]) -> str:
    scored = [r for r in rows if r.get("score") is not None]
    caveats = list(dict.fromkeys(str(r["caveat"]) for r in scored if r.get("caveat")))
    trouble = "".join(
        f'<p class="note">{text(part["name"])}: {text(part["trouble"])}</p>'
        for part in item.get("parts") or () if part.get("trouble")
    )  # fmt: skip
    return "".join((
        f'<section id="item-{text(item["row"])}" data-status="{text(item["status"])}">',
        f'<h2>{text(item["row"])}. {_words(item["title"])} {tag(str(item["status"]))}</h2>',
        f'<p>{_words(item.get("asks") or _PLAIN)}</p>',
        f'<p class="soft">{text(" · ".join(item.get("articles") or ()))}</p>', trouble,
        *(block(task, [r for r in rows if r["task"] == task]) for task in dict.fromkeys(str(r["task"]) for r in rows)),
        f'<ul class="soft">{"".join(f"<li>{text(c)}</li>" for c in caveats)}</ul>' if caveats else "",
        f'<p><b>{both("What helps", "Ce qui aide")}</b> {_words(item["hint"])}</p>' if item.get("hint") else "",
        "</section>",
    ))  # fmt: skip


def _words(words: Row) -> str:
    return both(str(words["en"]), str(words["fr"]))
