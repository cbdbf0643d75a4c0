import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import RequestError
from creuset.engine.backend.candidates import candidates_of
from creuset.engine.sampler import NotFinite, Sampler, token_logprob
from creuset.text.watermark import Watermark
from creuset.types.generation import Sampling

V = 40


def sampler(*, prompt=(), end_ids=frozenset(), seed=0, **kind):
    return Sampler(Sampling(max_tokens=100, **kind), prompt=list(prompt), vocab_size=V, end_ids=end_ids, seed=seed)


def logits(seed=0, size=V):
    return np.random.default_rng(seed).normal(0, 3, size).astype(np.float32)


def allowed(row, *, temperature, top_p, top_k, min_p):
    """The definition: probabilities after min_p, top_k, top_p, by sorting the whole vocabulary."""
    probs = np.exp((row.astype(np.float64) - row.max()) / temperature)
    order = sorted(range(len(row)), key=lambda i: (-probs[i], i))
    kept = [i for i in order if probs[i] >= min_p * probs.max()]
    kept = kept[:top_k] if top_k else kept
    total, mass, nucleus = sum(probs[i] for i in kept), 0.0, []
    for i in kept:
        if mass >= top_p * total:
            break
        nucleus.append(i)
        mass += probs[i]
    return {i: probs[i] / mass for i in nucleus}


WIDE = 700  # more than the candidates that are asked for


@pytest.mark.parametrize("behind", [0, 40], ids=["all", "some are never drawn"])
@pytest.mark.parametrize("kind", ["peaked", "flat", "ties", "two"])
@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.0},
        {"temperature": 0.7, "top_p": 0.9},
        {"temperature": 1.0, "top_p": 0.95},
        {"temperature": 1.3, "top_p": 0.5},
        {"temperature": 1.0, "top_p": 0.5},
        {"temperature": 1.0, "top_k": 40},
        {"temperature": 0.5, "top_k": 7, "top_p": 0.8},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 0.8, "min_p": 0.1, "top_p": 0.9, "top_k": 20},
        {"temperature": 1.0, "min_p": 0.001, "top_p": 0.9},
    ],
    ids=str,
)
def test_candidates_choose_what_whole_rows_choose_or_do_not_tell(sampling, kind, behind):
    generator, told = np.random.default_rng(3), 0
    two_V = 9 * np.isin(np.arange(WIDE), (3, 5))
    make = {
        "peaked": lambda: generator.normal(0, 3, WIDE), "flat": lambda: generator.normal(0, 0.1, WIDE),
        "ties": lambda: np.round(generator.normal(0, 2, WIDE)), "two": lambda: two_V,
    }[kind]  # fmt: skip
    plain = {"prompt": [], "end_ids": frozenset(), "seed": 5, "vocab_size": WIDE - behind, "alone": not behind}
    by_rows, by_candidates = (Sampler(Sampling(max_tokens=9, **sampling), **plain) for _ in range(2))
    assert 0 < by_candidates.enough < WIDE - behind
    for _ in range(60):
        row_V = make().astype(np.float32)
        ids, values, sums = candidates_of(row_V[None], by_candidates.enough, WIDE - behind)
        token = by_candidates.pick(ids[0].tolist(), values[0], float(sums[0]))
        told += token is not None
        if token is None:
            token = by_candidates.choose(row_V[: WIDE - behind])
        assert token == by_rows.choose(row_V[: WIDE - behind])
    if kind == "peaked" and not behind and sampling["temperature"] <= 1:
        assert told > 45


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"temperature": 1.0, "top_p": 0.9}])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_candidates_that_are_not_finite_are_found(sampling, value):
    one = Sampler(Sampling(max_tokens=9, **sampling), prompt=[], end_ids=frozenset(), seed=5, vocab_size=WIDE)
    row_V = logits(size=WIDE)
    row_V[[17, 600]] = value
    if value == -math.inf:
        row_V[:] = value
    ids, values, sums = candidates_of(row_V[None], one.enough, WIDE)
    with pytest.raises(NotFinite):
        one.pick(ids[0].tolist(), values[0], float(sums[0]))


@pytest.mark.parametrize(
    "sampling",
    [
        {"repetition_penalty": 1.1}, {"presence_penalty": 0.1}, {"logit_bias": {3: 1.0}}, {"allowed_ids": (1, 2)},
        {"bad_words": ((1,),)}, {"min_tokens": 2, "stop_ids": (4,)}, {"logprobs": 1}, {}, {"top_k": 300},
    ],
)  # fmt: skip
def test_who_changes_or_needs_every_logit_is_given_whole_rows(sampling):
    kind = {"prompt": [], "end_ids": frozenset(), "seed": 5, "vocab_size": WIDE}
    assert Sampler(Sampling(max_tokens=9, **sampling), **kind).enough == 0
    mark = Watermark(key=bytes(32))
    assert Sampler(Sampling(max_tokens=9, top_k=5), watermark=mark, **kind).enough == 0
    assert Sampler(Sampling(max_tokens=9, top_k=5), **kind).enough == 5


