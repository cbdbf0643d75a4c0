"""Our evaluation equals lm-evaluation-harness's: same prompts, same likelihoods, same replies, same scores.

What the harness said of the committed model is in data/parity/golden.json (written by tests/evals/parity.py; asked
live by tests/slow/test_lm_eval_tasks.py). No harness is needed here.
"""

import asyncio
import json

import pytest

from creuset.evals.clients.local import LocalClient
from creuset.evals.model import Reply
from tests.evals.compare_referee import ask, equal_answers, equal_questions, equal_scores, our_samples, our_task
from tests.evals.parity import GOLDEN, MODEL, TASKS

SAID = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def subject():
    subject = LocalClient(MODEL, prefix=False)  # the harness puts nothing before a context
    yield subject
    asyncio.run(subject.close())


@pytest.mark.parametrize("name", TASKS)
def test_each_sample_is_asked_answered_and_scored_as_the_referee_does(name, subject):
    task, documents = our_task(name), SAID["hf"][name]
    samples = our_samples(task)
    equal_questions(samples, documents)
    outcomes = asyncio.run(ask(task, samples, subject))
    equal_answers(samples, outcomes, documents)
    equal_scores(task, samples, outcomes, documents)


@pytest.mark.parametrize("name", SAID["scripted"])
def test_prepared_replies_are_extracted_as_the_referee_does(name):
    task, documents = our_task(name), SAID["scripted"][name]
    samples = our_samples(task)
    samples = [samples[i % len(samples)] for i in range(len(documents))]
    equal_questions(samples, documents)
    outcomes = [[Reply(text=document["asked"][0][2], finish="stop")] for document in documents]
    rows = equal_scores(task, samples, outcomes, documents)
    assert {row["correct"] for row in rows} == {0, 1}, "some are right and some are wrong"


def test_the_whole_score_is_that_of_the_referee(subject):
    task, documents = our_task("arc_easy"), SAID["hf"]["arc_easy"]
    samples = our_samples(task)
    outcomes = asyncio.run(ask(task, samples, subject))
    rows = [{"id": s.id, "cluster": s.cluster, **task.score(s, o)} for s, o in zip(samples, outcomes, strict=True)]
    for measure, name in zip(task.measures(rows), ("acc,none", "acc_norm,none"), strict=True):
        assert measure.score == pytest.approx(sum(d["scores"][name] for d in documents) / len(documents))
        assert measure.interval is not None and measure.score in measure.interval and measure.denominator == 10
