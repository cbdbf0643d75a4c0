"""Near-duplicates found by MinHash are those of the definition: Jaccard over word 5-grams."""

import random
from functools import cache

import numpy as np
import pytest

from creuset.data.clean.words import Splitter
from creuset.data.dedup.buckets import Buckets
from creuset.data.dedup.minhash import Signer, exact_key, first_of_equals, near_duplicates, near_in_buckets
from creuset.data.settings import Dedup

WORDS = [
    a + b
    for a in ("ba", "do", "ki", "lu", "me", "no", "pa", "ri")
    for b in ("s", "t", "ne", "ra", "vo", "xi", "ze", "lo")
]


@cache
def shingles(text):
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def jaccard(a, b):
    a, b = shingles(a), shingles(b)
    return len(a & b) / len(a | b)


def versions(base, edits):
    """Copies of `base` with so many words changed."""
    for count in edits:
        words = base.split()
        for at in random.sample(range(len(words)), count):
            words[at] = random.choice(WORDS)
        yield " ".join(words)


def corpus():
    random.seed(4)
    texts = []
    for _ in range(6):
        base = " ".join(random.choice(WORDS) for _ in range(300))
        texts += [base, *versions(base, [0, 1, 2, 3, 5, 8, 12, 20, 40])]
    random.shuffle(texts)
    return texts


def signatures(texts, settings):
    splitter, signer = Splitter(), Signer(settings, seed=17)
    return np.array([signer.sign(splitter.split(t)) for t in texts])


def test_the_share_of_equal_hashes_estimates_jaccard():
    texts = corpus()[:40]
    signed = signatures(texts, Dedup(bands=64, rows=8))
    errors = [
        (signed[i] == signed[j]).mean() - jaccard(texts[i], texts[j]) for i in range(len(texts)) for j in range(i)
    ]
    # 512 hashes: a standard error of at most 0.022.
    assert max(map(abs, errors)) < 0.09 and abs(np.mean(errors)) < 0.005


def test_what_is_dropped_is_what_brute_force_drops_but_for_pairs_near_the_threshold():
    texts, settings = corpus(), Dedup()
    found = near_duplicates(signatures(texts, settings), np.ones(len(texts), dtype=bool), settings).keeper
    slack = 0.12  # 112 hashes: three standard errors at 0.8
    for i in range(len(texts)):
        kept_before = [j for j in range(i) if found[j] == j]
        nearest = max((jaccard(texts[i], texts[j]) for j in kept_before), default=0.0)
        if found[i] == i:
            assert nearest < settings.similarity + slack
        else:
            assert found[found[i]] == found[i] and jaccard(texts[i], texts[found[i]]) > settings.similarity - slack
    dropped = {i for i in range(len(texts)) if found[i] != i}
    assert 10 < len(dropped) < len(texts) - 6


def test_no_chain_of_small_steps_drops_a_text_far_from_what_stays():
    random.seed(1)
    chain = [" ".join(random.choice(WORDS) for _ in range(300))]
    for _ in range(40):
        chain += versions(chain[-1], [4])
    settings = Dedup()
    keeper = near_duplicates(signatures(chain, settings), np.ones(len(chain), dtype=bool), settings).keeper
    assert jaccard(chain[0], chain[-1]) < 0.4 and len(set(keeper.tolist())) > 4
    assert all(jaccard(chain[i], chain[keeper[i]]) > 0.68 for i in range(len(chain)))


def test_documents_that_do_not_take_part_are_neither_dropped_nor_keepers():
    texts = ["one two three four five six seven eight"] * 3
    part = np.array([False, True, True])
    assert near_duplicates(signatures(texts, Dedup()), part, Dedup()).keeper.tolist() == [0, 1, 1]


def test_the_same_words_are_the_same_text_whatever_the_spaces_and_capitals():
    keys = [exact_key(Splitter().split(t)) for t in ("A cat.", "a  CAT", "a cat sat", "cat a", "a cat")]
    high, low = (np.array([k[i] for k in keys], dtype=np.uint64) for i in (0, 1))
    assert first_of_equals(high, low).tolist() == [0, 0, 2, 3, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_almost_nothing_is_no_duplicate(count):
    found = near_duplicates(np.zeros((count, 112), dtype=np.uint32), np.ones(count, dtype=bool), Dedup())
    assert found.keeper.tolist() == list(range(count))


@pytest.mark.parametrize("in_memory", [1, 10**9])
def test_what_is_found_in_files_is_what_is_found_in_memory(tmp_path, in_memory):
    random = np.random.default_rng(5)
    settings = Dedup(bands=4, rows=2)
    # Few values, so that chains and large groups come about; 5,000 documents make several chunks of 1,024.
    signed = random.integers(0, 9, (5000, 8), dtype=np.uint32)
    signed[3000:] = signed[random.integers(0, 3000, 2000)]
    taking = random.random(5000) < 0.9
    expected = near_duplicates(signed, taking, settings)
    keeper = np.arange(5000)
    candidates = near_in_buckets(signed, taking, settings, keeper, tmp_path, in_memory)
    assert keeper.tolist() == expected.keeper.tolist() and candidates == expected.candidates > 4000
    assert (keeper != np.arange(5000)).sum() > 1500


@pytest.mark.parametrize("in_memory", [1, 10**9])
def test_keys_that_stood_before_are_found_across_chunks_and_files(tmp_path, in_memory):
    random = np.random.default_rng(6)
    high, low = random.integers(0, 1 << 63, (2, 700), dtype=np.uint64)[:, random.integers(0, 700, 5000)]
    low[:50] = 0
    keys = np.ascontiguousarray(np.column_stack([high, low])).view("S16").ravel()
    buckets = Buckets(tmp_path / "b", 5000, in_memory, "S16")
    for begin in range(0, 5000, 700):
        part = slice(begin, begin + 700)
        buckets.add(high[part] << np.uint64(1), keys[part], np.arange(5000)[part])
    first = np.arange(5000)
    for firsts, again in buckets.repeats():
        first[again] = firsts
    assert first.tolist() == first_of_equals(high, low).tolist() and not (tmp_path / "b").exists()
