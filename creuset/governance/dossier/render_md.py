"""A page as Markdown: links to anchors of the records appendix, nothing that only one viewer understands."""

import re

from creuset.governance.dossier.page import Block, Grid, Item, Line, Page, Para, Section, Span
from creuset.governance.dossier.words import RECIPIENTS
from creuset.report.language import Lang

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def render(page: Page) -> str:
    parts = [page.front_matter, f"# {escape(page.title)}", *(_block(b) for b in page.head)]
    for section in (*page.sections, *page.tail):
        parts += _section(section, page.lang)
    return "\n\n".join(p for p in parts if p) + "\n"


def _section(section: Section, lang: Lang) -> list[str]:
    parts = [f"## {escape(section.title)}", *(_block(b) for b in section.blocks)]
    for item in section.items:
        parts += [f"### {escape(item.label)}", _about(item, lang), *(_block(b) for b in item.blocks)]
    return parts


def _about(item: Item, lang: Lang) -> str:
    said = [escape(item.ref)] if item.ref else []
    said += [RECIPIENTS[r].of(lang) for r in item.to]
    return f"*{' · '.join(said)}*" if said else ""


def _block(block: Block) -> str:
    if isinstance(block, Para):
        text = line(block.line)
        return f"> {text}" if block.tone == "missing" else text
    return _grid(block)


def _grid(grid: Grid) -> str:
    rows = ["| " + " | ".join(map(escape, grid.head)) + " |", "|" + " --- |" * len(grid.head)]
    for number, row in enumerate(grid.rows):
        cells = [line(cell) for cell in row]
        if grid.anchors:
            cells[0] = f'<a id="{grid.anchors[number].lower()}"></a>{cells[0]}'
        rows.append("| " + " | ".join(cells) + " |")
    caption = f"*{escape(grid.caption)}*\n\n" if grid.caption else ""
    return caption + "\n".join(rows)


def line(spans: Line) -> str:
    return "".join(map(_span, spans)).strip()


def _span(span: Span) -> str:
    text = f"`{span.text}`" if span.code else escape(span.text)
    text = f"**{text}**" if span.strong else text
    text = f'<a id="{span.mark.lower()}"></a>{text}' if span.mark else text
    if span.url:
        return f"[{text}]({span.url}.md)"
    return f"[{text}](#{span.anchor.lower()})" if span.anchor else text


def escape(text: str) -> str:
    return SPECIAL.sub(r"\\\1", " ".join(text.split()) if "\n" in text else text)
