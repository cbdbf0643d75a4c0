"""Duplicates among any number of documents in bounded memory: what is compared is first sorted into files.

`in_memory` bytes bound what is held at a time: keys go into as many files as it takes for one of them to fit (512 at
most), each into the file that its leading bits name. So equal keys meet. What has a value a document, such as who keeps
whom, lies in mapped files. The definition
without files is `minhash.near_duplicates` and `minhash.first_of_equals`; a test compares the two.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from creuset.data.clean.words import U64

I64 = npt.NDArray[np.int64]

_ENTRY_BYTES = 160  # of memory while a file of keys is looked at, for each entry: itself, sorted, and the sort's own
_MOST_FILES = 512


def mapped(path: Path, dtype: Any, length: int) -> npt.NDArray[Any]:
    """An array of zeros in a file, as wide as it says; the system may take its memory back at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if length == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="w+", shape=(length,)).view(np.ndarray)


class Buckets:
    """Entries (key, document) in files by the leading bits of their keys; documents come in ascending order."""

    def __init__(self, folder: Path, entries: int, in_memory: int, key: str) -> None:
        """`entries`: how many there will be at most; `key`: numpy's name of the type of a key, u8 or S16."""
        self.dtype = np.dtype([("key", key), ("at", "<i8")])
        self.chunk = max(1024, in_memory // _ENTRY_BYTES)
        wanted = min(_MOST_FILES, max(1, -(-entries // self.chunk)))
        self.bits = (wanted - 1).bit_length()
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._files = [(folder / f"{i:03d}").open("ab") for i in range(1 << self.bits)]

    def add(self, high: U64, keys: npt.NDArray[Any], documents: I64) -> None:
        """`high`: the leading 64 bits of each key, well mixed."""
        for begin in range(0, len(keys), self.chunk):
            part = slice(begin, begin + self.chunk)
            entries = np.empty(len(keys[part]), dtype=self.dtype)
            entries["key"], entries["at"] = keys[part], documents[part]
            if self.bits == 0:
                entries.tofile(self._files[0])
                continue
            place = (high[part] >> np.uint64(64 - self.bits)).astype(np.int64)
            order = np.argsort(place, kind="stable")
            bounds = np.searchsorted(place[order], np.arange((1 << self.bits) + 1))
            for i in np.flatnonzero(np.diff(bounds)):
                entries[order[bounds[i] : bounds[i + 1]]].tofile(self._files[i])

    def files(self) -> Iterator[Iterator[npt.NDArray[Any]]]:
        """The entries of each file, a chunk at a time; the files are gone afterwards."""
        for file in self._files:
            file.close()
        for i in range(1 << self.bits):
            path = self.folder / f"{i:03d}"
            yield self._chunks(path)
            path.unlink()
        self.folder.rmdir()

    def _chunks(self, path: Path) -> Iterator[npt.NDArray[Any]]:
        with path.open("rb") as stream:
            while len(entries := np.fromfile(stream, dtype=self.dtype, count=self.chunk)):
                yield entries

    def repeats(self) -> Iterator[tuple[I64, I64]]:
        """(first document with the key, this document) for each document whose key stood before."""
        for chunks in self.files():
            known = np.zeros(0, dtype=self.dtype)  # the first entry of each key so far, sorted by key
            for entries in chunks:
                names, index, inverse = np.unique(entries["key"], return_index=True, return_inverse=True)
                firsts = entries["at"][index]
                at = np.searchsorted(known["key"], names)
                seen = np.zeros(len(names), dtype=bool)
                inside = at < len(known)
                seen[inside] = known["key"][at[inside]] == names[inside]
                firsts[seen] = known["at"][at[seen]]
                of = firsts[inverse]
                again = of != entries["at"]
                yield of[again], entries["at"][again]
                fresh = np.empty(int((~seen).sum()), dtype=self.dtype)
                fresh["key"], fresh["at"] = names[~seen], firsts[~seen]
                known = np.concatenate((known, fresh))
                known = known[np.argsort(known["key"], kind="stable")]


def groups(parent: I64, folder: Path, in_memory: int, find: Any) -> Iterator[I64]:
    """Connected documents of two or more, each group in document order; `find` names the first of a group."""
    step = max(1024, in_memory // _ENTRY_BYTES)
    members = sum(
        int(np.count_nonzero(parent[b : b + step] != np.arange(b, min(b + step, len(parent)))))
        for b in range(0, len(parent), step)
    )
    buckets = Buckets(folder, members, in_memory, "u8")
    for begin in range(0, len(parent), step):
        own = np.arange(begin, min(begin + step, len(parent)), dtype=np.int64)
        others = own[parent[begin : begin + step] != own]
        roots = np.array([find(int(x)) for x in others], dtype=np.uint64)
        buckets.add(roots * np.uint64(0x9E3779B97F4A7C15), roots, others)
    for chunks in buckets.files():
        every = np.concatenate([*chunks, np.zeros(0, dtype=buckets.dtype)])
        order = np.lexsort((every["at"], every["key"]))
        every = every[order]
        for part in np.split(every, np.flatnonzero(np.diff(every["key"])) + 1) if len(every) else []:
            yield np.concatenate((part["key"][:1].astype(np.int64), part["at"]))
