"""What a client asks of an engine and what it gets back: the same structs inside the engine and between processes.

One GenerationRequest is one choice: `n` choices are `n` requests, which share the cached blocks of their prompt.
A request is answered by a row of Events. Exactly one of them, the last, has `finish` set.
"""

import math
from typing import Literal

import msgspec

from creuset.core.errors import RequestError

Finish = Literal["stop", "length", "cancelled", "error"]

# raw: what the model says. processed: what was drawn from, after penalties, bias, watermark, grammar, temperature and
# truncation. At temperature 0 nothing is drawn: then without temperature and truncation.
LogprobsMode = Literal["raw_logprobs", "processed_logprobs"]

MAX_ALTERNATIVES = 20


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to choose tokens. The order is: penalties, bias, watermark, what is allowed (`min_tokens`, `allowed_ids`,
    `bad_words`, the grammar), temperature, min_p, top_k, top_p.

    Raises RequestError, which names the field, for a value out of its range.
    """

    max_tokens: int  # 0: only read the prompt (for `prompt_logprobs`)
    min_tokens: int = 0  # before that many, neither stop ids nor stop strings end the answer
    temperature: float = 1.0  # 0: always the likeliest token
    top_p: float = 1.0
    top_k: int = 0  # 0: off
    min_p: float = 0.0  # tokens less likely than min_p times the likeliest are left out
    frequency_penalty: float = 0.0  # per occurrence in the answer so far
    presence_penalty: float = 0.0  # once, for tokens already in the answer
    repetition_penalty: float = 1.0  # divides positive logits of tokens in prompt and answer (arXiv:1909.05858)
    logit_bias: dict[int, float] = {}
    seed: int | None = None  # None: drawn by the engine
    stop: tuple[str, ...] = ()  # the answer ends before the first of them
    stop_ids: tuple[int, ...] = ()  # besides the model's own end tokens
    ignore_eos: bool = False  # the model's own end tokens do not end the answer; `stop_ids` still do
    logprobs: int | None = None  # alternatives a token; 0: the chosen one only; None: none at all
    prompt_logprobs: int | None = None  # the same for the prompt; the prefix cache is then not read
    logprobs_mode: LogprobsMode = "raw_logprobs"  # of the answer; those of the prompt are always raw
    allowed_ids: tuple[int, ...] | None = None  # nothing else is drawn
    bad_words: tuple[tuple[int, ...], ...] = ()  # rows of tokens that are never written
    include_stop: bool = False  # the stop string, or the token of `stop_ids`, that ended the answer is part of its text
    return_ids: bool = False  # events carry every token that the model emitted

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN fails too
                bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
                raise RequestError(f"`{name}` must be {bounds}, got {value}", param=name)
        for name in ("top_p", "repetition_penalty"):
            if getattr(self, name) == 0:
                raise RequestError(f"`{name}` must be above 0", param=name)
        if self.min_tokens > self.max_tokens:
            raise RequestError(
                f"`min_tokens` ({self.min_tokens}) must not exceed `max_tokens` ({self.max_tokens})", param="min_tokens"
            )
        if any(not text for text in self.stop):
            raise RequestError("`stop` must not contain an empty string", param="stop")
        for token, bias in self.logit_bias.items():
            if not -100 <= bias <= 100:
                raise RequestError(
                    f"`logit_bias` must be between -100 and 100, got {bias} for token {token}", param="logit_bias"
                )


_RANGES = (
    ("max_tokens", 0, math.inf),
    ("min_tokens", 0, math.inf),
    ("temperature", 0, 100),
    ("top_p", 0, 1),
    ("top_k", 0, math.inf),
    ("min_p", 0, 1),
    ("frequency_penalty", -2, 2),
    ("presence_penalty", -2, 2),
    ("repetition_penalty", 0, 100),
    ("logprobs", 0, MAX_ALTERNATIVES),
    ("prompt_logprobs", 0, MAX_ALTERNATIVES),
)


class Thinking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The marks of this model's thoughts, so that they can be counted, and closed after `budget` tokens."""

    open: str
    close: str
    opened: bool = False  # the prompt ends inside a thought
    repeats: bool = False  # there may be several, anywhere; else there is one at most, before any words
    calls: tuple[str, ...] = ()  # marks that open tool calls: a thought is not closed in the middle of one
    budget: int | None = None  # tokens of all thoughts together; None: no limit
    closing: tuple[int, ...] = ()  # what is written when the budget is used up: the closing mark


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    prompt: list[int]
    sampling: Sampling
    salt: str = ""  # requests share cached prefixes only with requests of the same salt
    grammar: str | None = None  # what the answer must look like: see text/grammar.py
    thinking: Thinking | None = None  # None: thoughts are neither counted nor bounded
    whole: bool = False  # one event at the end tells all; else there is one for each token
    visible_ids: tuple[int, ...] = ()  # special tokens whose text is wanted, as the marks of tool calls
    tier: str = "default"  # the class in which it waits: see types/fair_queue.py
    adapter: int = 0  # of the engine's settings, from 1 on: it is computed with this one; 0: with none
    embeds: Literal["mean", "last", "first"] | None = None  # a row of the prompt is wanted, and `max_tokens` is 0

    def __post_init__(self) -> None:
        if self.embeds and self.sampling.max_tokens:
            raise RequestError(f"an embedding is made of a prompt alone, got max_tokens {self.sampling.max_tokens}")

    @property
    def reads_all(self) -> bool:
        """Whether something is told of each token of the prompt: the prefix cache is then not read."""
        return self.embeds is not None or self.sampling.prompt_logprobs is not None


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """Of the unmodified distribution, as OpenAI does, or of the one drawn from: see `logprobs_mode`."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()  # (token, logprob), likeliest first
    rank: int = 0  # 1: none was likelier. 0: not counted; it is for tokens of the prompt


class Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What happened to a request in one step. Joining all `text` gives the whole answer.

    `tokens` are those whose text is now out. While text that may become a stop string is held back, so
    are its tokens. The end token and tokens of a stop string that matched are in `completion_tokens`
    (the model did emit them) but never in `tokens`. `logprobs` goes with `tokens`, one by one.
    """

    id: str
    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None  # sent once; None for the first token
    finish: Finish | None = None
    stop_match: str | None = None  # the stop string that ended it
    stop_token: int | None = None  # the end token that ended it
    prompt_tokens: int = 0
    completion_tokens: int = 0  # so far
    cached_tokens: int = 0  # of the prompt, found in the prefix cache
    error: str | None = None  # with finish "error": what went wrong
    param: str | None = None  # with it, where the request itself was wrong: the part to blame
    reasoning_tokens: int = 0  # of the completion's so far, those that are thought
    emitted: tuple[int, ...] | None = None  # with `return_ids`: tokens since the last event, end and stop tokens too
    embedding: bytes | None = None  # with `embeds`: fp32, little end first, of length 1; sent with `finish`
