"""All the readable text of an HTML page: blocks become paragraphs, navigation and scripts are left out.

`main_text` finds what of a page is its subject; this reads pages on which it finds nothing.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_SKIPPED = {
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "math",
    "nav",
    "footer",
    "aside",
    "iframe",
    "button",
    "select",
}
_BLOCKS = {
    "p",
    "div",
    "section",
    "article",
    "main",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "table",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "dl",
    "hr",
    "body",
    "title",
}
_LINES = {"br", "li", "tr", "dt", "dd", "option", "caption"}
_KEEP = "\x00"  # begins a line whose indentation stays
_SPACES = re.compile(r"[ \t\r\f\v\u00a0]+")


@dataclass(frozen=True, slots=True)
class ReadablePage:
    title: str
    text: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._skip: list[str] = []  # open elements whose text is not read
        self._in_title = False
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._skip.append(tag)
        elif tag == "title":
            self._in_title = True
        elif tag == "pre":
            self._preformatted += 1
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skip:
            # An unclosed element inside ends with the outer one.
            while self._skip.pop() != tag:
                pass
        elif tag == "title":
            self._in_title = False
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._skip:
            if self._preformatted:
                self.parts.append(_KEEP + data.replace("\n", "\n" + _KEEP))
            else:
                self.parts.append(_SPACES.sub(" ", data.replace("\n", " ")))

    def _break(self, tag: str) -> None:
        if not self._skip and (tag in _BLOCKS or tag in _LINES):
            self.parts.append("\n\n" if tag in _BLOCKS else "\n")
        elif not self._skip and tag in ("td", "th"):
            self.parts.append(" ")


def all_text(source: str) -> ReadablePage:
    """Title and text of a page, in the order of its source."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    lines = [
        line.replace(_KEEP, "").rstrip() if line.startswith(_KEEP) else line.replace(_KEEP, "").strip(" ")
        for line in "".join(reader.parts).split("\n")
    ]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return ReadablePage(" ".join("".join(reader.title).split()), text)
