"""Incremental detokenizing that never splits a character."""

import codecs
from collections.abc import Iterable

from creuset.text.tokenizer import Tokenizer


class Detokenizer:
    """Text of a growing sequence of ids: what `push` and `finish` gave, joined, is `Tokenizer.decode` of the whole.

    A token may end inside a character; its bytes wait for the rest. Bytes that can no longer become a character
    come out as U+FFFD as soon as that is known, and at `finish` at the latest.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, special: bool = False, visible: Iterable[int] = (), after: int | None = None
    ) -> None:
        """With `special`, the text of every control token is given; without, those in `tokenizer.hidden` are not, but
        for the `visible` ones.

        `after`: the token that stands before the sequence. A metaspace vocabulary puts a space before the first word
        of a text. It is taken off at the start and behind a control token, such as the one that opens the
        assistant's turn; what continues a text keeps it: "The capital is" goes on with " Paris".
        """
        self._tokenizer = tokenizer
        self._hidden = frozenset() if special else tokenizer.hidden - frozenset(visible)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        fresh = after is None or after in tokenizer.special.values()
        self._first = fresh
        self._lead = tokenizer.pieces.lead if fresh else 0
        self._begin = (self._first, self._lead)

    def push(self, token: int) -> str:
        """The text that is certain now; "" while a character is incomplete."""
        if token in self._hidden:
            return ""
        data = self._tokenizer.token_bytes(token)
        if self._first:
            self._first = False
            if token in self._tokenizer.pieces.bare_first:
                data = data.replace(b" ", b"")
        while self._lead and data:
            if data[:1] != b" ":
                self._lead = 0
                break
            data, self._lead = data[1:], self._lead - 1
        return self._decoder.decode(data)

    def finish(self) -> str:
        """What was still waiting, as U+FFFD; then the next sequence may begin."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._first, self._lead = self._begin
        return rest
