"""`creuset corpus tokenize`: a corpus artifact into token shards, in parallel, resumable.

One process reads and writes, in the order of the corpus; `workers` others encode batches of documents. A killed
run keeps every document that reached the disk and goes on behind it, as long as corpus and tokenizer are the same.
Documents in = documents out, for every source and split.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.config import resolved
from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.log import Progress, duration
from creuset.data import ledger
from creuset.data.build.documents import chosen_sources, documents_file, read
from creuset.data.shards.encoders import Encoders
from creuset.data.shards.files import SPLITS, Counts, ShardWriter, SourceStats, Split, write_index
from creuset.text.tokenizer import Tokenizer

BATCH_BYTES = 1 << 20
SMALL_CORPUS = 8 << 20  # packed bytes under which starting processes costs more than it saves
RESUME = "resume.json"


def tokenize(
    corpus: Path, tokenizer: Path, out: Path, *, sources: Sequence[str] | None = None, workers: int = 0
) -> dict[str, SourceStats]:
    """Write the shards artifact `out`; what a killed run of the same inputs left in `<out>.partial` is kept.

    `workers` 0 is one for each core, and none beside this process for a small corpus.
    """
    if workers < 0:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    if read_manifest(tokenizer)["kind"] != "tokenizer":
        raise ArtifactError(f"`{tokenizer}` is not a tokenizer artifact")
    names = chosen_sources(corpus, list(sources) if sources else None)
    licences = _licences(corpus)
    if missing := [name for name in names if not licences.get(name)]:
        raise ConfigError(f"the ledger of `{corpus}` gives no licence for `{missing[0]}`")
    words = Tokenizer.load(tokenizer)
    key = {"corpus": read_manifest(corpus)["sha256"], "tokenizer": read_manifest(tokenizer)["sha256"], "sources": names}
    _forget_other_runs(out.with_name(out.name + ".partial"), key)
    packed_bytes = sum(_size(corpus, name, split) for name in names for split in SPLITS)
    workers = workers or (len(os.sched_getaffinity(0)) if packed_bytes > SMALL_CORPUS else 1)
    progress = _Progress(packed_bytes)
    facts: dict[str, Any] = {}
    artifact = new_artifact(
        out, kind="shards", settings={"sources": names}, parents=[corpus, tokenizer], facts=facts, keep_scratch=True
    )
    with artifact as folder, Encoders(tokenizer, workers) as encoders:
        (folder / RESUME).write_text(json.dumps(key))
        stats = {}
        for name in names:
            counts = {split: _write(corpus, words, folder, name, split, encoders, progress) for split in SPLITS}
            stats[name] = SourceStats(licences[name], counts["train"], counts["heldout"])
        progress.show("", final=True)
        write_index(folder, stats, vocab_size=words.vocab_size, eot=words.endoftext)
        ignore = shutil.ignore_patterns("manifest.json", "lineage")
        shutil.copytree(tokenizer, folder / "tokenizer", dirs_exist_ok=True, ignore=ignore)
        (folder / RESUME).unlink()
        facts |= {
            "vocab_size": words.vocab_size,
            "sources": resolved(stats),
            "train_tokens": sum(s.train.tokens for s in stats.values()),
            "heldout_tokens": sum(s.heldout.tokens for s in stats.values()),
            "bytes_per_token": {name: round(s.train.bytes_per_token, 3) for name, s in stats.items()},
        }
    return stats


def _write(
    corpus: Path, words: Tokenizer, folder: Path, source: str, split: Split, encoders: Encoders, progress: "_Progress"
) -> Counts:
    file = documents_file(corpus, source, split)
    with closing(ShardWriter(folder, split, source, vocab_size=words.vocab_size, eot=words.endoftext)) as writer:
        for encoded, packed in encoders.run(_batches(file, skip=writer.documents)):
            for ids, text_bytes in encoded:
                writer.add(ids, text_bytes=text_bytes)
            writer.flush()
            progress.advance(packed, sum(size for _, size in encoded))
            progress.show(f"{source} {split}")
        counts = writer.finish()
    progress.close(_size(corpus, source, split))
    read_now = sum(1 for _ in read(file))
    if counts.documents != read_now:
        raise ArtifactError(f"`{file}` has {read_now} documents, {counts.documents} were written")
    return counts


def _batches(file: Path, *, skip: int) -> Iterator[tuple[list[str], int]]:
    """Documents after the first `skip`, about `BATCH_BYTES` at a time, with how much of the file is read."""
    batch: list[str] = []
    held = packed = 0
    for document in islice(read(file), skip, None):
        batch.append(document.text)
        held, packed = held + len(document.text), document.packed_bytes
        if held >= BATCH_BYTES:
            yield batch, packed
            batch, held = [], 0
    if batch:
        yield batch, packed


def _size(corpus: Path, source: str, split: Split) -> int:
    file = documents_file(corpus, source, split)
    return file.stat().st_size if file.is_file() else 0


def _licences(corpus: Path) -> dict[str, str]:
    return {row.name: row.licence for row in ledger.read([corpus / "ledger.json"])}


def _forget_other_runs(scratch: Path, key: dict[str, Any]) -> None:
    """A scratch folder of another corpus, tokenizer or choice of sources must not be continued."""
    if not scratch.exists():
        return
    try:
        same = json.loads((scratch / RESUME).read_text()) == key
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(scratch)


@dataclass(slots=True)
class _Progress:
    """Share of the packed bytes read, MB of text a second, time left."""

    packed_total: int
    done: int = 0  # packed bytes of the files before this one
    inside: int = 0  # of this one
    text_bytes: int = 0
    started: float = field(default_factory=time.monotonic)
    line: Progress = field(default_factory=Progress)

    def advance(self, packed: int, text_bytes: int) -> None:
        self.inside = packed
        self.text_bytes += text_bytes

    def close(self, packed: int) -> None:
        self.done, self.inside = self.done + packed, 0

    def show(self, what: str, *, final: bool = False) -> None:
        spent = time.monotonic() - self.started
        share = min(1.0, (self.done + self.inside) / max(1, self.packed_total))
        left = duration(spent / share - spent) if share else "?"
        speed = self.text_bytes / 1e6 / max(spent, 1e-9)
        tail = f"{duration(spent)} in all" if final else f"{what}, {left} left"
        read = f"{100 * share:3.0f} % {self.text_bytes / 1e6:.0f} MB {speed:.1f} MB/s"
        self.line.show(f"tokenize {read} {tail}", final=final)
