"""Benchmark text in training documents, found by the rule of Qwen2.5 (arXiv:2412.15115).

Texts are words as in `words`: lower case, no punctuation, CJK by the character. A document s is
dropped when some benchmark text e
  1. shares 13 words in a row with it, and
  2. for the stretch t of s that reaches |e| words to each side of such a shared run (the whole
     of s when it is shorter), the longest common subsequence of t and e has at least 13 words
     and at least 0.6 * min(|t|, |e|).
The stretch stands for the paper's training sequence: against a whole book, almost any question
would find 60 % of its words in order by chance.

Step 1 is a lookup of hashes (a bitmap, then a sorted array); step 2 is exact.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from creuset.core.errors import ConfigError, DataError
from creuset.data.archives import COMPRESSED, BrokenArchive, whole
from creuset.data.settings import Leakage
from creuset.data.words import U64, Splitter, Words, ngrams

_BITS = 24


@dataclass(frozen=True, slots=True)
class Leak:
    benchmark: str
    common: int                       # words of the longest common subsequence
    text: str                         # the benchmark text, shortened


class Index:
    """The 13-grams of every benchmark text."""

    def __init__(self, texts: Iterable[tuple[str, str]], settings: Leakage, splitter: Splitter) -> None:
        self.settings = settings
        self.items: list[tuple[str, list[str]]] = []
        grams: list[U64] = []
        owners: list[npt.NDArray[np.int32]] = []
        seen: set[bytes] = set()
        for name, text in texts:
            words = splitter.split(text)
            own = ngrams(words.hashes, settings.ngram)
            if len(own) == 0 or (key := words.hashes.tobytes()) in seen:
                continue
            seen.add(key)
            owners.append(np.full(len(own), len(self.items), dtype=np.int32))
            grams.append(own)
            self.items.append((name, words.words))
        every = np.concatenate(grams) if grams else np.zeros(0, dtype=np.uint64)
        order = np.argsort(every, kind="stable")
        self._grams = every[order]
        self._owners = np.concatenate(owners)[order] if owners else np.zeros(0, dtype=np.int32)
        self._bitmap = np.zeros(1 << _BITS, dtype=bool)
        self._bitmap[self._grams >> np.uint64(64 - _BITS)] = True

    def __len__(self) -> int:
        return len(self.items)

    def find(self, words: Words) -> Leak | None:
        """The first benchmark text (in the order of the document) that the rule finds, or None."""
        own = ngrams(words.hashes, self.settings.ngram)
        maybe = np.flatnonzero(self._bitmap[own >> np.uint64(64 - _BITS)])
        if len(maybe) == 0:
            return None
        left = np.searchsorted(self._grams, own[maybe], side="left")
        right = np.searchsorted(self._grams, own[maybe], side="right")
        for at, lo, hi in zip(maybe.tolist(), left, right, strict=True):
            for owner in sorted(set(self._owners[lo:hi].tolist())):
                name, item = self.items[owner]
                stretch = words.words[max(0, at - len(item)) : at + self.settings.ngram + len(item)]
                common = longest_common_subsequence(item, stretch)
                if common >= self.settings.ngram and common >= self.settings.share * min(len(item), len(stretch)):
                    return Leak(name, common, " ".join(item[:60]))
        return None


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits (Hyyrö 2004): one big-integer step for each word of `b`."""
    where: dict[str, int] = {}
    for i, word in enumerate(a):
        where[word] = where.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        hit = row & where.get(word, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(a) - row.bit_count()


# Fields that say where an item is from, not what it says.
_SKIPPED = {"id", "source", "license", "licence", "url", "category", "subject", "task", "canary", "label", "split", "src", "ind", "activity_label"}
_READ = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")


def benchmark_texts(paths: Iterable[Path], *, min_words: int = 13) -> Iterator[tuple[str, str]]:
    """(file, text) of every string of at least `min_words` words in the files; the strings of a short item together."""
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and _ending(p) in _READ)
        elif path.is_file():
            files = [path]
        else:
            raise ConfigError(f"`{path}` does not exist", hint="--benchmarks takes files or folders")
        for file in files:
            name = file.relative_to(path.parent).as_posix()
            for item in _items(file):
                strings = list(_strings(item))
                long = [s for s in strings if len(s.split()) >= min_words or not s.isascii()]
                yield from ((name, s) for s in long)
                if not long and strings:
                    yield name, " ".join(strings)


def _ending(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSED else path.suffix.lower()


def _items(path: Path) -> Iterator[Any]:
    ending = _ending(path)
    try:
        if ending == ".parquet":
            import pyarrow.parquet as parquet

            yield from parquet.read_table(path).to_pylist()
            return
        text = whole(path).decode("utf-8-sig")
        if ending in (".csv", ".tsv"):
            yield from csv.reader(text.splitlines(), delimiter="\t" if ending == ".tsv" else ",")
        elif ending == ".txt":
            yield from text.split("\n\n")
        elif ending == ".json":
            body = json.loads(text)
            yield from (body if isinstance(body, list) else _rows(body))
        else:
            yield from (json.loads(line) for line in text.split("\n") if line.strip())
    except (ValueError, OSError, BrokenArchive, csv.Error) as error:
        raise DataError(f"`{path}` is not a benchmark file we read: {error}") from error


def _rows(body: Any) -> list[Any]:
    """The longest list of a JSON object (BIG-bench keeps its items in `examples`), else the object."""
    lists = [v for v in body.values() if isinstance(v, list)] if isinstance(body, dict) else []
    return max(lists, key=len, default=[body])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            if str(key).lower() not in _SKIPPED:
                yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)
