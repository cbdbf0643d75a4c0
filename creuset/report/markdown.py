"""Blocks as Markdown: links to anchors of the same page, nothing that only one viewer understands."""

import re
from collections.abc import Iterable

from creuset.report.blocks import Block, Grid, Line, Para, Section, Span, Words, line, simple, spoken
from creuset.report.language import Lang

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def render(title: Words, blocks: Iterable[Block], lang: Lang, *, front_matter: str = "") -> str:
    """The whole document; `front_matter` is YAML that stands above it."""
    parts = [front_matter, f"# {escape(spoken(title, lang))}", *_parts(blocks, lang)]
    return "\n\n".join(p for p in parts if p) + "\n"


def _parts(blocks: Iterable[Block], lang: Lang) -> Iterable[str]:
    for block in blocks:
        for one in simple(block):
            if isinstance(one, Section):
                yield f"{'#' * one.level} {_line(line(one.title), lang)}"
                if one.marks:
                    yield f"*{' · '.join(escape(shown) if shown == meant else meant for shown, meant in one.marks)}*"
                yield from _parts(one.blocks, lang)
            elif isinstance(one, Grid):
                yield _grid(one, lang)
            else:
                yield _para(one, lang)


def _para(para: Para, lang: Lang) -> str:
    text = _line(para.line, lang)
    return f"> {text}" if para.tone == "missing" else text


def _grid(grid: Grid, lang: Lang) -> str:
    head = [escape(spoken(column.title, lang)) for column in grid.columns]
    rows = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for number, row in enumerate(grid.lines()):
        cells = [_line(cell, lang) for cell in row]
        if grid.anchors:
            cells[0] = f'<a id="{grid.anchors[number].lower()}"></a>{cells[0]}'
        rows.append("| " + " | ".join(cells + [""] * (len(head) - len(cells))) + " |")
    caption = f"*{escape(spoken(grid.caption, lang))}*\n\n" if grid.caption else ""
    return caption + "\n".join(rows)


def _line(spans: Line, lang: Lang) -> str:
    return "".join(_span(span, lang) for span in spans).strip()


def _span(span: Span, lang: Lang) -> str:
    said = spoken(span.text, lang, as_it_is=span.as_it_is)
    text = f"`{said}`" if span.code else escape(said)
    text = f"**{text}**" if span.strong else text
    text = f'<a id="{span.mark.lower()}"></a>{text}' if span.mark else text
    if span.url:
        return f"[{text}]({span.url}.md)"
    return f"[{text}](#{span.anchor.lower()})" if span.anchor else text


def escape(text: str) -> str:
    return SPECIAL.sub(r"\\\1", " ".join(text.split()) if "\n" in text else text)
