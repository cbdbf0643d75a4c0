"""How often a detector calls marked what no one marked: on text of people, of many kinds, by the thousands.

A p-value below 0.001 should come once in a thousand texts or less. It is asked in two ways:

    fresh keys    each piece of text with a random key of its own. Under a random key each n-gram is green by itself
                  with probability gamma, whatever the text. Pieces are then independent trials, and the interval is
                  exact (Clopper-Pearson)
    one key       all pieces with the key that is audited. Frequent pairs of words have one colour in all of them: the
                  rate of a key may be above or below, and the interval is only that of the pieces

Pieces are as the tokenizer cut the documents, from their beginnings on, without overlap.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.data.build.canaries import NAME
from creuset.data.shards.files import Shards, Split
from creuset.evals.clients.weights import DECISION_P, MIN_SCORED, Tokenizer, Watermark, binomial_tail

Ids = NDArray[np.int64]
Pieces = Sequence[Ids]


@dataclass(frozen=True, slots=True)
class Alarms:
    pieces: int  # examined, those that are too short for the detector among them
    alarms: int
    refused: int  # with fewer than MIN_SCORED different n-grams: nothing is said of them
    expected: float  # mean chance of an alarm, by the binomial law, over the pieces: counts come in steps


def of_documents(documents: Iterable[Ids], length: int, most: int) -> list[Ids]:
    """At most `most` pieces of `length` tokens, none over the end of its document."""
    found: list[Ids] = []
    for ids in documents:
        for start in range(0, len(ids) - length + 1, length):
            found.append(ids[start : start + length])
            if len(found) == most:
                return found
    return found


def held_out(shards: Shards, source: str, splits: Sequence[Split] = ("heldout", "train")) -> Iterator[Ids]:
    """The documents of a source, those that were held out first."""
    if source == NAME:
        return
    for split in splits:
        tokens, offsets = shards.tokens(source, split), shards.offsets(source, split)
        for start, end in itertools.pairwise(offsets):
            yield np.asarray(tokens[int(start) : int(end) - 1], dtype=np.int64)


def code() -> Iterator[str]:
    """The sources of this package, which are on every machine that audits: text with little entropy, by people."""
    for file in sorted(Path(__file__).parents[2].rglob("*.py")):
        yield file.read_text(encoding="utf-8")


def lists(count: int, seed: int) -> Iterator[str]:
    """Tables, enumerations and repeated lines, which no one would read: the least entropy a text can have."""
    dice = np.random.default_rng(seed)
    for number in range(count):
        kind, start = number % 4, int(dice.integers(1, 900))
        if kind == 0:
            yield "\n".join(f"{i}. Item {i}" for i in range(start, start + 200))
        elif kind == 1:
            yield "\n".join(f"{start + i},{(start + i) * 7},{(start + i) ** 2}" for i in range(120))
        elif kind == 2:
            yield f"Total: {start} EUR\n" * 150
        else:
            yield "\n".join(f"{1900 + i}-01-{1 + start % 28:02d} ok" for i in range(150))


def mgsm(bench: Path) -> Iterator[tuple[str, str]]:
    """(language, all questions of it) of the MGSM files below `bench`: people's text in eleven languages."""
    for file in sorted((bench / "mgsm").glob("mgsm_*.tsv")):
        rows = [line.split("\t")[0] for line in file.read_text(encoding="utf-8").splitlines()]
        yield file.stem.removeprefix("mgsm_"), "\n".join(rows)


def examine(pieces: Pieces, marks: Iterable[Watermark]) -> Alarms:
    """Every piece with its mark; each different n-gram of a piece counts once."""
    alarms = refused = 0
    expected = 0.0
    for ids, mark in zip(pieces, marks, strict=False):
        grams = np.unique(np.lib.stride_tricks.sliding_window_view(ids, mark.width + 1), axis=0)
        if len(grams) < MIN_SCORED:
            refused += 1
            continue
        green = int(mark.hits([tuple(row) for row in grams.tolist()]).sum())
        least = threshold(len(grams), mark.gamma)
        alarms += green >= least
        expected += binomial_tail(least, len(grams), mark.gamma)
    return Alarms(len(pieces), alarms, refused, expected / max(1, len(pieces)))


@lru_cache(maxsize=100_000)
def threshold(scored: int, gamma: float) -> int:
    """The fewest green n-grams of `scored` whose p-value is below the detector's."""
    low, high = math.floor(gamma * scored), scored + 1
    while low < high:
        middle = (low + high) // 2
        if binomial_tail(middle, scored, gamma) < DECISION_P:
            high = middle
        else:
            low = middle + 1
    return low


def fresh(mark: Watermark, seed: int) -> Iterator[Watermark]:
    """Marks like `mark` with random keys, without end."""
    dice = np.random.default_rng([seed, 2])
    while True:
        yield replace(mark, key=dice.bytes(32))


def cut(texts: Iterable[str], tokenizer: Tokenizer, length: int, most: int) -> list[Ids]:
    return of_documents((np.array(tokenizer.encode(text), dtype=np.int64) for text in texts), length, most)
