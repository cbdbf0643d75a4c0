"""The mark: the lists are those of the key, the detector finds it, and nothing else of the engine's promises moves."""

import dataclasses
import hashlib
import json
import math
import os
import stat
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from creuset.core.errors import ConfigError
from creuset.engine.engine import Engine
from creuset.engine.sampler import Sampler
from creuset.engine.settings import EngineSettings
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from creuset.text.watermark import TooShort, Watermark, binomial_tail, detect, load_watermark, new_watermark
from creuset.types.generation import Sampling
from tests.engine.support import ask, run, runner
from tests.lazy import lazily

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazily("scipy.stats")

MARK = Watermark(key=bytes(range(32)))
OTHER = Watermark(key=bytes(range(1, 33)))


def marked_engine(mark=MARK, **settings):
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(vocab_size=tokenizer.vocab_size))
    chosen = EngineSettings(dtype="fp32", seed=1, **settings)
    return Engine(runner(model, chosen), tokenizer, settings=chosen, end_ids=[tokenizer.im_end], watermark=mark)


def draws(count, mark=MARK, *, vocab=512, seed=3, **sampling):
    """`count` tokens from a flat distribution, each drawn behind those before it."""
    rows = np.random.default_rng(seed).normal(size=(count, vocab)).astype(np.float32)
    one = Sampler(
        Sampling(max_tokens=count, **sampling), prompt=[1, 2], vocab_size=vocab, end_ids=frozenset(), seed=seed,
        watermark=mark,
    )  # fmt: skip
    return [one.choose(row) for row in rows]


@pytest.mark.parametrize("gamma", [0.1, 0.25, 0.5])
def test_a_share_gamma_of_the_vocabulary_is_green_and_another_one_behind_other_tokens(gamma):
    mark = dataclasses.replace(MARK, gamma=gamma)
    lists = np.array([mark.bias([token], 20_000) > 0 for token in range(40)])
    assert np.abs(lists.mean(1) - gamma).max() < 5 * math.sqrt(gamma * (1 - gamma) / 20_000)
    both = (lists[:-1] & lists[1:]).mean()
    assert both == pytest.approx(gamma**2, abs=0.01)  # neighbours' lists are independent
    assert set(np.unique(mark.bias([5], 300))) == {np.float32(0), np.float32(2)}


def test_the_detector_sees_the_lists_that_the_sampler_used():
    for width in (1, 2, 4):
        mark = dataclasses.replace(MARK, width=width)
        context = tuple(range(7, 7 + width))
        green = mark.bias((99, *context), 300) > 0  # tokens before the context do not count
        assert (mark.hits([(*context, token) for token in range(300)]) == green).all()
    assert (MARK.bias([5], 300) != OTHER.bias([5], 300)).any()


def test_marked_tokens_are_found_and_others_are_not():
    found = detect(draws(200), MARK)
    assert found.marked and found.z > 6 and found.p_value < 1e-9
    assert not detect(draws(200, None), MARK).marked
    assert not detect(draws(200), OTHER).marked
    assert detect(draws(400), MARK).z > found.z


def test_the_p_value_is_that_of_the_binomial_test():
    found = detect(draws(100, dataclasses.replace(MARK, delta=0.5)), MARK)
    theirs = stats.binomtest(found.green, found.scored, 0.25, alternative="greater")
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.z == pytest.approx((found.green / found.scored - 0.25) / math.sqrt(0.25 * 0.75 / found.scored))
    for least, n in ((0, 30), (30, 30), (7, 25), (400, 1000)):
        assert binomial_tail(least, n, 0.25) == pytest.approx(stats.binom.sf(least - 1, n, 0.25))


def test_p_values_of_text_without_the_mark_are_those_of_chance():
    ids = np.random.default_rng(1).integers(0, 4096, size=(2000, 101))
    below = sum(detect(row.tolist(), MARK).p_value < 0.05 for row in ids)
    assert below / 2000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_a_repeated_sequence_counts_once():
    ids = draws(60, None)
    green = [i for i in range(1, 60) if MARK.hits([tuple(ids[i - 1 : i + 1])])[0]]
    pair = ids[green[0] - 1 : green[0] + 1]
    once, often = detect(ids + pair, MARK), detect(ids + pair * 50, MARK)
    assert once.scored <= often.scored <= once.scored + 2 and often.green <= once.green + 2
    with pytest.raises(TooShort, match="the text has 2 different sequences of 2 tokens; at least 25"):
        detect(pair * 500, MARK)


