"""Drafts by a smaller model with the same vocabulary: it reads the text too, and says what it thinks comes next.

It has keys and values of its own, in blocks of its own. Whatever goes wrong with it costs drafts and no answer: each
draft is verified (engine/speculation.py), so answers keep the model's own distribution to the last bit.
"""

import math
from collections.abc import Sequence as Listed
from dataclasses import dataclass, field

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Runner
from creuset.engine.blocks import BlockPool
from creuset.engine.scheduler import Sequence
from creuset.engine.settings import EngineSettings
from creuset.engine.speculation import Computed, Drafter, drafter, row_cost
from creuset.model.count import matmul_weights
from creuset.text.tokenizer import Tokenizer

AT_ONCE = 512  # tokens of a prompt that it reads in a step


@dataclass(slots=True)
class _Read:
    tokens: list[int] = field(default_factory=list)  # whose keys and values it has: some may have been drafts
    blocks: list[int] = field(default_factory=list)


class DraftModel:
    name, learns = "draft", False

    def __init__(self, runner: Runner, *, tokens: int, block_size: int, vocab: int) -> None:
        """`tokens`: that its cache holds. `vocab`: ids from which it chooses."""
        self._runner, self._size, self._vocab = runner, block_size, vocab
        self._pool = BlockPool(max(1, math.ceil(tokens / block_size)))
        self._read: dict[str, _Read] = {}
        runner.allocate(self._pool.num_blocks, block_size)

    def draft(self, sequence: Sequence, most: int) -> list[int]:
        tokens, read = sequence.tokens, self._read.setdefault(sequence.id, _Read())
        most = min(most, self._runner.config.context - len(tokens))
        if most < 1 or not self._room(read, len(tokens) + most - 1):
            return []
        kept = _same(read.tokens, tokens)
        del read.tokens[min(kept, len(tokens) - 1) :]  # the last token is read anew: what follows it is asked
        new = tokens[len(read.tokens) : len(read.tokens) + AT_ONCE]
        guess = self._next(read, new)
        if len(read.tokens) < len(tokens):
            return []  # it is still reading
        found = [guess]
        while len(found) < most:
            found.append(self._next(read, found[-1:]))
        return found

    def learn(self, done: Listed[Computed]) -> None:
        pass

    def forget(self, id: str) -> None:
        if (read := self._read.pop(id, None)) is not None:
            self._pool.release(read.blocks)

    def _room(self, read: _Read, tokens: int) -> bool:
        missing = math.ceil(tokens / self._size) - len(read.blocks)
        if missing > 0:
            if (blocks := self._pool.take(missing)) is None:
                return False
            read.blocks += blocks
        return True

    def _next(self, read: _Read, tokens: list[int]) -> int:
        """Read `tokens` behind what was read; the likeliest token after them."""
        first = len(read.tokens)
        self._runner.forward(ForwardBatch(tokens, [BatchSpan(first, len(tokens), read.blocks)]))
        read.tokens += tokens
        return int(self._runner.candidates([len(tokens) - 1], 1, self._vocab).ids_RK[0, 0])


def drafting(
    settings: EngineSettings, runner: Runner, draft: Runner | None, tokens: int
) -> tuple[Drafter | None, float]:
    """Who guesses, and what one more drafted token is taken to cost, in steps of the model.

    `draft`: the draft model, where there is one, whose cache then holds `tokens`.
    """
    cost = row_cost(runner)
    if draft is None or runner.config.rope_border is not None:
        return drafter(settings.speculation, runner), cost
    cost += matmul_weights(draft.config) / matmul_weights(runner.config)
    vocab = min(runner.config.vocab_size, draft.config.vocab_size)
    return DraftModel(draft, tokens=tokens, block_size=settings.block_size, vocab=vocab), cost


def refuse_other_words(draft: Tokenizer, model: Tokenizer) -> None:
    """ConfigError: the two do not mean the same by their tokens."""
    if draft.vocab_size < model.vocab_size:
        raise ConfigError(
            f"the draft model has {draft.vocab_size} tokens and the model {model.vocab_size}: it needs the same ones"
        )
    for id in range(model.vocab_size):
        if (theirs := draft.token_bytes(id)) != (ours := model.token_bytes(id)):
            raise ConfigError(f"token {id} is {theirs!r} in the draft model and {ours!r} in the model: they must agree")


def _same(read: list[int], tokens: list[int]) -> int:
    """How many tokens both begin with."""
    if read == tokens[: len(read)]:
        return len(read)
    unequal = (at for at, (one, other) in enumerate(zip(read, tokens, strict=False)) if one != other)
    return next(unequal, len(tokens))
