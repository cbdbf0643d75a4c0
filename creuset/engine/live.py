"""Requests that were accepted and have not ended, what is computed of them in a step, and which are refused at once."""

from typing import NamedTuple

from creuset.core.errors import PromptTooLong, RequestError
from creuset.engine.answer.grammar import TokenMask
from creuset.engine.answer.output import OutputBuilder
from creuset.engine.backend.base import BatchSpan
from creuset.engine.sampler import Sampler
from creuset.engine.scheduler import Sequence
from creuset.engine.settings import EngineSettings
from creuset.engine.speculation import Allowance
from creuset.model.config import ModelConfig
from creuset.types.generation import GenerationRequest

LIKELY = 16  # candidates of a request that takes the likeliest token which its grammar allows


class Live:
    """A request that was accepted and has not ended: its place, its text, its generator, its place in its grammar."""

    __slots__ = (
        "allowance",
        "answer",
        "enough",
        "greedy",
        "mask",
        "most",
        "sampler",
        "sequence",
        "speculates",
        "tries",
    )

    def __init__(self, sequence: Sequence, answer: OutputBuilder, sampler: Sampler, *, row_cost: float) -> None:
        self.sequence, self.answer, self.sampler = sequence, answer, sampler
        self.mask: TokenMask | None = None
        self.allowance = Allowance(row_cost)
        request = sequence.request
        bound = request.grammar is not None or (request.thinking is not None and request.thinking.budget is not None)
        # Candidates that its token is chosen from; 0: all. The likeliest that a grammar allows is mostly one of a few.
        self.enough = sampler.enough
        self.greedy = request.sampling.temperature == 0 and sampler.enough == 1
        self.tries = sampler.uncut and request.thinking is None
        if bound:
            self.enough = LIKELY if self.greedy else 0
        self.speculates = request.grammar is None  # a grammar rules out most tokens: no drafts
        self.most = request.sampling.max_tokens


class StepShare(NamedTuple):
    """One request's share of a step: `tokens`, of which the last are its draft, in rows from `row` on."""

    live: Live
    span: BatchSpan
    row: int
    tokens: list[int]
    draft: list[int]


def refuse(
    request: GenerationRequest, settings: EngineSettings, *, config: ModelConfig, context: int, capacity: int
) -> None:
    """RequestError: this model, with a cache of `capacity` tokens, cannot answer `request`."""
    prompt, sampling = request.prompt, request.sampling
    total = len(prompt) + sampling.max_tokens
    if not prompt:
        raise RequestError("the prompt is empty", param="prompt")
    if not 0 <= request.adapter <= (count := len(settings.adapters)):
        raise RequestError(f"request `{request.id}` wants adapter {request.adapter}, and the engine has {count}")
    if total > context:
        raise PromptTooLong(
            f"this model's context is {context} tokens, but {total} were asked for "
            f"({len(prompt)} in the prompt, {sampling.max_tokens} to answer)",
            hint="shorten the prompt or ask for fewer tokens",
        )
    if total > capacity:
        raise PromptTooLong(
            f"this server's cache holds {capacity} tokens, but {total} were asked for "
            f"({len(prompt)} in the prompt, {sampling.max_tokens} to answer)",
            hint="raise the setting kv_tokens or kv_mib of the engine (--kv-tokens or --kv-memory of the server), or "
            "ask for fewer tokens",
        )
    size = config.vocab_size
    closing = request.thinking.closing if request.thinking is not None else ()
    named = (
        ("prompt", prompt), ("logit_bias", sampling.logit_bias), ("stop_token_ids", sampling.stop_ids),
        ("thinking.closing", closing), ("allowed_token_ids", sampling.allowed_ids or ()),
    )  # fmt: skip
    for name, ids in named:
        for token in ids:
            if not 0 <= token < size:
                raise RequestError(f"`{name}` has token {token}, but the ids are 0 to {size - 1}", param=name)
