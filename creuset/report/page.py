"""A whole page in one file: no outside asset, both languages, light and dark, and a policy under which only our own
style and script run. No torch here.

Everything that is not a constant of ours goes through `text` (into HTML) or `embed` (into a JSON block that the script
reads and puts in as text nodes): a hostile reply stays a string.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from creuset import __version__

PAGE = Path(__file__).with_name("page")
LANGS = ("en", "fr")


def text(value: object) -> str:
    """Escaped for HTML, also inside attributes."""
    return escape(str(value), quote=True)


def both(en: str, fr: str) -> str:
    """The two languages of a sentence of ours, of which the page shows one; both are escaped."""
    return f'<span class="en" lang="en">{text(en)}</span><span class="fr" lang="fr">{text(fr)}</span>'


def label(en: str, fr: str, name: str = "aria-label") -> str:
    """An attribute in both languages; `name` is that attribute."""
    return f'{name}="{text(en)}" data-en="{text(en)}" data-fr="{text(fr)}" data-names="{name}"'


def embed(identity: str, value: Any) -> str:
    """A JSON block. `<`, `>` and `&` are written as escapes, so that no string can end it."""
    said = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    said = said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{text(identity)}">{said}</script>'


def embed_packed(identity: str, value: Any) -> str:
    """The same, gzipped and in base64: for thousands of samples, unpacked when they are looked at."""
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = base64.b64encode(gzip.compress(said.encode("utf-8", "surrogatepass"), 6, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{text(identity)}">{packed}</script>'


def sheet(
    title: tuple[str, str],
    body: str,
    *,
    lang: str = "en",
    scripts: tuple[str, ...] = (),
    styles: tuple[str, ...] = (),
    facts: Mapping[str, str] | None = None,
) -> str:
    """The page: `title` in English and French, `body` of HTML that is already escaped.

    `scripts` and `styles` are names of files in `page/`, beside those that every page has. `facts` are said in the
    footer.
    """
    if lang not in LANGS:
        raise ValueError(f"a page speaks {' or '.join(LANGS)}, not {lang}")
    code = [_asset(name) for name in ("sheet.js", *scripts)]
    style = "".join(_asset(name) for name in ("sheet.css", *styles))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join(map(_hash, code))}; "
        "base-uri 'none'; form-action 'none'"
    )
    said = " · ".join(f"{text(k)} {text(v)}" for k, v in (facts or {}).items())
    return "".join((
        f'<!doctype html><html lang="{lang}" data-lang="{lang}" data-title-en="{text(title[0])}" '
        f'data-title-fr="{text(title[1])}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{text(title[LANGS.index(lang)])}</title><style>{style}</style></head><body>",
        f'<header><span class="of">creuset {text(__version__)}</span>',
        '<button data-speak="en" lang="en" aria-label="English">EN</button>'
        '<button data-speak="fr" lang="fr" aria-label="Français">FR</button>',
        f'<button data-light {label("Light or dark", "Clair ou sombre")}>◐</button></header>',
        f"<main><h1>{both(*title)}</h1>{body}</main>",
        f"<footer>{said}</footer>" if said else "",
        *(f"<script>{piece}</script>" for piece in code),
        "</body></html>\n",
    ))


def _asset(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
