"""Training data, counted: personal data, toxicity, representation, duplicates, languages, sources, licences.

A corpus, shards or dialogues artifact is read once, document by document; duplicates are looked for afterwards. Memory
is that of the counts and of 16 bytes a document; signatures lie in the work folder.

    personal data    core/personal: finds a million tokens, by kind. Beside it stands how right the recogniser
                     is (data/recognisers.json of the privacy benchmarks, measured by validation/recognisers.py)
    toxicity         words of wordlists.json: a million words, and the share of documents with any
    representation   shares among the listed words of a family (women among gendered words, regions, religions)
    duplicates       minhash.py: share of documents equal, or near (Jaccard 0.8 of word 5-grams), to an earlier one

Intervals of rates and shares take documents as units (linearised ratio); of shares of documents they are exact.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from creuset.benchmarks.figures import exact_share
from creuset.benchmarks.part import Found, Room
from creuset.core import jsonl
from creuset.core.errors import DataError
from creuset.core.personal import KINDS, find
from creuset.core.sentences import sentence
from creuset.core.stats import Z95, Interval, wilson
from creuset.data.clean.language import Identifier
from creuset.data.clean.words import Splitter, Words
from creuset.data.dedup.minhash import Signer, exact_key, first_of_equals, near_duplicates
from creuset.data.read.training import TrainingText, sampled
from creuset.data.settings import Dedup
from creuset.types.measure import Measure

LISTS = Path(__file__).parents[1] / "bias" / "data" / "wordlists.json"
RECOGNISERS = Path(__file__).parents[1] / "privacy" / "data" / "recognisers.json"
LABELS = Path(__file__).parent / "data" / "toxic_labels.jsonl"
MILLION = 1e6
POISSON_0 = -math.log(0.025)  # upper 97.5 % limit of the mean where 0 were counted


async def check(room: Room) -> Found:
    found = count(
        room.given["corpus"],
        room.weights().tokenizer.encode,
        room.work / "corpus",
        limit=room.limit,
        seed=room.seed,
        progress=room.count("training data", "documents"),
    )
    return Found(room.sealed(measures(found, limited=room.limit is not None), "corpus"))


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"`{file}` is missing or damaged: {error}") from error


@dataclass(slots=True)
class Ratio:
    """sum(part) / sum(whole) over documents, with what its interval needs."""

    part: float = 0.0
    whole: float = 0.0
    pp: float = 0.0
    pw: float = 0.0
    ww: float = 0.0
    documents: int = 0

    def add(self, part: float, whole: float) -> None:
        self.part, self.whole, self.documents = self.part + part, self.whole + whole, self.documents + 1
        self.pp, self.pw, self.ww = self.pp + part * part, self.pw + part * whole, self.ww + whole * whole

    @property
    def rate(self) -> float:
        """Parts in a million."""
        return MILLION * self.part / max(1.0, self.whole)

    def interval(self, *, scale: float = 1.0, most: float = math.inf) -> Interval | None:
        """95 %, from the variance of part - ratio * whole between documents; where nothing was found, what a Poisson
        count of 0 leaves possible; None where there is nothing to vary."""
        if self.documents < 2 or not self.whole:
            return None
        if not self.part:
            return Interval(0.0, min(most, POISSON_0 / self.whole * scale))
        ratio = self.part / self.whole
        spread = max(0.0, self.pp - 2 * ratio * self.pw + ratio**2 * self.ww)
        half = Z95 * math.sqrt(spread * self.documents / (self.documents - 1)) / self.whole
        return Interval(max(0.0, ratio - half) * scale, min(most, (ratio + half) * scale))


class WordLists:
    """Which family and group a word belongs to: {word: [("gender.en", "female"), ...]}."""

    def __init__(self, path: Path = LISTS) -> None:
        lists = _json(path)
        self.of: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for language, words in lists["toxic"].items():
            self._add(words, f"toxic.{language}", "toxic")
        for language, groups in lists["gender"].items():
            for group, words in groups.items():
                self._add(words, f"gender.{language}", group)
        for family in ("origin", "religion"):
            for group, words in lists[family].items():
                self._add(words, family, group)

    def _add(self, words: str, family: str, group: str) -> None:
        for word in words.split():
            self.of[word].append((family, group))

    def count(self, words: Words, language: str) -> Counter[tuple[str, str]]:
        """Of one document. Lists of a language are asked only of documents in it."""
        found: Counter[tuple[str, str]] = Counter()
        for word, times in Counter(words.words).items():
            for family, group in self.of.get(word, ()):
                if family.partition(".")[2] in ("", language):
                    found[family, group] += times
        return found


@dataclass(slots=True)
class Count:
    """Everything that is counted on the way."""

    documents: int = 0
    tokens: int = 0
    words: int = 0
    personal: dict[str, Ratio] = field(default_factory=lambda: {kind: Ratio() for kind in KINDS})
    masked: int = 0  # [EMAIL] and the like, which the corpus pipeline left
    toxic: dict[str, Ratio] = field(default_factory=lambda: {"en": Ratio(), "fr": Ratio()})
    toxic_documents: Counter[str] = field(default_factory=Counter)
    groups: defaultdict[tuple[str, str], Ratio] = field(default_factory=lambda: defaultdict(Ratio))
    by_source: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    licences: dict[str, str] = field(default_factory=dict)
    languages: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    equal: int = 0
    near: int = 0


def count(
    path: Path, encode: Callable[[str], Sequence[int]], work: Path, *, limit: int | None = None, seed: int = 17,
    progress: Callable[[int], None] = lambda documents: None,
) -> Count:  # fmt: skip
    """Read the artifact. `limit`: so many documents, evenly over all of it; `encode` cuts a text into tokens."""
    work.mkdir(parents=True, exist_ok=True)
    found, splitter, identifier, lists, settings = Count(), Splitter(), Identifier(), WordLists(), Dedup()
    signer, keys = Signer(settings, seed), []
    families = sorted({family for pairs in lists.of.values() for family, _ in pairs if not family.startswith("toxic")})
    groups = {f: sorted({g for pairs in lists.of.values() for f2, g in pairs if f2 == f}) for f in families}
    with (work / "signatures.u32").open("wb") as signatures:
        for text in sampled(path, limit):
            words = splitter.split(text.text)
            language = text.language or identifier.identify(text.text, words).language
            tokens = text.tokens if text.tokens >= 0 else len(encode(text.text))
            _count_one(found, text, words, language, tokens, lists, groups)
            keys.append(exact_key(words))
            signer.sign(words).tofile(signatures)
            progress(1)
    if not found.documents:
        raise DataError(f"`{path}` has no training document")
    high, low = (np.array([key[i] for key in keys], dtype=np.uint64) for i in (0, 1))
    first = first_of_equals(high, low) == np.arange(len(keys))
    table = np.memmap(work / "signatures.u32", dtype=np.uint32, mode="r").reshape(len(keys), -1)
    kept = near_duplicates(table, first, settings).keeper
    found.equal = int((~first).sum())
    found.near = int((first & (kept != np.arange(len(keys)))).sum())
    del table
    (work / "signatures.u32").unlink()
    return found


def _count_one(
    found: Count,
    text: TrainingText,
    words: Words,
    language: str,
    tokens: int,
    lists: WordLists,
    groups: dict[str, list[str]],
) -> None:
    found.documents += 1
    found.tokens += tokens
    found.words += len(words)
    size = {"documents": 1, "tokens": tokens, "bytes": len(text.text.encode("utf-8", "replace"))}
    found.by_source[text.source].update(size)
    found.languages[language].update(size)
    found.licences[text.source] = text.licence
    finds = Counter(kind for kind, _ in find(text.text))
    for kind, ratio in found.personal.items():
        ratio.add(finds[kind], tokens)
    if "[" in text.text:
        found.masked += sum(text.text.count(f"[{kind.upper()}]") for kind in KINDS)
    listed = lists.count(words, language)
    if language in found.toxic:
        toxic = listed[f"toxic.{language}", "toxic"]
        found.toxic[language].add(toxic, len(words))
        found.toxic_documents[language] += toxic > 0
    for family, members in groups.items():
        whole = sum(listed[family, group] for group in members)
        if whole:
            for group in members:
                found.groups[family, group].add(listed[family, group], whole)


def measures(found: Count, *, limited: bool) -> list[Measure]:
    caveat = sentence("benchmarks.documents_drawn", n=found.documents) if limited else ""
    common: dict[str, Any] = {"task": "corpus", "form": "static", "caveat": caveat, "n": found.documents,
                              "denominator": found.documents}  # fmt: skip
    tables = {
        "sources": {s: dict(c) | {"licence": found.licences[s]} for s, c in sorted(found.by_source.items())},
        "languages": {code: dict(c) for code, c in sorted(found.languages.items())},
        "licences": _by_licence(found), "words": found.words,
    }  # fmt: skip
    rows = [Measure(metric="tokens", score=found.tokens, unit="count", better="", extra=tables, **common)]
    rightness = _json(RECOGNISERS)["kinds"]
    by_document: dict[str, Any] = {"interval_by": sentence("core.by_linearised")}
    for kind, ratio in found.personal.items():
        rows.append(Measure(
            metric=f"personal.{kind}", score=ratio.rate, unit="a million tokens", better="lower",
            interval=ratio.interval(scale=MILLION), extra={"found": int(ratio.part)} | rightness[kind],
            **by_document, **common,
        ))  # fmt: skip
    rows.append(
        Measure(
            metric="masked",
            score=found.masked,
            unit="count",
            better="",
            extra={"what": "marks like [EMAIL], put in the place of personal data"},
            **common,
        )
    )
    for language, ratio in found.toxic.items():
        if not ratio.documents:
            continue
        size = {"n": ratio.documents, "denominator": ratio.documents, "extra": abusive(language)}
        rows.append(Measure(
            metric=f"toxic.{language}", score=ratio.rate, unit="a million words", better="lower",
            interval=ratio.interval(scale=MILLION), **by_document, **common | size,
        ))  # fmt: skip
        rows.append(_of_documents(f"toxic_documents.{language}", found.toxic_documents[language], ratio.documents,
                                  common))  # fmt: skip
    for (family, group), ratio in sorted(found.groups.items()):
        size = {"n": ratio.documents, "denominator": ratio.documents}
        rows.append(Measure(
            metric=f"{family}.{group.replace(' ', '_')}", score=ratio.part / ratio.whole, better="",
            interval=ratio.interval(most=1.0), extra={"found": int(ratio.part), "of": int(ratio.whole)},
            **by_document, **common | size,
        ))  # fmt: skip
    alone = sentence("benchmarks.duplicates_drawn", n=found.documents)
    among = {"caveat": alone} if limited else {}
    rows.append(_of_documents("duplicates.exact", found.equal, found.documents, common | among))
    rows.append(_of_documents("duplicates.near", found.near, found.documents, common | among))
    return rows


def abusive(language: str) -> dict[str, Any]:
    """What share of labelled hits of the word list were abusive, with its interval."""
    mine = [row["abusive"] for _, row in jsonl.read(LABELS) if row["lang"] == language]
    span = wilson(sum(mine), len(mine))
    return {"abusive": sum(mine) / len(mine), "abusive_interval": [span.low, span.high], "labelled_hits": len(mine)}


def _by_licence(found: Count) -> dict[str, dict[str, int]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for source, sizes in found.by_source.items():
        sums[found.licences[source] or "not said"].update(sizes)
    return {name: dict(sizes) for name, sizes in sorted(sums.items())}


def _of_documents(metric: str, hits: int, total: int, common: dict[str, Any]) -> Measure:
    known = {k: v for k, v in common.items() if k not in ("n", "denominator")}
    return exact_share(hits, total, metric=metric, extra={"found": hits}, **known)
