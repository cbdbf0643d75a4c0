"""A page as PDF (reportlab), with DejaVu's fonts, so that French and all signs are drawn: the same bytes each time.

Why this library and these fonts: docs/adr/0010. What the fonts lack is written as U+XXXX, never dropped.
"""

import functools
import io
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from creuset.dossier.page import Block, Grid, Item, Line, Page, Para, Section, Span
from creuset.dossier.words import NARROW, RECIPIENTS, Lang

FONTS = Path(__file__).parent / "fonts"
FACES = {"Body": "DejaVuSans", "Body-Bold": "DejaVuSans-Bold", "Mono": "DejaVuSansMono"}
INK, LINK, MISSING, SOFT, LINE = "#1b1d22", "#1d4fa8", "#8a4b00", "#5d6470", "#d9dce2"


@functools.cache
def _glyphs() -> frozenset[int]:
    """Registers the fonts, once in a process; the code points that all of them draw."""
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    known: list[set[int]] = []
    for name, file in FACES.items():
        font = TTFont(name, str(FONTS / f"{file}.ttf"))
        pdfmetrics.registerFont(font)
        known.append(set(font.face.charToGlyph))
    for bold in (0, 1):
        for italic in (0, 1):   # there is no italic face: what asks for it gets the upright one
            addMapping("Body", bold, italic, "Body-Bold" if bold else "Body")
            addMapping("Mono", bold, italic, "Mono")
    return frozenset(set.intersection(*known))


def drawable(text: str) -> str:
    """`text` with what the fonts draw. reportlab breaks lines at a narrow no-break space, not at a plain one."""
    known = _glyphs()
    text = text.replace(NARROW, "\u00a0")
    return "".join(c if ord(c) in known or c in "\n\t" else f"U+{ord(c):04X}" for c in text)


@functools.cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    _glyphs()
    body = ParagraphStyle("body", fontName="Body", fontSize=9, leading=13, textColor=INK, spaceAfter=3,
                          linkUnderline=True)
    small = ParagraphStyle("small", parent=body, fontSize=6.5, leading=8.5, spaceAfter=0)
    return {
        "": body, "quiet": ParagraphStyle("quiet", parent=body, textColor=SOFT),
        "note": ParagraphStyle("note", parent=body, backColor="#f2f4f7", borderPadding=5, spaceBefore=6, spaceAfter=8),
        "missing": ParagraphStyle("missing", parent=body, textColor=MISSING, backColor="#fff6e8", borderPadding=3,
                                  spaceBefore=3, spaceAfter=6),
        "cell": ParagraphStyle("cell", parent=body, fontSize=7.5, leading=10, spaceAfter=0, splitLongWords=1),
        "head": ParagraphStyle("head", parent=body, fontName="Body-Bold", fontSize=7.5, leading=10, spaceAfter=0),
        "small": small, "about": ParagraphStyle("about", parent=small, textColor=SOFT, spaceAfter=2, keepWithNext=1),
        "h1": ParagraphStyle("h1", parent=body, fontName="Body-Bold", fontSize=17, leading=21, spaceAfter=8),
        "h2": ParagraphStyle("h2", parent=body, fontName="Body-Bold", fontSize=12, leading=16, spaceBefore=14,
                             spaceAfter=5, keepWithNext=1),
        "h3": ParagraphStyle("h3", parent=body, fontName="Body-Bold", fontSize=9, leading=12, spaceBefore=7,
                             spaceAfter=1, keepWithNext=1),
    }


