"""Every answer is computed again here, from the words of the question alone."""

import random
import re
from datetime import date, timedelta
from fractions import Fraction

import pytest

from mini_instructions import numbers
from mini_instructions.numbers import MAKERS, in_words

SEEDS = range(60)
EXPRESSION = re.compile(r"(\d+) (\+|-|x|\*|×|÷|:|/|times|plus|minus|divided by) (\d+)")


def value(question: str) -> Fraction:
    match = EXPRESSION.search(question)
    assert match, question
    a, sign, b = Fraction(match[1]), match[2], Fraction(match[3])
    return {"+": a + b, "plus": a + b, "-": a - b, "minus": a - b}.get(
        sign, a / b if sign in ("÷", ":", "/", "divided by") and b else a * b
    )


def asked(maker, seed):
    dialogue = maker(random.Random(seed))
    return dialogue.turns[0].content, dialogue.turns[1].content


@pytest.mark.parametrize("maker", [numbers.add, numbers.subtract, numbers.multiply, numbers.divide])
def test_every_step_of_a_sum_is_true_and_the_last_is_the_answer(maker):
    for seed in SEEDS:
        question, answer = asked(maker, seed)
        steps = re.findall(r"(\d+) ([+x/-]) (\d+) = (\d+)", answer)
        assert steps
        for a, sign, b, result in steps:
            a, b = int(a), int(b)
            assert int(result) == {"+": a + b, "-": a - b, "x": a * b, "/": a // b if b else -1}[sign], answer
        main = steps[0] if maker is numbers.divide else steps[-1]
        assert Fraction(main[3]) == value(question), (question, answer)


def test_the_larger_decimal_is_larger_as_a_fraction():
    for seed in range(300):
        question, answer = asked(numbers.compare, seed)
        a, b = (Fraction(x) for x in re.findall(r"\d+(?:\.\d+)?", question))
        first, word, second = re.search(r"([\d.]+\d|\d) is (larger|smaller) than ([\d.]*\d)", answer).groups()
        assert {Fraction(first), Fraction(second)} == {a, b}
        assert (Fraction(first) > Fraction(second)) == (word == "larger"), (question, answer)
        if question.startswith("Is") and "or" not in question:
            wants = "larger" in question
            assert answer.startswith("Yes" if (a > b) == wants else "No"), (question, answer)
        if same := re.search(r"decimals: ([\d.]+) and ([\d.]+)\.$", answer):
            assert {Fraction(same[1]), Fraction(same[2])} == {a, b}


def test_nine_point_eight_is_larger_than_nine_point_eleven():
    class Fixed(random.Random):
        pass

    for seed in range(3000):
        question, answer = asked(numbers.compare, seed)
        if set(re.findall(r"\d+\.\d+", question)) == {"9.11", "9.8"}:
            assert "9.8 is larger" in answer or "9.11 is smaller" in answer


@pytest.mark.parametrize("maker", [numbers.order, numbers.extreme, numbers.sort_words, numbers.count_items])
def test_sorting_counting_and_extremes(maker):
    for seed in SEEDS:
        question, answer = asked(maker, seed)
        if maker is numbers.order:
            given = [int(x) for x in re.findall(r"\d+", question)]
            down = "descending" in question or "largest to" in question
            assert [int(x) for x in answer.split(", ")] == sorted(given, reverse=down)
        elif maker is numbers.extreme:
            given = [int(x) for x in re.findall(r"\d+", question)]
            assert int(re.search(r"\d+", answer)[0]) == (min(given) if "smallest" in question else max(given))
        else:
            words = re.split(
                r", ",
                re.split(r": |\? ", question)[-1].rstrip("?.")
                if "Put these" not in question
                else question.split(": ")[1].rstrip("."),
            )
            if maker is numbers.count_items:
                assert f"There are {len(words)} " in answer
            elif question.startswith(("Reverse", "Write")):
                assert answer.split(", ") == words[::-1]
            else:
                assert answer.split(", ") == sorted(words)


def test_days_go_round_like_those_of_the_calendar():
    for seed in range(400):
        question, answer = asked(numbers.calendar, seed)
        if match := re.match(r"Today is (\w+)\. What day is it in (\d) days", question):
            start = next(d for i in range(7) if (d := date(2024, 1, 1) + timedelta(i)).strftime("%A") == match[1])
            assert answer.endswith(f"it is {(start + timedelta(int(match[2]))).strftime('%A')}.")
        if match := re.match(r"How many days are in (\w+)", question):
            month = next(m for m in range(1, 13) if date(2023, m, 1).strftime("%B") == match[1].capitalize())
            assert str((date(2023 + month // 12, month % 12 + 1, 1) - date(2023, month, 1)).days) in answer


def test_word_problems_end_with_the_last_result():
    for seed in range(200):
        question, answer = asked(numbers.story_sum, seed)
        last = re.findall(r"= (\d+)", answer)[-1]
        assert re.findall(r"\d+", answer)[-1] == last
        given = [int(x) for x in re.findall(r"\d+", question)]
        if "boxes" in question:
            assert int(last) == given[0] * given[1]
        elif "shares" in question:
            assert int(last) == given[0] // given[1] and given[0] % given[1] == 0
        elif "loses" in question:
            assert int(last) == given[0] + given[1] - given[2]
        elif "more" in question:
            assert int(last) == given[0] + given[1]
        else:
            assert int(last) == given[0] - given[1]


def test_numbers_in_words_are_read_back():
    small = {w: i for i, w in enumerate(numbers.ONES)} | {w: 10 * i for i, w in enumerate(numbers.TENS) if w}
    for n in range(1000):
        total = 0
        for word in in_words(n).replace("-", " ").replace(" and", "").split():
            total = total * 100 if word == "hundred" else total + small[word]
        assert total == n


def test_units_and_next_numbers_hold():
    for seed in SEEDS:
        question, answer = asked(numbers.sequence, seed)
        shown = [int(x) for x in re.findall(r"\d+", question)]
        if "next number is" in answer:
            assert int(re.findall(r"\d+", answer)[-1]) == 2 * shown[-1] - shown[-2]
        question, answer = asked(numbers.parity, seed)
        n = int(re.search(r"\d+", question)[0])
        assert ("odd" if n & 1 else "even") in answer


def test_every_maker_writes_question_and_answer():
    for maker in MAKERS:
        for seed in range(5):
            question, answer = asked(maker, seed)
            assert question.strip() and answer.strip()
