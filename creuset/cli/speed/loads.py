"""Loads that an engine is timed with: answers of so many streams at once, and prompts of such a length.

Prompts are random and distinct, so that a mixture of experts meets different experts and nothing is found in a cache.
The whole engine is timed: scheduler, model and sampler.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from creuset.core.errors import EngineError
from creuset.types.generation import Event, GenerationRequest, Sampling

if TYPE_CHECKING:
    from creuset.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second over several turns."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> "Rate":
        return cls(round(statistics.median(rates), 2), round(min(rates), 2), round(max(rates), 2))

    def document(self) -> dict[str, float]:
        return asdict(self)


class TimedRequests:
    """Requests to one engine, each with a prompt that no other has."""

    def __init__(self, engine: "Engine", *, seed: int, temperature: float = 0.0) -> None:
        self.engine = engine
        self._random, self._temperature, self._count = np.random.default_rng(seed), temperature, 0
        self._vocabulary = min(engine.config.vocab_size, engine.tokenizer.vocab_size)

    def request(self, prompt: int, tokens: int) -> GenerationRequest:
        self._count += 1
        ids = self._random.integers(0, self._vocabulary, prompt).tolist()
        sampling = Sampling(
            max_tokens=tokens, temperature=self._temperature, ignore_eos=True, return_ids=True, seed=self._count
        )
        return GenerationRequest(id=str(self._count), prompt=ids, sampling=sampling)

    def decode(self, streams: int, tokens: int, *, prompt: int) -> float:
        """Tokens a second of `streams` answers together, while all of them are being written.

        The clock runs from the moment at which the last of them has its first token to the end of the first.
        """
        written: dict[str, int] = {}
        for _ in range(streams):
            request = self.request(prompt, tokens)
            written[request.id] = 0
            self.engine.add(request)
        begun = ended = 0.0
        at_begin = at_end = 0
        while self.engine.busy:
            for event in self._step():
                written[event.id] += len(event.tokens)
            if not begun and all(written.values()):
                begun, at_begin = time.perf_counter(), sum(written.values())
            if not ended and max(written.values()) >= tokens:
                ended, at_end = time.perf_counter(), sum(written.values())
        if at_end <= at_begin or not begun:
            raise EngineError(f"{streams} streams of {tokens} tokens were never written at the same time",
                              hint="ask for more tokens a stream")  # fmt: skip
        return (at_end - at_begin) / (ended - begun)

    def prefill(self, prompt: int) -> float:
        """Seconds from a request with a prompt of so many tokens to its first token."""
        begun = time.perf_counter()
        self.engine.add(self.request(prompt, 1))
        while self.engine.busy:
            self._step()
        return time.perf_counter() - begun

    def _step(self) -> list[Event]:
        events = self.engine.step()
        for event in events:
            if event.error is not None:
                raise EngineError(f"a request failed while it was timed: {event.error}")
        return events
