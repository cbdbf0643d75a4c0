"""Speculation: tokens that may come next are guessed cheaply, and several of one request verified in a forward pass.

A decoding request computes its newest token and, behind it, its draft. Each row's logits then choose a token as they
would have without a draft: the same numbers, the same generator, one after the other. As long as the chosen token is
the drafted one, the row behind it was computed with the right beginning and counts too; at the first that differs the
rest is thrown away. So an answer is the same with drafts and without, greedy or sampled. Only the steps are fewer.

Who guesses is a `Drafter`: `PromptLookup` (what followed the last tokens before), `NextTokenLayer` (the model's own
layer for it, as DeepSeek-V3 has one), `DraftModel` of draft_model.py (a smaller model).
"""

from collections.abc import Sequence as Listed
from dataclasses import dataclass
from typing import Literal, Protocol

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Runner
from creuset.engine.scheduler import Sequence
from creuset.model.count import matmul_weights

Speculation = Literal["auto", "off", "model", "lookup"]

WASTE = 0.015  # of an answer's steps: what drafts that are not accepted may cost
_FIRST, _MOST = 1.4, 6.0  # steps: what a new answer may spend on trying, and what right drafts can save up for more


def row_cost(runner: Runner) -> float:
    """What one more row is taken to cost, in steps of one row.

    In the native core its products take a fifth of a step, and it meets experts of its own, whose weights are read
    for it. Measured: 0.43 for the shipped model, 0.11 to 0.28 for a dense one (docs/log.md). torch's products have more
    to do beside.
    """
    config = runner.config
    if runner.choices["backend"] != "native":
        return 0.8 if config.experts else 0.35
    layers = sum(map(config.moe_layer, range(config.layers)))
    routed = layers * 3 * config.hidden * config.experts_per_token * config.expert_ffn
    return 0.2 + 0.8 * routed / matmul_weights(config)


class Allowance:
    """How many tokens may be drafted for one request. It turns drafts off where they do not pay, and on again.

    An accepted draft saves a step, each drafted row costs `row_cost` of one. What is spent beyond what was saved never
    exceeds _FIRST steps and WASTE of the answer's. One token is tried first; where all of a draft were right, the next
    may be twice as long and one more, else as long as what was right. It counts tokens and no time: a request is
    treated alike each time.
    """

    __slots__ = ("cost", "reach", "steps")

    def __init__(self, row_cost: float) -> None:
        self.cost, self.steps, self.reach = row_cost, _FIRST, 1

    @property
    def rows(self) -> int:
        return min(self.reach, int(self.steps / self.cost))

    def settle(self, drafted: int, accepted: int) -> None:
        """After a step with `drafted` tokens, of which `accepted` were right."""
        if not drafted:
            steps = self.steps + WASTE
        else:
            steps = self.steps + accepted + WASTE * (1 + accepted) - self.cost * drafted
            self.reach = 2 * self.reach + 1 if accepted == drafted else max(1, accepted)
        self.steps = steps if steps < _MOST else _MOST


@dataclass(frozen=True, slots=True)
class Computed:
    """Rows of the last batch that count: `count` of them from `row` on, at positions `first` and after."""

    sequence: Sequence
    row: int
    first: int
    count: int


class _Places:
    """Where each two tokens that follow each other were last followed by another one, among the first `known`."""

    __slots__ = ("known", "pairs")

    def __init__(self) -> None:
        self.known, self.pairs = 0, dict[tuple[int, int], int]()


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
    """What followed the last two tokens when they were there before: in quotations, code and tables it follows again
    (arXiv:2304.04487)."""

    name, learns = "lookup", False

    def __init__(self) -> None:
        self._known: dict[str, _Places] = {}

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        tokens = sequence.tokens
        if (places := self._known.get(sequence.id)) is None:
            places = self._known[sequence.id] = _Places()
        size, pairs = len(tokens), places.pairs
        if places.known == size - 1 > 2:  # nearly always
            pairs[tokens[-3], tokens[-2]] = size - 1
        elif size > 2:
            begin = max(2, places.known)
            pairs.update(zip(zip(tokens[begin - 2 :], tokens[begin - 1 :]), range(begin, size)))  # noqa: B905
        else:
            return []
        places.known = size
        begin = pairs.get((tokens[-2], tokens[-1]), size)
        return tokens[begin : begin + most]

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
