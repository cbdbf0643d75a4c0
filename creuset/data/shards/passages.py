"""Documents and passages of a shards artifact, drawn by a seed: what the model was trained on, and what it was not.

No torch here. Only the drawn documents are read, or one chunk of tokens at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from creuset.data.build.canaries import NAME
from creuset.data.clean.words import ngrams
from creuset.data.shards.files import Shards, Split

Ids = NDArray[np.int64]
T = TypeVar("T")
CHUNK = 1 << 20  # tokens hashed at a time


@dataclass(frozen=True, slots=True)
class DrawnDocument:
    source: str
    split: Split
    index: int
    ids: Ids  # without the <|endoftext|> that ends it
    copies: int = 1  # documents of the split with the same tokens, where they were counted


def draw_documents(
    shards: Shards, source: str, split: Split, *, count: int, min_tokens: int, max_tokens: int, seed: int,
    distinct: bool = False,
) -> list[DrawnDocument]:  # fmt: skip
    """At most `count` documents of at least `min_tokens`, each cut after `max_tokens`, in the order drawn.

    Planted canaries are left out, because nobody wrote them. `distinct`: equal documents count once, with their number.
    """
    if source == NAME:
        return []
    tokens, offsets = shards.tokens(source, split), shards.offsets(source, split)
    long = np.flatnonzero(np.diff(offsets) - 1 >= min_tokens)
    copies = np.ones(len(long), dtype=np.int64)
    if distinct:
        hashes = [xxhash.xxh3_128_digest(tokens[offsets[i] : offsets[i + 1]].tobytes()) for i in long]
        _, first, copies = np.unique(np.array(hashes, dtype="S16"), return_index=True, return_counts=True)
        long = long[first]
    chosen = np.random.default_rng(seed).permutation(len(long))[:count]
    return [
        DrawnDocument(source, split, int(long[i]), _cut(tokens, offsets, int(long[i]), max_tokens), int(copies[i]))
        for i in chosen
    ]


def evenly(items: list[T], count: int) -> list[T]:
    """`count` of them at equal distances, or all where there are fewer."""
    return items if len(items) <= count else [items[i * len(items) // count] for i in range(count)]


def _cut(tokens: NDArray[np.int64], offsets: NDArray[np.int64], index: int, max_tokens: int) -> Ids:
    start, end = int(offsets[index]), int(offsets[index + 1]) - 1
    return np.asarray(tokens[start : min(end, start + max_tokens)], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Passage:
    """A place in a split; `ids` reach `before` tokens to the left of the window that was counted."""

    source: str
    ids: Ids
    count: int  # how often the window occurs in the training split


def window_hashes(ids: NDArray[np.int64], size: int) -> NDArray[np.uint64]:
    """One hash for each window of `size` tokens; equal windows share it."""
    spread = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)  # ids are small and alike
    return ngrams(spread ^ (spread >> np.uint64(32)), size)


def sampled_windows(
    shards: Shards, split: Split, *, size: int, one_in: int, progress: Callable[[int], None] = lambda tokens: None
) -> tuple[NDArray[np.uint64], NDArray[np.int64], list[str]]:
    """(hash, (source number, position)) of the windows whose hash falls among one in `one_in`.

    What is chosen depends on the window's content alone: all places of a chosen window are found, in both splits.
    Memory: 24 bytes a window found.
    """
    hashes: list[NDArray[np.uint64]] = []
    places: list[NDArray[np.int64]] = []
    names = list(shards.sources)
    for number, source in enumerate(names):
        tokens = shards.tokens(source, split)
        for start in range(0, max(0, len(tokens) - size + 1), CHUNK):
            part = np.asarray(tokens[start : start + CHUNK + size - 1], dtype=np.int64)
            found = window_hashes(part, size)
            at = np.flatnonzero(found % np.uint64(one_in) == 0)
            hashes.append(found[at])
            places.append(np.stack([np.full(len(at), number), at + start], axis=1))
            progress(len(part))
    if not hashes:
        return np.zeros(0, dtype=np.uint64), np.zeros((0, 2), dtype=np.int64), names
    return np.concatenate(hashes), np.concatenate(places), names


def inside(shards: Shards, source: str, split: Split, position: int, *, before: int, size: int) -> Ids | None:
    """`before` tokens and the window of `size` at `position`; None where a document's edge lies in them."""
    offsets = shards.offsets(source, split)
    document = int(np.searchsorted(offsets, position, side="right")) - 1
    first, end = position - before, position + size
    if first < offsets[document] or end > offsets[document + 1] - 1:
        return None
    return np.asarray(shards.tokens(source, split)[first:end], dtype=np.int64)