def render(page: Page) -> bytes:
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    styles = _styles()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=18 * mm,
        title=page.title, lang=page.lang, invariant=1, creator="creuset", author="",
    )
    flow: list[Any] = [Paragraph(escape(drawable(page.title)), styles["h1"])]
    for block in page.head:
        flow += _block(block, document.width)
    for section in (*page.sections, *page.tail):
        flow += _section(section, page.lang, document.width)

    def foot(canvas: Any, _: Any) -> None:
        canvas.saveState()
        canvas.setFont("Body", 7)
        canvas.setFillColor(SOFT)
        canvas.drawString(20 * mm, 10 * mm, drawable(page.title)[:95])
        canvas.drawRightString(A4[0] - 20 * mm, 10 * mm, str(canvas.getPageNumber()))
        canvas.restoreState()

    document.build(flow, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _section(section: Section, lang: Lang, width: float) -> list[Any]:
    from reportlab.platypus import Paragraph

    flow: list[Any] = [Paragraph(escape(drawable(section.title)), _styles()["h2"])]
    for block in section.blocks:
        flow += _block(block, width)
    for item in section.items:
        flow += _item(item, lang, width)
    return flow


def _item(item: Item, lang: Lang, width: float) -> list[Any]:
    from reportlab.platypus import Paragraph

    said = [item.ref] * bool(item.ref) + [RECIPIENTS[r].of(lang) for r in item.to]
    flow: list[Any] = [Paragraph(escape(drawable(item.label)), _styles()["h3"])]
    if said:
        flow.append(Paragraph(escape(drawable(" · ".join(said))), _styles()["about"]))
    for block in item.blocks:
        flow += _block(block, width)
    return flow


def _block(block: Block, width: float) -> list[Any]:
    from reportlab.platypus import Paragraph

    if isinstance(block, Para):
        return [Paragraph(line(block.line), _styles()[block.tone])]
    return _grid(block, width)


def _grid(grid: Grid, width: float) -> list[Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, Spacer, Table

    styles = _styles()
    style = styles["small" if grid.small else "cell"]
    rows: list[list[Any]] = [[Paragraph(escape(drawable(h)), styles["head"]) for h in grid.head]]
    for number, row in enumerate(grid.rows):
        cells = [line(cell) for cell in row]
        if grid.anchors:
            cells[0] = f'<a name="{grid.anchors[number]}"/>{cells[0]}'
        rows.append([Paragraph(cell, style) for cell in cells])
    table = Table(rows, colWidths=_widths(grid, width), repeatRows=1, style=[
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(LINE)),
        ("BACKGROUND", (0, 0), (-1, 0), HexColor("#f2f4f7")), ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3), ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ])
    caption = [Paragraph(escape(drawable(grid.caption)), styles["quiet"])] if grid.caption else []
    return [*caption, Spacer(1, 3), table, Spacer(1, 6)]


def _widths(grid: Grid, width: float) -> list[float]:
    """Each column has its longest word; the rest is shared by how much the columns hold, the widest held back."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    size = 6.5 if grid.small else 7.5
    needs, wants = [], []
    for i, head in enumerate(grid.head):
        cells = [drawable("".join(s.text for s in row[i])) for row in grid.rows]
        code = any(s.code for row in grid.rows for s in row[i])
        words = {word for cell in cells for word in cell.split(" ")}
        longest = max((stringWidth(w, "Mono" if code else "Body", size) for w in words), default=0.0)
        named = max(stringWidth(w, "Body-Bold", 7.5) for w in drawable(head).split(" "))
        needs.append(7 + max(named, min(longest, width / 3)))
        wants.append(min(42, max(map(len, [head, *cells]))))
    left = width - sum(needs)
    if left < 0:
        return [width * need / sum(needs) for need in needs]
    return [need + left * want / sum(wants) for need, want in zip(needs, wants, strict=True)]


def line(spans: Line) -> str:
    return "".join(map(_span, spans))


def _span(span: Span) -> str:
    text = escape(drawable(span.text))
    if span.code:
        text = f'<font name="Mono" size="{6.5 if len(span.text) > 24 else 8}">{text}</font>'
    text = f"<b>{text}</b>" if span.strong else text
    return f'<a href="#{span.anchor}" color="{LINK}">{text}</a>' if span.anchor else text
