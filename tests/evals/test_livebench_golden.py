"""LiveBench's published judgments, item by item, and its table of scores: tests/evals/data/README.md."""

import csv
import json
import tomllib
from pathlib import Path

import pytest

from creuset.evals import stats
from creuset.evals.tasks.livebench import algebra, maths
from creuset.evals.tasks.livebench.averages import averages
from creuset.evals.tasks.livebench.questions import CATEGORIES, TASKS
from creuset.evals.tasks.livebench.score import RULES, scored
from creuset.evals.tasks.livebench.task import LiveBench, LiveBench0831

DATA = Path(__file__).with_name("data")
ITEMS = [json.loads(line) for line in (DATA / "livebench.jsonl").read_text(encoding="utf-8").splitlines()]
KEPT = sorted({item["gold"]["rule"] for item in ITEMS})
TABLE = list(csv.DictReader((DATA / "livebench_tables.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("rule", KEPT)
def test_every_kept_reply_has_its_published_score(rule):
    of = [item for item in ITEMS if item["gold"]["rule"] == rule]
    assert len({item["score"] for item in of}) > 1
    found = [right(item["gold"], item["reply"]) for item in of]
    assert found == pytest.approx([item["score"] for item in of], abs=1e-9)


def right(gold, reply):
    """AMPS_Hard without a program of its own for each pair, which test_livebench.py has."""
    if gold["rule"] != "AMPS_Hard":
        return scored(gold, reply)["correct"]
    pytest.importorskip("latex2sympy2_extended")
    return float(algebra.equal(maths.truth_formula(gold["truth"]), maths.formula(maths.cleaned(reply)) or ""))


def test_the_golden_has_every_rule_whose_questions_are_published():
    # Of `connections` in its new form, plot_unscrambling, typos and programs no truth is: runs/livebench_referee.py.
    unpublished = {"connections", "plot_unscrambling", "typos"}
    assert len({item["model"] for item in ITEMS}) == 4
    assert set(KEPT) == set(RULES) - unpublished | {"AMPS_Hard", "instructions"}


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r['release']} {r['model']}")
def test_averages_are_those_of_livebench_s_table(row):
    rows = [{"task": task, "correct": float(row[task]) / 100, "failed": False, "cut": False, "extracted": True}
            for task in TASKS for _ in range(1 + len(task))]  # fmt: skip
    found = {m.metric: m.score * 100 for m in averages(LiveBench(), rows, tuple(CATEGORIES), {})}
    means = {c: sum(float(row[t]) for t in tasks) / len(tasks) for c, tasks in CATEGORIES.items()}
    assert {c: found[c] for c in CATEGORIES} == pytest.approx(means)
    assert found["average"] == pytest.approx(sum(means.values()) / 6), "not weighed by the number of questions"
    said = {"qwen2.5-max": "Qwen2.5-Max", "deepseek-v3": "DeepSeek-V3", "meta-llama-3.1-405b-instruct-turbo":
            "Llama-3.1-405B"}.get(row["model"], "")  # fmt: skip
    task = {t.release: t for t in (LiveBench, LiveBench0831)}[row["release"]]
    if said and said in task.reference:     # 53.2 is also what the Qwen2.5 technical report says
        assert f"{found['average']:.1f} {said}" in task.reference


def test_what_is_reported_of_others_is_the_average_of_that_table():
    found = tomllib.loads((Path(stats.__file__).parents[1] / "compare/reported.toml").read_text(encoding="utf-8"))
    scores = {row["id"]: row["scores"] for row in found["benchmark"]}["livebench_1125"]
    models = {"Qwen2.5-Max": "qwen2.5-max", "DeepSeek V3": "deepseek-v3", "Claude 3.5 Sonnet":
              "claude-3-5-sonnet-20241022", "Llama-3.1-405B": "meta-llama-3.1-405b-instruct-turbo"}  # fmt: skip
    rows = {row["model"]: row for row in TABLE if row["release"] == "2024-11-25"}
    for system, score in scores.items():
        row = rows[models[system]]
        whole = stats.nested_share([float(row[t]) / 100 for t in TASKS], [(c, t) for t, c in TASKS.items()])
        assert score == round(whole.value * 100, 1), system
