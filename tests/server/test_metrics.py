"""What is counted, by a clock of our own: every token once, every time where it belongs."""

import pytest

from creuset.server.metrics import Gauges, Metrics
from creuset.types.generation import Event


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def page(metrics: Metrics, **gauges: Gauges) -> dict[str, float]:
    """Every sample of the rendered page by its name and labels, those of the model `m` without that label."""
    text = metrics.render(gauges).decode()
    for label in ('{model="m"}', 'model="m",', ',model="m"'):
        text = text.replace(label, "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_tokens_are_counted_as_they_come_and_cached_ones_at_the_end() -> None:
    every = Metrics(clock=Clock())
    metrics = every.of("m")
    metrics.accepted(["a"])
    metrics.on_event(Event(id="a", text="x", cached_tokens=5), 2, 7)
    metrics.on_event(Event(id="a", text="y", cached_tokens=5), 1, 0)
    assert page(every)["creuset_cached_tokens_total"] == 0
    metrics.on_event(Event(id="a", finish="stop", cached_tokens=5), 0, 0)
    found = page(every)
    assert found["creuset_prompt_tokens_total"] == 7
    assert found["creuset_completion_tokens_total"] == 3
    assert found["creuset_cached_tokens_total"] == 5


def test_a_reply_that_is_told_at_its_end_is_counted_and_its_tokens_are_not_timed() -> None:
    every = Metrics(clock=Clock())
    metrics = every.of("m")
    metrics.accepted(["a", "b"])
    metrics.on_event(Event(id="a", finish="stop"), 9, 7)
    found = page(every)
    assert found["creuset_completion_tokens_total"] == 9
    assert found["creuset_time_to_first_token_seconds_count"] == found["creuset_inter_token_seconds_count"] == 0
    metrics.on_event(Event(id="b", finish="length"), 1, 7)  # one token: it is the first
    assert page(every)["creuset_time_to_first_token_seconds_count"] == 1


def test_the_first_token_is_timed_from_acceptance_and_the_others_from_each_other() -> None:
    clock = Clock()
    every = Metrics(clock=clock)
    metrics = every.of("m")
    metrics.accepted(["a", "b"])
    clock.now += 1.5
    metrics.on_event(Event(id="a"), 1, 3)
    clock.now += 0.5
    metrics.on_event(Event(id="a"), 4, 0)  # four tokens in half a second
    clock.now += 0.25
    metrics.on_event(Event(id="b"), 1, 0)
    found = page(every)
    assert found["creuset_time_to_first_token_seconds_count"] == 2
    assert found["creuset_time_to_first_token_seconds_sum"] == pytest.approx(1.5 + 2.25)
    assert found["creuset_inter_token_seconds_count"] == 4
    assert found["creuset_inter_token_seconds_sum"] == pytest.approx(0.5)
    assert found['creuset_inter_token_seconds_bucket{le="0.2"}'] == 4
    assert found['creuset_inter_token_seconds_bucket{le="0.1"}'] == 0


def test_an_event_without_a_token_is_no_first_token() -> None:
    clock = Clock()
    every = Metrics(clock=clock)
    metrics = every.of("m")
    metrics.accepted(["a"])
    clock.now += 2
    metrics.on_event(Event(id="a"), 0, 3)
    assert page(every)["creuset_time_to_first_token_seconds_count"] == 0
    clock.now += 1
    metrics.on_event(Event(id="a"), 1, 0)
    assert page(every)["creuset_time_to_first_token_seconds_sum"] == 3


def test_a_completion_ends_once_by_its_reason_and_nothing_of_it_is_kept() -> None:
    clock = Clock()
    every = Metrics(clock=clock)
    metrics = every.of("m")
    for id, reason in (("a", "stop"), ("b", "stop"), ("c", "lost"), ("d", "refused")):
        metrics.accepted([id])
        metrics.on_event(Event(id=id), 1, 0)
        metrics.ended(id, reason)
    found = page(every)
    assert found['creuset_completions_total{reason="stop"}'] == 2
    assert found['creuset_completions_total{reason="lost"}'] == 1
    assert found['creuset_completions_total{reason="refused"}'] == 1
    metrics.accepted(["a"])  # the same id again is a completion of its own
    clock.now += 4
    metrics.on_event(Event(id="a"), 1, 0)
    assert page(every)["creuset_time_to_first_token_seconds_sum"] == 4
    metrics.ended("never-accepted", "lost")


def test_the_page_tells_the_state_of_each_model_and_its_engines_own_numbers() -> None:
    one = Gauges(open=3, waiting=2, ready=True, memory=7, engine={"running": 2.0, "waiting": 1.0})
    found = page(Metrics(), m=one, two=Gauges(open=0, ready=False, engine={"running": 0.0}))
    assert found["creuset_open_completions"] == 3 and found["creuset_engine_up"] == 1
    assert found["creuset_waiting_for_model"] == 2 and found["creuset_model_memory_bytes"] == 7
    assert found['creuset_engine_up{model="two"}'] == 0
    assert found['creuset_engine{name="running"}'] == 2
    assert found['creuset_engine{name="waiting"}'] == 1
    assert found['creuset_engine{model="two",name="running"}'] == 0


def test_each_model_is_counted_apart() -> None:
    every = Metrics(clock=Clock())
    for name, tokens in (("m", 2), ("other", 5)):
        model = every.of(name)
        model.accepted(["a"])  # one id may be open in two engines
        model.on_event(Event(id="a"), tokens, 1)
        model.ended("a", "stop")
    found = page(every)
    assert found["creuset_completion_tokens_total"] == 2
    assert found['creuset_completion_tokens_total{model="other"}'] == 5
    assert found['creuset_completions_total{model="other",reason="stop"}'] == 1


def test_two_servers_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.of("m").on_event(Event(id="a"), 5, 5)
    one.requests.labels("/health", "200").inc()
    two.of("m")
    assert page(two)["creuset_completion_tokens_total"] == 0
    assert 'creuset_requests_total{route="/health",status="200"}' not in page(two)
