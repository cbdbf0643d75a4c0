"""The main text of a web page: what it is about, without menus, comments and notices.

trafilatura finds it (docs/adr/0025 compares it with resiliparse and with our own reader); here its tree becomes text,
a block a paragraph, a lead paragraph that stands in a header of the page comes back, and a page in which nothing was
found is read whole by `html.all_text`.
"""

import logging
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from creuset.data.read.encoding import decode
from creuset.data.read.html import ReadablePage, all_text

_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_XML_CHARSET = re.compile(rb"""^\s*<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""", re.I)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.I | re.S)
_HEADER = re.compile(r"<header\b.*?</header\s*>", re.I | re.S)
_SPACES = re.compile(r"\s+")
_LEAD_WORDS = 8  # fewer are a slogan or a date
_LARGEST = 20_000_000  # characters; a longer page is read by `all_text`, in linear time


def declared(raw: bytes) -> str:
    """The encoding that a page names in its first bytes, or ""."""
    found = _XML_CHARSET.match(raw[:200]) or _CHARSET.search(raw[:4096])
    return found[1].decode("ascii") if found else ""


def page_of(raw: bytes, charset: str = "") -> tuple[ReadablePage, str]:
    """(title and main text, encoding) of a page; `charset` is what an HTTP header said of it."""
    decoded = decode(raw, charset or declared(raw))
    return main_text(decoded.text), decoded.encoding


def main_text(source: str) -> ReadablePage:
    if len(source) > _LARGEST or not (text := _extracted(source)):
        return all_text(source)
    for lead in _leads(source):
        if lead not in text:
            text = f"{lead}\n\n{text}"
    title = _TITLE.search(source)
    return ReadablePage(_inline(unescape(title[1])) if title else "", text)


def _extracted(source: str) -> str:
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it logs every page that is empty
    try:
        found = trafilatura.bare_extraction(source, include_comments=False, with_metadata=False)
    except (ValueError, RecursionError, AttributeError, TypeError):  # what odd trees bring about in it
        return ""
    tree = found.body if found is not None and not isinstance(found, dict) else None
    return "\n\n".join(_blocks(tree)) if tree is not None else ""


def _blocks(tree: Any) -> Iterator[str]:
    """Paragraphs, lists, tables and code of trafilatura's tree, each as text."""
    if said := _inline(tree.text or ""):
        yield said
    for node in tree:
        match node.tag:
            case "list":
                yield from _some("\n".join(filter(None, (_inline(_text(item)) for item in node))))
            case "table":
                rows = (" ".join(filter(None, (_inline(_text(cell)) for cell in row))) for row in node)
                yield from _some("\n".join(filter(None, rows)))
            case "code":
                yield from _some("".join(node.itertext()).strip("\n"))
            case "quote" | "div" if len(node) and any(child.tag in ("p", "list", "head") for child in node):
                yield from _blocks(node)
            case _:
                yield from _some("\n".join(filter(None, map(_inline, _text(node).split("\0")))))
        if tail := _inline(node.tail or ""):
            yield tail


def _some(text: str) -> Iterator[str]:
    if text.strip():
        yield text


def _text(node: Any) -> str:
    """The text of an element; a line break in it is a zero byte."""
    parts = [node.text or ""]
    for child in node:
        parts.append("\0" if child.tag == "lb" else _text(child) + (" " if child.tag in ("p", "item") else ""))
        parts.append(child.tail or "")
    return "".join(parts)


def _inline(text: str) -> str:
    return _SPACES.sub(" ", text.replace("\0", " ")).strip()


def _leads(source: str) -> list[str]:
    """Sentences in the headers of a page that are no links: the last one first."""
    from lxml import html

    out = []
    for header in _HEADER.findall(source)[:20]:
        if "<p" not in header and "<P" not in header:
            continue
        try:
            tree = html.fromstring(header)
        except (ValueError, html.etree.LxmlError):
            continue
        for paragraph in tree.iter("p"):
            text = _inline(paragraph.text_content())
            linked = sum(len(_inline(a.text_content())) for a in paragraph.iter("a"))
            if len(text.split()) >= _LEAD_WORDS and linked < len(text) / 3 and text[-1] in ".!?…:”\"'":
                out.append(text)
    return out[::-1]
