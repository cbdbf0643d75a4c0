"""Incremental detokenizing that never splits a character."""

import codecs
from collections.abc import Iterable

from creuset.text.tokenizer import Tokenizer


class Detokenizer:
    """Text of a growing sequence of ids: what `push` and `finish` gave, joined, is `Tokenizer.decode` of the whole.

    A token may end inside a character; its bytes wait for the rest. Bytes that can no longer become a character
    come out as U+FFFD as soon as that is known, and at `finish` at the latest.
    """

    def __init__(self, tokenizer: Tokenizer, *, special: bool = False, visible: Iterable[int] = ()) -> None:
        """With `special`, the text of every control token is given; without, those in `tokenizer.hidden` are not,
        but for the `visible` ones."""
        self._tokenizer = tokenizer
        self._hidden = frozenset() if special else tokenizer.hidden - frozenset(visible)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that is certain now; "" while a character is incomplete."""
        if token in self._hidden:
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """What was still waiting, as U+FFFD; then the next sequence may begin."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
