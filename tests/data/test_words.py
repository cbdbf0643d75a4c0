"""Words and the hashes of their runs."""

import random

import numpy as np

from creuset.data.clean.words import Splitter, ngrams, split_words


def test_words_are_lower_case_runs_and_single_cjk_characters():
    assert split_words("L'été, it's_ok 42!")[0] == ["l", "été", "it", "s_ok", "42"]
    assert split_words("位於abc的 x1")[0] == ["位", "於", "abc", "的", "x1"]


def test_ngram_hashes_are_equal_exactly_where_the_words_are():
    random.seed(0)
    words = Splitter().split(" ".join(random.choice("abcd") for _ in range(3000)))
    for n in (1, 2, 5, 13):
        grams = ngrams(words.hashes, n)
        assert len(grams) == len(words) - n + 1
        named = {}
        for at, gram in enumerate(grams.tolist()):
            assert named.setdefault(tuple(words.words[at : at + n]), gram) == gram
        assert len(set(named.values())) == len(named)


def test_a_text_shorter_than_n_has_no_ngrams():
    assert len(ngrams(Splitter().split("one two").hashes, 3)) == 0
    assert ngrams(Splitter().split("one two three").hashes, 3).dtype == np.uint64
