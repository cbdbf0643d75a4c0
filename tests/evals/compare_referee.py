"""Our side of parity: the same items asked by our tasks, and what must be equal to the referee's."""

from dataclasses import replace
from typing import Any

import pytest

from creuset.benchmarks.catalogue import make
from creuset.evals.model import Likelihood, ModelClient, Reply
from creuset.evals.task import Row, Sample, Task
from tests.evals.parity import BENCH, GENERATED, NEW_TOKENS, mark

Documents = list[dict[str, Any]]
# Our row's key for each of the referee's scores.
SCORES = {
    "acc,none": "correct",
    "acc_norm,none": "correct_norm",
    "exact_match,strict-match": "correct",
    "exact_match,get-answer": "correct",
    "exact_match,custom-extract": "correct",
    "exact_match,remove_whitespace": "correct",
    "exact_match,flexible-extract": "correct_lenient",
}


def our_task(name: str) -> Task:
    return make(name, form="generate" if name.startswith(GENERATED) else "loglikelihood")


def our_samples(task: Task) -> list[Sample]:
    return list(task.samples(BENCH))


async def ask(task: Task, samples: list[Sample], subject: ModelClient) -> list[Any]:
    if samples[0].pairs:
        flat = await subject.loglikelihood([pair for sample in samples for pair in sample.pairs])
        found, start = [], 0
        for sample in samples:
            found.append(flat[start : start + len(sample.pairs)])
            start += len(sample.pairs)
        return found
    asks = [replace(sample.asks[0], max_tokens=NEW_TOKENS) for sample in samples]
    return [[reply] for reply in await subject.generate(asks)]


def equal_questions(samples: list[Sample], documents: Documents) -> None:
    """Every prompt, to the character."""
    assert len(samples) == len(documents)
    for sample, document in zip(samples, documents, strict=True):
        if sample.pairs:
            ours = sorted((mark(pair.context), pair.continuation) for pair in sample.pairs)
            assert ours == sorted((context, rest) for context, rest, _, _ in document["asked"]), sample.id
        else:
            ((prompt, stops, _),) = document["asked"]
            assert (mark(sample.asks[0].prompt), sorted(sample.asks[0].stop)) == (prompt, stops), sample.id


def equal_answers(samples: list[Sample], outcomes: list[Any], documents: Documents, *, within: float = 1e-4) -> None:
    """ln p within `within`, the same greedy tokens, the same text."""
    for sample, found, document in zip(samples, outcomes, documents, strict=True):
        wanted = {(context, rest): said for context, rest, *said in document["asked"] if isinstance(rest, str)}
        for pair, outcome in zip(sample.pairs, found, strict=False):
            assert isinstance(outcome, Likelihood), outcome
            total, greedy = wanted[mark(pair.context), pair.continuation]
            assert outcome.total == pytest.approx(total, abs=within, rel=0), (sample.id, pair)
            assert outcome.greedy == greedy
        if sample.asks:
            assert isinstance(found[0], Reply), found
            assert found[0].text == document["asked"][0][2], sample.id


def equal_scores(task: Task, samples: list[Sample], outcomes: list[Any], documents: Documents) -> list[Row]:
    rows = [task.score(sample, found) for sample, found in zip(samples, outcomes, strict=True)]
    for sample, row, document in zip(samples, rows, documents, strict=True):
        for name, score in document["scores"].items():
            if name in SCORES:
                assert row[SCORES[name]] == pytest.approx(score, abs=1e-5), (sample.id, name, row)
            elif name == "perplexity,none":
                assert row["log_likelihood"] == pytest.approx(score, abs=1e-4)
    return rows
