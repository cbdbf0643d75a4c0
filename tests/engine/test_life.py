"""A request's life: how it ends, what it may ask, what is refused, and that nothing leaks whatever happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import PromptTooLong, RequestError
from creuset.testing import tiny_tokenizer
from tests.engine.support import BACKENDS, ask, engine, run, whole

STORY = "The cat sat on the mat. The dog ran to the river. "


@pytest.fixture(scope="module")
def shared():
    return engine(block_size=4)


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "cancel", "step", "step"]),
            st.integers(0, 40),
            st.integers(0, 12),
            st.sampled_from([{}, {"stop": ("a", "e ")}, {"prompt_logprobs": 1}, {"logprobs": 2}, {"ignore_eos": True}]),
        ),
        max_size=25,
    ),
    st.booleans(),
)
def test_every_request_ends_exactly_once_and_every_block_comes_back(moves, cached):
    one = engine(kv_tokens=96, block_size=4, max_running=3, max_batch_tokens=20, prefix_cache=cached)
    events, emitted = {}, 0

    def step():
        for event in one.step():
            assert not (events[event.id] and events[event.id][-1].finish), "an event after the last"
            events[event.id].append(event)
        one.check()

    for i, (move, size, more, kind) in enumerate(moves):
        if move == "add":
            one.add(ask(i, [(7 * j) % 300 for j in range(size + 1)], more, **kind))
            events[str(i)] = []
        elif move == "cancel" and events:
            one.cancel(sorted(events)[size % len(events)])
        else:
            step()
    while one.busy:
        step()
    for found in events.values():
        event = whole(found)
        assert event.finish in ("stop", "length", "cancelled")
        emitted += event.completion_tokens
    stats = one.stats()
    assert stats["completion_tokens_total"] == emitted
    assert sum(stats[f"finished_{name}_total"] for name in ("stop", "length", "cancelled", "error")) == len(events)
    one.reset_prefix_cache()
    assert one.stats()["blocks_free"] == one.stats()["blocks"]


def test_a_cancelled_request_ends_at_the_next_step_and_gives_its_blocks_back():
    one = engine(prefix_cache=False)
    one.add(ask("a", STORY, 50, ignore_eos=True))
    one.add(ask("b", STORY, 3, ignore_eos=True))
    one.step()
    assert one.stats()["blocks_free"] < one.stats()["blocks"]
    one.cancel("a")
    one.cancel("nobody")
    ended = [event for event in one.step() if event.finish]
    assert [(event.id, event.finish, event.completion_tokens) for event in ended] == [("a", "cancelled", 1)]
    while one.busy:
        one.step()
    one.cancel("a")
    assert one.step() == [] and one.stats()["blocks_free"] == one.stats()["blocks"]


def test_a_request_that_waits_can_be_cancelled():
    one = engine(max_running=1)
    for id in "ab":
        one.add(ask(id, STORY, 5))
    one.step()
    one.cancel("b")
    assert [(event.id, event.finish) for event in one.step() if event.finish] == [("b", "cancelled")]


def test_the_answer_ends_before_the_stop_string_and_counts_what_was_emitted(shared):
    free = run(shared, ask("a", STORY, 20, seed=5, ignore_eos=True, logprobs=0))["a"]
    stop = free.text[16:19]
    cut = run(shared, ask("a", STORY, 20, seed=5, ignore_eos=True, logprobs=0, stop=("never", stop)))["a"]
    assert cut.finish == "stop" and cut.stop_match == stop
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.tokens == free.tokens[: len(cut.tokens)] and len(cut.tokens) < cut.completion_tokens + 1
    assert len(cut.logprobs) == len(cut.tokens) and cut.completion_tokens < free.completion_tokens


def test_nothing_of_a_stop_string_leaks_before_it_is_decided(shared):
    free = run(shared, ask("a", STORY, 20, seed=3, ignore_eos=True, logprobs=0))["a"]
    stop = free.text[14:30]
    assert free.text.index(stop) == 14
    shared.add(ask("a", STORY, 20, seed=3, ignore_eos=True, logprobs=0, stop=(stop,)))
    out, tokens = "", []
    while shared.busy:
        for event in shared.step():
            out += event.text
            tokens += [one.token for one in event.logprobs]
            assert not any(out.endswith(stop[:size]) for size in range(1, len(stop) + 1))
    assert out == free.text[:14]
    assert tiny_tokenizer().decode(tokens, special=False)[:14] == out


def test_an_end_token_ends_the_answer_and_is_not_text(shared):
    free = run(shared, ask("a", STORY, 12, temperature=0.0, ignore_eos=True))["a"]
    token = free.tokens[5]
    at = free.tokens.index(token)
    ended = run(shared, ask("a", STORY, 12, temperature=0.0, ignore_eos=True, stop_ids=(token,)))["a"]
    assert (ended.finish, ended.stop_token, ended.completion_tokens) == ("stop", token, at + 1)
    assert ended.tokens == free.tokens[:at]
    later = run(shared, ask("a", STORY, 12, temperature=0.0, ignore_eos=True, stop_ids=(token,), min_tokens=9))["a"]
    assert later.completion_tokens > 9 and token not in later.tokens[:9]


def test_the_models_own_end_is_obeyed_unless_it_is_ignored(shared):
    end = tiny_tokenizer().im_end
    bias = {end: 100.0}
    event = run(shared, ask("a", STORY, 5, logit_bias=bias))["a"]
    assert (event.finish, event.stop_token, event.completion_tokens, event.text) == ("stop", end, 1, "")
    event = run(shared, ask("a", STORY, 5, logit_bias=bias, ignore_eos=True))["a"]
    assert event.finish == "length" and event.tokens == (end,) * 5 and event.text == ""


@pytest.mark.parametrize("prefix_cache", [True, False])
@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_that_are_not_finite_end_their_request_and_no_other(backend, prefix_cache):
    bad = 411  # a damaged row of the embedding: only who uses the token is hurt
    changes = {"tie_embeddings": False}
    one = engine(block_size=4, prefix_cache=prefix_cache, changes=changes, damaged=bad, backend=backend)
    healthy = run(one, ask("b", STORY, 10, temperature=0.0, logprobs=1))["b"]
    one.reset_prefix_cache()
    assert bad not in (*ask("b", STORY).prompt, *healthy.tokens)
    bad_prompt = [5, bad, *range(40, 60)]
    found = run(one, ask("a", bad_prompt, 10), ask("b", STORY, 10, temperature=0.0, logprobs=1))
    assert found["a"].finish == "error" and "not finite" in found["a"].error
    assert found["b"].tokens == healthy.tokens and found["b"].logprobs == healthy.logprobs
    if backend == "torch":  # the native core reads nothing that the request itself did not write
        assert bool(one._runner.cache.keys.isfinite().all()), "a NaN is left for whoever gets the block next"
    again = run(one, ask("c", bad_prompt, 10))["c"]
    assert again.finish == "error" and again.cached_tokens == 0


def test_a_forward_pass_that_fails_ends_its_batch_and_the_engine_goes_on():
    one = engine()
    normal = one._runner.forward
    one.add(ask("a", STORY, 5))

    def broken(batch):
        raise MemoryError("no memory for 3 tokens")

    one._runner.forward = broken
    (event,) = one.step()
    assert event.finish == "error" and "no memory for 3 tokens" in event.error
    one._runner.forward = normal
    assert run(one, ask("b", STORY, 5, ignore_eos=True))["b"].finish == "length"


def test_what_cannot_fit_is_refused_with_both_numbers():
    one = engine(kv_tokens=64)
    with pytest.raises(PromptTooLong) as refused:
        one.add(ask("a", [1] * 200, 100))
    assert "context is 256 tokens, but 300 were asked for (200 in the prompt, 100 to answer)" in str(refused.value)
    with pytest.raises(PromptTooLong, match="cache holds 64 tokens, but 90 were asked for"):
        one.add(ask("a", [1] * 50, 40))
    assert not one.busy
    assert run(one, ask("a", [1] * 40, 24, ignore_eos=True))["a"].completion_tokens == 24


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask("a", [], 5), "the prompt is empty"),
        (ask("a", [5, 512], 5), "`prompt` has token 512, but the ids are 0 to 511"),
        (ask("a", [5], 5, logit_bias={-1: 1.0}), "`logit_bias` has token -1"),
        (ask("a", [5], 5, stop_ids=(999,)), "`stop_token_ids` has token 999"),
    ],
)
def test_a_token_that_does_not_exist_is_refused(shared, request_, words):
    with pytest.raises(RequestError, match=words.replace("(", "\\(")):
        shared.add(request_)
    assert not shared.busy


def test_an_id_in_use_is_refused(shared):
    shared.add(ask("same", STORY, 5))
    with pytest.raises(RequestError, match="`same` is already running"):
        shared.add(ask("same", STORY, 5))
    while shared.busy:
        shared.step()


def test_statistics_tell_what_was_read_cached_and_written():
    one = engine(block_size=4)
    size = len(run(one, ask("a", STORY, 4, ignore_eos=True)) and ask("a", STORY).prompt)
    run(one, ask("b", STORY, 4, ignore_eos=True))
    stats = one.stats()
    assert stats["prompt_tokens_total"] == 2 * size and stats["completion_tokens_total"] == 8
    assert stats["cached_tokens_total"] == (size - 1) // 4 * 4
    assert stats["running"] == stats["waiting"] == stats["kv_usage"] == 0


@pytest.mark.parametrize("budget", [4, 5, 7])
def test_a_prompt_read_in_pieces_has_the_log_probabilities_of_one_read_at_once(shared, budget):
    request = ask("a", STORY, 2, prompt_logprobs=2, seed=1)
    assert len(request.prompt) >= 2 * budget
    at_once = run(shared, request)["a"]
    pieces = run(engine(block_size=4, max_batch_tokens=budget, max_running=4), request)["a"]
    assert len(at_once.prompt_logprobs) == len(request.prompt)
    assert pieces.prompt_logprobs == at_once.prompt_logprobs and pieces.tokens == at_once.tokens


def test_check_finds_a_request_that_the_scheduler_has_and_nobody_else():
    one = engine()
    one.check()
    one._scheduler.add(ask("a", STORY, 5))
    with pytest.raises(AssertionError):
        one.check()
