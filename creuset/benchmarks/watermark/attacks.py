"""What is done to a marked text so that it is not found: pure functions of texts, human material and a seed.

Every attack is one that needs no model. Numbers are percentages of the words:

    substitute_N    words replaced by any words of human text
    delete_N        words removed
    paste_N         the text in the midst of human text, which is N % of the whole: what a student hands in
    middle_third    truncation: beginning and end are not kept
    mix_unmarked    every second sentence from an unmarked text of the same model
    spaces          one to three blanks wherever there was one
    homoglyph_N     Latin letters of N % of the words replaced by Cyrillic ones that look the same
    invisible_N     a zero-width space inside N % of the words

These are the attacks that hide the mark from the detector, of thirty that were tried on the shipped model: docs/log.md.
"""

import random
import re
from collections.abc import Callable, Sequence

from creuset.benchmarks.robustness import perturb

Dice = random.Random
HOMOGLYPHS = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
INVISIBLE = "\u200b"
SENTENCE = re.compile(r"(?<=[.!?…])\s+")


def substitute(text: str, percent: int, human: Sequence[str], dice: Dice) -> str:
    return _changed(text, percent, dice, lambda word: dice.choice(human))


def delete(text: str, percent: int, human: Sequence[str], dice: Dice) -> str:
    words = text.split(" ")
    gone = set(_some(words, percent, dice))
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def paste(text: str, percent: int, human: Sequence[str], dice: Dice) -> str:
    """`text` between two runs of human words, which are `percent` % of the whole."""
    count = round(len(text.split(" ")) * percent / (100 - percent))
    start = dice.randrange(max(1, len(human) - count))
    around = list(human[start : start + count])
    return " ".join([*around[: count // 2], text, *around[count // 2 :]])


def homoglyph(text: str, percent: int, human: Sequence[str], dice: Dice) -> str:
    return _changed(text, percent, dice, lambda word: word.translate(HOMOGLYPHS))


def invisible(text: str, percent: int, human: Sequence[str], dice: Dice) -> str:
    return _changed(text, percent, dice, lambda word: word[: len(word) // 2] + INVISIBLE + word[len(word) // 2 :])


def middle_third(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[round(len(words) / 3) : round(len(words) * 2 / 3)])


def mixed(text: str, other: str) -> str:
    """Every second sentence from `other`, as long as both last."""
    ours, theirs = SENTENCE.split(text), SENTENCE.split(other)
    return " ".join(theirs[i] if i % 2 and i < len(theirs) else sentence for i, sentence in enumerate(ours))


def _some(words: Sequence[str], percent: int, dice: Dice) -> list[int]:
    return dice.sample(range(len(words)), round(len(words) * percent / 100))


def _changed(text: str, percent: int, dice: Dice, change: Callable[[str], str]) -> str:
    words = text.split(" ")
    for at in _some(words, percent, dice):
        words[at] = change(words[at])
    return " ".join(words)


By = Callable[[str, int, Sequence[str], Dice], str]
SHARES: dict[str, tuple[By, tuple[int, ...]]] = {
    "substitute": (substitute, (25, 50)),
    "delete": (delete, (25,)),
    "paste": (paste, (75, 90)),
    "homoglyph": (homoglyph, (50,)),
    "invisible": (invisible, (50,)),
}


def every(texts: Sequence[str], unmarked: Sequence[str], human: Sequence[str], *, seed: int) -> dict[str, list[str]]:
    """Each attack's name, "none" first, and what it makes of `texts`. Each attack draws for itself.

    `human` are words of people, in order. `unmarked` are texts of the same model without the mark, for the mixture;
    without any it is left out.
    """
    found: dict[str, list[str]] = {"none": list(texts)}
    for name, (by, percents) in SHARES.items():
        for percent in percents:
            dice = perturb.draw_for(seed, name, str(percent))
            found[f"{name}_{percent}"] = [by(text, percent, human, dice) for text in texts]
    found["middle_third"] = [middle_third(text) for text in texts]
    if unmarked:
        found["mix_unmarked"] = [mixed(text, unmarked[i % len(unmarked)]) for i, text in enumerate(texts)]
    dice = perturb.draw_for(seed, "spaces")
    return found | {"spaces": [perturb.spaces(text, dice) for text in texts]}