def test_what_is_not_asked_for_is_not_marked():
    assert draws(50, MARK, temperature=0.0) == draws(50, None, temperature=0.0)
    greedy = dataclasses.replace(MARK, greedy=True)
    assert draws(50, greedy, temperature=0.0) != draws(50, None, temperature=0.0)
    assert detect(draws(200, greedy, temperature=0.0), MARK).marked


def test_the_mark_keeps_out_what_was_kept_out():
    banned = {token: -100.0 for token in range(256)}
    assert min(draws(100, logit_bias=banned)) >= 256
    one = Sampler(
        Sampling(max_tokens=9, min_tokens=9), prompt=[1], vocab_size=4, end_ids=frozenset({0, 1, 2}), seed=1,
        watermark=MARK,
    )  # fmt: skip
    assert {one.choose(np.zeros(4, dtype=np.float32)) for _ in range(9)} == {3}


def test_marked_answers_do_not_depend_on_their_neighbours_either():
    asks = [
        ask(i, text, 24, temperature=1.0, seed=5, logprobs=1, ignore_eos=True)
        for i, text in enumerate(("The cat sat on the mat. ", "What is a river? " * 4, "Où est l'école ? "))
    ]
    alone = [run(marked_engine(prefix_cache=False), one)[one.id] for one in asks]
    for other in (marked_engine(), marked_engine(max_batch_tokens=7, max_running=3)):
        crowd = run(other, *asks)
        for one, expected in zip(asks, alone, strict=True):
            found, wanted = (msgspec.structs.replace(event, cached_tokens=0) for event in (crowd[one.id], expected))
            assert found == wanted
    unmarked = run(marked_engine(None), *asks)
    assert all(unmarked[one.id].tokens != expected.tokens for one, expected in zip(asks, alone, strict=True))
    # Log-probabilities are those of the model, not of what was drawn from.
    first, plain = alone[0].logprobs[0], unmarked[asks[0].id].logprobs[0]
    assert first.top == plain.top


def test_what_the_engine_says_is_found_in_its_text():
    request = ask("a", "The cat sat on the mat. ", 200, temperature=1.0, seed=2, ignore_eos=True)
    tokenizer = tiny_tokenizer()
    marked, plain = run(marked_engine(), request)["a"], run(marked_engine(None), request)["a"]
    assert detect(list(marked.tokens), MARK).z > 4 > detect(list(plain.tokens), MARK).z
    assert detect(tokenizer.encode(marked.text), MARK).z > 2  # cut anew, some boundaries move


def test_a_key_file_is_its_owners_and_comes_back(tmp_path):
    file = tmp_path / "key.json"
    mark = new_watermark(file, gamma=0.5, width=2)
    assert load_watermark(file) == mark and stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert mark.key.hex() not in repr(mark) and str(mark.key) not in repr(mark) and mark.id not in mark.key.hex()
    with pytest.raises(ConfigError, match="already exists"):
        new_watermark(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a watermark key"),
        ('{"key": "abcd"}', "a value of it is out of range"),
        (json.dumps({"key": "00" * 32, "gamma": 2}), "out of range"),
        (json.dumps({"key": "00" * 32, "gamma": "x"}), "out of range"),
        (json.dumps({"key": "00" * 32, "colour": "red"}), "is not a watermark key"),
    ],
)
def test_a_file_that_is_no_key_is_refused_without_repeating_it(tmp_path, text, words):
    file = tmp_path / "key.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as refused:
        load_watermark(file)
    assert "abcd" not in str(refused.value) and refused.value.__cause__ is None
    with pytest.raises(ConfigError, match="cannot be read"):
        load_watermark(tmp_path / "absent.json")


def splitmix64(seed, count):
    """The first numbers of Steele, Lea and Flood 2014, in whole numbers."""
    mask = 2**64 - 1
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        x = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        yield x ^ (x >> 31)


def test_a_token_is_green_when_its_number_of_splitmix64_is_below_gamma():
    """A text that was marked once must be found by every later version: the lists are fixed by their definition."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert list(splitmix64(1234567, 4)) == published  # the vectors of the reference implementation
    for mark, before in ((MARK, [5]), (dataclasses.replace(OTHER, gamma=0.6, width=2), [300, 70_000])):
        context = b"".join(token.to_bytes(4, "little") for token in before)
        seed = int.from_bytes(hashlib.blake2b(context, key=mark.key, digest_size=8).digest(), "little")
        wanted = [(number >> 11) / 2**53 < mark.gamma for number in splitmix64(seed, 3000)]
        assert (mark.bias([1, 2, *before], 3000) > 0).tolist() == wanted
