"""Bits per byte of held-out documents, with the document as unit. No torch.

Definition. A document of tokens d1..dn is read as `<eot> d1 .. dn`; its bits are the sum of -log2 p over d1..dn and
the <|endoftext|> that ends it, and its bytes are those of its UTF-8 text. A source's score is the sum of bits over
the sum of bytes of its documents, so it does not depend on the tokenizer; the interval is the 95 % percentile
bootstrap over documents. The overall score is the unweighted mean over sources. A document longer than the context
is cut in windows (model/windows.py).

An endpoint that tells a prompt's log-probabilities is read in the same way (evals/clients/echo.py). One that has no
<|endoftext|> scores neither the first token of a document, whose bytes are left out, nor its end: its figures say so.
A document that could not be read is in no sum: it is counted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from creuset.core.errors import ConfigError, DataError
from creuset.core.sentences import joined, sentence
from creuset.core.stats import Interval, bootstrap_ratio, mean_of_ratios
from creuset.evals.model import Ability, Likelihood, ModelClient, Outcome, RollingRequest
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

NO_END = sentence("evals.no_end_token")


class Bpb(Task):
    name: ClassVar[str] = "bpb"
    form: ClassVar[Form] = "loglikelihood"
    needs: ClassVar[frozenset[Ability]] = frozenset({"loglikelihood"})
    limits_itself = True  # a limit counts documents of each source

    def __init__(self, paths: Sequence[Path], *, limit: int | None = None, context: int = 0, overlap: int = 0) -> None:
        """`limit`: first documents of each source. `context`: as the subject was told it; 0: its own."""
        self.paths, self.limit, self.context, self.overlap = tuple(paths), limit, context, overlap

    def settings(self) -> dict[str, Any]:
        return {"context": self.context, "overlap": self.overlap}

    def check(self, client: ModelClient) -> None:
        context = client.context or self.context
        if self.overlap and self.overlap >= context:
            known = f"must be below the context ({context})" if context else "needs a context: this endpoint tells none"
            raise ConfigError(f"overlap ({self.overlap}) {known}", hint="give --context")

    def samples(self, folder: Path) -> Iterator[Sample]:
        empty = True
        for number, path in enumerate(self.paths):
            for found in read_texts(path, limit=self.limit):
                empty = False
                yield Sample(
                    id=f"{number}/{found.source}/{found.index}",
                    texts=(RollingRequest(found.text, self.overlap),),
                    gold={"source": found.source, "index": found.index, "bytes": found.bytes},
                )
        if empty:
            raise DataError(f"{', '.join(p.name for p in self.paths)}: there is no document to score")

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        (outcome,) = outcomes
        if not isinstance(outcome, Likelihood):
            return {**sample.gold, "bits": None, "tokens": 0, "whole": False, "failed": True}
        return {
            **sample.gold,
            "bytes": sample.gold["bytes"] - outcome.unscored,
            "bits": -outcome.total / math.log(2),
            "tokens": outcome.tokens,
            "whole": not outcome.unscored,
            "failed": False,
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        """One a source, in order of appearance, and the mean over sources where there are several."""
        sources = {row["source"]: [r for r in rows if r["source"] == row["source"]] for row in rows}
        known = {source: [r for r in mine if not r["failed"] and r["bytes"]] for source, mine in sources.items()}
        groups = [
            (np.array([r["bits"] for r in mine]), np.array([r["bytes"] for r in mine], dtype=float))
            for mine in known.values()
        ]
        found = []
        for source, (bits, sizes) in zip(sources, groups, strict=True):
            if not len(bits):
                found.append(
                    Measure(
                        task=self.name,
                        metric=f"bits_per_byte.{source}",
                        status="not_tested",
                        failed=len(sources[source]),
                        why=sentence("evals.no_document", name=source),
                        extra={"source": source},
                    )
                )
                continue
            interval = bootstrap_ratio(bits, sizes)
            found.append(self._measure(source, float(bits.sum() / sizes.sum()), interval, sources[source]))
        if len(sources) > 1 and all(len(bits) for bits, _ in groups):
            mean, interval = mean_of_ratios(groups)
            found.append(self._measure("mean over sources", mean, interval, rows))
        return found

    def _measure(self, source: str, score: float, interval: Interval, rows: Sequence[Row]) -> Measure:
        read = [row for row in rows if not row["failed"]]
        return Measure(
            task=self.name,
            metric=f"bits_per_byte.{source}",
            score=score,
            interval=interval,
            interval_by=sentence("core.by_bootstrap_documents"),
            unit="bits",
            better="lower",
            n=len(read),
            denominator=len(rows),
            failed=len(rows) - len(read),
            form=self.form,
            data=", ".join(path.name for path in self.paths),
            caveat=joined(
                sentence("evals.first_documents", n=self.limit) if self.limit is not None else "",
                "" if all(row["whole"] for row in read) else NO_END,
            ),
            extra={"source": source, "bytes": sum(r["bytes"] for r in read), "tokens": sum(r["tokens"] for r in read)},
        )


@dataclass(frozen=True, slots=True)
class HeldOutText:
    """One document."""

    source: str
    index: int
    text: str
    bytes: int  # UTF-8


def is_shards(path: Path) -> bool:
    return (path / "shards.json").is_file()


def read_texts(path: Path, *, limit: int | None = None) -> Iterator[HeldOutText]:
    """Documents of `path`: the first `limit` of each held-out source, or of the file. Empty ones are passed over."""
    if is_shards(path):
        yield from _held_out(path, limit)
    elif path.is_file():
        yield from _file(path, limit)
    elif path.is_dir():
        raise ConfigError(f"`{path}` holds no shards.json", hint="give a shards artifact, or files of text or jsonl")
    else:
        raise ConfigError(f"`{path}` does not exist")


def _held_out(path: Path, limit: int | None) -> Iterator[HeldOutText]:
    from creuset.data.shards.files import Shards
    from creuset.evals.clients.weights import Tokenizer

    shards = Shards.open(path)
    tokenizer = Tokenizer.load(shards.tokenizer)
    for source in shards.sources:
        tokens, offsets = shards.tokens(source, "heldout"), shards.offsets(source, "heldout")
        sizes = shards.bytes(source)
        for index in range(len(sizes) if limit is None else min(len(sizes), limit)):
            ids = tokens[offsets[index] : offsets[index + 1] - 1]  # the last one ends the document
            if sizes[index]:
                yield HeldOutText(source, index, tokenizer.decode([int(i) for i in ids]), int(sizes[index]))


def _file(path: Path, limit: int | None) -> Iterator[HeldOutText]:
    from creuset.data.read.readers import records
    from creuset.data.read.sources import FilePart, format_of

    kind = format_of(path)
    if kind is None:
        raise ConfigError(f"`{path}` is not a text, jsonl, parquet or HTML file")
    found = 0
    for record in records(FilePart(str(path), path.name, kind)):
        if limit is not None and found >= limit:
            return
        if record.broken:
            raise DataError(f"`{record.where}` is not a document: {record.broken}: {record.detail}")
        if size := len(record.text.encode()):
            yield HeldOutText(path.name.split(".")[0], found, record.text, size)
            found += 1
