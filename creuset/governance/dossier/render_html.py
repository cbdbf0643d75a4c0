"""A page as one HTML file without outside assets: light and dark, printable, usable without a mouse."""

from html import escape
from pathlib import Path

from creuset.governance.dossier.page import Block, Grid, Item, Line, Page, Para, Section, Span
from creuset.governance.dossier.words import RECIPIENTS
from creuset.report.language import Lang

STYLE = Path(__file__).parent / "page.css"


def render(page: Page) -> str:
    links = "".join(f'<a href="{escape(url)}">{escape(words)}</a>' for words, url in page.links)
    nav = f"<nav>{links}</nav>\n" if links else ""
    body = "".join(map(_block, page.head))
    body += "".join(_section(s, page.lang) for s in (*page.sections, *page.tail))
    style = STYLE.read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="{page.lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(page.title)}</title>'
        f"<style>\n{style}</style></head>\n<body><main>\n{nav}<h1>{escape(page.title)}</h1>\n{body}</main></body></html>\n"
    )


def _section(section: Section, lang: Lang) -> str:
    items = "".join(_item(item, lang) for item in section.items)
    blocks = "".join(map(_block, section.blocks))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{blocks}{items}</section>\n"


def _item(item: Item, lang: Lang) -> str:
    marks = [f'<span class="ref">{escape(item.ref)}</span>'] if item.ref else []
    marks += [f'<span class="to" title="{escape(RECIPIENTS[r].of(lang))}">{r}</span>' for r in item.to]
    return (
        f'<article class="{item.status}" id="{escape(item.id)}">\n<h3>{escape(item.label)} {" ".join(marks)}</h3>\n'
        + "".join(map(_block, item.blocks)) + "</article>\n"
    )


def _block(block: Block) -> str:
    if isinstance(block, Para):
        tone = f' class="{block.tone}"' if block.tone else ""
        return f"<p{tone}>{line(block.line)}</p>\n"
    return _grid(block)


def _grid(grid: Grid) -> str:
    look = [' class="n"' * grid.numeric(i) for i in range(len(grid.head))]
    head = "".join(f'<th scope="col"{kind}>{escape(h)}</th>' for h, kind in zip(grid.head, look, strict=True))
    rows = []
    for number, row in enumerate(grid.rows):
        anchor = f' id="{grid.anchors[number]}"' if grid.anchors else ""
        rows.append(f"<tr{anchor}>" + "".join(f"<td{kind}>{line(cell)}</td>"
                                              for cell, kind in zip(row, look, strict=True)) + "</tr>\n")
    caption = f"<caption>{escape(grid.caption)}</caption>" if grid.caption else ""
    small = ' class="small"' if grid.small else ""
    return (
        f'<div class="scroll" tabindex="0"><table{small}>{caption}<thead><tr>{head}</tr></thead>\n<tbody>'
        + "".join(rows) + "</tbody></table></div>\n"
    )


def line(spans: Line) -> str:
    return "".join(map(_span, spans))


def _span(span: Span) -> str:
    text = escape(span.text)
    text = f"<code>{text}</code>" if span.code else text
    text = f"<strong>{text}</strong>" if span.strong else text
    if span.mark:
        text = f'<span id="{span.mark}">{text}</span>'
    if span.name:
        text = f'<span translate="no">{text}</span>'
    if span.said:
        text = f'<span class="said">{text}</span>'
    if span.jump:
        return f'<a href="#{escape(span.jump)}">{text}</a>'
    if span.url:
        return f'<a href="{escape(span.url)}.html">{text}</a>'
    return f'<a class="figure" href="#{span.anchor}">{text}</a>' if span.anchor else text
