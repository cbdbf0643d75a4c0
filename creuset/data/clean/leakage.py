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
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from creuset.core import jsonl
from creuset.core.compressed import COMPRESSED, BrokenArchive, whole
from creuset.core.errors import ConfigError, DataError
from creuset.data.clean.words import U64, Splitter, Words, ngrams, split_words
from creuset.data.read.encoding import decode
from creuset.data.read.tables import table_of
from creuset.data.settings import Leakage

_MIN_WORDS = 6  # different words, not numbers or letters, that a benchmark text has
_BITS = 27  # of the bitmap, 16 MiB: few grams that are in no benchmark pass it


@dataclass(frozen=True, slots=True)
class Leak:
    benchmark: str
    common: int  # words of the longest common subsequence
    text: str  # the benchmark text, shortened


class Index:
    """The 13-grams of every benchmark text; built once, then mapped from its folder by each process."""

    def __init__(self, folder: Path, settings: Leakage) -> None:
        self.settings = settings
        self.items: list[tuple[str, str]] = [tuple(item) for item in json.loads((folder / "items.json").read_bytes())]
        self._grams: U64 = np.load(folder / "grams.npy", mmap_mode="r")
        self._owners = np.load(folder / "owners.npy", mmap_mode="r")
        self._bitmap = np.load(folder / "bitmap.npy")
        self._words: dict[int, list[str]] = {}

    @classmethod
    def build(cls, texts: Iterable[tuple[str, str]], folder: Path, settings: Leakage) -> "Index":
        splitter = Splitter()
        items: list[tuple[str, str]] = []
        grams: list[U64] = []
        owners: list[npt.NDArray[np.int32]] = []
        seen: set[bytes] = set()
        for name, text in texts:
            words = splitter.split(text)
            own = ngrams(words.hashes, settings.ngram)
            if len(own) == 0 or not _says_something(words.words) or (key := words.hashes.tobytes()) in seen:
                continue
            seen.add(key)
            owners.append(np.full(len(own), len(items), dtype=np.int32))
            grams.append(own)
            items.append((name, text))
        every = np.concatenate(grams) if grams else np.zeros(0, dtype=np.uint64)
        order = np.argsort(every, kind="stable")
        bitmap = np.zeros(1 << (_BITS - 3), dtype=np.uint8)
        byte, bit = _place(every)
        np.bitwise_or.at(bitmap, byte, bit)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "grams.npy", every[order])
        np.save(folder / "owners.npy", np.concatenate(owners)[order] if owners else np.zeros(0, dtype=np.int32))
        np.save(folder / "bitmap.npy", bitmap)
        (folder / "items.json").write_text(json.dumps(items))
        return cls(folder, settings)

    def __len__(self) -> int:
        return len(self.items)

    def find(self, words: Words) -> Leak | None:
        """The first benchmark text (in the order of the document) that the rule finds, or None."""
        for owner, at in self.shared(words):
            if common := self.holds(words, owner, at):
                return Leak(self.items[owner][0], common, " ".join(self._item(owner)[:60]))
        return None

    def shared(self, words: Words) -> Iterator[tuple[int, int]]:
        """(number of a benchmark text, place in the document) of every run of words that both have: step 1 alone."""
        own = ngrams(words.hashes, self.settings.ngram)
        byte, bit = _place(own)
        maybe = np.flatnonzero(self._bitmap[byte] & bit)
        if len(maybe) == 0:
            return
        left = np.searchsorted(self._grams, own[maybe], side="left")
        right = np.searchsorted(self._grams, own[maybe], side="right")
        for at, lo, hi in zip(maybe.tolist(), left, right, strict=True):
            for owner in sorted(set(self._owners[lo:hi].tolist())):
                yield owner, at

    def holds(self, words: Words, owner: int, at: int) -> int:
        """Step 2 around a shared run: the words of the longest common subsequence, 0 where they are too few."""
        item = self._item(owner)
        stretch = words.words[max(0, at - len(item)) : at + self.settings.ngram + len(item)]
        common = longest_common_subsequence(item, stretch)
        enough = common >= self.settings.ngram and common >= self.settings.share * min(len(item), len(stretch))
        return common if enough else 0

    def _item(self, number: int) -> list[str]:
        if number not in self._words:
            self._words[number] = split_words(self.items[number][1])[0]
        return self._words[number]


