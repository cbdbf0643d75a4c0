"""The same request gives the same tokens and the same log-probabilities, bit for bit, whatever happens around it."""

import msgspec
import pytest
import torch

from creuset.model.attention import Packed
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from tests.engine.support import BACKENDS, FAMILIES, ask, engine, run

STORY = "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog. "
PROMPTS = (STORY, "What is a river? ", STORY * 3, "Où est l'école ? ", "7 days in a week and 24 hours in a day. " * 2)


def requests(**sampling):
    kind = {"max_tokens": 16, "logprobs": 3, "ignore_eos": True} | sampling
    return [ask(i, prompt, **kind) for i, prompt in enumerate(PROMPTS)]


def said(event):
    """What a client can tell two answers apart by."""
    return msgspec.structs.replace(event, id="", cached_tokens=0)


@pytest.mark.parametrize(
    ("backend", "temperature"),
    [("torch", 0.0), ("auto", 1.0), pytest.param("torch", 1.0, marks=pytest.mark.slow),
     pytest.param("auto", 0.0, marks=pytest.mark.slow)],
)  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
def test_alone_crowded_chunked_cached_or_preempted_an_answer_is_the_same(family, backend, temperature):
    asks = requests(temperature=temperature, seed=11)
    quiet = engine(family, prefix_cache=False, backend=backend)
    alone = [said(run(quiet, one)[one.id]) for one in asks]
    assert len({event.tokens for event in alone}) == len(asks)

    crowded = engine(family, backend=backend)
    again = [run(crowded, *asks), run(crowded, *asks)]  # the second time all prompts are cached
    chunked = run(engine(family, max_batch_tokens=7, max_running=5, backend=backend), *asks)
    tight = engine(family, kv_tokens=112, block_size=4, backend=backend)
    squeezed = run(tight, *asks)

    assert min(again[1][one.id].cached_tokens for one in asks[::2]) > 0
    assert tight.stats()["preemptions"] > 0
    for found in (*again, chunked, squeezed):
        for one, expected in zip(asks, alone, strict=True):
            assert said(found[one.id]) == expected


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"top_p": 0.9, "temperature": 0.8}, {"top_k": 9}, {}])
def test_candidates_and_whole_rows_give_one_answer(sampling, backend):
    """Log-probabilities need whole rows; without them the likeliest tokens are enough."""
    plain, seen = requests(**sampling, seed=4, logprobs=None), requests(**sampling, seed=4)
    by_rows, by_candidates, mixed = (
        run(engine(backend=backend), *asks) for asks in (seen, plain, (plain[0], *seen[1:]))
    )
    for id, event in by_rows.items():
        assert by_candidates[id].tokens == mixed[id].tokens == event.tokens


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_answer_in_bf16_does_not_depend_on_the_batch_either(backend):
    asks = requests(temperature=0.0)
    alone = [said(run(engine(dtype="bf16", backend=backend), one)[one.id]) for one in asks[:2]]
    crowd = run(engine(dtype="bf16", max_batch_tokens=50, backend=backend), *asks)
    assert [said(crowd[one.id]) for one in asks[:2]] == alone


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_shipped_width_is_independent_of_the_batch_too(threads):
    """Wide enough for packed products and several threads; long enough for two attention buckets."""
    before = torch.get_num_threads()
    shape = {"hidden": 256, "heads": 4, "kv_heads": 2, "head_dim": 64, "expert_ffn": 256, "experts": 8}
    try:
        asks = [ask(i, STORY * (1 + i), 3, temperature=0.0, logprobs=2, ignore_eos=True) for i in range(3)]
        one = engine(changes=shape, threads=threads, prefix_cache=False)
        alone = [said(run(one, each)[each.id]) for each in asks]
        crowd = run(one, *asks)
        assert [said(crowd[each.id]) for each in asks] == alone
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_those_of_the_model_itself(family, backend):
    """The definition: the whole sequence through the model for every token, no cache, no batch."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(family, vocab_size=tokenizer.vocab_size))
    asks = requests(temperature=0.0)[:3]
    answers = run(engine(family, backend=backend), *asks)
    for request in asks:
        ids, scores = list(request.prompt), []
        with torch.inference_mode():
            for _ in range(16):
                tokens = torch.tensor(ids)
                hidden_TC = model(tokens, torch.arange(len(ids)), Packed([len(ids)]))
                logprobs_V = model.logits(hidden_TC[-1:])[0].float().log_softmax(-1)
                ids.append(int(logprobs_V.argmax()))
                scores.append(logprobs_V[ids[-1]].item())
        answer = answers[request.id]
        assert list(answer.tokens) == ids[len(request.prompt) :]
        assert [one.logprob for one in answer.logprobs] == pytest.approx(scores, abs=1e-4)


def test_log_probabilities_of_a_prompt_are_those_of_the_model_whatever_the_chunks():
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(vocab_size=tokenizer.vocab_size))
    request = ask("a", STORY * 2, 2, temperature=0.0, prompt_logprobs=2)
    found = run(engine(), request)["a"].prompt_logprobs
    ids = torch.tensor(request.prompt)
    with torch.inference_mode():
        scores_TV = model.logits(model(ids, torch.arange(len(ids)), Packed([len(ids)]))).log_softmax(-1)
    assert found[0] is None and [one.token for one in found[1:]] == request.prompt[1:]
    assert [one.logprob for one in found[1:]] == pytest.approx(
        [scores_TV[i, token].item() for i, token in enumerate(request.prompt[1:])], abs=1e-4
    )
    assert found[5].top[0][0] == int(scores_TV[4].argmax()) and len(found[5].top) == 2
    chunked = run(engine(max_batch_tokens=9, max_running=2), ask("b", STORY), request)["a"]
    assert chunked.prompt_logprobs == found


def test_a_prompt_can_be_read_without_answering():
    event = run(engine(), ask("a", STORY, 0, prompt_logprobs=0))["a"]
    assert event.finish == "length" and event.completion_tokens == 0 and event.text == ""
    assert len(event.prompt_logprobs) == event.prompt_tokens


def test_choices_of_one_prompt_share_it_and_differ_by_seed():
    one = engine(block_size=4)
    found = run(one, *[ask(f"a:{i}", STORY, 8, seed=40 + i) for i in range(4)])
    assert len({event.text for event in found.values()}) == 4
    assert [found[f"a:{i}"].cached_tokens > 0 for i in range(4)] == [False, True, True, True]
    alone = run(engine(), ask("x", STORY, 8, seed=42))["x"]
    assert alone.tokens == found["a:2"].tokens
