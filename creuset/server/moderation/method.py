"""Which categories a text touches, by lists of words. Nothing is learned, and no meaning is understood.

A clear phrase counts two points and a hint one; each is counted once. The score of a category is p / (p + 1) for p
points: 0 without a match, 0.5 for one hint, 0.67 for one clear phrase. A score is thus no probability. A category is
flagged from THRESHOLD on.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NAME = "creuset-word-lists-1"
THRESHOLD = 0.6  # one clear phrase, or two hints


@dataclass(frozen=True, slots=True)
class WordList:
    category: str
    clear: re.Pattern[str]
    hints: re.Pattern[str]

    def score(self, plain: str) -> float:
        """Of a text that `plain_text` has made."""
        points = 2 * len(set(self.clear.findall(plain))) + len(set(self.hints.findall(plain)))
        return points / (points + 1)


@cache
def word_lists() -> tuple[WordList, ...]:
    raw = files("creuset.server.moderation").joinpath("words.toml").read_text(encoding="utf-8")
    return tuple(
        WordList(category, _pattern(found["clear"]), _pattern(found["hints"]))
        for category, found in tomllib.loads(raw).items()
    )


def scores(text: str) -> dict[str, float]:
    """Of each category, from 0 to below 1."""
    plain = plain_text(text)
    return {one.category: one.score(plain) for one in word_lists()}


def plain_text(text: str) -> str:
    """Small letters, no accents, one kind of apostrophe, single spaces: what the lists are written in."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'"))
    return " ".join("".join(letter for letter in parts if not unicodedata.combining(letter)).split())


def _pattern(words: list[str]) -> re.Pattern[str]:
    """Whole words and phrases; of two that begin alike the longer first."""
    listed = sorted(words, key=len, reverse=True)
    written = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in listed)
    return re.compile(rf"(?<!\w)(?:{written})(?!\w)")
