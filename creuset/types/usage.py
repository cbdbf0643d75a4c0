"""What is used, and how it is asked for: tokens of one request, and the load under which an endpoint is measured."""

from dataclasses import dataclass

import msgspec


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one request. Cached ones and those written to a cache are of the input; thought ones of the output."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How an endpoint is asked when its speed is measured: closed loop, `concurrency` requests always open."""

    requests: int = 24
    concurrency: int = 2
    max_tokens: int = 64
    prompt_words: int = 120
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        if min(self.requests, self.concurrency, self.max_tokens, self.prompt_words, self.timeout_s) <= 0:
            raise ValueError("a load's numbers are positive")
