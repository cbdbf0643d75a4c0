"""A whole page in one file: no outside asset, light and dark, one language or both, fit for paper and narrow windows,
and a policy under which only our own style and script run.

Words on a page go through `creuset.report.markup`, which escapes them, or through `embed` (into a JSON block that the
script reads and puts in as text nodes): a hostile reply stays a string.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.report.blocks import Block, Words, spoken
from creuset.report.html import render, words
from creuset.report.language import LANGS, Lang, Text
from creuset.report.markup import Markup, el

ASSETS = Path(__file__).with_name("assets")


def embed(identity: str, value: Any) -> Markup:
    """A JSON block. `<`, `>` and `&` are written as escapes, so that no string can end it."""
    said = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    said = said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return el("script", Markup(said), type="application/json", id=identity)


def embed_packed(identity: str, value: Any) -> Markup:
    """The same, gzipped and in base64: for thousands of samples, unpacked when they are looked at."""
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = base64.b64encode(gzip.compress(said.encode("utf-8", "surrogatepass"), 6, mtime=0)).decode()
    return el("script", Markup(packed), type="application/octet-stream", id=identity)


def page(
    title: Words,
    blocks: Iterable[Block],
    *,
    lang: str = "en",
    alone: bool = False,
    links: Sequence[tuple[Words, str]] = (),
    facts: Sequence[tuple[Words, str]] = (),
    scripts: Sequence[Path] = (),
    styles: Sequence[Path] = (),
    kind: str = "",
    ours: bool = True,
) -> str:
    """The page. It opens in `lang`, and speaks no other language if it stands `alone`.

    `links` (words, address) stand at its top, `facts` (name, value) in its foot; `scripts` and `styles` are files that
    it needs beside those of every page; `kind` is a class of its body. `ours` is false for a page that others publish
    under their name: it does not say what made it.
    """
    if lang not in LANGS:
        raise ValueError(f"a page speaks {' or '.join(LANGS)}, not {lang}")
    first: Lang = "fr" if lang == "fr" else "en"
    one = first if alone else None
    style, code = (
        Markup("".join(file.read_text(encoding="utf-8") for file in (ASSETS / base, *more)))
        for base, more in (("base.css", styles), ("base.js", scripts))
    )
    names = {} if alone else {f"data_title_{name}": spoken(title, name) for name in LANGS}
    foot = [(" · " if n else "", words(k, one), " ", v) for n, (k, v) in enumerate(facts)]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy(style, code)),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", spoken(title, first)),
        "\n",
        el("style", style),
    )
    body = el(
        "body",
        _top(links, one, ours),
        "\n",
        el("main", "\n", el("h1", words(title, one)), "\n", render(blocks, one)),
        el("footer", foot) if foot else None,
        el("script", code),
        cls=kind,
    )
    return f"<!doctype html>\n{el('html', head, body, lang=lang, data_lang=None if alone else lang, **names)}\n"


LIGHT = Text("Light or dark", "Clair ou sombre")


def _top(links: Sequence[tuple[Words, str]], one: Lang | None, ours: bool) -> Markup:
    """What stands above every page: where else to go, which language, light or dark."""
    speak = [
        el("button", name.upper(), type="button", data_speak=name, lang=name, aria_label=whole)
        for name, whole in (("en", "English"), ("fr", "Français"))
    ]
    nav = el("nav", [el("a", words(said, one), href=to) for said, to in links]) if links else None
    light = el("button", "◐", type="button", data_light=True, aria_label=LIGHT.of(one) if one else LIGHT)
    return el(
        "header", el("span", f"creuset {__version__}" if ours else "", cls="of"), nav, None if one else speak, light
    )


def policy(style: str, code: str) -> str:
    """The content policy: nothing but this style and this script."""

    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(code)}; base-uri 'none'; form-action 'none'"
    )
