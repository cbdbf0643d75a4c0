"""Gates for continuous integration: they fail for want of a figure too, and say with the figure why."""

import json

import pytest

from creuset.cli import main
from creuset.core.errors import ArtifactError, ConfigError
from creuset.evals.gate import failing, last_run, refuse_unasked, requirement, unmet
from creuset.evals.paired import compare_runs
from creuset.testing import tiny_model_folder
from tests.evals.test_paired import two

ROWS = [
    {"task": "gsm8k", "metric": "em_strict", "score": 0.5, "interval": [0.4, 0.6], "n": 100},
    {"task": "bpb", "metric": "bits_per_byte.en", "score": 1.25, "interval": None, "n": 9},
    {"task": "mmlu", "metric": "score", "score": None, "status": "not_testable", "why": "it needs a chat model"},
]


@pytest.mark.parametrize("text", [
    "gsm8k.exact>=0.5", "gsm8k.exact <= 0.5", "gsm8k.exact>0.49", "gsm8k.exact<0.51", "gsm8k.exact@low>=0.4",
    "gsm8k.exact@high<=0.6", "bpb.bits_per_byte.en<1.3",
])  # fmt: skip
def test_what_is_reached_is_met(text):
    assert unmet([requirement(text)], ROWS) == []


@pytest.mark.parametrize(("text", "why"), [
    ("gsm8k.exact>=0.51", "gsm8k.exact>=0.51: gsm8k.em_strict is 0.5000, n = 100"),
    ("gsm8k.exact@low>=0.5", "gsm8k.exact@low>=0.5: gsm8k.em_strict is 0.4000 (low end of the interval), n = 100"),
    ("bpb.bits_per_byte.en@low<9", "bpb.bits_per_byte.en@low<9: bpb.bits_per_byte.en has no interval"),
    ("mmlu.acc>=0", "mmlu.acc>=0: mmlu was not measured: it needs a chat model"),
])  # fmt: skip
def test_what_is_not_reached_or_not_measured_says_why(text, why):
    assert unmet([requirement(text)], ROWS) == [why]


@pytest.mark.parametrize(("text", "said"), [
    ("gsm8k>=0.5", "is not a requirement"), ("gsm8k.exact=0.5", "is not a requirement"),
    ("gsm8k.exact>=half", "`half` is not a number"), ("gsm8k.exact>=nan", "must be a finite number, got nan"),
])  # fmt: skip
def test_another_form_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        requirement(text)


def test_a_task_or_a_metric_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="the run has no task `gsm8`") as task:
        refuse_unasked([requirement("gsm8.exact>0")], ["gsm8k", "bpb"])
    with pytest.raises(ConfigError, match="gsm8k has no measure `exakt`") as metric:
        unmet([requirement("gsm8k.exakt>0")], ROWS)
    assert task.value.hint == "did you mean `gsm8k`?" and metric.value.hint == "it has em_strict"


def test_a_newer_run_fails_where_it_is_worse_and_where_nothing_was_shown(tmp_path):
    worse = compare_runs(*two(tmp_path / "worse", [1.0] * 60, [0.0] * 30 + [1.0] * 30))
    assert (
        len(failing(worse, "worse")) == 1 and "is worse than before: 0.5000, was 1.0000" in failing(worse, "worse")[0]
    )
    few = compare_runs(*two(tmp_path / "few", [1.0] * 9, [0.0] + [1.0] * 8))
    assert failing(few, "worse") == [] and "was not shown to be as good as before" in failing(few, "unproved")[0]
    better = compare_runs(*two(tmp_path / "better", [0.0] * 30 + [1.0] * 30, [1.0] * 60))
    assert failing(better, "worse") == failing(better, "unproved") == []


def test_a_task_that_the_newer_run_dropped_fails(tmp_path):
    a, b = two(tmp_path, [1.0] * 9, [1.0] * 9)
    said = json.loads((a / "results.json").read_text())
    said["results"].append({**said["results"][0], "task": "dropped"})
    (a / "results.json").write_text(json.dumps(said))
    (a / "dropped.jsonl").write_text((a / f"{said['results'][0]['task']}.jsonl").read_text())
    found = compare_runs(a, b)
    assert failing(found, "worse") == ["dropped cannot be compared: B has no samples of it"]


def test_the_last_run_of_a_folder_is_the_newest_but_the_one_that_is_made(tmp_path):
    for name, date in (("b", "2026-11-01"), ("a", "2026-11-30"), ("c", "2026-10-01")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({"date": date, "results": []}))
    assert last_run(tmp_path) == tmp_path / "a" and last_run(tmp_path, but=tmp_path / "a") == tmp_path / "b"
    assert last_run(tmp_path / "c") == tmp_path / "c"
    (tmp_path / "empty").mkdir()
    assert last_run(tmp_path / "empty") is None
    with pytest.raises(ArtifactError, match="there is no such folder"):
        last_run(tmp_path / "nowhere")


def test_the_verb_ends_with_1_where_a_gate_does_not_pass_and_keeps_the_run(tmp_path, capsys):
    tiny_model_folder(tmp_path / "model", context=512)
    (tmp_path / "q.csv").write_text("question,answer,A,B\n" + "".join(f"{i}?,A,yes,no\n" for i in range(8)))
    (tmp_path / "runs").mkdir()
    words = ["eval", str(tmp_path / "model"), "--csv", str(tmp_path / "q.csv"), "--against", str(tmp_path / "runs")]
    gates = ["--require", "q.acc_strict>=0", "--fail-if", "worse"]
    assert main([*words, *gates, "--out", str(tmp_path / "runs/1")]) == 0
    assert "holds no earlier evaluation" in capsys.readouterr().err
    assert main([*words, *gates, "--out", str(tmp_path / "runs/2")]) == 0
    assert "equal within the margin" in (said := capsys.readouterr().err) or "not decided" in said
    assert main([*words, "--require", "q.acc_strict>1", "--out", str(tmp_path / "runs/3")]) == 1
    assert (
        "FAILED  q.acc_strict>1: q.acc_strict is" in capsys.readouterr().err
        and (tmp_path / "runs/3/results.json").is_file()
    )
    assert main([*words, "--require", "q.acc_strict>1"]) == 2
    assert "this run is not kept" in capsys.readouterr().err
    assert main(["eval", "compare", str(tmp_path / "runs"), str(tmp_path / "runs/2"), "--fail-if", "worse"]) == 0
