"""Words on a PDF page: fonts, widths, and how spans are broken into lines. Widths are kept, since pages repeat words.

What the fonts lack is written as U+XXXX, never dropped. Why this library and these fonts: docs/adr/0010.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from creuset.report.blocks import Span, spoken
from creuset.report.language import Lang

FONTS = Path(__file__).parent / "fonts"
FACES = {"Body": "DejaVuSans", "Body-Bold": "DejaVuSans-Bold", "Mono": "DejaVuSansMono"}
INK, LINK, MISSING, SOFT, RULE, RAISED, AMBER = (
    "#1b1d22", "#1d4fa8", "#8a4b00", "#5d6470", "#d9dce2", "#f2f4f7", "#fff6e8",
)


@dataclass(frozen=True, slots=True)
class Style:
    """Points throughout."""

    size: float = 9.0
    leading: float = 13.0
    face: str = "Body"
    ink: str = INK
    before: float = 0.0
    after: float = 3.0
    back: str = ""          # colour behind the words
    tag: str = "P"          # of the PDF's structure


@dataclass(frozen=True, slots=True)
class Run:
    """Words of one look on one line, `x` points from its left."""

    x: float
    text: str
    face: str
    size: float
    width: float
    span: Span


@functools.cache
def glyphs() -> frozenset[int]:
    """Registers the fonts, once in a process; the code points that all of them draw."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    known: list[set[int]] = []
    for name, file in FACES.items():
        font = TTFont(name, str(FONTS / f"{file}.ttf"))
        pdfmetrics.registerFont(font)
        known.append(set(font.face.charToGlyph))
    return frozenset(set.intersection(*known))


@functools.lru_cache(maxsize=65536)
def drawable(text: str) -> str:
    """`text` with what the fonts draw; the narrow space becomes a plain no-break one, which lines do not end at."""
    known = glyphs()
    text = text.replace("\u202f", "\u00a0").replace("\n", " ")
    return "".join(c if ord(c) in known else f"U+{ord(c):04X}" for c in text)


@functools.lru_cache(maxsize=262144)
def width_of(text: str, face: str, size: float) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    glyphs()
    return float(stringWidth(text, face, size))


def face_of(span: Span, style: Style) -> tuple[str, float]:
    if span.code:
        return "Mono", min(style.size, 6.5 if len(str(span.text)) > 24 else 8.0)
    return ("Body-Bold" if span.strong else style.face), style.size


def broken(spans: Sequence[Span], style: Style, width: float, lang: Lang = "en") -> list[list[Run]]:
    """The spans in lines of at most `width` points; a word that is longer is cut, never dropped."""
    lines: list[list[Run]] = [[]]
    x = 0.0
    for gap, pieces in _units(spans, style, lang):
        wide = sum(width_of(text, face, size) for text, face, size, _ in pieces)
        if x and x + gap + wide > width:
            lines.append([])
            x = gap = 0.0
        if not x:
            gap = 0.0
        x += gap
        for text, face, size, span in pieces:
            for part in _cut(text, face, size, width - x, width):
                if part == "\n":
                    lines.append([])
                    x = 0.0
                    continue
                w = width_of(part, face, size)
                line = lines[-1]
                if line and line[-1].span is span and line[-1].face == face:
                    last = line.pop()
                    between = " " if gap else ""
                    line.append(Run(last.x, last.text + between + part, face, size, x + w - last.x, span))
                else:
                    line.append(Run(x, part, face, size, w, span))
                x += w
                gap = 0.0
    return lines


Piece = tuple[str, str, float, Span]


def _units(spans: Sequence[Span], style: Style, lang: Lang) -> list[tuple[float, list[Piece]]]:
    """What stays together, and the space before it: lines end at spaces only, also between spans."""
    units: list[tuple[float, list[Piece]]] = [(0.0, [])]
    for span in spans:
        face, size = face_of(span, style)
        for number, text in enumerate(drawable(spoken(span.text, lang, as_it_is=span.as_it_is)).split(" ")):
            if number:
                units.append((width_of(" ", face, size), []))
            if text:
                units[-1][1].append((text, face, size, span))
    return [unit for unit in units if unit[1]]


def _cut(text: str, face: str, size: float, room: float, width: float) -> list[str]:
    """`text` as it is, or in parts with a line break ("\\n") between them, where it is wider than a line."""
    if width_of(text, face, size) <= max(room, 0.01):
        return [text]
    if width_of(text, face, size) <= width:
        return ["\n", text] if room < width else [text]
    parts: list[str] = []
    now = ""
    for char in text:
        if width_of(now + char, face, size) > room and (now or room < width):
            parts += [now, "\n"] if now else ["\n"]
            now, room = "", width
        now += char
    return [*parts, now]
