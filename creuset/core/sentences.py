"""Sentences with a key: kept in English in a record, shown in any language from the key.

`sentence("benchmarks.no_item")` is the English sentence of the row `[no_item]` in `benchmarks/sentences.toml`: a string
that remembers its key and what was filled into its slots. `to_json` writes these beside the English text, `from_json`
brings them back, and `Sentence.of(lang)` is the sentence in a language. Nothing is found by its English words.

A record from before sentences had keys, and words of others (the message of an error), are plain strings: a page in
another language quotes them as English (`in_language`).
"""

import string
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from creuset.core.errors import DataError

Lang = Literal["en", "fr"]
LANGS: tuple[Lang, ...] = ("en", "fr")
NARROW = "\u202f"  # narrow no-break space: French groups digits and precedes signs with it
BESIDE = "sentences"  # the field of a record that has the keys of the sentences in its other fields
T = TypeVar("T")

ROOT = Path(__file__).parents[1]
TABLES: dict[str, str] = {      # first part of a key: the room whose sentences.toml has the rest
    "core": "core", "evals": "evals", "benchmarks": "benchmarks", "report": "report", "audit": "governance/audit",
    "dossier": "governance/dossier", "compare": "governance/compare", "origin": "model/store",
    "data": "data", "train": "train", "plan": "plan", "console": "server/console",
}  # fmt: skip


class Sentence(str):
    """An English sentence with its key and the values of its slots: strings, numbers, sentences, or lists of them."""

    key: str
    values: Mapping[str, Any]

    def __new__(cls, key: str, values: Mapping[str, Any], english: str | None = None) -> "Sentence":
        made = super().__new__(cls, say("en", key, **values) if english is None else english)
        made.key, made.values = key, values
        return made

    def __str__(self) -> "Sentence":
        """Itself: `str(error)` of an error that was raised with a sentence still has the key."""
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.key, self.values, self.english

    @property
    def english(self) -> str:
        return str.__str__(self)

    def of(self, lang: Lang) -> str:
        return self.english if lang == "en" else say(lang, self.key, **self.values)


def sentence(key: str, **values: Any) -> Sentence:
    """The sentence of this key, which must have the slots `values` and no others."""
    return Sentence(key, values)


def keyed(text: str) -> Sentence:
    """The sentence, or words that have no key as a quotation: other languages quote them as English."""
    return text if isinstance(text, Sentence) else Sentence("core.quoted", {"text": text.rstrip(".")}, text)


def joined(*parts: str, by: Literal["; ", " / "] = "; ") -> str:
    """The sentences that are not empty, put together as one; "" where there is none."""
    some = [keyed(part) for part in parts if part]
    if len(some) < 2:
        return some[0] if some else ""
    return sentence("core.joined" if by == "; " else "core.either", parts=some)


def in_language(text: str, lang: Lang) -> str:
    """Words of a record in `lang`; what has no key is quoted as English."""
    return keyed(text).of(lang)


# -- the tables -------------------------------------------------------------------------------------------------------


@cache
def table(room: str) -> dict[str, dict[Lang, str]]:
    """The sentences of a room by the last part of their key. Raises DataError for a room that has none."""
    if room not in TABLES:
        raise DataError(f"`{room}` has no table of sentences", hint=f"there are {', '.join(TABLES)}")
    found: dict[str, dict[Lang, str]] = tomllib.loads(
        (ROOT / TABLES[room] / "sentences.toml").read_text(encoding="utf-8")
    )
    return found


def has(key: str) -> bool:
    room, _, name = key.partition(".")
    return room in TABLES and name in table(room)


def say(lang: Lang, key: str, /, **values: Any) -> str:
    """The sentence of `key` in `lang`. Raises DataError for a key that is not there or a slot that is not filled."""
    room, _, name = key.partition(".")
    if name not in table(room):
        raise DataError(f"there is no sentence `{key}`", hint=f"{TABLES[room]}/sentences.toml has the sentences")
    try:
        return _FILL[lang].vformat(table(room)[name][lang], (), values)
    except KeyError as missing:
        raise DataError(f"the sentence `{key}` needs {missing}") from None


class _Fill(string.Formatter):
    """Fills slots in one language: numbers as it writes them, lists joined by the words after the colon."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Sentence):
            return value.of(self.lang)
        if isinstance(value, list | tuple):
            return format_spec.join(self.format_field(part, "") for part in value)
        text = str(super().format_field(value, format_spec))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return decimal(text) if number and self.lang == "fr" else text


_FILL: dict[Lang, _Fill] = {lang: _Fill(lang) for lang in LANGS}


def decimal(english: str) -> str:
    """`1,234.5%` as French writes it."""
    return english.replace(",", NARROW).replace(".", ",").replace("%", f"{NARROW}%")


# -- records ----------------------------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """`value` with the keys of its sentences beside them: `{"why": "no item was asked", "sentences":
    {"why": {"key": "benchmarks.no_item", "values": {}}}}`."""
    if isinstance(value, Mapping):
        made = {k: to_json(v) for k, v in value.items()}
        keys = {k: _key(v) for k, v in value.items() if isinstance(v, Sentence)}
        return made | {BESIDE: made.get(BESIDE, {}) | keys} if keys else made
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return value.english if isinstance(value, Sentence) else value


def _key(value: Any) -> Any:
    if isinstance(value, Sentence):
        return {"key": value.key, "values": {k: _key(v) for k, v in value.values.items()}}
    return [_key(v) for v in value] if isinstance(value, list | tuple) else value


def from_json(value: T) -> T:
    """What `to_json` was given: strings with a key beside them are `Sentence` again, in the English of the record.

    A key that the tables no longer have, or has other slots now, is left out: the words stay, as English.
    """
    if isinstance(value, dict):
        keys = value.get(BESIDE)
        known: dict[str, Any] = keys if isinstance(keys, dict) else {}
        if not all(isinstance(row, dict) and "key" in row for row in known.values()):
            known = {}  # a field of that name that is not ours
        made = {k: from_json(v) for k, v in value.items() if not (k == BESIDE and known)}
        return made | {k: _revived(made[k], row) for k, row in known.items() if k in made}  # type: ignore[return-value]
    return [from_json(v) for v in value] if isinstance(value, list) else value  # type: ignore[return-value]


def _revived(text: Any, row: Any) -> Any:
    try:
        made = _rebuilt(row)
        made.of("fr")
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return text
    return Sentence(made.key, made.values, text)


def _rebuilt(row: Any) -> Any:
    if isinstance(row, dict):
        return Sentence(row["key"], {k: _rebuilt(v) for k, v in row["values"].items()})
    return [_rebuilt(v) for v in row] if isinstance(row, list) else row
