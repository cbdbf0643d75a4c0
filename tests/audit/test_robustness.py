"""Robustness: who reads the options is right in every order, who likes a letter flips; figures are the counts."""

import asyncio
import json
import re

import numpy as np
import pytest

from creuset.benchmarks.choices import LETTERS, ChoiceItem
from creuset.benchmarks.robustness.robustness import Robustness, RobustnessChat, variants
from creuset.evals.model import Failure, Likelihood, Reply

STEMS = ["Which of these is likely not to be believed by her brother in the morning?",
         "What is the largest thing that a man does not do because it is going to rain?",
         "It is said that they are thinking of the spring; which one do you believe?",
         "Which liquid do people drink that is not hot and has no colour?",
         "He is not going to the market because it does not open; when will it?",
         "What do you call the large animal that is likely to be seen near her house?"]  # fmt: skip
OPTIONS = [
    ("iron", "water", "stone", "the sky"),
    ("tea", "milk", "oil"),
    ("one", "two", "three", "four"),
    ("red", "blue", "green"),
    ("today", "tomorrow", "never", "later"),
    ("cat", "cow", "dog", "hen"),
]


def questions():
    return [ChoiceItem(id=f"q{i}", context="", choices=o, gold=i % len(o), stem=s, options=o)
            for i, (s, o) in enumerate(zip(STEMS, OPTIONS, strict=True))]  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "perturbations").mkdir()
    (tmp_path / "perturbations/correct_to_misspelling.json").write_text(json.dumps({"believe": ["beleive"]}))
    return tmp_path


GOLD = {q.options: q.options[q.gold] for q in questions()}


class Reader:
    """Finds the options in the text, whatever their order and form; `wish` says which letter it wants then."""

    def __init__(self, wish):
        self.wish = wish

    def want(self, text):
        shown = re.findall(r"^\(?([A-D])(?:\.|\)| -) (.+)$", text, re.MULTILINE)
        letters = {option: letter for letter, option in shown}
        return self.wish(text, letters)

    async def loglikelihood(self, pairs, done=None):
        return [
            Likelihood(total=-float(p.continuation != f" {self.want(p.context)}"), greedy=False, tokens=1)
            for p in pairs
        ]

    async def generate(self, asks, done=None):
        return [Reply(text=f"Answer: {self.want(ask.messages[0]['content'])}", finish="stop") for ask in asks]


def right(text, letters):
    return next(letters[gold] for options, gold in GOLD.items() if set(options) == set(letters))


def examined(kind, subject, bench):
    class Task(kind):
        name = "robustness_test"

        def questions(self, folder):
            return iter(questions())

    async def go():
        task, rows = Task(), []
        for sample in task.samples(bench):
            rows.append({**task.score(sample, await task.play(sample, subject)), "id": sample.id, "cluster": ""})
        return rows, {m.metric: m for m in task.measures(rows)}

    return asyncio.run(go())


@pytest.mark.parametrize("kind", [Robustness, RobustnessChat])
def test_who_reads_the_options_is_right_in_every_order_and_never_flips(kind, bench):
    rows, found = examined(kind, Reader(right), bench)
    assert all(set(row["right"].values()) == {1} for row in rows)
    assert {found[m].score for m in found if m.startswith("acc")} == {1.0} and found["format_spread"].score == 0.0
    assert {found[m].score for m in found if m.startswith("flip")} == {0.0}
    assert found["acc_mean.shuffled"].interval is None is found["format_spread"].interval  # no certainty is claimed
    # Of the options in another order the letter is another: the one who is right had to follow.
    assert any(form["order"] != sorted(form["order"]) for form in variants(questions()[0], {}))


