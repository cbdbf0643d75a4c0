"""Speculation: tokens that may come next are guessed cheaply, and several of one request verified in a forward pass.

A decoding request computes its newest token and, behind it, its draft. Each row's logits then choose a token as they
would have without a draft: the same numbers, the same generator, one after the other. As long as the chosen token is
the drafted one, the row behind it was computed with the right beginning and counts too; at the first that differs the
rest is thrown away. So an answer is the same with drafts and without, greedy or sampled. Only the steps are fewer.

Who guesses is a `Drafter`: `PromptLookup` (what followed the last tokens before), `NextTokenLayer` (the model's own
layer for it, as DeepSeek-V3 has one).
"""

from collections.abc import Sequence as Listed
from dataclasses import dataclass
from typing import Literal, Protocol

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Runner
from creuset.engine.scheduler import Sequence
from creuset.model.config import ModelConfig

Speculation = Literal["auto", "off", "model", "lookup"]

WASTE = 0.03  # of an answer's steps: what drafts that are not accepted may cost
_FIRST, _MOST = 2.0, 6.0  # steps: what a new answer may spend on trying, and what right drafts can save up for more


def row_cost(config: ModelConfig) -> float:
    """What one more row is taken to cost, in steps of one row. A row of a model with experts asks others than the row
    before it, so little is shared; a dense model's weights are read once for all."""
    return 0.8 if config.experts else 0.35


class Allowance:
    """How many tokens may be drafted for one request. It turns drafts off where they do not pay, and on again.

    An accepted draft saves a step, each drafted row costs `row_cost` of one. What is spent beyond what was saved never
    exceeds _FIRST steps and WASTE of the answer's. It counts tokens and no time: a request is treated alike each time.
    """

    __slots__ = ("cost", "steps")

    def __init__(self, row_cost: float) -> None:
        self.cost, self.steps = row_cost, _FIRST

    @property
    def rows(self) -> int:
        return int(self.steps / self.cost)

    def settle(self, drafted: int, accepted: int) -> None:
        """After a step with `drafted` tokens, of which `accepted` were right."""
        earned = accepted + WASTE * (1 + accepted)
        self.steps = min(_MOST, self.steps + earned - self.cost * drafted)


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

    @property
    def learns(self) -> bool:
        """Whether `learn` is to be called."""
        ...

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
    name, learns = "lookup", False

    def __init__(self) -> None:
        # Of each request: how many of its tokens are known, and where each run of tokens was last followed by another.
        self._known: dict[str, tuple[int, dict[tuple[int, ...], int]]] = {}

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        tokens = sequence.tokens
        known, places = self._known.get(sequence.id, (0, {}))
        for at in range(known, len(tokens)):  # a token stands behind the runs that end before it
            places[tuple(tokens[max(0, at - 2) : at])] = at
            places[tuple(tokens[max(0, at - 3) : at])] = at
        self._known[sequence.id] = len(tokens), places
        for length in (self.LONGEST, self.SHORTEST):
            if len(tokens) > length and (begin := places.get(tuple(tokens[-length:]))) is not None:
                return tokens[begin : begin + most]
        return []

    def learn(self, done: Listed[Computed]) -> None:
        pass

    def forget(self, id: str) -> None:
        self._known.pop(id, None)


class NextTokenLayer:
    """One token a step, by the layer that the model has for it. The layer's own keys and values lie in the requests'
    blocks, at the place of the token whose successor it was told."""

    name, learns = "model", True

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
