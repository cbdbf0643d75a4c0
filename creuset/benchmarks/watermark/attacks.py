"""What is done to a marked text so that it is not found: pure functions of texts, human material and a seed.

Every attack is one that needs no strong model; percentages are shares of the words. What they are after:

    substitute_N    words replaced by any words of human text
    neighbour_N     words replaced by others that stand between the same two words in human text, or behind the same
                    one; where human text knows neither the word stays, so that N is the most that is changed
    synonyms        every word that the list of benchmarks/robustness/words.json has a synonym for (English)
    delete_N, insert_N      words removed; human words put between
    paste_N         the text in the midst of human text, which is N % of the whole: what a student hands in
    first_half, second_half, middle_third       truncation; the rest is not kept
    sentences       the sentences in another order
    mix_marked, mix_unmarked    every second sentence from another marked, or unmarked, text of the same model
    lower, spaces, contraction, typos           small letters, more blanks, shorter forms, slips of the finger
    homoglyph_N     Latin letters of N % of the words replaced by Cyrillic ones that look the same
    invisible_N     a zero-width space inside N % of the words; `stripped_N` is the same after a detector's operator
                    removes such characters, which restores the text
    punctuation     without any
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from creuset.benchmarks.robustness import perturb

Dice = random.Random
HOMOGLYPHS = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
INVISIBLE = "\u200b"
SENTENCE = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Human:
    """Words of people, in order, and what stands between or behind which."""

    words: Sequence[str]
    between: Mapping[tuple[str, str], Sequence[str]] = field(repr=False)
    behind: Mapping[str, Sequence[str]] = field(repr=False)

    @classmethod
    def of(cls, words: Sequence[str]) -> "Human":
        between: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        behind: defaultdict[str, list[str]] = defaultdict(list)
        for before, word, after in zip(words, words[1:], words[2:], strict=False):
            between[before, after].append(word)
            behind[before].append(word)
        return cls(words, between, behind)


def substitute(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    for at in _some(words, percent, dice):
        words[at] = dice.choice(human.words)
    return " ".join(words)


def neighbour(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    for at in _some(words, percent, dice):
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        for known in (human.between.get((before, after), ()), human.behind.get(before, ())):
            if other := [word for word in known if word != words[at]]:
                words[at] = dice.choice(other)
                break
    return " ".join(words)


def delete(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    gone = set(_some(words, percent, dice))
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def insert(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    for at in sorted(_some(words, percent, dice), reverse=True):
        words.insert(at, dice.choice(human.words))
    return " ".join(words)


def paste(text: str, percent: int, human: Human, dice: Dice) -> str:
    """`text` between two runs of human words, which are `percent` % of the whole."""
    count = round(len(text.split(" ")) * percent / (100 - percent))
    start = dice.randrange(max(1, len(human.words) - count))
    around = list(human.words[start : start + count])
    return " ".join([*around[: count // 2], text, *around[count // 2 :]])


def homoglyph(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    for at in _some(words, percent, dice):
        words[at] = words[at].translate(HOMOGLYPHS)
    return " ".join(words)


def invisible(text: str, percent: int, human: Human, dice: Dice) -> str:
    words = text.split(" ")
    for at in _some(words, percent, dice):
        middle = len(words[at]) // 2
        words[at] = words[at][:middle] + INVISIBLE + words[at][middle:]
    return " ".join(words)


def stripped(text: str, percent: int, human: Human, dice: Dice) -> str:
    return invisible(text, percent, human, dice).replace(INVISIBLE, "")


def part(text: str, low: float, high: float) -> str:
    words = text.split(" ")
    return " ".join(words[round(len(words) * low) : round(len(words) * high)])


def shuffled(text: str, dice: Dice) -> str:
    sentences = SENTENCE.split(text)
    dice.shuffle(sentences)
    return " ".join(sentences)


def mixed(text: str, other: str) -> str:
    """Every second sentence from `other`, as long as both last."""
    ours, theirs = SENTENCE.split(text), SENTENCE.split(other)
    return " ".join(theirs[i] if i % 2 and i < len(theirs) else sentence for i, sentence in enumerate(ours))


def _some(words: Sequence[str], percent: int, dice: Dice) -> list[int]:
    return dice.sample(range(len(words)), round(len(words) * percent / 100))


By = Callable[[str, int, Human, Dice], str]
SHARES: dict[str, tuple[By, tuple[int, ...]]] = {
    "substitute": (substitute, (10, 25, 50)),
    "neighbour": (neighbour, (10, 25, 50)),
    "delete": (delete, (10, 25)),
    "insert": (insert, (10, 25)),
    "paste": (paste, (50, 75, 90)),
    "homoglyph": (homoglyph, (10, 50)),
    "invisible": (invisible, (10, 50)),
    "stripped": (stripped, (50,)),
}


def every(texts: Sequence[str], unmarked: Sequence[str], human: Human, *, seed: int) -> dict[str, list[str]]:
    """Each attack's name, "none" first, and what it makes of `texts`. Each attack draws for itself.

    `unmarked` are texts of the same model without the mark, for the mixture; without any it is left out.
    """
    found: dict[str, list[str]] = {"none": list(texts)}
    for name, (by, percents) in SHARES.items():
        for percent in percents:
            dice = perturb.draw_for(seed, name, str(percent))
            found[f"{name}_{percent}"] = [by(text, percent, human, dice) for text in texts]
    for name, low, high in (("first_half", 0, 0.5), ("second_half", 0.5, 1), ("middle_third", 1 / 3, 2 / 3)):
        found[name] = [part(text, low, high) for text in texts]
    dice = perturb.draw_for(seed, "sentences")
    found["sentences"] = [shuffled(text, dice) for text in texts]
    if len(texts) > 1:
        found["mix_marked"] = [mixed(text, texts[i - 1]) for i, text in enumerate(texts)]
    if unmarked:
        found["mix_unmarked"] = [mixed(text, unmarked[i % len(unmarked)]) for i, text in enumerate(texts)]
    ways: dict[str, perturb.Perturb] = {
        "lower": perturb.case, "spaces": perturb.spaces, "contraction": perturb.contraction, "typos": perturb.typos,
        "synonyms": perturb.synonyms, "punctuation": lambda text, _: re.sub(r"[^\w\s'’-]", "", text),
    }  # fmt: skip
    for name, way in ways.items():
        dice = perturb.draw_for(seed, name)
        found[name] = [way(text, dice) for text in texts]
    return found