@settings(max_examples=40)
@given(
    st.integers(0, 1000),
    st.floats(0.2, 3),
    st.floats(0.05, 1),
    st.integers(0, 50),
    st.one_of(st.just(0.0), st.floats(0.01, 0.9)),
)
def test_only_tokens_of_the_definition_are_drawn_and_all_of_them(seed, temperature, top_p, top_k, min_p):
    row = logits(seed)
    kind = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p}
    one = sampler(**kind, seed=seed)
    drawn = [one.choose(row) for _ in range(300)]
    share = allowed(row, **kind)
    assert set(drawn) <= set(share)
    assert {token for token, p in share.items() if p > 0.1} <= set(drawn)
    for token, p in share.items():  # five standard deviations
        assert abs(drawn.count(token) - 300 * p) <= 5 * math.sqrt(300 * p * (1 - p)) + 1


def test_a_vocabulary_larger_than_the_head_is_sorted_when_the_nucleus_needs_it():
    row = np.zeros(2000, dtype=np.float32)
    one = Sampler(Sampling(max_tokens=1, top_p=0.9), prompt=[], vocab_size=2000, end_ids=frozenset(), seed=1)
    drawn = {one.choose(row) for _ in range(3000)}
    assert max(drawn) < 1800 and len(drawn) > 1300


def test_temperature_zero_is_the_likeliest_token_and_draws_no_number():
    row = logits(3)
    one = sampler(temperature=0.0)
    state = one._random.getstate()
    assert one.choose(row) == row.argmax() and one._random.getstate() == state


def test_the_same_seed_draws_the_same_tokens():
    rows = [logits(i) for i in range(20)]
    assert [*map(sampler(seed=5).choose, rows)] == [*map(sampler(seed=5).choose, rows)]
    assert [*map(sampler(seed=5).choose, rows)] != [*map(sampler(seed=6).choose, rows)]


def test_penalties_are_those_of_openai_and_of_transformers():
    row = logits(4)
    one = sampler(temperature=0.0, frequency_penalty=0.5, presence_penalty=0.25, repetition_penalty=1.5, prompt=[7, 9])
    emitted = [one.choose(row) for _ in range(6)]
    expected = row.astype(np.float64).copy()
    for token in {7, 9, *emitted}:
        expected[token] = expected[token] / 1.5 if expected[token] > 0 else expected[token] * 1.5
    for token in set(emitted):
        expected[token] -= 0.5 * emitted.count(token) + 0.25
    np.testing.assert_allclose(one._adjusted(row), expected, rtol=1e-5)
    assert len(set(emitted)) > 1


def test_bias_moves_a_token_up_and_down():
    row = logits(5)
    best, second = np.argsort(-row)[:2]
    assert sampler(temperature=0.0, logit_bias={int(best): -100}).choose(row) == second
    assert sampler(temperature=0.0, logit_bias={3: 100}).choose(row) == 3


