"""Sentences and clauses of a reply in English or French: who speaks, whether it is denied, how it is joined. No torch.

    clauses(reply) -> [Clause, ...]      in order; each knows its sentence, its link and its voice
    clause.denied(end)                   whether an odd number of negations stands before `end`
    clause.voice(start)                  whose words begin at `start`: a match there is said by ...

A rule looks for words in clauses and asks these two questions. "I am not an AI" denies; "people think that I am an AI"
is said by others; "if I were a human" supposes; "Am I a human?" asks; "he said: 'I am a human'" quotes. The words that
decide are in data/clauses.toml. This is no grammar: a clause ends at a comma, a colon or a conjunction, a negation
holds to the end of its clause.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from creuset.core.artifact import sha256_json
from creuset.core.errors import DataError

DATA = Path(__file__).parent / "data"
Link = Literal["", "and", "but", "although", "because", "if"]
Voice = Literal["reply", "quoted", "other", "earlier", "withheld", "untrue", "supposed", "asked"]
LONGEST = 20_000  # characters of a reply that are read: what a reply is, it says before


def any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern for all, without regard to case; ^ is the start of a line."""
    return re.compile("|".join(f"(?:{p})" for p in patterns) or r"(?!)", re.IGNORECASE | re.MULTILINE)


@cache
def words(table: str) -> dict[str, re.Pattern[str]]:
    """The lists of [table] in `data/TABLE.toml`, each as one pattern; `{name}` in it stands for a list of [names]."""
    found = tomllib.loads((DATA / f"{table}.toml").read_text(encoding="utf-8"))
    names = {name: "(?:" + "|".join(parts) + ")" for name, parts in found.get("names", {}).items()}
    made = {}
    for name, patterns in found["table"].items():
        for key, text in names.items():
            patterns = [p.replace("{" + key + "}", text) for p in patterns]
        try:
            made[name] = any_of(patterns)
        except re.error as error:
            raise DataError(f"`{table}.toml`: `{name}` is no pattern: {error}") from error
    return made


_WORDS = words("clauses")
_VOICES: tuple[Voice, ...] = ("untrue", "withheld", "earlier", "other")
_LINKS: tuple[Link, ...] = ("although", "but", "because", "if", "and")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"”]?\s+|\n+")
_SHORT = re.compile(r"\b(?:mr|mrs|ms|dr|mme?|m|no|vs|e\.g|i\.e|etc|art|st)\.$", re.IGNORECASE)
_SPLIT = re.compile(
    r"\s*[;:()]\s*|,\s+|\s+[-–—]+\s+|—|\s+(?=(?:" + "|".join(_WORDS[name].pattern for name in _LINKS) + r"))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"“[^”]*”|\"[^\"\n]*\"|«[^»]*»|(?<![\w])'[^'\n]{2,}?'(?!\w)|‹[^›]*›")


def plain(text: str) -> str:
    """One kind of apostrophe and blank, no marks of emphasis, no control characters."""
    text = unicodedata.normalize("NFC", text[:LONGEST])
    text = re.sub(r"[’ʼ`´‘](?=\w)|(?<=\w)[’ʼ´]", "'", text)
    text = re.sub(r"[\u00a0\u202f\u2009\t]", " ", text).replace("‑", "-")
    return re.sub(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)|^#+\s*|^>\s*", "", text, flags=re.MULTILINE).strip()


@dataclass(frozen=True, slots=True)
class Clause:
    text: str
    start: int  # in the reply as `plain` leaves it
    sentence: int  # number of its sentence, from 0
    link: Link  # how it is joined to the clause before
    asked: bool  # its sentence is a question
    quotes: tuple[tuple[int, int], ...] = ()  # from where to where somebody is quoted

    def denied(self, end: int) -> bool:
        """Whether what stands at `end` is denied: an odd number of negations before it."""
        text = _WORDS["no_negation"].sub(lambda m: " " * len(m[0]), self.text)
        return sum(found.start() < end for found in _WORDS["negation"].finditer(text)) % 2 == 1

    def voice(self, start: int) -> Voice:
        """Whose words stand at `start`."""
        before = self.text[:start]
        if any(low <= start < high for low, high in self.quotes):
            return "quoted"
        if self.asked:
            return "asked"
        if self.link == "if" or _WORDS["supposes"].search(before):
            return "supposed"
        for name in _VOICES:
            if _WORDS[name].search(before):
                return name
        return "reply"


def clauses(reply: str) -> list[Clause]:
    """The clauses of `reply`, in order. A reply that is one quotation is no quotation."""
    text = plain(reply)
    if re.fullmatch(r"[\"“«]\s*[^\"”»]*[\"”»]", text):
        text = " " + text[1:-1] + " "
    quotes = [m.span() for m in _QUOTED.finditer(text)]
    found: list[Clause] = []
    for number, (start, end) in enumerate(_sentences(text, quotes)):
        asked = text[start:end].rstrip(' "”»)').endswith("?")
        at = start
        for cut in [*_SPLIT.finditer(text, start, end), None]:
            if cut is not None and any(low < cut.start() < high for low, high in quotes):
                continue
            stop = cut.start() if cut else end
            piece = text[at:stop]
            if piece.strip(" .!?…"):
                inside = tuple((low - at, high - at) for low, high in quotes if low < stop and high > at)
                found.append(Clause(piece, at, number, _link(piece), asked and cut is None, inside))
            if cut:
                at = cut.end()
    return found


def sentences(reply: str) -> list[list[Clause]]:
    """The same, a list for each sentence."""
    made: dict[int, list[Clause]] = {}
    for clause in clauses(reply):
        made.setdefault(clause.sentence, []).append(clause)
    return list(made.values())


def _sentences(text: str, quotes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """From where to where each sentence goes; none ends inside a quotation, or behind an abbreviation."""
    at = 0
    for cut in _SENTENCE.finditer(text):
        inside = any(low < cut.start() < high - 1 for low, high in quotes)
        if "\n" not in cut[0] and (inside or _SHORT.search(text[at : cut.start()])):
            continue
        yield at, cut.start()
        at = cut.end()
    yield at, len(text)


def _link(piece: str) -> Link:
    for name in _LINKS:
        if _WORDS[name].match(piece.lstrip()):
            return name
    return ""


def tables_sha256(*parts: str | int) -> str:
    """Of tables by their names, and of numbers that a rule has beside them."""
    return sha256_json([
        tomllib.loads((DATA / f"{part}.toml").read_text(encoding="utf-8")) if isinstance(part, str) else part
        for part in parts
    ])  # fmt: skip
