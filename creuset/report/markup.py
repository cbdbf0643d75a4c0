"""HTML and SVG that are escaped by construction: elements are made by `el`, and whatever `el` did not make is text."""

from collections.abc import Iterable
from html import escape

from creuset.report.language import in_both

VOID = frozenset(("br", "circle", "input", "line", "meta", "path", "polyline", "rect", "wbr"))


class Markup(str):
    """Markup that is already escaped. Made by this package's own functions only."""

    __slots__ = ()


def inner(inside: object) -> Markup:
    """What stands in an element: markup as it is, a sentence in both languages, parts of a list, the rest escaped."""
    if isinstance(inside, Markup):
        return inside
    if (two := in_both(inside)) is not None:
        return both(two.en, two.fr)
    if inside is None:
        return Markup()
    if isinstance(inside, Iterable) and not isinstance(inside, str):
        return Markup("".join(map(inner, inside)))
    return Markup(escape(str(inside), quote=True))


def both(en: object, fr: object) -> Markup:
    """The words in both languages; the style sheet shows the one that the page speaks."""
    if en == fr:
        return inner(en)
    return inner((el("span", en, cls="en", lang="en"), el("span", fr, cls="fr", lang="fr")))


def el(tag: str, *inside: object, **attributes: object) -> Markup:
    """An element. `cls` is its class, `data_value` is `data-value`; None, False and no words leave an attribute out.

    An attribute in two languages is written in English with both beside it, for the script that changes languages.
    """
    said = "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{tag}{said}/>" if tag in VOID else f"<{tag}{said}>{inner(inside)}</{tag}>")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False or (value == "" and name in ("cls", "id", "lang")):
        return ""
    name = "class" if name == "cls" else name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if (two := in_both(value)) is not None:
        en, fr = _quoted(two.en), _quoted(two.fr)
        return f' {name}="{en}" data-en="{en}" data-fr="{fr}" data-names="{name}"'
    return f' {name}="{_quoted(str(value))}"'


def _quoted(value: str) -> str:
    return escape(value, quote=False).replace('"', "&quot;")
