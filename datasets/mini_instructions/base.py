"""What a rule is: a pure generator of dialogues with their provenance.

A rule reads documents from a `Shelf` (or nothing but its own tables), draws from the
generator it is handed, and yields a `Dialogue` or a `Refused` for every thing it
considered: read = written + refused, always. The same shelf and the same seed give
the same dialogues.

Reading order: `Dialogue`, `Rule`, `casual` (how people really type).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from mini_instructions.shelf import Shelf

T = TypeVar("T")

OWN_SOURCE = "creuset rules"
OWN_LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation and where its words come from.

    `origin` names the document (address or path) the answer was built from, or the rule
    itself; dialogues of one `group` stay on one side of the held-out split.
    """

    turns: tuple[Turn, ...]
    rule: str
    source: str
    licence: str
    origin: str
    lang: str = "en"
    group: str = ""

    def with_turns(self, turns: Sequence[Turn]) -> "Dialogue":
        return Dialogue(tuple(turns), self.rule, self.source, self.licence, self.origin, self.lang, self.group)

    @property
    def answers(self) -> list[str]:
        return [turn.content for turn in self.turns if turn.role == "assistant"]

    @property
    def words(self) -> int:
        return sum(len(turn.content.split()) for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Refused:
    """Something a rule looked at and did not turn into a dialogue, with the reason."""

    reason: str


Made = Dialogue | Refused


@dataclass(frozen=True, slots=True)
class Rule:
    """`make(shelf, rng, count)` yields what the rule writes; `count` is how many dialogues are wanted.

    A rule that reads documents may yield more than `count`; the pipeline keeps a random
    part and counts the rest as refused ("over the cap").
    """

    name: str
    teaches: str
    count: int
    make: Callable[[Shelf, Random, int], Iterable[Made]]
    source: str = OWN_SOURCE
    licence: str = OWN_LICENCE
    may_open: bool = True  # its single exchanges may be joined into longer conversations


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything of a dialogue but its words; `talk` and `ask` fill in the words."""

    rule: str
    source: str = OWN_SOURCE
    licence: str = OWN_LICENCE
    origin: str = ""
    lang: str = "en"
    group: str = field(default="")

    def ask(self, question: str, answer: str, *, system: str | None = None) -> Dialogue:
        """One question and its answer."""
        return self.talk([question, answer], system=system)

    def talk(self, texts: Sequence[str], *, system: str | None = None) -> Dialogue:
        """A conversation: user and assistant in turn, the user first."""
        turns = [Turn("system", system)] if system else []
        turns += [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
        origin = self.origin or f"mini_instructions:{self.rule}"
        return Dialogue(tuple(turns), self.rule, self.source, self.licence, origin, self.lang, self.group)


def casual(rng: Random, text: str, *, share: float = 0.25) -> str:
    """`text` as some people type it: without capitals, without the last mark, with a slip of the fingers.

    Only for questions whose exact letters do not matter to the answer.
    """
    if rng.random() >= share:
        return text
    style = rng.random()
    if style < 0.45:
        text = text.lower()
        return text.rstrip("?.! ") if rng.random() < 0.6 else text
    if style < 0.75:
        return text.rstrip("?.! ")
    if style < 0.85:
        return text[:1].lower() + text[1:]
    return _slip(rng, text)


def _slip(rng: Random, text: str) -> str:
    """Swap two neighbouring letters, or drop one, inside one ordinary word of `text`."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if re.fullmatch(r"[a-z]{5,}", word)]
    if not long:
        return text.lower()
    at = rng.choice(long)
    word, k = words[at], rng.randrange(1, len(words[at]) - 2)
    words[at] = word[:k] + word[k + 1] + word[k] + word[k + 2 :] if rng.random() < 0.6 else word[:k] + word[k + 1 :]
    return " ".join(words)


def fill(rng: Random, template: str, **values: str) -> str:
    """`template` with one of each `[a|b|c]` chosen and `{name}` replaced."""
    text = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m.group(1).split("|")), template)
    text = re.sub(r"  +", " ", text).strip()
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def draw(rng: Random, items: Sequence[T], low: int, high: int) -> list[T]:
    """Between `low` and `high` different items, in random order."""
    return rng.sample(items, min(len(items), rng.randint(low, high)))


def repeated(rng: Random, count: int, makers: Sequence[Callable[[Random], Made]]) -> Iterator[Made]:
    """Call the makers in turn until `count` things were made."""
    for number in range(count):
        yield makers[number % len(makers)](rng)
