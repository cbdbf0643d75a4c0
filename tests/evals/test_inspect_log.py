"""Logs for inspect_ai's viewer: the structure it reads, and nothing lost of the rows."""

import json

import pytest

from creuset.cli.eval_report import report
from creuset.core.errors import ArtifactError
from creuset.evals.inspect_log import write_logs
from tests.evals.left_run import HOSTILE, leave, row

# What inspect_ai 0.3.285 demands of a log, of an eval and of a sample (its models' fields without a default),
# and what its viewer shows. tests/slow/test_inspect_reader.py has it read such logs.
DEMANDED = {
    "log": {"version", "status", "eval", "plan", "results", "stats", "samples"},
    "eval": {"created", "task", "dataset", "model", "config"},
    "sample": {"id", "epoch", "input", "target", "messages", "output", "scores"},
}


def rows():
    return [
        row(0, 1.0),
        row(1, 0.0, prompt=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": HOSTILE}]),
        row(2, 0.5, failed=True, outcomes=[{"kind": "failure", "reason": "timeout", "detail": "after 60 s"}]),
        row(3, 1.0, choices=[" yes", " no"], gold="B", answer="B", outcomes=[
            {"kind": "likelihood", "total": -2.0, "greedy": False, "tokens": 1, "prompt_tokens": 3}]),
    ]  # fmt: skip


def logs(tmp_path, made):
    files = write_logs(leave(tmp_path / "run", {"demo": made}), tmp_path / "logs")
    return [json.loads(f.read_text()) for f in files]


def test_a_log_has_what_is_demanded(tmp_path):
    (log,) = logs(tmp_path, rows())
    assert set(log) >= DEMANDED["log"] and log["version"] == 2 and log["status"] == "success"
    assert set(log["eval"]) >= DEMANDED["eval"] and log["eval"]["model"] == "demo model"
    assert all(set(sample) >= DEMANDED["sample"] for sample in log["samples"])
    assert log["eval"]["dataset"]["sample_ids"] == [s["id"] for s in log["samples"]]


def test_scores_and_samples_are_those_of_the_run(tmp_path):
    (log,) = logs(tmp_path, rows())
    found = json.loads((tmp_path / "run/results.json").read_text())["results"][0]
    metric = log["results"]["scores"][0]["metrics"]["acc"]
    assert (metric["value"], metric["params"]["low"]) == (found["score"], found["interval"][0])
    assert log["eval"]["metadata"]["measures"][0]["data_sha256"] == "d" * 64
    one, chat, failed, choice = log["samples"]
    assert [s["scores"]["correct"]["value"] for s in log["samples"]] == ["C", "I", 0.5, "C"]
    assert one["input"].startswith("Question 0") and one["output"]["choices"][0]["message"]["content"] == "I say A, 0"
    assert [m["role"] for m in chat["messages"]] == ["system", "user", "assistant"]
    assert failed["error"] == dict.fromkeys(("message", "traceback", "traceback_ansi"), "timeout: after 60 s")
    assert one["total_time"] == one["working_time"] == 0.5 and "total_time" not in failed
    assert (choice["target"], choice["output"]["choices"][0]["message"]["content"]) == (" no", " no")
    assert log["stats"]["model_usage"]["demo model"] == {"input_tokens": 17, "output_tokens": 10, "total_tokens": 27}


def test_a_log_says_when_its_task_was_begun_and_what_it_is_called(tmp_path):
    run = leave(tmp_path / "run", {"first": rows(), "second": rows(), "third": rows()})
    results = json.loads((run / "results.json").read_text())
    ends = {
        "first": "2026-11-25T10:00:00+00:00",
        "second": "2026-11-25T10:05:00+00:00",
        "third": "2026-11-25T10:04:00+00:00",
    }  # scored again on another clock: never before it began
    for measure in results["results"]:
        measure |= {"date": ends[measure["task"]], "data": "a.csv, b.csv"}
    (run / "results.json").write_text(json.dumps(results | {"wall_s": 400.0}))
    logs = {log["eval"]["task"]: log for log in (json.loads(f.read_text()) for f in write_logs(run, tmp_path / "logs"))}
    spans = {task: (log["stats"]["started_at"], log["stats"]["completed_at"]) for task, log in logs.items()}
    assert spans == {
        "first": ("2026-11-25T09:58:20+00:00", ends["first"]),
        "second": (ends["first"], ends["second"]),
        "third": (ends["third"], ends["third"]),
    }
    assert (logs["first"]["eval"]["dataset"]["name"], logs["first"]["eval"]["dataset"]["location"]) == (
        "first",
        "a.csv, b.csv",
    )
    (run / "results.json").write_text(json.dumps({k: v for k, v in results.items() if k != "wall_s"}))
    first = next(json.loads(f.read_text()) for f in write_logs(run, tmp_path / "more") if "_first_" in f.name)
    assert first["stats"]["started_at"] == first["stats"]["completed_at"] == ends["first"]


def test_a_page_is_written_into_a_folder_that_was_not_there(tmp_path):
    assert report(leave(tmp_path / "run", {"demo": rows()}), tmp_path / "new/deep/page.html") == 0
    assert (tmp_path / "new/deep/page.html").is_file() and (tmp_path / "new/deep/page.csv").is_file()


def test_questions_of_harmful_tasks_stay_hidden(tmp_path):
    hidden = {"id": "h", "cluster": "", "correct": 1.0, "extracted": True, "failed": False, "hidden": True,
              "answer": None}  # fmt: skip
    (log,) = logs(tmp_path, [hidden])
    assert log["samples"][0]["input"] == "(hidden: harmful)"


def test_logs_are_the_same_twice_and_never_mixed(tmp_path):
    run = leave(tmp_path / "run", {"demo": rows(), "more": rows()})
    first, second = write_logs(run, tmp_path / "one"), write_logs(run, tmp_path / "two")
    assert [f.name for f in first] == [f.name for f in second] and len(first) == 2
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]
    with pytest.raises(ArtifactError, match="already exists"):
        write_logs(run, tmp_path / "one")


def test_the_command_writes_them_beside_the_page(tmp_path, capsys):
    assert report(leave(tmp_path / "run", {"demo": rows()}), None, inspect=True, as_json=True) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert len(files) == 3 and "run-report.inspect" in files[2]
