"""Shards: the token ids of a corpus, one file a source and split, read through the page cache.

    shards.json                       dtype, vocabulary, counts and licence of every source
    <split>/<source>.bin              ids, little-endian; documents one after the other, each ended by <|endoftext|>
    <split>/<source>.offsets.npy      int64 (D+1): where each document starts, in tokens
    <split>/<source>.bytes.npy        int64 (D): UTF-8 bytes of each document, for bits per byte
    tokenizer/                        a copy of what made the ids

`split` is `train` or `heldout`. Reading order: `ShardWriter` (killed and reopened, it goes on), `Shards`.
"""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from creuset.core.config import resolved
from creuset.core.errors import ArtifactError, DataError
from creuset.text.tokenizer import Tokenizer

Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")
INDEX = "shards.json"


@dataclass(frozen=True, slots=True)
class Counts:
    documents: int
    tokens: int  # the <|endoftext|> of each document included
    bytes: int  # UTF-8 bytes of the texts

    @property
    def bytes_per_token(self) -> float:
        """How much text an id stands for; the <|endoftext|> of each document is not counted."""
        return self.bytes / max(1, self.tokens - self.documents)


@dataclass(frozen=True, slots=True)
class SourceStats:
    licence: str
    train: Counts
    heldout: Counts


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    return np.dtype("<u2" if vocab_size < 65536 else "<u4")


