"""What is used, and how it is asked for: the load under which an endpoint is measured."""

from dataclasses import dataclass


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
