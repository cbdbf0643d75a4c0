"""Counts of one task or source: read = kept + held out + dropped, in documents, always."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import xxhash

SHOWN = 600  # characters of a sample


@dataclass(slots=True)
class Tally:
    source: str
    seed: int = 17
    samples: int = 5
    raw_bytes: int = 0
    read_documents: int = 0
    read_characters: int = 0
    kept_documents: int = 0
    kept_characters: int = 0
    heldout_documents: int = 0
    heldout_characters: int = 0
    surviving_documents: int = 0  # after the first pass, before duplicates are known
    removed_lines: int = 0
    site_lines: int = 0  # taken out because many pages of the site have them
    dropped: Counter[str] = field(default_factory=Counter)  # documents by reason
    dropped_characters: Counter[str] = field(default_factory=Counter)
    converted: Counter[str] = field(default_factory=Counter)  # documents read, by the encoding they were in
    kinds: Counter[str] = field(default_factory=Counter)  # documents after the first pass, by their rules
    masked: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)  # kept documents
    lengths: Counter[str] = field(default_factory=Counter)  # kept: power of two of the characters
    lengths_dropped: Counter[str] = field(default_factory=Counter)
    shown: dict[str, list[list[Any]]] = field(default_factory=dict)  # reason -> [rank, id, detail, text]
    broken: list[str] = field(default_factory=list)  # file:line: what was wrong, the first 100

    def read(self, size: int, characters: int, encoding: str = "utf-8") -> None:
        if encoding != "utf-8":
            self.converted[encoding] += 1
        self.raw_bytes += size
        self.read_documents += 1
        self.read_characters += characters

    def drop(self, reason: str, identity: str, text: str, detail: str) -> None:
        self.dropped[reason] += 1
        self.dropped_characters[reason] += len(text)
        self.lengths_dropped[str(len(text).bit_length())] += 1
        if reason.startswith(("broken_", "file_", "no_text")) and len(self.broken) < 100:
            self.broken.append(f"{reason}: {detail}")
        # A fixed random choice: the samples of a resumed or split run are those of any other.
        rank = xxhash.xxh3_64_intdigest(identity.encode(), seed=self.seed)
        best = self.shown.setdefault(reason, [])
        if len(best) < self.samples or rank < best[-1][0]:
            best.append([rank, identity, detail, text[:SHOWN]])
            best.sort(key=lambda sample: sample[0])
            del best[self.samples :]

    def survive(self, masked: Counter[str], removed_lines: int, site_lines: int = 0, kind: str = "") -> None:
        self.surviving_documents += 1
        self.site_lines += site_lines
        self.kinds[kind] += 1
        self.removed_lines += removed_lines
        self.masked.update(masked)

    def keep(self, characters: int, language: str, *, heldout: bool) -> None:
        if heldout:
            self.heldout_documents += 1
            self.heldout_characters += characters
        else:
            self.kept_documents += 1
            self.kept_characters += characters
            self.languages[language] += 1
            self.lengths[str(characters.bit_length())] += 1

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def check(self) -> None:
        """kept + held out + dropped = read."""
        out = self.kept_documents + self.heldout_documents + sum(self.dropped.values())
        assert out == self.read_documents, f"{self.source}: {self.read_documents} read, {out} came out"


def merge(source: str, parts: Iterable[dict[str, Any]]) -> Tally:
    """One tally from the JSON forms of several."""
    whole = Tally(source=source)
    for part in parts:
        whole.seed, whole.samples = part["seed"], part["samples"]
        for name in Tally.__slots__:
            value, own = part[name], getattr(whole, name)
            if isinstance(own, Counter):
                own.update(value)
            elif name == "shown":
                for reason, samples in value.items():
                    every = whole.shown.get(reason, []) + samples
                    whole.shown[reason] = sorted(every, key=lambda sample: sample[0])[: whole.samples]
            elif name == "broken":
                whole.broken = (whole.broken + value)[:100]
            elif name not in ("source", "seed", "samples"):
                setattr(whole, name, own + value)
    return whole