class ShardWriter:
    """Writes one split of one source. Reopened after a kill, it keeps every whole document that reached the disk:
    `documents` says how many, and the caller goes on from there."""

    def __init__(self, folder: Path, split: Split, source: str, *, vocab_size: int, eot: int) -> None:
        self._base = folder / split / source
        self._base.parent.mkdir(parents=True, exist_ok=True)
        self._eot, self._vocab_size, self._dtype = eot, vocab_size, dtype_for(vocab_size)
        self.finished = self._file("bin").is_file()
        self.documents = self._whole_documents()
        if not self.finished:
            self._ids = self._file("bin.part").open("ab")
            self._sizes = self._file("sizes.part").open("ab")

    def _file(self, suffix: str) -> Path:
        return self._base.with_name(f"{self._base.name}.{suffix}")

    def _whole_documents(self) -> int:
        """Cut what a killed run left to the last document that both files hold whole, and count."""
        if self.finished:
            return len(np.load(self._file("bytes.npy")))
        ids, sizes = self._file("bin.part"), self._file("sizes.part")
        ids.touch()
        sizes.touch()
        pairs = np.fromfile(sizes, dtype="<i8", count=sizes.stat().st_size // 16 * 2).reshape(-1, 2)
        ends = np.cumsum(pairs[:, 0])
        count = int(np.searchsorted(ends, ids.stat().st_size // self._dtype.itemsize, side="right"))
        os.truncate(ids, int(ends[count - 1]) * self._dtype.itemsize if count else 0)
        os.truncate(sizes, count * 16)
        return count

    def add(self, ids: "Sequence[int] | np.ndarray[Any, np.dtype[Any]]", *, text_bytes: int) -> None:
        """Append one document; its <|endoftext|> is added here."""
        assert not self.finished, f"{self._base} is finished"
        row = np.asarray(ids, dtype=np.int64)
        assert not len(row) or (row.min() >= 0 and row.max() < self._vocab_size), "an id is outside the vocabulary"
        self._ids.write(np.append(row, self._eot).astype(self._dtype).tobytes())
        self._sizes.write(np.array([len(row) + 1, text_bytes], dtype="<i8").tobytes())
        self.documents += 1

    def flush(self) -> None:
        """What was added so far survives a kill."""
        self._ids.flush()
        self._sizes.flush()

    def close(self) -> None:
        """Stop before the end; opened again, it goes on."""
        if not self.finished:
            self._ids.close()
            self._sizes.close()

    def finish(self) -> Counts:
        """Write the index files, publish the ids, and count."""
        if not self.finished:
            self._ids.close()
            self._sizes.close()
            pairs = np.fromfile(self._file("sizes.part"), dtype="<i8").reshape(-1, 2)
            np.save(self._file("offsets.npy"), np.concatenate([[0], np.cumsum(pairs[:, 0])]).astype("<i8"))
            np.save(self._file("bytes.npy"), pairs[:, 1])
            # The rename is the mark that this file is whole; what comes before it is repeated after a kill.
            os.replace(self._file("bin.part"), self._file("bin"))
            self.finished = True
        self._file("sizes.part").unlink(missing_ok=True)
        offsets, sizes = np.load(self._file("offsets.npy")), np.load(self._file("bytes.npy"))
        return Counts(documents=len(sizes), tokens=int(offsets[-1]), bytes=int(sizes.sum()))


def write_index(folder: Path, sources: Mapping[str, SourceStats], *, vocab_size: int, eot: int) -> None:
    index = {
        "dtype": dtype_for(vocab_size).name,
        "vocab_size": vocab_size,
        "eot": eot,
        "sources": resolved(dict(sources)),
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class Shards:
    """Reads a shards artifact. Opening checks every size, so that a damaged file is refused before a run begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / INDEX
        if not file.is_file():
            raise ArtifactError(f"`{path}` is not a shards artifact: it has no {INDEX}")
        try:
            index = json.loads(file.read_text(encoding="utf-8"))
            self.vocab_size, self.eot = int(index["vocab_size"]), int(index["eot"])
            self.sources = {
                name: SourceStats(stats["licence"], Counts(**stats["train"]), Counts(**stats["heldout"]))
                for name, stats in index["sources"].items()
            }
            self.dtype = np.dtype(index["dtype"]).newbyteorder("<")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"`{file}` is damaged: {error!r}") from error
        if self.dtype != dtype_for(self.vocab_size):
            raise ArtifactError(f"`{file}` is damaged: {self.dtype.name} does not go with {self.vocab_size} ids")
        for source in self.sources:
            for split in SPLITS:
                self._check(source, split)

    @classmethod
    def open(cls, path: Path) -> "Shards":
        return cls(path)

    @property
    def tokenizer(self) -> Path:
        """Folder of the tokenizer that made the ids."""
        return self.path / "tokenizer"

    def counts(self, source: str, split: Split) -> Counts:
        if source not in self.sources:
            raise ArtifactError(f"`{self.path}` has no source `{source}`", hint=f"it has {', '.join(self.sources)}")
        return self.sources[source].train if split == "train" else self.sources[source].heldout

    def tokens(self, source: str, split: Split) -> "np.ndarray[Any, np.dtype[Any]]":
        """All ids of the split, mapped and not read."""
        self.counts(source, split)
        file = self._file(source, split, "bin")
        if file.stat().st_size == 0:  # nothing cannot be mapped
            return np.empty(0, dtype=self.dtype)
        return np.memmap(file, dtype=self.dtype, mode="r")

    def known(
        self, ids: "np.ndarray[Any, np.dtype[Any]]", *, source: str, split: Split, first: int
    ) -> "np.ndarray[Any, np.dtype[Any]]":
        """`ids`, read from token `first` on; raises DataError for an id that no token of the vocabulary has."""
        if len(ids) and int(ids.max()) >= self.vocab_size:
            at = int(np.argmax(ids >= self.vocab_size))
            raise DataError(
                f"`{self._file(source, split, 'bin')}` is damaged: token {first + at} has the id {int(ids[at])}, "
                f"the vocabulary {self.vocab_size} ids"
            )
        return ids

    def offsets(self, source: str, split: Split) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """(D+1) starts of the documents in `tokens`; the last is the number of tokens."""
        self.counts(source, split)
        return self._load(source, split, "offsets.npy")

    def bytes(self, source: str, split: Split = "heldout") -> "np.ndarray[Any, np.dtype[np.int64]]":
        """(D) UTF-8 bytes of the documents."""
        self.counts(source, split)
        return self._load(source, split, "bytes.npy")

    def texts(self, split: Split) -> Iterator[tuple[str, str]]:
        """(source, text) of every document, decoded one at a time."""
        tokenizer = Tokenizer.load(self.tokenizer)
        for source in self.sources:
            tokens, offsets = self.tokens(source, split), self.offsets(source, split)
            for start, end in itertools.pairwise(offsets):
                yield source, tokenizer.decode([int(i) for i in tokens[start : end - 1]])

    def cut_by(self, folder: Path) -> bool:
        """Whether the tokenizer in `folder`, a model's perhaps, has the same tokens as the one that made the ids."""
        ours, theirs = Tokenizer.load(folder), Tokenizer.load(self.tokenizer)
        return ours.vocab_size == theirs.vocab_size and all(
            ours.token_bytes(i) == theirs.token_bytes(i) for i in range(ours.vocab_size)
        )

    def _file(self, source: str, split: Split, suffix: str) -> Path:
        return self.path / split / f"{source}.{suffix}"

    def _load(self, source: str, split: Split, suffix: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
        file = self._file(source, split, suffix)
        try:
            found: np.ndarray[Any, np.dtype[np.int64]] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ArtifactError(f"`{file}` is missing or damaged: {error}") from error
        return found

    def _check(self, source: str, split: Split) -> None:
        counts, file = self.counts(source, split), self._file(source, split, "bin")
        if not file.is_file():
            raise ArtifactError(f"`{file}` is missing")
        if (size := file.stat().st_size) != counts.tokens * self.dtype.itemsize:
            expected = counts.tokens * self.dtype.itemsize
            raise ArtifactError(f"`{file}` is damaged: it has {size} bytes, {INDEX} says {expected}")
        offsets, sizes = self._load(source, split, "offsets.npy"), self._load(source, split, "bytes.npy")
        if len(offsets) != counts.documents + 1 or offsets[0] != 0 or offsets[-1] != counts.tokens:
            raise ArtifactError(f"`{self._file(source, split, 'offsets.npy')}` does not go with {INDEX}")
        if len(sizes) != counts.documents or int(sizes.sum()) != counts.bytes:
            raise ArtifactError(f"`{self._file(source, split, 'bytes.npy')}` does not go with {INDEX}")
        if (np.diff(offsets) < 1).any():
            raise ArtifactError(f"`{self._file(source, split, 'offsets.npy')}` is damaged: it does not grow")
        if counts.tokens and self.tokens(source, split)[-1] != self.eot:
            raise ArtifactError(f"`{file}` is damaged: its last document is not ended by {self.eot}")