def _says_something(words: Sequence[str]) -> bool:
    """Has some words: the numbers from 1 to 20 and the alphabet stand in benchmarks and in every manual."""
    return len({w for w in words if (len(w) > 1 or ord(w) > 0x3000) and not w.isdigit()}) >= _MIN_WORDS


def _place(grams: U64) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """(byte, bit in it) of each gram in the bitmap."""
    high = (grams >> np.uint64(64 - _BITS)).astype(np.int64)
    return high >> 3, np.left_shift(np.uint8(1), (high & 7).astype(np.uint8))


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
_SKIPPED = {
    "id",
    "source",
    "license",
    "licence",
    "url",
    "category",
    "subject",
    "task",
    "canary",
    "label",
    "split",
    "src",
    "ind",
    "activity_label",
}
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
    if ".txt" in path.suffixes[:-1] and path.suffix.lower() in (".dev", ".test", ".train"):
        return ".txt"  # WinoBias names its parts behind the ending
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSED else path.suffix.lower()


def _items(path: Path) -> Iterator[Any]:
    ending = _ending(path)
    try:
        if ending == ".parquet":
            import pyarrow.parquet as parquet

            yield from parquet.read_table(path).to_pylist()
            return
        if ending not in (".csv", ".tsv", ".txt", ".json"):
            for line in jsonl.parsed(path):
                if line.broken:
                    raise ValueError(f"line {line.number}: {line.why}")
                yield line.value
            return
        text = decode(whole(path)).text
        if ending in (".csv", ".tsv"):
            yield from table_of(text, tabs=ending == ".tsv")
        elif ending == ".txt":
            yield from questions_of(text)
        else:
            body = json.loads(text)
            yield from (body if isinstance(body, list) else _rows(body))
    except (ValueError, OSError, BrokenArchive, csv.Error) as error:
        raise DataError(f"`{path}` is not a benchmark file we read: {error}") from error


_ITEM = re.compile(r"\s*(?:\d{1,4}[.)]|[-*•]|Q(?:uestion)?\b[ \d.:]|A(?:nswer)?:|\(?[A-Za-z][.)])\s")
_STOPPED = re.compile(r"[.?!:…][\"'”»)\]]*$")


def questions_of(text: str) -> Iterator[str]:
    """The questions of a plain text: a paragraph each where blank lines part them, else a line each.

    Where lines are wrapped, a question is the lines up to one that ends a sentence or is short, or up to the next
    number; as one question may end a sentence at the end of a line, two neighbours are also given together.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if re.search(r"\n[ \t]*\n", text):
        yield from re.split(r"\n(?:[ \t]*\n)+", text)
        return
    lines = [line for line in text.split("\n") if line.strip()]
    width = max(map(len, lines), default=0)
    open_ends = sum(not _STOPPED.search(line) and len(line) > 0.6 * width for line in lines[:-1])
    if len(lines) < 2 or not 20 <= width <= 130 or open_ends < 0.2 * len(lines):
        yield from lines
        return
    questions: list[str] = []
    ended = True
    for line in lines:
        if ended or _ITEM.match(line):
            questions.append(line)
        else:
            questions[-1] += "\n" + line
        ended = bool(_STOPPED.search(line)) or len(line) <= 0.6 * width
    yield from questions
    yield from ("\n".join(pair) for pair in pairwise(questions))


def _rows(body: Any) -> list[Any]:
    """The longest list of a JSON object (BIG-bench keeps its items in `examples`), those of its objects where it holds
    only objects (BOLD has its prompts by group and person), else the object."""
    values = list(body.values()) if isinstance(body, dict) else []
    lists = [v for v in values if isinstance(v, list)]
    if not lists and values and all(isinstance(v, dict) for v in values):
        return [row for value in values for row in _rows(value)]
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
