"""Gopher's repetition by n-grams of words, on hashes.

Top n-gram: the share of characters in the occurrences of the most frequent n-gram.
Repeated n-grams: the share of characters in words that some n-gram covers which stood
before, each word counted once.
"""

import numpy as np
import numpy.typing as npt

from creuset.data.clean.words import Words, ngrams
from creuset.data.settings import QualityRules

TOP = ((2, 0.20), (3, 0.18), (4, 0.16))
_CJK_SPAN = 2  # a word of CJK text is about two characters, each a word here
REPEATED = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))


def repeated_words(words: Words, rules: QualityRules) -> str | None:
    if not (rules.top_ngrams or rules.dup_ngrams) or len(words) < rules.ngram_min_words:
        return None
    lengths = np.fromiter(map(len, words.words), dtype=np.int32, count=len(words))
    total = int(lengths.sum())
    longest = int(lengths.max())
    slack, span = rules.ngram_slack * total, _CJK_SPAN if words.cjk else 1
    if rules.top_ngrams:
        most = len(words)
        for n, limit in TOP:
            # No longer n-gram comes more often than the most frequent shorter one.
            if most * n * span * longest <= limit * slack:
                break
            characters, most = top_share(words, lengths, n * span)
            if characters > limit * slack:
                return f"gopher_top_{n}gram"
    if rules.dup_ngrams:
        repeats = len(words)
        for n, limit in REPEATED:
            # Longer n-grams repeat no more often than shorter ones: few repeats cannot cover enough.
            if repeats * n * span * longest <= limit * slack:
                continue
            covered, repeats = repeated_characters(words, lengths, n * span, at_least=limit * slack)
            if covered > limit * slack:
                return f"gopher_repeated_{n}grams"
    return None


def top_share(words: Words, lengths: npt.NDArray[np.int32], n: int) -> tuple[int, int]:
    """(characters in all occurrences of the most frequent n-gram, how many those are); (0, 1) if none comes twice."""
    grams = ngrams(words.hashes, n)
    if len(grams) < 2:
        return 0, len(grams)
    ordered = np.sort(grams)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(starts, len(ordered)))
    best = int(counts.argmax())
    if counts[best] < 2:
        return 0, 1
    at = int(np.flatnonzero(grams == ordered[starts[best]])[0])
    return int(counts[best]) * int(lengths[at : at + n].sum()), int(counts[best])


def repeated_characters(
    words: Words, lengths: npt.NDArray[np.int32], n: int, *, at_least: float = 0.0
) -> tuple[int, int]:
    """(characters of the words covered by n-grams that stood before, how many such n-grams there are).

    Where so few repeats cannot cover more than `at_least` characters, the cover is not worked out and is 0.
    """
    grams = ngrams(words.hashes, n)
    ordered = np.sort(grams)
    repeats = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
    if repeats * n * int(lengths.max()) <= at_least or repeats == 0:
        return 0, repeats
    _, first, inverse = np.unique(grams, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(grams)))
    edges = np.zeros(len(words) + 1, dtype=np.int32)
    np.add.at(edges, again, 1)
    np.add.at(edges, again + n, -1)
    return int(lengths[np.cumsum(edges[:-1]) > 0].sum()), repeats
