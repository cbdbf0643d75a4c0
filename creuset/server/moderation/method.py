"""Which categories a text touches, by lists of words. Nothing is learned, and no meaning is understood.

A clear phrase counts two points and a hint one; each is counted once, in whatever form it stands (`kill`, `killed`).
The score of a category is p / (p + 1) for p points: 0 without a match, 0.5 for one hint, 0.67 for one clear phrase. A
score is thus no probability. A category is flagged from THRESHOLD on.

Before that, what cannot be seen is taken out of words (zero-width characters, soft hyphens, marks), letters that look
like Latin ones become them where a word mixes alphabets, letters that are spaced out are joined, and phrases in which a
word means something else are blanked (`kill -9`, `kill the process`, `attack surface`).
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

NAME = "creuset-word-lists-1"
THRESHOLD = 0.6  # one clear phrase, or two hints

# Letters of other alphabets that look like Latin ones (Unicode's confusables, those that words are forged with).
_LOOK_ALIKE = str.maketrans(
    "авекмнорстухіјѕԁԛԝһӏ" + "αβεικνορτυχ" + "ɑɡıʟոս", "abekmhopctyxijsdqwhl" + "abeikvoptux" + "agilnu"
)
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"  # letters by their class, and empty
_MIXED = re.compile(r"\w*(?:[a-z]\w*[^\W\da-z_]|[^\W\da-z_]\w*[a-z])\w*")
_SPACED = re.compile(r"(?<!\w)\w(?:([ .*_\-])\w(?!\w))(?:\1\w(?!\w)){2,}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A word or phrase of a list: its beginning, which is looked for first because that is fast, and its pattern."""

    stem: str
    pattern: re.Pattern[str]

    def stands_in(self, plain: str) -> bool:
        return self.stem in plain and self.pattern.search(plain) is not None


@dataclass(frozen=True, slots=True)
class WordList:
    category: str
    clear: tuple[Phrase, ...]
    hints: tuple[Phrase, ...]

    def score(self, plain: str) -> float:
        """Of a text that `plain_text` has made."""
        points = 2 * sum(one.stands_in(plain) for one in self.clear) + sum(one.stands_in(plain) for one in self.hints)
        return points / (points + 1)


@cache
def word_lists() -> tuple[WordList, ...]:
    return tuple(
        WordList(category, _words(found["clear"]), _words(found["hints"]))
        for category, found in _tables().items()
        if category != "harmless"
    )


@cache
def harmless() -> re.Pattern[str]:
    """Phrases in which a word of a list means something else."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(_tables()['harmless']['phrases'])})(?!\w)")


def scores(text: str) -> dict[str, float]:
    """Of each category, from 0 to below 1."""
    plain = harmless().sub(lambda found: " " * len(found[0]), plain_text(text))
    return {one.category: one.score(plain) for one in word_lists()}


def unseen(letter: str) -> bool:
    """Zero-width characters, soft hyphens, marks, and letters that are empty."""
    return unicodedata.category(letter) in ("Cf", "Mn", "Me") or letter in _FILLERS


def plain_text(text: str) -> str:
    """Small letters, no accents, nothing that is not seen, one kind of apostrophe, single spaces: as the lists are."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'"))
    seen = "".join(letter for letter in parts if not unseen(letter))
    if not seen.isascii():
        seen = _MIXED.sub(lambda word: word[0].translate(_LOOK_ALIKE), seen)
    seen = _SPACED.sub(lambda letters: letters[0].replace(letters[1], ""), seen)
    return " ".join(seen.split())


def _tables() -> dict[str, Any]:
    return tomllib.loads(files("creuset.server.moderation").joinpath("words.toml").read_text(encoding="utf-8"))


def _words(listed: list[str]) -> tuple[Phrase, ...]:
    """Whole words and phrases; `*` is the rest of a word."""
    return tuple(
        Phrase(word.partition("*")[0], re.compile(rf"(?<!\w){re.escape(word)}(?!\w)".replace(r"\*", r"\w*")))
        for word in listed
    )
