"""Blocks as PDF, by Typst: tagged for screen readers (PDF/UA-1), and the same bytes each time.

The layout is assets/page.typ, which reads the page as JSON. What the fonts lack is written as U+XXXX, never dropped.
Why this library and these fonts: docs/adr/0010.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from creuset.report.blocks import Block, Grid, Line, Section, Span, Words, line, simple, spoken
from creuset.report.language import Lang

FONTS = Path(__file__).with_name("fonts")
LAYOUT = Path(__file__).parent / "assets" / "page.typ"
LONG = 14  # letters of a word that is kept in one line whatever its column is
PART = re.compile(r"[^_./\\-]{1,8}[_./\\-]*|[_./\\-]{1,8}")


@functools.cache
def glyphs() -> frozenset[int]:
    """The code points that all three fonts draw."""
    ranges = (one.partition("-") for one in (FONTS / "glyphs.txt").read_text(encoding="utf-8").split())
    return frozenset(c for first, _, last in ranges for c in range(int(first, 16), int(last or first, 16) + 1))


@functools.lru_cache(maxsize=65536)
def drawable(text: str) -> str:
    """`text` with what the fonts draw."""
    return "".join(c if ord(c) in glyphs() else f"U+{ord(c):04X}" for c in text.replace("\n", " "))


def render(title: Words, blocks: Iterable[Block], lang: Lang, *, ours: bool = True) -> bytes:
    """The blocks as a file. `ours` is false for a page that others publish: it does not say what made it."""
    import typst

    marks: set[str] = set()
    page = {"title": drawable(spoken(title, lang)), "lang": lang, "author": ["creuset"] if ours else [],
            "blocks": list(_blocks(blocks, lang, marks))}  # fmt: skip
    _only_known(page["blocks"], marks)
    made = typst.compile(
        LAYOUT,
        sys_inputs={"page": json.dumps(page)},
        font_paths=[FONTS],
        ignore_system_fonts=True,
        format="pdf",
        pdf_standards=["ua-1"],
    )
    assert isinstance(made, bytes)
    return made


def _blocks(blocks: Iterable[Block], lang: Lang, marks: set[str], level: int = 2) -> Iterator[dict[str, Any]]:
    """The blocks as JSON; `level` is the lowest that a heading may have here: none is left out on the way down."""
    for block in blocks:
        for one in simple(block):
            if isinstance(one, Section):
                about = " · ".join(meant for _, meant in one.marks)
                yield {
                    "kind": "section",
                    "level": min(one.level, level),
                    "title": _line(line(one.title), lang, marks),
                    "id": _mark(one.id, marks),
                    "about": drawable(about),
                    "blocks": list(_blocks(one.blocks, lang, marks, one.level + 1)),
                }
            elif isinstance(one, Grid):
                yield _grid(one, lang, marks)
            else:
                yield {"kind": "para", "tone": one.tone, "line": _line(one.line, lang, marks)}


def _grid(grid: Grid, lang: Lang, marks: set[str]) -> dict[str, Any]:
    head = [drawable(spoken(column.title, lang)) for column in grid.columns]
    rows = [[_line(cell, lang, marks) for cell in row] for row in grid.lines()]
    for anchor, row in zip(grid.anchors, rows, strict=False):
        row[0][:0] = [_span(Span("", mark=anchor), lang, marks)]
    lengths = [
        [sum(len(part) for s in row[i] for part in s["parts"]) for row in rows if len(row) > 1]
        for i in range(len(head))
    ]
    return {
        "kind": "grid",
        "head": head,
        "rows": rows,
        "small": grid.small,
        "caption": drawable(spoken(grid.caption, lang)),
        "right": [grid.numeric(i) for i in range(len(head))],
        "widths": [_width(title, found, grid.small) for title, found in zip(head, lengths, strict=True)],
    }


def _width(title: str, lengths: list[int], small: bool) -> float:
    """A column's share of the width: by how much it holds, the widest held back; in small tables, but for a few."""
    longest = sorted([*lengths, len(title)])
    held = min(90, longest[len(longest) * 9 // 10]) if small else min(42, longest[-1])
    return 9.0 + max(held, *map(len, title.split(" ")))


def _line(spans: Line, lang: Lang, marks: set[str]) -> list[dict[str, Any]]:
    return [_span(span, lang, marks) for span in spans]


def _span(span: Span, lang: Lang, marks: set[str]) -> dict[str, Any]:
    text = drawable(spoken(span.text, lang, as_it_is=span.as_it_is))
    words = re.split(r"(?<= )", text)
    return {
        "parts": [part for word in words for part in (PART.findall(word) if len(word) > LONG else [word])],
        "code": span.code,
        "strong": span.strong,
        "mark": _mark(span.mark, marks),
        "to": span.anchor or span.jump,
    }


def _mark(name: str, marks: set[str]) -> str:
    """The name of a place that links lead to; the first of a name counts."""
    if name in marks:
        return ""
    marks.add(name)
    return name


def _only_known(node: Any, marks: set[str]) -> None:
    """Links that lead nowhere are words."""
    for one in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        _only_known(one, marks)
    if isinstance(node, dict) and node.get("to") and node["to"] not in marks:
        node["to"] = ""
