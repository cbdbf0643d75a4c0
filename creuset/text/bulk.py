"""Encoding a corpus: the same ids as `Tokenizer.encode`, several times faster.

A corpus says the same words over and over. Here a text is cut into words by the `regex` module and each word is
looked up; only a word never seen before is encoded. The two regular-expression engines cut alike as long as they
agree on what a letter is, which they do for every character of Unicode 3.2 (a test asks each one); a text with a
later character, an emoji say, takes the way of `Tokenizer.encode`.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import chain

import regex

from creuset.text.tokenizer import PATTERN, Tokenizer

_WORDS_KEPT = 1_000_000  # about 200 MB; then the memory is emptied


class BulkEncoder:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._fast = tokenizer.cuts_like_qwen
        self._words = _Memory(tokenizer)
        self._cut = regex.compile(PATTERN).findall

    def encode(self, text: str) -> list[int]:
        if not self._fast:
            return self._tokenizer.encode(text)
        try:
            return list(chain.from_iterable(map(self._words.__getitem__, self._cut(text))))
        except _LaterCharacter:
            return self._tokenizer.encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        found = list(map(self.encode, texts))
        if len(self._words) > _WORDS_KEPT:
            self._words.clear()
        return found


class _LaterCharacter(Exception):
    """A word has a character that the two engines may take differently."""


class _Memory(dict[str, list[int]]):
    """Word -> ids, filled as words are met."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word: str) -> list[int]:
        if later_than_unicode_3_2().search(word):
            raise _LaterCharacter
        ids = self._tokenizer.encode(word)
        if len(word) <= 64:
            self[word] = ids
        return ids


@cache
def later_than_unicode_3_2() -> re.Pattern[str]:
    """Matches a character that Unicode 3.2 did not have."""
    old = unicodedata.ucd_3_2_0
    ranges: list[str] = []
    start = None
    for code in range(0x110001):
        later = code < 0x110000 and old.category(chr(code)) == "Cn"
        if later and start is None:
            start = code
        elif not later and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return re.compile(f"[{''.join(ranges)}]")
