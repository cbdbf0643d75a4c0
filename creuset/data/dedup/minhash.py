"""Duplicates: the same text, and nearly the same by MinHash.

Two texts are *the same* when they are equal after lower-casing and splitting into words. They
are *near* when the Jaccard similarity of their sets of word 5-grams, as estimated by 112
hashes, is at least 0.8. Candidates are found by banding (16 bands of 7 hashes: a pair at
similarity 0.8 meets in some band with probability 0.977). Documents are taken in order; one
is dropped when it is near to an earlier one that was kept, so no chain of small steps drops a
text that is far from what stays.

`near_duplicates` holds all keys in memory and is the definition; a build uses `near_in_buckets`,
whose memory is bounded whatever the number of documents: a document costs `bands * rows * 4`
bytes on disk (448 by default) and 30 bytes in mapped files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from creuset.data.clean.words import U64, Words, ngrams
from creuset.data.dedup.buckets import Buckets, groups, mapped
from creuset.data.settings import Dedup

U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]

_KEPT_AT_ONCE = 4096  # signatures of a group
_CHUNK = 2048  # shingles at a time: the work buffer stays in the cache


class Signer:
    """Signs texts with `bands * rows` minima of random hashes of their shingles."""

    def __init__(self, settings: Dedup, seed: int) -> None:
        self.settings = settings
        size = settings.bands * settings.rows
        random = np.random.default_rng(seed)
        self._multiply = (random.integers(0, 1 << 63, size, dtype=np.uint64) << np.uint64(1)) | np.uint64(1)
        self._add = random.integers(0, 1 << 63, size, dtype=np.uint64)
        self._buffer = np.empty((size, _CHUNK), dtype=np.uint64)

    def sign(self, words: Words) -> U32:
        """The high 32 bits of each minimum of `a * x + b` mod 2**64 (multiply-shift hashing) over the shingles."""
        shingles = ngrams(words.hashes, min(self.settings.shingle, max(1, len(words))))
        minima: U64 = np.full(len(self._multiply), np.iinfo(np.uint64).max, dtype=np.uint64)
        for start in range(0, len(shingles), _CHUNK):
            part = shingles[start : start + _CHUNK]
            work = self._buffer[:, : len(part)]
            np.multiply(self._multiply[:, None], part[None, :], out=work)
            work += self._add[:, None]
            np.minimum(minima, work.min(axis=1), out=minima)
        return (minima >> np.uint64(32)).astype(np.uint32)


def exact_key(words: Words) -> tuple[int, int]:
    """128 bits that equal texts (of the same words in the same order) share."""
    value = xxhash.xxh3_128_intdigest(words.hashes.tobytes())
    return value >> 64, value & 0xFFFFFFFFFFFFFFFF


def first_of_equals(high: U64, low: U64) -> I64:
    """For each document the index of the first with the same key (itself when it is the first)."""
    order = np.lexsort((np.arange(len(high)), low, high))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    return first


@dataclass(frozen=True, slots=True)
class Near:
    """`keeper[i]` is the kept document that i is near to, or i itself."""

    keeper: I64
    candidates: int  # documents that shared a band with another


def near_duplicates(signatures: U32, taking_part: npt.NDArray[np.bool_], settings: Dedup) -> Near:
    """Find near-duplicates among the documents that take part; rows of `signatures` may be a memory map."""
    total = len(signatures)
    keeper = np.arange(total, dtype=np.int64)
    taking = np.flatnonzero(taking_part)
    cluster = _Forest(total)
    for band in range(settings.bands):
        keys = _fold(signatures, taking, range(band * settings.rows, (band + 1) * settings.rows))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        same = keys[1:] == keys[:-1]
        for left, right in zip(taking[order[:-1][same]], taking[order[1:][same]], strict=True):
            cluster.join(int(left), int(right))
    connected = cluster.groups(taking)
    for members in connected:
        _settle(members, signatures, settings.similarity, keeper)
    return Near(keeper, sum(map(len, connected)))


def near_in_buckets(
    signatures: U32, taking_part: npt.NDArray[np.bool_], settings: Dedup, keeper: I64, folder: Path, in_memory: int
) -> int:
    """Write to `keeper` what `near_duplicates` finds; returns the number of candidates.

    At most about `in_memory` bytes are held, and some 40 for each member of the largest group of candidates.
    """
    total = len(signatures)
    cluster = _Forest(total, mapped(folder / "parents", np.int64, total))
    step = max(1024, in_memory // (64 + 4 * settings.rows))
    taken = int(np.count_nonzero(taking_part))
    for band in range(settings.bands):
        buckets = Buckets(folder / "band", taken, in_memory, "u8")
        for begin in range(0, total, step):
            taking = begin + np.flatnonzero(taking_part[begin : begin + step])
            keys = _fold(signatures, taking, range(band * settings.rows, (band + 1) * settings.rows))
            buckets.add(keys * np.uint64(0x9E3779B97F4A7C15), keys, taking)
        for first, again in buckets.repeats():
            for left, right in zip(first.tolist(), again.tolist(), strict=True):
                cluster.join(left, right)
    candidates = 0
    for members in groups(cluster.parent, folder / "groups", in_memory, cluster.find):
        candidates += len(members)
        _settle(members, signatures, settings.similarity, keeper)
    return candidates


def _fold(signatures: U32, taking: I64, columns: range) -> U64:
    """One 64-bit key of these columns for each document that takes part; one column in memory at a time."""
    key = np.zeros(len(taking), dtype=np.uint64)
    for column in columns:
        key ^= signatures[taking, column]
        key *= np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


class _Forest:
    """Union-find over document numbers; 8 bytes a document."""

    def __init__(self, size: int, parent: I64 | None = None) -> None:
        self.parent = np.arange(size, dtype=np.int64) if parent is None else parent
        for begin in range(0, size if parent is not None else 0, 1 << 20):
            self.parent[begin : begin + (1 << 20)] = np.arange(begin, min(begin + (1 << 20), size))

    def find(self, x: int) -> int:
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = int(self.parent[x])
        return x

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        self.parent[max(a, b)] = min(a, b)

    def groups(self, taking: I64) -> list[I64]:
        """Connected candidates of two or more, each in document order."""
        roots = np.array([self.find(int(x)) for x in taking[self.parent[taking] != taking]], dtype=np.int64)
        others = taking[self.parent[taking] != taking]
        order = np.lexsort((others, roots))
        out = []
        for part in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1) if len(order) else []:
            out.append(np.concatenate((roots[part[:1]], others[part])))
        return out


def _settle(members: I64, signatures: U32, similarity: float, keeper: I64) -> None:
    """Among candidates in order, drop each that is near to one already kept."""
    width = signatures.shape[1]
    kept = np.empty((min(len(members), _KEPT_AT_ONCE), width), dtype=np.uint32)
    names = np.empty(len(members), dtype=np.int64)
    count = 0
    for member in members:
        own = np.asarray(signatures[member])
        near, most = -1, similarity
        for begin in range(0, count, len(kept)):  # those that do not fit are read again
            end = min(begin + len(kept), count)
            some = kept[: end - begin] if end <= len(kept) else signatures[names[begin:end]]
            share = (some == own).mean(axis=1)
            best = int(share.argmax())
            if share[best] >= most and (near < 0 or share[best] > most):
                near, most = int(names[begin + best]), float(share[best])
        if near >= 0:
            keeper[member] = near
            continue
        if count < len(kept):
            kept[count] = own
        names[count] = member
        count += 1
