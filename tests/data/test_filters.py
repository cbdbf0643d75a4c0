"""Each quality rule objects to its text, by its name, and prose of every kind passes."""

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sources_for_tests import FRENCH, english

from creuset.data.clean.filters import drop_lines, judge
from creuset.data.clean.repetition import repeated_characters, top_share
from creuset.data.clean.words import Splitter
from creuset.data.settings import KINDS, QualityRules

WEB = KINDS["web"]
PAGE = english(1, 24)
OFF = replace(KINDS["any"], max_mean_word=1e9, min_mean_word=0.0)


def verdict(text, rules=WEB, language="en"):
    return judge(text, Splitter().split(text), language, rules)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("empty", "... !!! ---"),
        ("gopher_too_few_words", "The end of it."),
        ("gopher_short_words", "a b c d e f g of to it is. " * 8),
        ("gopher_long_words", "incomprehensibilities of counterrevolutionaries. " * 30),
        ("gopher_hashes", PAGE.replace(" of ", " # of # ").replace(" the ", " # the # ").replace(" to ", " # to # ")),
        ("gopher_ellipses", re.sub(r" (of|the|to|and|was) ", r"... \1 ", PAGE)),
        ("gopher_bullets", "\n".join(f"- {line}" for line in PAGE.replace(". ", ".\n").split("\n"))),
        ("gopher_ellipsis_lines", PAGE.replace(". ", "...\n")),
        ("gopher_few_letters", "the 1234 3457 6789 8901 9101 of 1112 1314 4158. " * 12),
        ("gopher_no_function_words", "Gravel mountain quartz bolder table garden. " * 12),
        ("c4_curly_bracket", PAGE + " function() { return; }"),
        ("c4_lorem_ipsum", PAGE + " Lorem ipsum dolor sit amet."),
        ("c4_few_sentences", PAGE.replace(".", ",") + "."),
        ("fineweb_few_ended_lines", PAGE + "\n" + "\n".join(f"and the {w} of that" for w in PAGE.split()[:120])),
        ("fineweb_short_lines", "\n".join(f"{w} is of the day." for w in sorted(set(PAGE.split()))[:80])),
        ("fineweb_repeated_line_characters", PAGE + "\n" + PAGE.split("\n")[0]),
    ],
)
def test_a_rule_names_what_it_objects_to(reason, text):
    assert verdict(PAGE) is None
    assert verdict(text) == reason


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("gopher_repeated_lines", PAGE + "\nof the day." * 20),
        ("gopher_repeated_line_characters", "\n".join([*PAGE.split("\n"), *PAGE.split("\n")[:2]])),
        ("gopher_repeated_paragraphs", english(2, 16).replace("\n", "\n\n") + "\n\nYes.\nNo." * 8),
        ("gopher_top_2gram", PAGE + " heavy harbour." * 60),
        ("gopher_repeated_5grams", PAGE + " " + " ".join(PAGE.replace("\n", " ").split(" ")[:60])),
    ],
)
def test_repetition_is_found_by_lines_paragraphs_and_words(reason, text):
    rules = replace(WEB, max_dup_line_chars=1.0, max_short_lines=1.0, min_end_lines=0.0)
    if reason.startswith("gopher_repeated_para"):
        rules = replace(rules, dup_lines=1.0, dup_line_chars=1.0)
    assert verdict(text, rules) == reason


GOOD = [
    ("web", "fr", FRENCH),
    ("facts", "en", "Chad - Energy\n\nElectricity access:\ntotal: 11.7% (2022)\nrural: 1.3%\nExports: 132,000 bbl/day"),
    (
        "docs",
        "en",
        "## strlen\n\n```c\nsize_t strlen(const char *s) {\n  return n;\n}\n```\n\n" + "It gives the length of s. " * 8,
    ),
    (
        "story",
        "en",
        'One day...\n\n...a cat was hungry.\n\nShe saw the bird.\n\nThe bird saw her.\n\n"Oh no!" it said, and flew...',
    ),
    ("book", "fr", "– Que dites-vous ?\n– Il pleut sur la ville.\n– Il pleut, et le jardin est vide.\n" + FRENCH),
    (
        "wiki",
        "zh",
        "象鼻管星雲\n\n象鼻管星雲是位於仙王座巨大的游離氣體區域內，距離地球約兩千光年的星際物質高度集中區域。"
        "這塊星雲呈現出黑暗的球狀。",
    ),
    (
        "wiki",
        "en",
        "Moorea\n\nMoorea is an island of the Windward Islands, part of the Society Islands, in French Polynesia. "
        "It is 17 km from Tahiti and has been settled for about a thousand years by people of the sea.",
    ),
]


@pytest.mark.parametrize(("kind", "language", "text"), GOOD)
def test_good_text_of_another_kind_is_not_judged_as_english_prose(kind, language, text):
    assert verdict(text, KINDS[kind], language) is None


def test_a_play_is_not_dropped_for_the_names_of_its_speakers():
    lines = [line for i in range(8) for line in ("ROSALINE", english(i, 1), "BIRON", english(i + 50, 1))]
    assert verdict("\n".join(lines), KINDS["book"]) is None
    assert verdict("\n".join(lines)) is not None


def test_pages_about_a_wiki_are_not_articles_of_it():
    assert verdict("Wikipedia:Administrators\n\n" + PAGE, KINDS["wiki"]) == "wiki_service_page"
    assert verdict("Wikipedia\n\n" + PAGE, KINDS["wiki"]) is None


def test_notices_and_scraps_are_dropped_by_line_and_counted():
    good = "The mayor opened the bridge today."
    text = f"Home\nNews\n{good}\nThis site uses cookies to know you.\nPlease enable JavaScript.\n3"
    assert drop_lines(text) == (f"{good}\n3", 4)
    assert drop_lines(PAGE) == (PAGE, 0)


def repeated_by_hand(words, n):
    """The definition: characters of the words in any n-gram that stood before."""
    seen, covered = set(), set()
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        if gram in seen:
            covered |= set(range(i, i + n))
        seen.add(gram)
    return sum(len(words[i]) for i in covered)


@pytest.mark.parametrize("seed", range(10))
def test_repetition_on_hashes_is_that_of_the_words(seed):
    random.seed(seed)
    words = Splitter().split(" ".join(random.choice(["a", "bb", "ccc", "dd", "eeee"]) for _ in range(80)))
    lengths = np.array([len(w) for w in words.words], dtype=np.int32)
    for n in (2, 3, 5, 7):
        assert repeated_characters(words, lengths, n)[0] == repeated_by_hand(words.words, n)
        grams = Counter(tuple(words.words[i : i + n]) for i in range(len(words) - n + 1))
        best = max(grams.values())
        characters, count = top_share(words, lengths, n)
        expected = {best * sum(map(len, g)) for g, c in grams.items() if c == best} if best > 1 else {0}
        assert count == best and characters in expected


def test_every_rule_can_be_turned_off():
    assert verdict("x", OFF) is None and isinstance(OFF, QualityRules)
