"""Judges' words and votes of people: Arena-Hard's win rate by two definitions, agreement counted by hand.

Published judgments are compared by validation/published_judgments.py, on checkouts of their repositories.
"""

import math

import numpy as np
import pytest

from creuset.benchmarks.judged.arena_hard import ArenaHard
from creuset.evals.model import Reply
from creuset.evals.task import Sample
from validation import votes

MARKS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")


@pytest.fixture(scope="module")
def arena_rows():
    """Eighty questions judged in both orders, by words drawn: the second verdict mostly agrees with the first."""
    task, rows, rng = ArenaHard(), [], np.random.default_rng(3)
    for at in range(80):
        first = int(rng.integers(5))
        second = min(4, max(0, 4 - first + int(rng.integers(-1, 2))))
        said = [f"I compare them.\n\nMy final verdict is: [[{MARKS[i]}]]" for i in (first, second)]
        if at == 7:
            said = ["They differ.", "[[A>B]] or [[B>A]]"]  # no verdict, and two of them
        outcomes = [Reply(text=text, finish="stop") for text in ("reply", *said)]
        sample = Sample(id=str(at), gold={"baseline": "", "question": ""})
        rows.append({"id": str(at), "cluster": "", **task.score(sample, outcomes)})
    return task, rows


def test_a_question_without_a_verdict_is_no_score(arena_rows):
    task, rows = arena_rows
    found = {m.metric: m for m in task.measures(rows)}["win_rate"]
    assert (found.n, found.denominator, found.unextracted, found.extra["unread"]) == (79, 80, 1, 2)
    assert [row["id"] for row in rows if row["correct"] is None] == ["7"]
    assert found.score == pytest.approx(sum(r["points"] for r in rows) / sum(r["weight"] for r in rows))


def test_the_win_rate_is_that_of_a_bradley_terry_model_with_a_baseline(arena_rows):
    """The authors fit a logistic regression to all battles: with one opponent it is the weighted share."""
    from sklearn.linear_model import LogisticRegression

    _, rows = arena_rows
    rng = np.random.default_rng(7)
    wins = {"model": (sum(r["points"] for r in rows), sum(r["weight"] for r in rows))}
    wins |= {f"other{i}": (float(rng.integers(20, 180)), 200.0) for i in range(3)}
    x, y, weight = [], [], []
    for at, (won, played) in enumerate(wins.values()):
        for outcome, count in ((1, won), (0, played - won)):
            x.append([float(i == at) for i in range(len(wins))])
            y.append(outcome)
            weight.append(count)
    fit = LogisticRegression(fit_intercept=False, C=math.inf, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weight)
    for at, (won, played) in enumerate(wins.values()):
        assert 1 / (1 + math.exp(-fit.coef_[0][at])) == pytest.approx(won / played, abs=1e-6)


def test_an_interval_that_draws_verdicts_as_if_a_strong_one_were_three_is_too_narrow(arena_rows):
    """The leaderboard's way, against ours that draws questions."""
    task, rows = arena_rows
    battles = np.array([v for r in rows for won, of in ((r["points"], r["weight"]),) for v in [1.0] * int(won)
                        + [0.5] * round(2 * (won % 1)) + [0.0] * int(of - won)])  # fmt: skip
    drawn = np.random.default_rng(1).choice(battles, (4000, len(battles))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    ours = {m.metric: m for m in task.measures(rows)}["win_rate"].interval
    assert ours.high - ours.low > 1.3 * (high - low)


def test_agreement_is_counted_pair_by_pair_of_votes():
    def vote(question, winner, turn=1):
        return {"turn": turn, "question_id": question, "model_a": "x", "model_b": "y", "winner": winner}

    people = votes.by_pair([vote(1, "model_a"), vote(1, "model_a"), vote(2, "tie"), vote(3, "model_b")])
    judge = votes.by_pair([vote(1, "model_a"), vote(2, "model_a"), vote(3, "model_b")])
    with_ties, without = (votes.with_people(judge, people, ties=ties) for ties in (True, False))
    assert (with_ties.value, with_ties.n) == (pytest.approx(3 / 4), 4)  # the tie of question 2 is not x
    assert (without.value, without.n) == (1.0, 3)
    among = votes.among_people(people, ties=True)
    assert (among.value, among.n) == (1.0, 1)  # only question 1 was voted on twice


def test_votes_do_not_depend_on_which_model_stands_first():
    one = {"turn": 1, "question_id": 1, "model_a": "x", "model_b": "y", "winner": "model_a"}
    other = {"turn": 1, "question_id": 1, "model_a": "y", "model_b": "x", "winner": "model_b"}
    tie = one | {"winner": "tie (inconsistent)"}
    assert votes.by_pair([one, other, tie]) == {(1, "1", "x", "y"): ["x", "x", ""]}
    assert votes.with_people(votes.by_pair([tie]), votes.by_pair([one]), ties=False) is None
    with pytest.raises(ValueError, match="neither model nor a tie"):
        votes.by_pair([one | {"winner": "x"}])
    with pytest.raises(ValueError, match="2 votes"):
        votes.with_people(votes.by_pair([one, other]), votes.by_pair([one]), ties=True)
