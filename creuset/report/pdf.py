"""A page as PDF: the same bytes each time. The layout is our own, since its tables are all there is to it and
reportlab's general ones took nine tenths of the time; reportlab embeds the fonts and writes the file.
"""

import functools
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from creuset.report.blocks import Block, Grid, Line, Section, Span, Words, line, simple, spoken
from creuset.report.language import Lang
from creuset.report.pdf_text import (
    AMBER,
    LINK,
    MISSING,
    RAISED,
    RULE,
    SOFT,
    Run,
    Style,
    broken,
    drawable,
    width_of,
)

MM = 72 / 25.4
WIDE, HIGH = 210 * MM, 297 * MM
LEFT, TOP, BOTTOM = 20 * MM, 18 * MM, 18 * MM
WIDTH = WIDE - 2 * LEFT
STYLES = {
    "": Style(), "soft": Style(ink=SOFT), "quiet": Style(ink=SOFT), "note": Style(back=RAISED, before=6, after=9),
    "missing": Style(ink=MISSING, back=AMBER, before=4, after=6),
    "cell": Style(7.5, 10, after=0), "head": Style(7.5, 10, "Body-Bold", after=0),
    "small": Style(6.5, 8.5, after=0), "about": Style(6.5, 8.5, ink=SOFT, after=2),
    "h1": Style(17, 21, "Body-Bold", after=8, tag="H1"), "h2": Style(12, 16, "Body-Bold", before=14, after=5, tag="H2"),
    "h3": Style(9, 12, "Body-Bold", before=7, after=1, tag="H3"),
}
PAD = 3.0       # around the words of a cell, points


