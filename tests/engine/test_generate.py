"""Asking an engine and waiting gives what its own steps give, and leaves nothing behind."""

import pytest

from creuset.core.errors import EngineError, RequestError
from creuset.engine.generate import generate, stream
from tests.engine.support import ask, engine, run

STORY = "The cat sat on the mat. The dog ran to the river."
FIELDS = ("text", "finish", "error", "prompt_tokens", "completion_tokens", "cached_tokens")


def asks():
    return [
        ask("a", STORY, 6, ignore_eos=True, logprobs=2, seed=1),
        ask("b", "What is a river?", 9, ignore_eos=True, prompt_logprobs=1, seed=2),
        ask("c", STORY, 3, seed=3),
        ask("d", STORY, 20, ignore_eos=True, seed=4, stop=("e",)),
    ]


def test_a_whole_answer_is_its_events_joined():
    wanted = run(engine(), *asks())
    found = generate(engine(), asks())
    for completion, event in zip(found, wanted.values(), strict=True):
        assert [getattr(completion, name) for name in FIELDS] == [getattr(event, name) for name in FIELDS]
        assert completion.tokens == list(event.tokens)
        assert completion.logprobs == list(event.logprobs or ())
        assert completion.prompt_logprobs == (event.prompt_logprobs or ())
    assert len(found[0].logprobs) == 6 and found[1].prompt_logprobs, "nothing was compared"


def test_answers_come_in_the_order_of_the_requests_not_of_their_ends():
    found = generate(engine(), [ask("slow", STORY, 9, ignore_eos=True), ask("quick", STORY, 1, ignore_eos=True)])
    assert [completion.completion_tokens for completion in found] == [9, 1]


def test_a_caller_that_stops_reading_cancels_what_still_runs():
    one = engine(prefix_cache=False)
    events = stream(one, [ask("a", STORY, 50, ignore_eos=True), ask("b", STORY, 60, ignore_eos=True)])
    next(events)
    assert one.busy
    events.close()
    stats = one.stats()
    assert not one.busy and stats["blocks_free"] == stats["blocks"] and stats["finished_cancelled_total"] == 2


def test_of_requests_of_which_one_is_refused_none_runs():
    one = engine(prefix_cache=False)
    with pytest.raises(RequestError, match="the prompt is empty"):
        generate(one, [ask("a", STORY, 5), ask("b", [], 5)])
    assert not one.busy and one.stats()["blocks_free"] == one.stats()["blocks"]


def test_an_engine_that_is_writing_another_answer_is_not_asked():
    one = engine()
    one.add(ask("other", STORY, 5))
    with pytest.raises(EngineError, match="the engine is writing another answer"):
        generate(one, [ask("a", STORY, 5)])
    while one.busy:
        one.step()
