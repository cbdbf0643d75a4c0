import random
import re

from mini_instructions import letters
from mini_instructions.words import CATEGORIES, OPPOSITES, PAST, PLURALS, read_tables

SEEDS = range(80)


def asked(maker, seed):
    dialogue = maker(random.Random(seed))
    return dialogue.turns[0].content, dialogue.turns[1].content


def test_spelling_is_the_letters_of_the_word_that_was_asked():
    for seed in SEEDS:
        question, answer = asked(letters.spelling, seed)
        assert answer.replace("-", "").lower() in question.lower()


def test_counted_letters_are_there():
    for seed in SEEDS:
        question, answer = asked(letters.count_letters, seed)
        word = answer.split(":")[0].replace("-", "")
        assert word in question and f"has {len(word)} letters" in answer
        question, answer = asked(letters.count_one_letter, seed)
        word = answer.split(":")[0].replace("-", "")
        letter = re.search(r'(?:letter|no) "(\w)"', answer)[1]
        many = sum(1 for x in word if x == letter)
        expected = {0: "there is no", 1: "once"}.get(many, f"{many} times")
        assert expected in answer and word in question


def test_first_and_last_letters_and_backwards():
    for seed in SEEDS:
        question, answer = asked(letters.first_last, seed)
        word = re.search(r'"(\w+)"', answer)[1]
        assert answer.endswith(f" {word[0] if 'first' in question else word[-1]}.")
        question, answer = asked(letters.backwards, seed)
        assert answer.split(": ")[1][::-1] in question


def test_opposites_are_opposite_both_ways_where_both_are_known():
    assert OPPOSITES["hot"] == "cold" and PLURALS["child"] == "children" and PAST["go"] == "went"
    for seed in SEEDS:
        _, answer = asked(letters.opposite, seed)
        a, b = re.findall(r'"(\w+)"', answer)
        assert OPPOSITES[a] == b


def test_repeating_gives_the_words_back_unchanged():
    for seed in SEEDS:
        question, answer = asked(letters.repeat_after, seed)
        assert answer in question


def test_upper_and_lower_case_change_nothing_else():
    for seed in SEEDS:
        question, answer = asked(letters.upper, seed)
        assert answer.lower() in question.lower() and (answer.isupper() or answer.islower())


def test_counted_words_are_numbered_in_order():
    for seed in SEEDS:
        question, answer = asked(letters.count_words, seed)
        numbered = re.findall(r"(\d+) ([^\s.]+)", answer.rsplit(". The", 1)[0])
        assert [int(n) for n, _ in numbered] == list(range(1, len(numbered) + 1))
        assert f"has {len(numbered)} words" in answer
        assert " ".join(word for _, word in numbered) in question


def test_a_thing_is_what_its_table_says_and_not_what_another_says():
    for seed in range(300):
        _question, answer = asked(letters.category, seed)
        if answer.startswith("No,"):
            word, denied, kind = re.match(r"No, (?:an? )?(.+) is not an? (.+)\. It is an? (.+)\.", answer).groups()
            assert word in CATEGORIES[kind] and word not in CATEGORIES[denied]
        elif answer.startswith("Yes,"):
            word, kind = re.match(r"Yes, (?:an? )?(.+) is an? (.+)\.", answer).groups()
            assert word in CATEGORIES[kind]


def test_the_odd_one_is_the_only_one_of_its_kind():
    for seed in SEEDS:
        question, answer = asked(letters.odd_one_out, seed)
        strange = re.search(r'"([^"]+)"', answer)[1]
        assert strange in question


def test_a_word_line_before_the_first_table_is_refused():
    import pytest

    from creuset.core.errors import DataError

    with pytest.raises(DataError, match="before the first table"):
        read_tables("cat dog\nnames:\n  Anna")