def test_end_tokens_wait_for_min_tokens():
    row = logits(6)
    best = int(row.argmax())
    one = sampler(temperature=0.0, min_tokens=2, end_ids=frozenset([best]))
    assert [one.choose(row) == best for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    row = logits()
    row[5] = bad
    with pytest.raises(NotFinite):
        sampler().choose(row)


def test_logprobs_are_the_unmodified_distribution():
    row = logits(8)
    exact = torch.tensor(row, dtype=torch.double).log_softmax(-1)
    found = token_logprob(row, 11, 5)
    assert found.token == 11 and found.logprob == pytest.approx(exact[11].item(), abs=1e-9)
    values, ids = exact.topk(5)
    assert [token for token, _ in found.top] == ids.tolist()
    assert [p for _, p in found.top] == pytest.approx(values.tolist(), abs=1e-9)
    assert token_logprob(row, 11, 0).top == ()
    large = token_logprob(row + 1000, 11, 0)  # exp(1000) is infinite
    assert large.logprob == pytest.approx(exact[11].item(), abs=1e-3)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("temperature", -0.1, "`temperature` must be between 0 and 100, got -0.1"),
        ("temperature", math.nan, "got nan"),
        ("top_p", 0.0, "`top_p` must be above 0"),
        ("top_p", 1.5, "between 0 and 1"),
        ("top_k", -1, "at least 0"),
        ("presence_penalty", 2.5, "between -2 and 2"),
        ("logprobs", 21, "between 0 and 20"),
        ("logit_bias", {3: 101.0}, "got 101.0 for token 3"),
        ("stop", ("",), "empty string"),
        ("min_tokens", 101, "`min_tokens` (101) must not exceed `max_tokens` (100)"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value, words):
    with pytest.raises(RequestError) as refused:
        Sampling(max_tokens=100, **{field: value})
    assert words in str(refused.value) and refused.value.param == field


def draw(row, uniform, *, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0):
    """The definition: the token on whose stretch of the line from 0 to 1 the number falls. Where tokens are left out
    by rank, the stretches lie in order of likelihood, else in order of ids."""
    share = allowed(row, temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p)
    ids = list(share) if 0 < top_k < len(row) or top_p < 1 else sorted(share)
    for token in ids:
        uniform -= share[token]
        if uniform < 0:
            return token
    return ids[-1]


@pytest.mark.parametrize(
    "kind",
    [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 5}, {"top_k": V - 1}, {"top_k": V}, {"top_k": V + 1},
     {"top_p": 0.8}, {"min_p": 0.2}, {"min_p": 1.0}, {"min_p": 1.0, "top_p": 0.9}, {"min_p": 1.0, "top_k": 3},
     {"min_p": 0.2, "top_p": 0.7}, {"min_p": 0.1, "top_k": 6, "top_p": 0.9}],
    ids=str,
)  # fmt: skip
def test_the_token_is_the_one_that_the_uniform_number_falls_on(kind):
    for seed in range(60):
        row = logits(seed)
        uniform = random.Random(seed).random()
        assert sampler(seed=seed, **kind).choose(row) == draw(row, uniform, **kind)


@settings(max_examples=30)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.5, 1.5]),
    st.sampled_from([0.4, 1.0]),
    st.integers(0, 9),
    st.sampled_from([0.0, 0.2]),
)
def test_the_processed_log_probabilities_are_those_of_the_distribution_drawn_from(
    seed, temperature, top_p, top_k, min_p
):
    row = logits(seed)
    kind = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p}
    one = sampler(**kind, seed=seed, logprobs_mode="processed_logprobs", logit_bias={3: 4.0})
    row_biased = row.copy()
    row_biased[3] += np.float32(4)
    share = allowed(row_biased, **kind)
    told = one.drawn_logprob(one.choose(row), V)
    assert dict(told.top).keys() == share.keys()  # nothing that could not be drawn
    assert [logprob for _, logprob in told.top] == sorted((logprob for _, logprob in told.top), reverse=True)
    for token, logprob in told.top:
        assert math.isclose(math.exp(logprob), share[token], rel_tol=1e-6)
    assert math.isclose(math.exp(told.logprob), share[told.token], rel_tol=1e-6)


def test_processed_at_temperature_0_are_the_adjusted_logits():
    row = logits(1)
    one = sampler(temperature=0.0, logprobs_mode="processed_logprobs", logit_bias={5: 50.0})
    assert one.choose(row) == 5
    biased = row.copy()
    biased[5] += np.float32(50)
    expected = token_logprob(biased, 5, 3)
    told = one.drawn_logprob(5, 3)
    assert math.isclose(told.logprob, expected.logprob, abs_tol=1e-9)
    assert [token for token, _ in told.top] == [token for token, _ in expected.top]


def test_asking_for_the_processed_ones_changes_no_draw():
    plain, told = sampler(top_p=0.9), sampler(top_p=0.9, logprobs_mode="processed_logprobs")
    assert [plain.choose(logits(i)) for i in range(50)] == [told.choose(logits(i)) for i in range(50)]


def test_only_allowed_ids_are_drawn_and_bad_words_are_not():
    one = sampler(allowed_ids=(3, 4, 5), temperature=3.0)
    assert {one.choose(logits(i)) for i in range(100)} == {3, 4, 5}
    two = sampler(allowed_ids=(3, 4, 5), bad_words=((3,), (4, 5)), temperature=3.0)
    drawn = [two.choose(logits(i)) for i in range(200)]
    assert set(drawn) == {4, 5} and (5, 4) in set(pairwise(drawn))
    assert (4, 5) not in set(pairwise(drawn))


def test_what_excludes_everything_is_an_error():
    one = sampler(allowed_ids=(3,), bad_words=((3,),))
    with pytest.raises(RequestError, match="no token is left"):
        one.choose(logits())


def test_the_rank_of_a_token_is_its_place():
    row = logits(3)
    order = sorted(range(V), key=lambda i: -row[i])
    assert [token_logprob(row, token, 0, ranked=True).rank for token in order] == list(range(1, V + 1))
    assert token_logprob(row, 0, 0).rank == 0
