"""A document as 64-bit word hashes: computed once, used by repetition, MinHash and leakage.

A word is a run of letters, digits and underscores in lower case; each CJK character is a
word of its own, since such text has no spaces. Every n-gram hash is
sum(hash[i+j] * BASE**j) mod 2**64, so that any n costs three vector operations.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

U64 = npt.NDArray[np.uint64]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_WORD = re.compile(r"\w+")
_HAS_CJK = re.compile(f"[{_CJK}]")
_CJK_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse mod 2**64
_MAX_CACHED = 2_000_000  # words; about 250 MB when full, then forgotten


class _Hashes(dict[str, int]):
    """word -> hash, filled on first use."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MAX_CACHED:
            self.clear()
        value = self[word] = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return value


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text and their hashes."""

    words: list[str]
    hashes: U64
    cjk: bool  # the text has CJK characters

    def __len__(self) -> int:
        return len(self.words)


class Splitter:
    """Splits texts into hashed words; owns the cache of hashes."""

    def __init__(self) -> None:
        self._hashes = _Hashes()

    def split(self, text: str) -> Words:
        words, cjk = split_words(text)
        hashes = np.fromiter(map(self._hashes.__getitem__, words), dtype=np.uint64, count=len(words))
        return Words(words, hashes, cjk)


def split_words(text: str) -> tuple[list[str], bool]:
    cjk = _HAS_CJK.search(text) is not None
    return (_CJK_WORD if cjk else _WORD).findall(text.lower()), cjk


def ngrams(hashes: U64, n: int) -> U64:
    """Hash of each run of `n` words; empty when there are fewer."""
    count = len(hashes) - n + 1
    if count <= 0:
        return hashes[:0]
    if n == 1:
        return hashes
    powers, inverses = _powers(_grown(len(hashes) + 1))
    sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
    np.cumsum(hashes * powers[: len(hashes)], out=sums[1:])
    return _mix((sums[n:] - sums[:-n]) * inverses[:count])


def _mix(x: U64) -> U64:
    """Spread the sum's bits (the finalizer of MurmurHash3): neighbours then differ everywhere."""
    x = x ^ (x >> np.uint64(33))
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    return x


def _grown(size: int) -> int:
    return 1 << max(12, (size - 1).bit_length())


@lru_cache(maxsize=8)
def _powers(size: int) -> tuple[U64, U64]:
    base = np.full(size, _BASE, dtype=np.uint64)
    inverse = np.full(size, pow(_BASE, -1, 1 << 64), dtype=np.uint64)
    base[0] = inverse[0] = 1
    return np.cumprod(base, dtype=np.uint64), np.cumprod(inverse, dtype=np.uint64)