@pytest.mark.parametrize("kind", [Robustness, RobustnessChat])
def test_who_likes_the_second_letter_flips_with_the_order_and_with_nothing_else(kind, bench):
    rows, found = examined(kind, Reader(lambda text, letters: "B"), bench)
    assert found["flip_rate.perturbed"].score == found["flip_rate.reworded"].score == 0.0
    moved = [variants(q, {}) for q in questions()]
    orders = [[f["order"] for f in forms if f["kind"] == "order"] for forms in moved]
    expected = [[order[1] != 1 for order in some] for some in orders]
    assert found["flip_rate.shuffled"].score == pytest.approx(np.mean(expected))
    assert found["flip_rate.shuffled"].n == 18 and found["flip_rate.shuffled"].score > 0.3
    for q, row, some in zip(questions(), rows, orders, strict=True):
        assert row["answer"] == LETTERS[1] and row["correct"] == int(q.gold == 1)
        assert [row["right"][f"order{i + 1}"] for i in range(3)] == [int(order[1] == q.gold) for order in some]
    table = np.array([[row["right"][f"order{i}"] for i in (1, 2, 3)] for row in rows]).mean(0)
    assert found["acc_mean.shuffled"].score == pytest.approx(table.mean())
    assert found["acc_worst.shuffled"].score == pytest.approx(table.min())
    low, high = found["acc_mean.shuffled"].interval.low, found["acc_mean.shuffled"].interval.high
    assert 0.0 <= low < found["acc_mean.shuffled"].score < high <= 1.0
    assert found["acc"].extra["chance"] == pytest.approx(np.mean([1 / len(o) for o in OPTIONS]))


def test_a_mistake_in_one_kind_of_text_is_in_its_figures_alone(bench):
    def hates_small_letters(text, letters):
        stem = text.partition("?")[0]
        good = right(text, letters)
        return good if any(c.isupper() for c in stem.split("\n")[-1][:3]) else next(x for x in "ABC" if x != good)

    rows, found = examined(Robustness, Reader(hates_small_letters), bench)
    assert found["acc.case"].score == 0.0 and found["acc.case"].extra == {"changed": 6, "flipped": 6}
    assert found["acc_worst.perturbed"].score == 0.0 and found["acc"].score == 1.0
    changed = [sum(n in row["flipped"] and row["kinds"][n] == "perturbation" for n in row["kinds"]) for row in rows]
    assert found["flip_rate.perturbed"].n == sum(changed)
    flips = sum(row["flipped"][n] for row in rows for n in row["flipped"] if row["kinds"][n] == "perturbation")
    assert found["flip_rate.perturbed"].score == pytest.approx(flips / sum(changed)) and flips >= 6
    # What a perturbation left as it is keeps its answer, and is in no flip rate.
    quiet = next(name for row in rows for name in found if name.startswith("acc.") and found[name].extra["changed"] < 6)
    assert found[quiet].n == 6


def test_a_question_whose_calls_failed_is_wrong_and_in_no_rate(bench):
    class Broken(Reader):
        async def loglikelihood(self, pairs, done=None):
            if STEMS[2] in pairs[0].context:
                return [Failure(reason="timeout")] * len(pairs)
            return await super().loglikelihood(pairs)

    rows, found = examined(Robustness, Broken(right), bench)
    assert [row["failed"] for row in rows] == [False, False, True, False, False, False]
    assert found["acc"].score == pytest.approx(5 / 6) and found["acc"].failed == 1
    assert found["acc_mean.shuffled"].score == 1.0 and found["acc_mean.shuffled"].n == 5
    assert found["flip_rate.shuffled"].n == 15


def test_a_reply_without_a_letter_is_lost_and_counts_as_another_answer(bench):
    class Mumbles(Reader):
        async def generate(self, asks, done=None):
            said = await super().generate(asks)
            return [said[0], *(Reply(text="I would not know.", finish="stop") for _ in said[1:])]

    rows, found = examined(RobustnessChat, Mumbles(right), bench)
    assert all(row["extracted"] and row["correct"] for row in rows)
    assert all(row["lost"] == len(row["kinds"]) - 1 for row in rows)
    assert found["flip_rate.shuffled"].score == 1.0 and found["acc_worst.reworded"].score == 0.0


def test_three_options_have_orders_of_their_own_and_every_form_a_name():
    for q in questions():
        forms = variants(q, {})
        orders = [tuple(f["order"]) for f in forms if f["kind"] == "order"]
        assert len(orders) == 3 and len({*orders, tuple(range(len(q.options)))}) == 4
        names = [f["name"] for f in forms]
        assert names[0] == "asked" and len(names) == len(set(names)) and forms == variants(q, {})
