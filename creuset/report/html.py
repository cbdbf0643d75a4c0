"""Blocks as HTML. The whole page around them is made in `creuset.report.page`.

`lang` is the language to speak; without one, words in both languages stand in both and the page shows one of them.
"""

import re
from collections.abc import Iterable

from creuset.report.blocks import (
    Block,
    Bullets,
    Chart,
    Column,
    Details,
    FactList,
    Grid,
    GridCell,
    Para,
    Pre,
    Said,
    Section,
    Span,
    Widget,
    Words,
    line,
    spoken,
    typeset,
)
from creuset.report.language import Lang, Text, in_both
from creuset.report.markup import Markup, el, inner

BREAK = re.compile(r"(?<=[._])(?=.)")


def render(blocks: Iterable[Block], lang: Lang | None = None) -> Markup:
    """The blocks as HTML, for the inside of a page."""
    return Markup("".join(_block(block, lang) + "\n" for block in blocks))


def words(said: Words, lang: Lang | None, *, as_it_is: bool = False) -> Markup:
    if lang is not None:
        return inner(spoken(said, lang, as_it_is=as_it_is))
    two = in_both(said)
    return inner(said if two is None else Text(two.en, typeset(two.fr)))


def inline(said: Said, lang: Lang | None = None) -> Markup:
    return inner([_span(span, lang) for span in line(said)])


def _span(span: Span, lang: Lang | None) -> Markup:
    text = words(span.text, lang, as_it_is=span.as_it_is)
    if span.picture:
        return span.picture
    if span.code:
        text = el("code", text)
    if span.strong:
        text = el("strong", text)
    if span.mark:
        text = el("span", text, id=span.mark)
    if span.name:
        text = el("span", _breakable(text), translate="no")
    if span.said or span.tone:
        text = el("span", text, cls="said" if span.said else span.tone)
    if span.jump:
        return el("a", text, href=f"#{span.jump}")
    if span.url:
        return el("a", text, href=f"{span.url}.html")
    return el("a", text, cls="figure", href=f"#{span.anchor}") if span.anchor else text


def _breakable(name: Markup) -> Markup:
    """A name that may go on in the next line behind a dot or an underscore."""
    return Markup(BREAK.sub("<wbr>", name))


def _block(block: Block, lang: Lang | None) -> Markup:
    match block:
        case Para():
            return el("p", inline(block.line, lang), cls=block.tone)
        case Grid():
            return _grid(block, lang)
        case FactList():
            pairs = [(el("dt", inline(k, lang)), el("dd", inline(v, lang))) for k, v in block.rows]
            return el("dl", pairs, cls="facts")
        case Bullets():
            return el("ul", [el("li", inline(item, lang)) for item in block.items], cls=block.tone)
        case Pre():
            return el("pre", block.text)
        case Details():
            return el("details", el("summary", inline(block.summary, lang)), render(block.blocks, lang))
        case Chart():
            caption = el("figcaption", words(block.caption, lang)) if block.caption else None
            return el("figure", caption, el("div", block.drawn, cls="wide"), cls="curve")
        case Section():
            return _section(block, lang)
        case Widget():
            return block.markup


def _section(section: Section, lang: Lang | None) -> Markup:
    marks = [
        (" ", el("span", shown, cls="ref" if meant == shown else "to", title=None if meant == shown else meant))
        for shown, meant in section.marks
    ]
    head = el(f"h{section.level}", inline(section.title, lang), marks)
    if section.level == 3:
        return el("article", head, "\n", render(section.blocks, lang), cls=section.status, id=section.id)
    return el("section", head, "\n", render(section.blocks, lang), id=section.id, data_status=section.status or None)


def _grid(grid: Grid, lang: Lang | None) -> Markup:
    columns = grid.columns
    kinds = [column.kind or "n" * grid.numeric(i) for i, column in enumerate(columns)]
    head = [_head(column, kind, lang) for column, kind in zip(columns, kinds, strict=True)]
    rows = [_row(grid, number, kinds, lang) for number in range(len(grid.rows))]
    if grid.more or grid.status or any(column.sort for column in columns):
        status = grid.status or ("",) * len(rows)
        body: object = [el("tbody", row, data_status=s or None) for row, s in zip(rows, status, strict=True)]
    else:
        body = el("tbody", rows)
    caption = el("caption", words(grid.caption, lang)) if grid.caption else None
    top = el("thead", el("tr", head)) if any(column.title or column.title_line for column in columns) else None
    kind = " ".join(filter(None, (grid.kind, "small" * grid.small)))
    return el("div", el("table", caption, top, "\n", body, cls=kind), cls="wide", tabindex=0)


def _head(column: Column, kind: str, lang: Lang | None) -> Markup:
    title = inline(column.title_line, lang) if column.title_line else words(column.title, lang)
    return el("th", el("button", title, data_sort=True) if column.sort else title, scope="col", cls=kind)


def _row(grid: Grid, number: int, kinds: list[str], lang: Lang | None) -> Markup:
    given = grid.rows[number]
    if len(given) == 1 and len(kinds) > 1:
        (only,) = given
        said = only.said if isinstance(only, GridCell) else only
        return inner((el("tr", el("th", inline(said, lang), scope="colgroup", colspan=len(kinds)), cls="group"), "\n"))
    cells = []
    for place, (cell, kind) in enumerate(zip(given, kinds, strict=True)):
        said, value = (cell.said, cell.value) if isinstance(cell, GridCell) else (cell, None)
        opener = None
        if grid.more and not place:
            name = " ".join(str(s.text) for s in line(said))
            opener = el("button", cls="open", aria_expanded="false", aria_label=name)
        cells.append(el("td", opener, inline(said, lang), cls=kind, data_value=value))
    row = el("tr", cells, id=grid.anchors[number] if grid.anchors else None)
    if not grid.more:
        return inner((row, "\n"))
    more = el("td", render(grid.more[number], lang), colspan=len(kinds))
    return inner((row, el("tr", more, cls="more", hidden=True)))
