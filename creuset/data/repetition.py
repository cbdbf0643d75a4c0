"""Gopher's repetition by n-grams of words, on hashes.

Top n-gram: the share of characters in the occurrences of the most frequent n-gram.
Repeated n-grams: the share of characters in words that some n-gram covers which stood
before, each word counted once.
"""

import numpy as np
import numpy.typing as npt

from creuset.data.settings import Rules
from creuset.data.words import Words, ngrams

TOP = ((2, 0.20), (3, 0.18), (4, 0.16))
REPEATED = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))


def repeated_words(words: Words, rules: Rules) -> str | None:
    if not (rules.top_ngrams or rules.dup_ngrams) or len(words) < 10:
        return None
    lengths = np.fromiter(map(len, words.words), dtype=np.int32, count=len(words))
    total = int(lengths.sum())
    if rules.top_ngrams:
        for n, limit in TOP:
            if top_share(words, lengths, n) * 1.0 > limit * total:
                return f"gopher_top_{n}gram"
    if rules.dup_ngrams:
        for n, limit in REPEATED:
            covered = repeated_characters(words, lengths, n, at_least=limit * total)
            if covered > limit * total:
                return f"gopher_repeated_{n}grams"
            if covered == 0 and n == REPEATED[0][0]:
                return None           # no 5-gram comes twice, so no longer one does
    return None


def top_share(words: Words, lengths: npt.NDArray[np.int32], n: int) -> int:
    """Characters in all occurrences of the most frequent n-gram; 0 when each comes once."""
    grams = ngrams(words.hashes, n)
    if len(grams) < 2:
        return 0
    ordered = np.sort(grams)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(starts, len(ordered)))
    best = int(counts.argmax())
    if counts[best] < 2:
        return 0
    at = int(np.flatnonzero(grams == ordered[starts[best]])[0])
    return int(counts[best]) * int(lengths[at : at + n].sum())


def repeated_characters(words: Words, lengths: npt.NDArray[np.int32], n: int, *, at_least: float = 0.0) -> int:
    """Characters of the words covered by n-grams that stood before.

    Where fewer repeats exist than `at_least` characters would need, the count may be a lower
    bound above 0: the exact cover is not worked out.
    """
    grams = ngrams(words.hashes, n)
    ordered = np.sort(grams)
    repeats = int((ordered[1:] == ordered[:-1]).sum())
    if repeats == 0:
        return 0
    if repeats * n * int(lengths.max()) < at_least:
        return 1
    _, first, inverse = np.unique(grams, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(grams)))
    edges = np.zeros(len(words) + 1, dtype=np.int32)
    np.add.at(edges, again, 1)
    np.add.at(edges, again + n, -1)
    return int(lengths[np.cumsum(edges[:-1]) > 0].sum())
