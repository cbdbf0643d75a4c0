"""Talk written by hand: greetings, who one talks with, feelings, refusals, everyday knowledge, in two languages.

Source: the tables in talk/*.txt, written for this project. Licence: Apache-2.0.
Teaches: the manner of the assistant. It is the same everywhere: short, plain, honest about what it is.

A table is blocks of lines: `?` what the user says (alternatives between ` | `), `>` the
answers (each line one), again and again for the turns of one conversation. `{n}` `{s}`
`{p}` `{a}` `{x}` are a first name, a family name, a city, a thing and a word that does not exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from creuset.core.errors import DataError
from mini_instructions.base import Made, Provenance, Rule, casual, fill
from mini_instructions.shelf import Shelf
from mini_instructions.words import CITIES, NAMES, SURNAMES

FOLDER = Path(__file__).parent / "talk"
LIKED = (
    "music",
    "football",
    "cats",
    "books",
    "cooking",
    "swimming",
    "dancing",
    "chocolate",
    "summer",
    "movies",
    "drawing",
    "hiking",
)
PETS = ("cat", "dog", "rabbit", "parrot", "hamster", "turtle")
SYLLABLES = (
    "bra",
    "dok",
    "fli",
    "gru",
    "zan",
    "plo",
    "vex",
    "mur",
    "tis",
    "quo",
    "nel",
    "sap",
    "wob",
    "kri",
    "lum",
    "jor",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of a block: what may be said, what may be answered."""

    asks: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    steps: tuple[Step, ...]

    @property
    def openings(self) -> int:
        return len(self.steps[0].asks)


def read_table(text: str, name: str) -> list[Block]:
    """The blocks of a table; a line that is neither `?`, `>`, `#` nor empty is an error that names it."""
    blocks: list[Block] = []
    steps: list[Step] = []
    asks: tuple[str, ...] = ()
    answers: list[str] = []

    def close_step() -> None:
        nonlocal asks, answers
        if asks and answers:
            steps.append(Step(asks, tuple(answers)))
        elif asks or answers:
            raise DataError(f"{name}: a question has no answer, or an answer no question: {(asks or answers)[0]!r}")
        asks, answers = (), []

    for number, line in enumerate([*text.split("\n"), ""], start=1):
        mark, body = line[:1], line[1:].strip()
        if mark == "?":
            close_step()
            asks = tuple(part.strip() for part in body.split(" | "))
        elif mark == ">":
            answers.append(body.replace("\\n", "\n"))
        elif not mark:
            close_step()
            if steps:
                blocks.append(Block(tuple(steps)))
                steps = []
        elif mark != "#":
            raise DataError(f"{name}:{number}: a line begins with `?`, `>` or `#`, not {line!r}")
    return blocks


def table(name: str) -> list[Block]:
    return read_table((FOLDER / f"{name}.txt").read_text(encoding="utf-8"), name)


def made_up(rng: Random) -> str:
    """A word that does not exist."""
    return "".join(rng.sample(SYLLABLES, rng.choice((2, 2, 3))))


def say(rng: Random, block: Block) -> list[str]:
    """The texts of one conversation from a block, with the same names all along."""
    word = made_up(rng)
    values = {"n": rng.choice(NAMES), "s": rng.choice(SURNAMES), "p": rng.choice(CITIES), "a": rng.choice(LIKED),
        "pet": rng.choice(PETS),
              "x": word, "X": word.capitalize()}  # fmt: skip
    texts: list[str] = []
    for step in block.steps:
        ask = fill(rng, rng.choice(step.asks), **values)
        exact = any(f"{{{key}}}" in raw for raw in step.asks for key in values)
        texts += [ask if exact else casual(rng, ask, share=0.2), fill(rng, rng.choice(step.answers), **values).strip()]
        texts[-1] = texts[-1][:1].upper() + texts[-1][1:]
    return texts


def make(name: str, shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    """`count` conversations from table `name`; blocks with more openings come more often."""
    blocks = table(name)
    lang = name.rpartition(".")[2]
    rule = f"talk_{name.replace('.', '_')}"
    weights = [block.openings**0.7 for block in blocks]
    for _ in range(count):
        block = rng.choices(blocks, weights)[0]
        about = Provenance(rule, origin=f"datasets/mini_instructions/talk/{name}.txt", lang=lang)
        texts = say(rng, block)
        yield Provenance(rule, origin=about.origin, lang=lang, group=f"{name}:{texts[0].lower().strip('?!. ')}").talk(
            texts
        )


COUNTS = {
    "identity.en": (3_000, "who one talks with and what it can and cannot do"),
    "smalltalk.en": (3_000, "greetings, thanks, goodbyes, names"),
    "feelings.en": (1_200, "kind words, and when to call for help"),
    "limits.en": (3_000, "polite refusals, caution, `I do not know`, asking back"),
    "everyday.en": (4_000, "simple knowledge, advice, jokes, riddles, short poems"),
    "why.en": (3_500, "how and why, famous people, tips and short texts"),
    "identity.fr": (1_200, "the same identity in French"),
    "everyday.fr": (3_000, "French small talk and simple knowledge"),
}
RULES = tuple(
    Rule(f"talk_{name.replace('.', '_')}", teaches, count, partial(make, name))
    for name, (count, teaches) in COUNTS.items()
)
