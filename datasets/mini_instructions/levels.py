"""The same sentence at another reading level.

Source: OneStopEnglishCorpus, 189 news texts at three levels. Licence: CC-BY-SA-4.0.
Teaches: to say the same thing in simpler words.

Sentences of two levels are paired when they share most of their words and differ enough
to be worth asking; texts that lost their apostrophes are left out.
"""

import re
from collections.abc import Iterator
from random import Random

from mini_instructions.base import Made, Provenance, Refused, Rule
from mini_instructions.prose import flaw, sentences, tidy
from mini_instructions.shelf import Shelf
from mini_instructions.words import TABLES

FILE, SOURCE, LICENCE = "en_onestop_news_3levels", "OneStopEnglishCorpus", "CC-BY-SA-4.0"
SMALL = frozenset(TABLES["stop_words"])
SIMPLER = ("Rewrite this in simpler words: {t}", "Make this sentence easier to read: {t}",
    "Say this in simple English: {t}", "Simplify: {t}",
           "Can you put this in easier words?\n\n{t}", "Rewrite for a beginner: {t}",
           "{t}\n\nMake it simpler, please.")  # fmt: skip
HARDER = (
    "Rewrite this in a more advanced style: {t}",
    "Make this sentence more formal: {t}",
    "Rewrite this for an advanced reader: {t}",
)
BROKEN = re.compile(
    r"\b(?:dont|doesnt|isnt|wasnt|cant|wont|didnt|its a|Im|Ive|thats|hes|shes|theyre|youre)\b|  |^\d+ [A-Z]"
    r"|\b(?:ll|rst|nd|ve|nal|nally|nish|nished|nancial|gures?|ght|lms?|sh|elds?|rms?|rmly|eet)\b"  # `fi`, `fl` lost
    r"|\b(?:ames?|ew|oor|oods?|ooded|ower|uence|cult)\b"
    r"|\b(?:ofce|ofcer|ofcial|ofcials|difcult|specic|trafc|signicant|benet|benets|prot|prots|scientic|condent|ofcially|sufcient|identied|classied)\b"
)


def content(sentence: str) -> set[str]:
    return {word for word in re.findall(r"[a-z0-9']+", sentence.lower()) if word not in SMALL}


def alike(a: set[str], b: set[str]) -> float:
    """Shared words over all words."""
    return len(a & b) / len(a | b) if a | b else 0.0


def pairs(hard: str, easy: str) -> Iterator[tuple[str, str]]:
    """Sentences of `hard` with the one sentence of `easy` that says the same, where there is one."""
    simple = [(s, content(s)) for s in sentences(tidy(easy))]
    for sentence in sentences(tidy(hard)):
        words = content(sentence)
        best, score = max(((s, alike(words, w)) for s, w in simple), key=lambda pair: pair[1], default=("", 0.0))
        if 0.45 <= score <= 0.85 and 0.5 <= len(best) / len(sentence) <= 1.2:
            yield sentence, best


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    texts: dict[str, dict[str, tuple[str, str]]] = {}
    for document in shelf.read("pretrain", FILE):
        source = str(document.get("source", ""))
        stem = re.sub(r"[-_ ](?:adv|int|ele)\w*\.txt$", "", source.rpartition("/")[2].lower())
        texts.setdefault(stem, {})[str(document.get("level", "")).lower()[:3]] = (str(document.get("text", "")), source)
    for levels in texts.values():
        for hard, easy in (("adv", "ele"), ("adv", "int"), ("int", "ele")):
            if hard not in levels or easy not in levels:
                yield Refused("a level is missing")
                continue
            yield from _tasks(rng, levels[hard], levels[easy])


def _tasks(rng: Random, hard: tuple[str, str], easy: tuple[str, str]) -> Iterator[Made]:
    about = Provenance("levels", SOURCE, LICENCE, hard[1], group=f"levels:{hard[1].rpartition('/')[2][:8]}")
    for sentence, simple in pairs(hard[0], easy[0]):
        wrong = flaw(sentence, low=7) or flaw(simple, low=5, high=35)
        if wrong or BROKEN.search(sentence) or BROKEN.search(simple):
            yield Refused(wrong or "apostrophes lost or a heading")
        elif rng.random() < 0.12:
            yield about.ask(rng.choice(HARDER).replace("{t}", simple), sentence)
        else:
            yield about.ask(rng.choice(SIMPLER).replace("{t}", sentence), simple)


RULE = Rule("levels", "rewriting a sentence in simpler words", 1_500, make, SOURCE, LICENCE)
