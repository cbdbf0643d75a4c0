"""Ten ways to write a question differently without asking something else: pure functions of text and a seed.

The ten kinds are those of COMPL-AI's robustness test (typos, misspelling, case, spaces, contraction, expansion,
filler words, synonyms, gender, dialect); rules and word lists are our own (`words.json`), the misspellings come from
the published list that the operator's benchmark folder holds. English only. Numbers and words in capitals are left
alone: a perturbed formula would be another question.
"""

import json
import random
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from creuset.benchmarks.files import json_lists

WORDS = Path(__file__).parent / "words.json"
MISSPELLINGS = "perturbations/correct_to_misspelling.json"  # below the benchmark folder
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
TYPO_SHARE = 0.15  # of the words of four letters and more
MISSPELL_SHARE = 0.5  # of the words that the list knows
FILLER_EVERY = 8  # words
NEIGHBOURS = {
    "q": "wa",
    "w": "qes",
    "e": "wrd",
    "r": "etf",
    "t": "ryg",
    "y": "tuh",
    "u": "yij",
    "i": "uok",
    "o": "ipl",
    "p": "ol",
    "a": "qsz",
    "s": "awdx",
    "d": "sefc",
    "f": "drgv",
    "g": "fthb",
    "h": "gyjn",
    "j": "hukm",
    "k": "jil",
    "l": "kop",
    "z": "asx",
    "x": "zsdc",
    "c": "xdfv",
    "v": "cfgb",
    "b": "vghn",
    "n": "bhjm",
    "m": "njk",
}  # fmt: skip  (a QWERTY keyboard)

Perturb = Callable[[str, random.Random], str]


@cache
def words() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(WORDS.read_text(encoding="utf-8"))
    return found


def load_misspellings(folder: Path) -> dict[str, list[str]]:
    """The published list: a right word -> how people misspell it."""
    found = json_lists(folder / MISSPELLINGS, "misspellings")
    return {word.lower(): wrong for word, wrong in found.items() if word.isalpha() and word.islower()}


def _as(model: str, word: str) -> str:
    """`word` with a capital where `model` has one."""
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def _touchable(word: str) -> bool:
    return len(word) >= 4 and not word.isupper()


def _replace(text: str, table: Mapping[str, str]) -> str:
    """Every word or phrase of `table` in `text`, longest first, its capital kept."""
    if not table:
        return text
    keys = sorted(table, key=len, reverse=True)
    pattern = re.compile(r"(?<![\w'’])(?:" + "|".join(map(re.escape, keys)) + r")(?![\w'’])", re.IGNORECASE)
    return pattern.sub(lambda m: m[0] if m[0].isupper() and len(m[0]) > 1 else _as(m[0], table[m[0].lower()]), text)


def typos(text: str, draw: random.Random) -> str:
    """One slip of the finger (a neighbouring key, two letters swapped, one lost or doubled) in some of the words."""

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        if not _touchable(word) or draw.random() >= TYPO_SHARE:
            return word
        at = draw.randrange(1, len(word) - 1)
        kind = draw.choice(("key", "swap", "lose", "double"))
        letter = word[at].lower()
        if kind == "key" and letter in NEIGHBOURS:
            return word[:at] + draw.choice(NEIGHBOURS[letter]) + word[at + 1 :]
        if kind == "swap":
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return word[:at] + word[at + 1 :] if kind == "lose" else word[:at] + word[at] + word[at:]

    return WORD.sub(slip, text)


def misspelling(table: Mapping[str, list[str]]) -> Perturb:
    def misspell(text: str, draw: random.Random) -> str:
        def wrong(found: re.Match[str]) -> str:
            word = found[0]
            options = table.get(word.lower())
            if not options or (word.isupper() and len(word) > 1) or draw.random() >= MISSPELL_SHARE:
                return word
            return _as(word, draw.choice(options).lower())

        return WORD.sub(wrong, text)

    return misspell


def case(text: str, draw: random.Random) -> str:
    """All in small letters."""
    return text.lower()


def spaces(text: str, draw: random.Random) -> str:
    """One to three blanks wherever there was one, but not at the ends or in line breaks."""
    return re.sub(r"(?<=\S) (?=\S)", lambda _: " " * draw.randint(1, 3), text)


def contraction(text: str, draw: random.Random) -> str:
    return _replace(text, words()["contractions"])


def expansion(text: str, draw: random.Random) -> str:
    straight = text.replace("’", "'")
    return _replace(straight, {short: full for full, short in words()["contractions"].items()})


def filler(text: str, draw: random.Random) -> str:
    """A filler word about every eight words, never inside a number or at the very end."""
    parts = text.split(" ")
    out = []
    for at, part in enumerate(parts):
        if 0 < at < len(parts) - 1 and part[:1].isalpha() and draw.random() < 1 / FILLER_EVERY:
            out.append(draw.choice(words()["fillers"]) + ",")
        out.append(part)
    if out == parts and len(parts) > 1:  # a short question gets one as well
        out.insert(0, draw.choice(words()["fillers"]).capitalize() + ",")
    return " ".join(out)


def synonyms(text: str, draw: random.Random) -> str:
    return _replace(text, words()["synonyms"])


def gender(text: str, draw: random.Random) -> str:
    """Women become men and men women. `her` is `his` before a noun, as far as one word tells, and `him` elsewhere."""
    table = words()["genders"]
    both = {**table, **{b: a for a, b in table.items()}}

    def swap(found: re.Match[str]) -> str:
        word, low = found[0], found[0].lower()
        if low == "her":
            after = re.match(r"\s+([a-z]+)", text[found.end() :])
            other = "his" if after and after[1] not in words()["after_him"] else "him"
        elif low in ("his", "him"):
            other = "her"
        else:
            other = both.get(low, low)
        return word if other == low else _as(word, other)

    return WORD.sub(swap, text)


def dialect(text: str, draw: random.Random) -> str:
    """Informal spoken English as it is often spelled: gonna, ain't, -in' for -ing."""
    told = _replace(text, words()["dialect"])
    keep = set(words()["not_progressive"])
    return re.sub(
        r"\b([A-Za-z]{2,}in)g\b", lambda m: m[0] if m[0].lower() in keep or m[0].isupper() else m[1] + "'", told
    )


def ten(misspellings: Mapping[str, list[str]]) -> dict[str, Perturb]:
    """The ten by name, in the order of reports."""
    return {
        "typos": typos, "misspelling": misspelling(misspellings), "case": case, "spaces": spaces,
        "contraction": contraction, "expansion": expansion, "filler": filler, "synonyms": synonyms,
        "gender": gender, "dialect": dialect,
    }  # fmt: skip


def draw_for(seed: int, *names: str) -> random.Random:
    """A generator of its own for each text: the same whatever else is perturbed, in whatever order."""
    return random.Random(":".join((str(seed), *names)))
