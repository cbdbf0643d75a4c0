"""Repairs of text before it is judged: what every source needs, and what wikis and books leave behind."""

import re
import unicodedata

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u200b\u2060\u00ad]")
_TRAILING = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]+\n")
_BLANK = re.compile(r"\n{3,}")

_TAG = re.compile(
    r"</?(?:ref|br|sup|sub|small|nowiki|span|div|table|tr|td|center|blockquote|gallery|noinclude|onlyinclude|includeonly|section|poem|math|font|templatestyles|hiero|score|timeline|imagemap)\b[^<>]*/?>",
    re.I,
)
_ENTITY_TAG = re.compile(r"&lt;/?[a-z][^&]{0,80}&gt;", re.I)
_TEMPLATE = re.compile(r"\{\{[^{}]{0,500}\}\}")
_FILE_LINK = re.compile(r"\[\[(?:File|Image|Fichier|Category|Catégorie|文件|分类)\s*:[^\[\]]{0,500}\]\]", re.I)
_LINK = re.compile(r"\[\[(?:[^\[\]|]{1,200}\|)?([^\[\]|]{1,200})\]\]")
_TABLE = re.compile(r"(?m)^(?:[!|].*|.*\|\|.*|.*\b(?:colspan|rowspan|style|align|bgcolor)\s*=\s*\".*)$\n?")
# A formula that was left out takes its sentence along: without it the sentence says nothing.
_FORMULA = re.compile(r"(?:^|(?<=[.!?]))[^.!?\n]*\bformula_\d+\b[^.!?\n]*(?:[.!?]+|$)", re.M)
# So does a name that was left out, but not with the first sentence: that one says what the page is about.
_EMPTY_NAME = re.compile(r'(?<=[.!?] )[^.!?\n"]*(?<!")""(?!")[^.!?\n]*[.!?]+ ?')
_EMPTY_QUOTES = re.compile(r"(?<!\")\"\"(?!\")[,;]? ?")
# What stood in brackets was a template: "Albedo () (, meaning ..." -> "Albedo (meaning ...".
_EMPTY_BRACKETS = re.compile(r"[(（\[]\s*(?:[;,，；:·、\-–—/\"']\s*)*[)）\]]")
_OPEN_COMMA = re.compile(r"([(（])\s*(?:[;,，；:、]\s*)+")
_COMMA_CLOSE = re.compile(r"(?:[;,，；、]\s{0,9}){1,9}(?=[)）])")
_SPACE_POINT = re.compile(r"(?<=\S) +([,.])(?=\s|$)")
# A section title is a short line before another line, and no sentence: it has no pronoun and no common verb.
_TITLE_STOP = re.compile(
    r"(?m)^(?=[^\n]{1,80}\.\n)(?!(?:He|She|It|They|This|These|There|We|I|You|Il|Elle|Ils|Elles)\b)"
    r"(?!.*\b(?:is|are|was|were|has|had|have|did|does|can|will|won|became|made|est|sont|était|\w+ed)\b)"
    r"([A-ZÀ-Þ0-9][\w'’–-]*(?: [\w'’()–-]+){0,4}|[\u4e00-\u9fff][^。.!?\n，；：]{0,20})\.(?=\n)"
)
_SPACES = re.compile(r"(?<=\S)  +(?=\S)")

_RULER = re.compile(r"(?m)^[ \t]*(?:[*\-_=~#+.·•][ \t]*){3,}$\n?")
_ITALICS = re.compile(r"(?<![\w_])_([^_\n](?:[^_]{0,300}?[^_\s])?)_(?![\w_])")
_PAGE_MARK = re.compile(r"\[(?:Illustration|Footnote|Pg|Page|Transcriber)[^\[\]]{0,200}\]", re.I)


def tidy(text: str) -> str:
    """Unix line ends, NFC, no control characters, no trailing spaces, at most one blank line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text or "\u00a0\n" in text:
        text = _TRAILING.sub("\n", text)
    if "\n\n\n" in text:
        text = _BLANK.sub("\n\n", text)
    return text.strip()


def wiki(text: str) -> str:
    """Take out the markup and the holes that a wiki extractor leaves, and the full stop after section titles."""
    if "<" in text:
        text = _TAG.sub("", text)
    if "&lt;" in text:
        text = _ENTITY_TAG.sub("", text)
    if "||" in text or "\n|" in text or "\n!" in text or '="' in text:
        text = _TABLE.sub("", text)
    if "formula_" in text:
        text = _FORMULA.sub("", text).replace("\n ", "\n")
    if '""' in text:
        text = _EMPTY_QUOTES.sub("", _EMPTY_NAME.sub("", text))
    if "{{" in text:
        text = _TEMPLATE.sub("", text)
    if "[[" in text:
        text = _LINK.sub(r"\1", _FILE_LINK.sub("", text))
    if "(" in text or "（" in text or "[" in text:
        text = _EMPTY_BRACKETS.sub("", text)
        text = _COMMA_CLOSE.sub("", _OPEN_COMMA.sub(r"\1", text))
    if "  " in text:
        text = _SPACES.sub(" ", text)
    if " ," in text or " ." in text:
        text = _SPACE_POINT.sub(r"\1", text)
    return _TITLE_STOP.sub(r"\1", text)


def book(text: str) -> str:
    """Take out rulers, `_italics_` marks and the notes of the transcriber."""
    if "_" in text:
        text = _ITALICS.sub(r"\1", text)
    if "[" in text:
        text = _PAGE_MARK.sub("", text)
    return _RULER.sub("", text)


REPAIRS = {"none": None, "wiki": wiki, "book": book}


def repair(text: str, how: str) -> str:
    special = REPAIRS[how]
    return tidy(special(tidy(text))) if special else tidy(text)
