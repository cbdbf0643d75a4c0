"""Thoughts of one answer: how many tokens they have, and when they have had enough.

The marks are looked for in the text, so that a mark of one token and one of several are the same. A token counts as
thought when its text begins behind the mark that opens a thought and before the mark that closes it.
"""

from collections import deque

from creuset.types.generation import Thinking


class ThoughtCounter:
    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking
        self._inside = thinking.opened
        self._over = False  # no thought can begin any more
        self._tail = ""  # the last of the text, as long as a mark may begin in it
        self._starts: deque[int] = deque()  # where the tokens of the tail begin in it
        self._count = 0
        self._before_call: int | None = None  # the count when a call was opened inside this thought
        self._closing: deque[int] = deque()
        self._check_budget()

    @property
    def tokens(self) -> int:
        """Tokens of thought so far. A call at the end of an open thought is none of it."""
        return self._count if self._before_call is None else self._before_call

    @property
    def next_token(self) -> int | None:
        """The token that must come next, because the budget is used up; None where the model chooses."""
        return self._closing[0] if self._closing else None

    def postpone(self) -> None:
        """The token that must come cannot, as inside a character: the next token is tried."""
        self._closing.clear()

    def push(self, token: int, text: str) -> None:
        """Account for `token`, whose text is `text` ("" while a character is incomplete)."""
        if self._closing:
            self._closing.popleft()
        if self._over:
            return
        self._count += self._inside
        if text:
            self._starts.append(len(self._tail))
        self._tail += text
        while self._thought_ends() if self._inside else self._thought_begins():
            pass
        self._shorten()
        if not self._closing:
            self._check_budget()

    def _thought_begins(self) -> bool:
        opening = self._thinking.open
        if self._thinking.repeats:
            begins = opening in self._tail
        else:  # a thought comes before any words or not at all
            words = self._tail.lstrip()
            begins = not self._over and words.startswith(opening)
            self._over = self._over or not (begins or opening.startswith(words))
        if begins:
            self._pass(self._tail.find(opening) + len(opening))
            self._inside = True
        return begins

    def _thought_ends(self) -> bool:
        at = self._tail.find(self._thinking.close)
        if at >= 0:
            self._count -= sum(start >= at for start in self._starts)
            self._pass(at + len(self._thinking.close))
            self._inside, self._over, self._before_call = False, not self._thinking.repeats, None
        elif self._before_call is None:
            found = [at for mark in self._thinking.calls if (at := self._tail.find(mark)) >= 0]
            if found:
                self._before_call = self._count - sum(start >= min(found) for start in self._starts)
        return at >= 0

    def _pass(self, count: int) -> None:
        """What was read up to there is settled."""
        self._tail = self._tail[count:]
        self._starts.clear()

    def _shorten(self) -> None:
        thinking = self._thinking
        marks = (thinking.close, *thinking.calls) if self._inside else (thinking.open,)
        excess = len(self._tail) - max(map(len, marks))
        if excess > 0 and (self._inside or thinking.repeats):
            self._tail = self._tail[excess:]
            self._starts = deque(start - excess for start in self._starts if start >= excess)

    def _check_budget(self) -> None:
        budget = self._thinking.budget
        # Inside a call there is nothing to close: what would come of it is neither a call nor a thought.
        if budget is not None and self._inside and self._before_call is None and self._count >= budget:
            self._closing.extend(self._thinking.closing)
