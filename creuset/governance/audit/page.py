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

from creuset.core.sentences import sentence
from creuset.governance.audit.articles import article
from creuset.governance.audit.page_part import part_blocks
from creuset.report.blocks import Block, Bullets, Column, FactList, Grid, Para, Section, Span, Widget, line
from creuset.report.language import Text
from creuset.report.markup import el
from creuset.report.page import page as whole_page
from creuset.report.samples import SCRIPTS, STYLES, samples_browser
from creuset.report.table import STATUS, figure, tag
from creuset.types.measure import measure_row, plain

Row = Mapping[str, Any]
LEFT_OUT = sentence("audit.left_out")
NO_GRADE = sentence("audit.this_page_holds_evidence_with_its")


def write_page(
    path: Path, document: Row, *, samples: Mapping[str, Sequence[dict[str, Any]]] | None = None, lang: str = "en"
) -> None:
    """Write the page of `document` to the file `path`; `samples` are the rows of each part, hidden ones among them."""
    path.write_text(page(document, samples=samples, lang=lang), encoding="utf-8", errors="replace")


def page(document: Row, *, samples: Mapping[str, Sequence[dict[str, Any]]] | None = None, lang: str = "en") -> str:
    """The page. Raises ValueError where a figure belongs to a requirement that is not listed."""
    found = plain(dict(document))
    subject = found.get("subject") or {}
    name = str(subject.get("name") or subject.get("model") or subject.get("url") or "?")
    items, rows = found["items"], [measure_row(row) for row in found["rows"]]
    stray = sorted({str(r.get("requirement")) for r in rows} - {str(item["row"]) for item in items})
    if stray:
        raise ValueError(f"figures of requirement {', '.join(stray)}, which is not in the list")
    facts = [(k, str(subject[k])) for k in ("kind", "url", "model", "dialect", "sha256") if subject.get(k)]
    blocks: list[Block] = [
        FactList((*facts, ("date", str(found.get("date") or "")))),
        Para(line(NO_GRADE), "note"),
        *_partial(found.get("limit")),
        _overview(items, rows),
        *(_section(item, [r for r in rows if str(r["requirement"]) == str(item["row"])]) for item in items),
        *samples_browser({k: [plain(row) for row in v] for k, v in (samples or {}).items() if v}),
    ]
    return whole_page(sentence("audit.audit_of", name=name), blocks, lang=lang, scripts=SCRIPTS, styles=STYLES)


def _partial(limit: int | None) -> list[Para]:
    return [] if limit is None else [Para(line(sentence("audit.only_the_first_samples_of_each", limit=limit)), "note")]


def _overview(items: Sequence[Row], rows: Sequence[Row]) -> Section:
    """All requirements with their status, and buttons that show those of one status."""
    counts = Counter(str(item["status"]) for item in items)
    known = [("", sentence("audit.all"), len(items)), *((s, STATUS[s], counts[s]) for s in STATUS if counts[s])]
    buttons = [
        el("button", words, f" ({n})", type="button", data_only=status, aria_pressed="false" if i else "true")
        for i, (status, words, n) in enumerate(known)
    ]
    head = (
        Column(sentence("audit.no"), "name id", sort=True),
        Column(sentence("audit.requirement"), "name", sort=True),
        Column(sentence("audit.status"), "status", sort=True),
        Column(sentence("audit.parts_that_ran"), "n"),
        Column(sentence("audit.figures"), "n m", sort=True),
        Column(sentence("audit.without"), "n m", sort=True),
    )
    lines = []
    for item in items:
        mine = Counter(str(r.get("status", "measured")) for r in rows if str(r["requirement"]) == str(item["row"]))
        figures = mine["measured"] + mine["reported"]
        parts = [str(part["status"]) for part in item.get("parts") or ()]
        ran = sum(status in ("measured", "reported") for status in parts)
        lines.append(
            (
                str(item["row"]),
                Span(Text(**item["title"]), jump=f"item-{item['row']}"),
                tag(str(item["status"])),
                sentence("audit.parts_of", ran=ran, parts=len(parts)),
                figure(figures),
                figure(sum(mine.values()) - figures, "soft"),
            )
        )
    return Section(
        sentence("audit.requirements"),
        (
            Widget(el("div", buttons, cls="tools")),
            Grid(head, tuple(lines), kind="overview", status=tuple(str(item["status"]) for item in items)),
        ),
    )


def _section(item: Row, rows: Sequence[Row]) -> Section:
    caveats = dict.fromkeys(str(r["caveat"]) for r in rows if r.get("score") is not None and r.get("caveat"))
    blocks: list[Block] = [
        *([Para(line(Text(**item["asks"])))] if item.get("asks") else []),
        Bullets(tuple(line(article(str(name))) for name in item.get("articles") or ()), "soft"),
        *(
            Para(line(f"{part['name']}: {part['trouble']}"), "note")
            for part in item.get("parts") or ()
            if part.get("trouble")
        ),
    ]
    left = [r for r in rows if r.get("score") is None and str(r.get("why")) == str(LEFT_OUT)]
    idle = dict.fromkeys(str(r["task"]) for r in left)
    for task in dict.fromkeys(str(r["task"]) for r in rows if str(r["task"]) not in idle):
        blocks += part_blocks(task, [r for r in rows if r["task"] == task])
    if idle:  # one line for all: nothing more is known of them
        blocks.append(Bullets((line(tag("not_tested"), " ", LEFT_OUT, ": ", Span(", ".join(idle), name=True)),)))
    if caveats:
        blocks.append(Bullets(tuple(line(caveat) for caveat in caveats), "soft"))
    if item.get("hint"):
        blocks.append(Para(line(Span(sentence("audit.what_helps"), strong=True), " ", Text(**item["hint"]))))
    title = line(f"{item['row']}. ", Text(**item["title"]), " ", tag(str(item["status"])))
    return Section(title, tuple(blocks), id=f"item-{item['row']}", status=str(item["status"]))
