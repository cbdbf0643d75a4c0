"""Two evaluations compared: the figures are those of the rows, and what does not match is refused by name."""

import json

import numpy as np
import pytest

from creuset.cli.eval_report import compare
from creuset.core import stats
from creuset.core.errors import DataError
from creuset.evals.paired import compare_runs, text
from creuset.evals.paired_page import page
from tests.evals.left_run import leave, row


def two(tmp_path, first, second, **second_fields):
    a = leave(tmp_path / "a", {"demo": [row(i, c) for i, c in enumerate(first)]}, name="first")
    b = leave(tmp_path / "b", {"demo": [row(i, c) for i, c in enumerate(second)]}, name="second", **second_fields)
    return a, b


def test_figures_are_those_of_the_rows(tmp_path):
    draw = np.random.default_rng(1)
    first = (draw.random(200) < 0.5).astype(float)
    second = np.where(draw.random(200) < 0.85, first, 1.0)
    found = compare_runs(*two(tmp_path, first, second), margin=0.05)
    (t,) = found.tasks
    only_a, only_b = stats.flips(first, second)
    assert (t.n, t.only_a, t.only_b) == (200, only_a, only_b) and only_b > 8
    assert t.b - t.a == pytest.approx(t.difference) == pytest.approx(second.mean() - first.mean())
    assert t.p == stats.mcnemar(only_a, only_b) == t.holm and t.verdict == "b_better"
    assert t.interval == stats.paired_bootstrap(first, second) and t.difference in t.interval
    assert t.smallest == pytest.approx(2.8016 * t.se, rel=1e-4)


def test_swapping_the_two_swaps_the_verdict(tmp_path):
    a, b = two(tmp_path, [1.0] * 60, [1.0] * 40 + [0.0] * 20)
    there, back = compare_runs(a, b).tasks[0], compare_runs(b, a).tasks[0]
    assert (there.verdict, back.verdict) == ("a_better", "b_better")
    assert there.difference == -back.difference and there.p == back.p and there.only_a == back.only_b == 20


def test_few_equal_answers_decide_nothing_and_many_are_equal(tmp_path):
    few = compare_runs(*two(tmp_path / "few", [1.0] * 9, [1.0] * 9)).tasks[0]
    assert few.verdict == "undecided" and few.smallest == pytest.approx(6 / 9)
    assert few.interval.high > 0.3, "no flip among nine is no certainty"
    many = compare_runs(*two(tmp_path / "many", [1.0] * 400, [1.0] * 400)).tasks[0]
    assert many.verdict == "equivalent" and many.interval.high < 0.01


def test_graded_and_clustered_scores_get_a_t_test(tmp_path):
    first = [row(i, 0.5, cluster=f"c{i // 4}") for i in range(40)]
    second = [row(i, 0.5 + 0.1 * (i % 3), cluster=f"c{i // 4}") for i in range(40)]
    a, b = leave(tmp_path / "a", {"demo": first}), leave(tmp_path / "b", {"demo": second})
    t = compare_runs(a, b).tasks[0]
    assert t.only_a is None and t.test == "paired t, 10 clusters" and t.clusters == 10 and t.verdict == "b_better"


def test_holm_counts_every_task(tmp_path):
    one, other = [1.0] * 30, [1.0] * 22 + [0.0] * 8
    tasks = {f"t{k}": one for k in range(3)}
    a = leave(tmp_path / "a", {t: [row(i, c) for i, c in enumerate(v)] for t, v in tasks.items()})
    b = leave(tmp_path / "b", {t: [row(i, c) for i, c in enumerate(other)] for t in tasks})
    assert [t.holm for t in compare_runs(a, b).tasks] == pytest.approx([3 * stats.mcnemar(8, 0)] * 3)


def test_other_data_other_forms_and_other_questions_are_refused_by_name(tmp_path):
    a, b = two(tmp_path, [1.0, 0.0], [1.0, 1.0], data_sha256="e" * 64)
    with pytest.raises(DataError, match=f"demo: its data_sha256 differs: {'d' * 64} against {'e' * 64}"):
        compare_runs(a, b)
    c = leave(tmp_path / "c", {"demo": [row(0, 1.0), row(1, 1.0, prompt="Another?")], "more": [row(0, 1.0)]})
    with pytest.raises(DataError, match=r"sample `demo/1` was asked in two ways \(1 of 2 differ\).*more: A has no"):
        compare_runs(a, c)


def test_scores_of_two_judges_are_not_compared(tmp_path):
    extra = [{"chance": 0.25, "judge": "j", "judge_at": at, "judge_prompt_sha256": "0"} for at in ("here", "there")]
    a, b = (leave(tmp_path / at["judge_at"], {"demo": [row(0, 1.0)]}, extra=at) for at in extra)
    with pytest.raises(DataError, match="demo: its judge_at differs: here against there"):
        compare_runs(a, b)


def test_what_stands_on_one_side_only_is_counted(tmp_path):
    a = leave(tmp_path / "a", {"demo": [row(i, 1.0) for i in range(10)]})
    b = leave(tmp_path / "b", {"demo": [row(i, 1.0) for i in range(4, 17)]})
    t = compare_runs(a, b).tasks[0]
    assert (t.n, t.a_only_samples, t.b_only_samples) == (6, 4, 7)
    assert "left out: 4 samples only in A, 7 only in B" in text(compare_runs(a, b))


def test_the_command_prints_text_or_json_and_writes_the_page(tmp_path, capsys):
    a, b = two(tmp_path, [1.0] * 30, [0.0] * 10 + [1.0] * 20)
    assert compare(a, b, None) == 0
    assert "A is better" in capsys.readouterr().out
    assert compare(a, b, tmp_path / "c.html", as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "c.json").read_text()) and said["tasks"][0]["only_a"] == 10
    assert "A is better" in (tmp_path / "c.html").read_text() and "A est meilleur" in page(compare_runs(a, b))
