"""Speculation: tokens that may come next are guessed cheaply, and several of one request verified in a forward pass.

A decoding request computes its newest token and, behind it, its draft. Each row's logits then choose a token as they
would have without a draft: the same numbers, the same generator, one after the other. As long as the chosen token is
the drafted one, the row behind it was computed with the right beginning and counts too; at the first that differs the
rest is thrown away. So an answer is the same with drafts and without, greedy or sampled. Only the steps are fewer.

Who guesses is a `Drafter`: `PromptLookup` (what followed the last tokens before), `NextTokenLayer` (the model's own
layer for it, as DeepSeek-V3 has one).
"""

from array import array
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from typing import Literal, Protocol

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Runner
from creuset.engine.scheduler import Sequence

Speculation = Literal["auto", "off", "model", "lookup"]


@dataclass(frozen=True, slots=True)
class Computed:
    """Rows of the last batch that count: `count` of them from `row` on, at positions `first` and after."""

    sequence: Sequence
    row: int
    first: int
    count: int


class Drafter(Protocol):
    @property
    def name(self) -> str: ...

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        """Up to `most` tokens that may follow those of `sequence`; none where nothing is likely."""
        ...

    def learn(self, done: Listed[Computed]) -> None:
        """Called after each step, of the requests that go on and may speculate."""
        ...

    def forget(self, id: str) -> None: ...


class PromptLookup:
    """What followed the last few tokens when they were there before: in quotations, code and tables it follows again
    (arXiv:2304.04487)."""

    LONGEST, SHORTEST = 3, 2  # tokens that must be the same
    name = "lookup"

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        tokens = sequence.tokens
        words = array("q", tokens)
        held, size = words.tobytes(), words.itemsize
        for length in range(self.LONGEST, self.SHORTEST - 1, -1):
            # The last place before the end itself, so that something follows.
            end, last = len(held) - size, held[-length * size :]
            while (at := held.rfind(last, 0, end)) >= 0 and at % size:
                end = at + len(last) - 1  # it began within a number
            if at >= 0:
                begin = at // size + length
                return tokens[begin : begin + most]
        return []

    def learn(self, done: Listed[Computed]) -> None:
        pass

    def forget(self, id: str) -> None:
        pass


class NextTokenLayer:
    """One token a step, by the layer that the model has for it. The layer's own keys and values lie in the requests'
    blocks, at the place of the token whose successor it was told."""

    name = "model"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._drafts: dict[str, int] = {}

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        guess = self._drafts.get(sequence.id)
        return [] if guess is None or not most else [guess]

    def learn(self, done: Listed[Computed]) -> None:
        """Read the rows again, each beside the token that follows it."""
        self._drafts.clear()
        if not done:
            return
        rows = [row for one in done for row in range(one.row, one.row + one.count)]
        tokens = [token for one in done for token in one.sequence.tokens[one.first + 1 : one.first + one.count + 1]]
        spans = [BatchSpan(one.first, one.count, one.sequence.blocks, len(one.sequence.tokens)) for one in done]
        guesses = self._runner.guess(rows, ForwardBatch(tokens, spans))
        self._drafts = {one.sequence.id: guess for one, guess in zip(done, guesses, strict=True)}

    def forget(self, id: str) -> None:
        self._drafts.pop(id, None)


def drafter(kind: Speculation, runner: Runner) -> Drafter | None:
    """Who guesses for this model. ConfigError: it has no layer that could."""
    if kind == "model" and not runner.guesses:
        raise ConfigError(
            "speculation `model` needs a layer that guesses the token after the next, and this model has none",
            hint="`lookup` works with every model",
        )
    if runner.config.rope_border is not None:
        return None  # rows before and behind the border are not computed alike
    if kind == "lookup":
        return PromptLookup()
    return NextTokenLayer(runner) if kind in ("auto", "model") and runner.guesses else None
