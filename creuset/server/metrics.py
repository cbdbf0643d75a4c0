"""What the server counts, in Prometheus' format. One registry per server: nothing is global."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from creuset.types.generation import Event

FAST_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SLOW_S = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauges:
    """What one model's engine says of itself when it is asked."""

    open: int  # completions running or waiting in it
    waiting: int = 0  # requests that wait until it is loaded
    ready: bool
    memory: int = 0  # bytes that are counted for it
    engine: Mapping[str, float] = field(default_factory=dict)  # its own numbers


class Metrics:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("creuset_requests", "HTTP requests", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "creuset_request_seconds", "Whole requests", ["route"], buckets=SLOW_S, registry=registry
        )

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"creuset_{name}", help, ["model", *labels], registry=registry)

        def gauge(name: str, help: str) -> Gauge:
            return Gauge(f"creuset_{name}", help, ["model"], registry=registry)

        def histogram(name: str, help: str) -> Histogram:
            return Histogram(f"creuset_{name}", help, ["model"], buckets=FAST_S, registry=registry)

        self.prompt = counter("prompt_tokens", "Tokens read")
        self.cached = counter("cached_tokens", "Tokens read that the prefix cache had")
        self.completion = counter("completion_tokens", "Tokens generated, cancelled ones included")
        self.finished = counter("completions", "Completions by how they ended", "reason")
        self.first = histogram("time_to_first_token_seconds", "Accepted to first token")
        self.between = histogram("inter_token_seconds", "Between two tokens of a completion")
        self.energy = counter("energy_joules", "Energy of completions: measured, or estimated where no counter is")
        self.open = gauge("open_completions", "Completions running or waiting")
        self.waiting = gauge("waiting_for_model", "Requests that wait until the model is loaded")
        self.up = gauge("engine_up", "Whether the engine can generate")
        self.memory = gauge("model_memory_bytes", "Memory that is counted for the model; 0 when it is not loaded")
        self.loads = counter("model_loads", "How often the model was loaded")
        self.restarts = counter("engine_restarts", "Engine processes started because one ended")
        self.engine = Gauge("creuset_engine", "The engine's own numbers", ["name", "model"], registry=registry)

    def of(self, model: str) -> "ModelMetrics":
        return ModelMetrics(self, model, self._clock)

    def render(self, models: Mapping[str, Gauges]) -> bytes:
        """All of it as text, with what each model's engine says of itself."""
        for model, found in models.items():
            self.open.labels(model).set(found.open)
            self.waiting.labels(model).set(found.waiting)
            self.up.labels(model).set(found.ready)
            self.memory.labels(model).set(found.memory)
            for name, value in found.engine.items():
                self.engine.labels(name, model).set(value)
        return generate_latest(self.registry)


class ModelMetrics:
    """Counts for one model. Every series that it may count is there from the start."""

    def __init__(self, metrics: Metrics, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._model, self._all = clock, model, metrics
        self._prompt, self._cached = metrics.prompt.labels(model), metrics.cached.labels(model)
        self._completion = metrics.completion.labels(model)
        self._first, self._between = metrics.first.labels(model), metrics.between.labels(model)
        self.loads, self.restarts = metrics.loads.labels(model), metrics.restarts.labels(model)
        self._last: dict[str, float] = {}  # open completion -> when its last token came, or when it was accepted
        self._begun: set[str] = set()

    def accepted(self, ids: Sequence[str]) -> None:
        self._last.update(dict.fromkeys(ids, self._clock()))

    def on_event(self, event: Event, generated: int, read: int) -> None:
        self._prompt.inc(read)
        if generated:
            self._completion.inc(generated)
            now = self._clock()
            waited = now - self._last.get(event.id, now)
            if event.finish is not None and generated > 1 and event.id not in self._begun:
                pass  # a reply that is told at its end: when its tokens came is not known here
            elif event.id in self._begun:
                for _ in range(generated):
                    self._between.observe(waited / generated)
            else:
                self._begun.add(event.id)
                self._first.observe(waited)
            self._last[event.id] = now
        if event.finish is not None:
            self._cached.inc(event.cached_tokens)

    def begun(self, id: str) -> None:
        """The first piece of a reply of another server: how many tokens it has is not known."""
        self._first.observe(self._clock() - self._last.get(id, self._clock()))

    def usage(self, read: int, generated: int) -> None:
        """Tokens of a reply of another server, as that one tells them."""
        self._prompt.inc(read)
        self._completion.inc(generated)

    def ended(self, id: str, reason: str) -> None:
        """A completion is over: `reason` is its finish, or refused, or lost (the engine died)."""
        self._all.finished.labels(self._model, reason).inc()
        self._last.pop(id, None)
        self._begun.discard(id)
