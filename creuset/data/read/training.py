"""The training documents of an artifact, whatever its kind: a corpus, shards, or dialogues. One at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from creuset.core import jsonl
from creuset.core.artifact import read_manifest
from creuset.core.errors import ConfigError
from creuset.data import ledger
from creuset.data.shards.files import Shards


@dataclass(frozen=True, slots=True)
class TrainingText:
    source: str
    language: str  # as the artifact says; empty: not said
    licence: str
    text: str
    tokens: int = -1  # -1: not known, to be counted


def documents(path: Path) -> Iterator[TrainingText]:
    """Every training document of an artifact, one at a time; held-out ones are not training data."""
    kind = read_manifest(path)["kind"]
    if kind == "shards":
        shards = Shards.open(path)
        sizes = (int(n) - 1 for source in shards.sources for n in np.diff(shards.offsets(source, "train")))
        for (source, said), tokens in zip(shards.texts("train"), sizes, strict=True):
            yield TrainingText(source, "", shards.sources[source].licence, said, tokens)
    elif kind == "corpus":
        licences = {row.name: row.licence for row in ledger.read([path / "ledger.json"])}
        for file in sorted((path / "docs").glob("*.jsonl.zst")):
            for _, row in jsonl.read(file):
                source = str(row.get("source", file.name.split(".")[0]))
                yield TrainingText(source, str(row.get("lang", "")), licences.get(source, ""), str(row["text"]))
    elif kind == "dialogues":
        for _, row in jsonl.read(path / "dialogues.jsonl.zst"):
            said = "\n".join(str(m.get("content") or "") for m in row["messages"])
            yield TrainingText(str(row.get("source", "")), str(row.get("lang", "")), str(row.get("licence", "")), said)
    else:
        raise ConfigError(
            f"`{path}` is no training data but of kind {kind}", hint="give a corpus, shards or dialogues artifact"
        )


def sampled(path: Path, limit: int | None) -> Iterator[TrainingText]:
    """Every document; or `limit` of them at equal distances, so that each source has its share."""
    if limit is None:
        yield from documents(path)
        return
    total = size(path)
    wanted = {i * total // limit for i in range(min(limit, total))} if total > limit else set(range(total))
    yield from (text for at, text in enumerate(documents(path)) if at in wanted)


def size(path: Path) -> int:
    """Training documents of an artifact, without reading them where the artifact says."""
    if read_manifest(path)["kind"] == "shards":
        return sum(stats.train.documents for stats in Shards.open(path).sources.values())
    return sum(1 for _ in documents(path))
