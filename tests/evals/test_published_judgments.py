"""Judgments that others published: our readers, our Arena-Hard score, our prompts to the judge, votes of people."""

import hashlib
import json
import lzma
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from creuset.evals import votes
from creuset.evals.subject import Reply
from creuset.evals.task import Sample
from creuset.evals.tasks.arena_hard import ArenaHard
from creuset.evals.tasks.judged import rating, verdict
from creuset.evals.tasks.mt_bench import MtBench

FILE = Path(__file__).parent / "data/published_judgments.json.xz"
KEYS = ("turn", "question_id", "model_a", "model_b", "winner")
# The paper's table of agreement (arXiv 2306.05685v4, table 5, GPT-4 pairwise): share in whole percent, number of votes.
PAPER = {(1, True, "judge"): (66, 1343), (1, False, "judge"): (85, 859), (1, True, "people"): (63, 721),
         (1, False, "people"): (81, 479), (2, True, "judge"): (66, 1325), (2, False, "judge"): (85, 864),
         (2, True, "people"): (67, 707), (2, False, "people"): (82, 474)}  # fmt: skip


@pytest.fixture(scope="module")
def published():
    return json.loads(lzma.decompress(FILE.read_bytes()))


def test_every_published_verdict_and_rating_is_read_as_it_was(published):
    (model,) = published["arena"].values()
    games = [game for row in model["games"] for game in row]
    assert len(games) == 164 and sum(score is None for _, score in games) == 2
    assert [(text, score) for text, score in games if verdict(text) != score] == []
    assert len(published["single"]) == 1290
    assert [row for row in published["single"] if (rating(row["text"]) or -1) != row["score"]] == []


@pytest.fixture(scope="module")
def arena_rows(published):
    """The published games as rows of our task: there the baseline stands first in the first game, here the model."""
    (model,) = published["arena"].values()
    task, rows = ArenaHard(), []
    for at, (baseline_first, model_first) in enumerate(model["games"]):
        outcomes = [Reply(text=text, finish="stop") for text in ("reply", model_first[0], baseline_first[0])]
        sample = Sample(id=str(at), gold={"baseline": "", "question": ""})
        rows.append({"id": str(at), "cluster": "", **task.score(sample, outcomes)})
    return task, rows, model["published"]


def test_the_win_rate_is_the_published_leaderboards(arena_rows):
    task, rows, said = arena_rows
    found = {m.metric: m for m in task.measures(rows)}["win_rate"]
    assert round(100 * found.score, 2) == said["score"] == 37.5
    assert (found.n, found.denominator, found.unextracted, found.extra["unread"]) == (81, 82, 1, 2)
    assert sum(row["correct"] is None for row in rows) == 1, "no verdict is no score"


def test_the_win_rate_is_that_of_a_bradley_terry_model_with_a_baseline(arena_rows):
    """The authors fit a logistic regression to all battles: with one opponent it is the weighted share."""
    from sklearn.linear_model import LogisticRegression

    _, rows, _ = arena_rows
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


def test_the_published_interval_draws_verdicts_and_ours_draws_questions(arena_rows):
    task, rows, said = arena_rows
    battles = np.array([v for r in rows for won, of in ((r["points"], r["weight"]),) for v in [1.0] * int(won)
                        + [0.5] * round(2 * (won % 1)) + [0.0] * int(of - won)])  # fmt: skip
    drawn = np.random.default_rng(1).choice(battles, (4000, len(battles))).mean(1)
    theirs = np.percentile(drawn, [2.5, 97.5]) * 100
    assert np.abs(theirs - [said["rating_q025"], said["rating_q975"]]).max() < 1.5     # theirs are 100 draws
    ours = {m.metric: m for m in task.measures(rows)}["win_rate"].interval
    assert 100 * (ours.high - ours.low) > 1.5 * (said["rating_q975"] - said["rating_q025"])


def test_the_judge_is_asked_what_the_authors_asked_theirs(published, tmp_path):
    kept = published["prompts"]
    (tmp_path / "mt_bench").mkdir()
    for name in ("question", "gpt-4", "judge_prompts"):
        text = "".join(json.dumps(row) + "\n" for row in kept[name])
        (tmp_path / f"mt_bench/{name}.jsonl").write_text(text, encoding="utf-8")
    task = MtBench()
    samples = {s.id: s for s in task.samples(tmp_path)}
    assert len(kept["asked"]) == 16 and {s.meta["category"] for s in samples.values()} == {
        "writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"}
    for row in kept["asked"]:
        asked = task.question(samples[row["question"]], *row["answers"])[1]
        assert hashlib.sha256(asked.encode()).hexdigest() == row["sha256"], (row["question"], len(row["answers"]))


def test_mean_ratings_are_those_of_the_published_scores(published):
    groups = defaultdict(lambda: defaultdict(dict))
    for row in published["single"]:
        groups[row["model"]][row["question"]][row["turn"]] = row
    task, questions = MtBench(), groups["phi-3-dpo"]
    rows = []
    for number, turns in questions.items():
        outcomes = [Reply(text=text, finish="stop") for text in ("a", "b", turns[1]["text"], turns[2]["text"])]
        sample = Sample(id=str(number), gold={"turns": ["", ""], "reference": []}, meta={"category": "x"})
        rows.append({"id": str(number), "cluster": "", **task.score(sample, outcomes)})
    found = {m.metric: m for m in task.measures(rows)}
    scores = {t: [q[t]["score"] for q in questions.values()] for t in (1, 2)}
    assert found["rating_turn_1"].score == pytest.approx(np.mean(scores[1])) == 8.3625
    assert found["rating_turn_2"].score == pytest.approx(np.mean(scores[2])) == 8.0375
    assert found["rating"].score == pytest.approx(8.2) and found["rating"].n == 160


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("ties", [True, False])
def test_agreement_of_judge_and_people_is_the_papers(published, turn, ties):
    judge, people = (
        votes.by_pair(dict(zip(KEYS, row, strict=True)) for row in published["votes"][name] if row[0] == turn)
        for name in ("gpt4_pair", "human")
    )
    for label, found in (("judge", votes.with_people(judge, people, ties=ties)),
                         ("people", votes.among_people(people, ties=ties))):
        assert (round(100 * found.value), found.n) == PAPER[turn, ties, label]
        assert found.interval.low < found.value < found.interval.high and found.clusters >= 77


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
