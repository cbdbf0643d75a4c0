"""Benchmarks in the training data: of each one's texts, how many stand in some training document.

    leakage     by the rule of leakage.py: 13 words in a row, and 60 % of the text's words in their order around
    overlap     13 words in a row alone (the rule of GPT-3's report): it also counts what quotes the same source

The unit is a text of the benchmark: each string of its items of 13 words and more, the strings of a shorter item
together, equal texts once. A text of fewer words, or of numbers and letters, cannot be looked for; how many there are
is said. Share and interval (Clopper-Pearson) are of those that were looked for.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from creuset.benchmarks.catalogue import NAMES, about
from creuset.benchmarks.figures import exact_share
from creuset.benchmarks.part import Found, Room
from creuset.core.errors import ConfigError
from creuset.core.sentences import sentence
from creuset.data.clean.leakage import Index, benchmark_texts
from creuset.data.clean.words import Splitter, Words
from creuset.data.read.training import sampled
from creuset.data.settings import Leakage
from creuset.types.measure import Measure


async def check(room: Room) -> Found:
    if room.bench is None:
        raise ConfigError("the benchmarks were not given: --bench FOLDER")
    room.say("contamination: the texts of the benchmarks")
    found, split = Contamination.of(room.bench, room.work / "contamination"), Splitter().split
    show, documents = room.count("contamination", "documents"), 0
    for text in sampled(room.given["corpus"], room.limit):
        found.add(split(text.text))
        documents += 1
        show(1)
    caveat = sentence("benchmarks.looked_for", n=documents) if room.limit else ""
    return Found(room.sealed(found.measures(caveat), "corpus"))


@dataclass(slots=True)
class Contamination:
    index: Index
    texts: Counter[str]  # of each benchmark, those that cannot be looked for among them
    touched: set[int] = field(default_factory=set)  # numbers of texts of the index
    leaked: set[int] = field(default_factory=set)
    documents: Counter[str] = field(default_factory=Counter)  # training documents in which a text stands

    @classmethod
    def of(cls, bench: Path, folder: Path) -> "Contamination":
        """The index of every benchmark below `bench`, kept in `folder`."""
        texts: Counter[str] = Counter()

        def counted() -> Iterator[tuple[str, str]]:
            for name, text in benchmark_texts([bench]):
                texts[benchmark(name)] += 1
                yield name, text

        return cls(Index.build(counted(), folder, Leakage()), texts)

    def add(self, words: Words) -> None:
        """One training document."""
        here: set[str] = set()
        for owner, at in self.index.shared(words):
            self.touched.add(owner)
            # A text that was found is not looked for again: only which benchmarks this document holds.
            if self.index.holds(words, owner, at):
                self.leaked.add(owner)
                here.add(benchmark(self.index.items[owner][0]))
        self.documents.update(here)

    def measures(self, caveat: str) -> list[Measure]:
        wanted: Counter[str] = Counter(benchmark(name) for name, _ in self.index.items)
        leaked, touched = (
            Counter(benchmark(self.index.items[owner][0]) for owner in found) for found in (self.leaked, self.touched)
        )
        rows: list[Measure] = []
        for name in sorted(self.texts):
            if not wanted[name]:
                rows.append(Measure(
                    task="corpus", metric=f"leakage.{name}", status="not_testable", better="lower",
                    why=sentence("benchmarks.no_long_text", n=self.texts[name], words=self.index.settings.ngram),
                ))  # fmt: skip
                continue
            facts = {"not_looked_for": self.texts[name] - wanted[name], "documents": self.documents[name],
                     "benchmark": name}  # fmt: skip
            for what, hits in (("leakage", leaked[name]), ("overlap", touched[name])):
                rows.append(exact_share(
                    hits, wanted[name], task="corpus", metric=f"{what}.{name}", form="static", caveat=caveat,
                    extra=facts | {"found": hits},
                ))  # fmt: skip
        return [*rows, *_absent(set(self.texts))]


def _absent(present: set[str]) -> list[Measure]:
    """A row for each benchmark of the catalogue whose files were not given."""
    known = {file.split("/")[0] for name in NAMES for file in about(name).files if "/" in file}
    return [
        Measure(task="corpus", metric=f"leakage.{name}", status="not_tested", better="lower",
                why=sentence("benchmarks.not_in_folder", name=name))
        for name in sorted(known - present)
    ]  # fmt: skip


def benchmark(name: str) -> str:
    """`bench/arc/easy.jsonl` -> `arc`: the folder of a benchmark, or its file."""
    parts = name.split("/")
    return parts[1] if len(parts) > 1 else parts[0]
