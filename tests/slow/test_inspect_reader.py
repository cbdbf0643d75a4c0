"""inspect_ai reads our logs with its own reader.

It is not among this project's dependencies: name the Python of an environment that has it in INSPECT_PYTHON
(`python -m venv V && V/bin/pip install inspect_ai`). Without it these tests are skipped.
"""

import json
import os
import subprocess
import sys

import pytest

from creuset.evals.inspect_log import write_logs
from tests.evals.left_run import leave
from tests.evals.test_inspect_log import rows
from tests.peers import needs

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("INSPECT_PYTHON", sys.executable)
READ = """
import json, sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
print(json.dumps({
    "status": log.status, "task": log.eval.task, "value": log.results.scores[0].metrics["acc"].value,
    "ids": [s.id for s in log.samples], "texts": [s.output.completion for s in log.samples],
    "values": [s.scores["correct"].value for s in log.samples],
    "answers": [s.scores["correct"].answer for s in log.samples],
    "errors": [s.error.message if s.error else None for s in log.samples],
    "times": [s.total_time for s in log.samples], "span": [log.stats.started_at, log.stats.completed_at],
}))
"""


@pytest.fixture(autouse=True, scope="module")
def inspect_ai() -> None:
    needs(PYTHON, "inspect_ai", "make an environment with it, and name its Python in INSPECT_PYTHON")


def test_the_reader_of_inspect_gets_back_what_was_scored(tmp_path):
    run = leave(tmp_path / "run", {"demo": rows()})
    (file,) = write_logs(run, tmp_path / "logs")
    ran = subprocess.run([PYTHON, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    found = json.loads((run / "results.json").read_text())["results"][0]
    assert (said["status"], said["task"], said["value"]) == ("success", "demo", found["score"])
    assert said["ids"] == [f"demo/{i}" for i in range(4)] and said["values"] == ["C", "I", 0.5, "C"]
    assert said["texts"] == ["I say A, 0", "I say B, 1", "A", " no"] and said["answers"] == ["A", "B", "A", "B"]
    assert said["errors"] == [None, None, "timeout: after 60 s", None]
    assert said["times"][0] == 0.5 and said["span"][0] < said["span"][1] == found["date"]


def test_its_command_lists_and_dumps_them_and_bundles_its_viewer_with_them(tmp_path):
    (file,) = write_logs(leave(tmp_path / "run", {"demo": rows()}), tmp_path / "logs")

    def inspect(*words):
        ran = subprocess.run([PYTHON, "-m", "inspect_ai", *words], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert file.name in inspect("log", "list", "--log-dir", str(tmp_path / "logs"))
    dumped = json.loads(inspect("log", "dump", str(file)))
    assert [s["id"] for s in dumped["samples"]] == [f"demo/{i}" for i in range(4)]
    inspect("view", "bundle", "--log-dir", str(tmp_path / "logs"), "--output-dir", str(tmp_path / "site"))
    assert (tmp_path / "site/index.html").is_file() and (tmp_path / "site/logs" / file.name).is_file()