@functools.cache
def _colour(name: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(name)


class Sheet:
    """The file as it grows: a place on the current page, and what is drawn there."""

    def __init__(self, title: str, lang: Lang) -> None:
        from reportlab import rl_config
        from reportlab.pdfgen.canvas import Canvas

        rl_config.useA85 = 0        # streams as bytes: smaller, and the detour by letters took a tenth of the time
        self.out = io.BytesIO()
        self.canvas: Any = Canvas(self.out, pagesize=(WIDE, HIGH), invariant=1, pageCompression=1, lang=lang)
        self.canvas.setTitle(title)
        self.canvas.setCreator("creuset")
        self.canvas.setViewerPreference("DisplayDocTitle", "true")
        self.title, self.lang = title, lang
        self.sections = 0
        self.number = 0
        self._open()

    def _open(self) -> None:
        self.number += 1
        self.y = HIGH - TOP
        self.text = self.canvas.beginText()
        self.ink = self.look = ""

    def close(self) -> None:
        """End the page, its foot drawn."""
        foot = Style(7, 9, ink=SOFT)
        number = broken([Span(str(self.number))], foot, WIDTH)[0]
        self.words(broken([Span(self.title)], foot, WIDTH - 20)[0], LEFT, 10 * MM, foot)
        self.words(number, WIDE - LEFT - number[0].width, 10 * MM, foot)
        self.canvas.drawText(self.text)
        self.canvas.showPage()

    def turn(self) -> None:
        self.close()
        self._open()

    def room(self, needed: float) -> bool:
        """Whether so many points are left on the page."""
        return self.y - needed >= BOTTOM

    def words(self, line: Sequence[Run], x: float, y: float, style: Style) -> None:
        """Draw a line with its baseline at `y`; figures are links."""
        for run in line:
            if run.span.mark:
                self.mark(run.span.mark, y)
            goal = run.span.anchor or run.span.jump
            ink = LINK if goal else style.ink
            if ink != self.ink:
                self.text.setFillColor(_colour(ink))
                self.ink = ink
            if (look := f"{run.face} {run.size}") != self.look:
                self.text.setFont(run.face, run.size)
                self.look = look
            self.text.setTextOrigin(round(x + run.x, 2), round(y, 2))
            self.text.textOut(run.text)
            if goal:
                box = (x + run.x, y - 2, x + run.x + run.width, y + run.size)
                self.canvas.linkAbsolute("", goal, box, thickness=0)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.canvas.setFillColor(_colour(colour))
        self.canvas.rect(x, y, width, height, stroke=0, fill=1)

    def mark(self, name: str, y: float) -> None:
        """What links to `name` lead to."""
        self.canvas.bookmarkPage(name, fit="XYZ", left=0, top=min(HIGH, y + 12))

    def paragraph(self, line: Line, style: Style, *, ahead: float = 0.0) -> None:
        """Words over the whole width; `ahead`: points that must follow on the same page."""
        lines = broken(line, style, WIDTH - 2 * PAD if style.back else WIDTH, self.lang)
        self.y -= style.before
        if not self.room(min(len(lines), 3) * style.leading + ahead):
            self.turn()
        while lines:
            fits = max(1, int((self.y - BOTTOM) / style.leading))
            part, lines = lines[:fits], lines[fits:]
            high = len(part) * style.leading
            if style.back:
                self.box(LEFT, self.y - high - PAD + 1, WIDTH, high + PAD, style.back)
            for row in part:
                self.y -= style.leading
                self.words(row, LEFT + (PAD if style.back else 0), self.y + (style.leading - style.size) / 2 + 1, style)
            if lines:
                self.turn()
        self.y -= style.after


def render(title: Words, blocks: Sequence[Block], lang: Lang) -> bytes:
    """The blocks as a file; the same blocks give the same bytes."""
    sheet = Sheet(spoken(title, lang), lang)
    sheet.paragraph((Span(title),), STYLES["h1"])
    _blocks(sheet, blocks)
    sheet.close()
    sheet.canvas.save()
    return sheet.out.getvalue()


def _blocks(sheet: Sheet, blocks: Sequence[Block]) -> None:
    for block in blocks:
        for one in simple(block):
            if isinstance(one, Section):
                _section(sheet, one)
            elif isinstance(one, Grid):
                _grid(sheet, one)
            else:
                sheet.paragraph(one.line, STYLES.get(one.tone, STYLES[""]))


def _section(sheet: Sheet, section: Section) -> None:
    title = line(section.title)
    sheet.paragraph(title, STYLES[f"h{section.level}"], ahead=60 if section.level == 2 else 36)
    if section.level == 2:
        name = f"section-{sheet.sections}"
        sheet.sections += 1
        sheet.mark(name, sheet.y + 20)
        sheet.canvas.addOutlineEntry(drawable("".join(spoken(s.text, sheet.lang) for s in title)), name, level=0)
    if section.id:
        sheet.mark(section.id, sheet.y + 12)
    if section.marks:
        sheet.paragraph((Span(" · ".join(meant for _, meant in section.marks)),), STYLES["about"], ahead=18)
    _blocks(sheet, section.blocks)


def _grid(sheet: Sheet, grid: Grid) -> None:
    """Rows are kept whole where a page holds them; the head stands on each page."""
    if grid.caption:
        sheet.paragraph((Span(grid.caption),), replace(STYLES["quiet"], size=8, leading=11), ahead=40)
    style = STYLES["small" if grid.small else "cell"]
    lang, titles = sheet.lang, [column.title for column in grid.columns]
    widths = _widths(grid, WIDTH, lang)
    at = [LEFT + sum(widths[:i]) for i in range(len(widths))]
    head = [broken((Span(h),), STYLES["head"], w - 2 * PAD, lang) for h, w in zip(titles, widths, strict=True)]

    right = [grid.numeric(i) for i in range(len(widths))]

    def draw(cells: Sequence[list[list[Run]]], look: Style) -> None:
        high = max(len(c) for c in cells) * look.leading + 4
        for column, (cell, x) in enumerate(zip(cells, at, strict=False)):
            for number, row in enumerate(cell):
                if right[column] and row:
                    x = at[column] + widths[column] - 2 * PAD - row[-1].x - row[-1].width
                sheet.words(row, x + PAD, sheet.y - 2 - (number + 1) * look.leading + look.leading - look.size, look)
        sheet.y -= high
        sheet.box(LEFT, sheet.y, WIDTH, 0.4, RULE)

    def begin() -> None:
        high = max(map(len, head)) * STYLES["head"].leading + 4
        sheet.box(LEFT, sheet.y - high, WIDTH, high, RAISED)
        draw(head, STYLES["head"])

    most = HIGH - TOP - BOTTOM - 60
    sheet.y -= 3
    if not sheet.room(60):
        sheet.turn()
    if any(titles):
        begin()
    for number, row in enumerate(grid.lines()):
        whole = widths if len(row) > 1 else [WIDTH]
        cells = [broken(cell, style, w - 2 * PAD, lang) for cell, w in zip(row, whole, strict=True)]
        for part in _parts(cells, max(1, int(most / style.leading))):
            if not sheet.room(max(map(len, part)) * style.leading + 4):
                sheet.turn()
                if any(titles):
                    begin()
            if grid.anchors:
                sheet.mark(grid.anchors[number], sheet.y)
            draw(part, style)
    sheet.y -= 6


def _parts(cells: list[list[list[Run]]], most: int) -> list[list[list[list[Run]]]]:
    """A row as it is, or cut where it is longer than a page."""
    longest = max(map(len, cells))
    return [[cell[i:i + most] or [[]] for cell in cells] for i in range(0, longest, most)]


def _widths(grid: Grid, width: float, lang: Lang) -> list[float]:
    """Each column has its longest word; the rest is shared by how much the columns hold, the widest held back.

    In the small tables of records a few long places do not count.
    """
    size = 6.5 if grid.small else 7.5
    needs, wants = [], []
    rows = [row for row in grid.lines() if len(row) > 1]
    for i, column in enumerate(grid.columns):
        head = spoken(column.title, lang)
        cells = [drawable("".join(spoken(s.text, lang, as_it_is=s.as_it_is) for s in row[i])) for row in rows]
        code = any(s.code for row in rows for s in row[i])
        longest = max((width_of(w, "Mono" if code else "Body", size) for cell in cells for w in set(cell.split(" "))),
                      default=0.0)
        named = max(width_of(w, "Body-Bold", 7.5) for w in drawable(head).split(" "))
        needs.append(2 * PAD + 1 + max(named, min(longest, width / 3)))
        lengths = sorted(map(len, [head, *cells]))
        wants.append(min(90, lengths[len(lengths) * 9 // 10]) if grid.small else min(42, lengths[-1]))
    left = width - sum(needs)
    if left < 0:
        return [width * need / sum(needs) for need in needs]
    return [need + left * want / sum(wants) for need, want in zip(needs, wants, strict=True)]
