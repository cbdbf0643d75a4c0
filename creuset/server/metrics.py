"""What the server counts, in Prometheus' format. One registry per server: nothing is global."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from creuset.types.generation import Event

FAST_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SLOW_S = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class Metrics:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("creuset_requests", "HTTP requests", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "creuset_request_seconds", "Whole requests", ["route"], buckets=SLOW_S, registry=registry
        )
        self.prompt = Counter("creuset_prompt_tokens", "Tokens read", registry=registry)
        self.cached = Counter("creuset_cached_tokens", "Tokens read that the prefix cache had", registry=registry)
        self.completion = Counter(
            "creuset_completion_tokens", "Tokens generated, cancelled ones included", registry=registry
        )
        self.finished = Counter("creuset_completions", "Completions by how they ended", ["reason"], registry=registry)
        self.first = Histogram(
            "creuset_time_to_first_token_seconds", "Accepted to first token", buckets=FAST_S, registry=registry
        )
        self.between = Histogram(
            "creuset_inter_token_seconds", "Between two tokens of a completion", buckets=FAST_S, registry=registry
        )
        self.open = Gauge("creuset_open_completions", "Completions running or waiting", registry=registry)
        self.up = Gauge("creuset_engine_up", "Engines that can generate", registry=registry)
        self.restarts = Counter(
            "creuset_engine_restarts", "Engine processes started after the first", registry=registry
        )
        self.engine = Gauge("creuset_engine", "The engine's own numbers", ["name", "model"], registry=registry)
        self._last: dict[str, float] = {}  # open completion -> when its last token came, or when it was accepted
        self._begun: set[str] = set()

    def accepted(self, ids: Sequence[str]) -> None:
        self._last.update(dict.fromkeys(ids, self._clock()))

    def on_event(self, event: Event, generated: int, read: int) -> None:
        self.prompt.inc(read)
        if generated:
            self.completion.inc(generated)
            now = self._clock()
            waited = now - self._last.get(event.id, now)
            if event.id in self._begun:
                for _ in range(generated):
                    self.between.observe(waited / generated)
            else:
                self._begun.add(event.id)
                self.first.observe(waited)
            self._last[event.id] = now
        if event.finish is not None:
            self.cached.inc(event.cached_tokens)

    def ended(self, id: str, reason: str) -> None:
        """A completion is over: `reason` is its finish, or refused, or lost (the engine died)."""
        self.finished.labels(reason).inc()
        self._last.pop(id, None)
        self._begun.discard(id)

    def render(self, *, open_requests: int, ready: int, stats: dict[str, dict[str, float]]) -> bytes:
        """All of it as text. `ready`: engines that can generate. `stats`: the numbers of each model's engine."""
        self.open.set(open_requests)
        self.up.set(ready)
        for model, numbers in stats.items():
            for name, value in numbers.items():
                self.engine.labels(name, model).set(value)
        return generate_latest(self.registry)
