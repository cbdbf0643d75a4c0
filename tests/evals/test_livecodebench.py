"""LiveCodeBench's shape with problems written for this: both kinds of tests, packed private ones, dates, bad files."""

import base64
import json
import pickle
import zlib

import pytest

from creuset.core.errors import ConfigError, DataError
from creuset.evals import sandbox
from creuset.evals.subject import Reply
from creuset.evals.tasks.choices import in_form
from creuset.evals.tasks.livecodebench import LiveCodeBench, unpacked


def packed(value):
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(value)))).decode()


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.fixture
def bench(tmp_path):
    try:
        sandbox.run("")
    except sandbox.SandboxRefused as refused:
        pytest.skip(str(refused))
    (tmp_path / "livecodebench").mkdir()
    rows = [
        {"question_id": "sum", "question_content": "Add.", "contest_date": "2024-05-01T00:00:00", "starter_code": "",
         "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]), "metadata": "{}",
         "private_test_cases": packed([{"input": "5 -7", "output": "-2", "testtype": "stdin"}])},
        {"question_id": "twice", "question_content": "Double.", "contest_date": "2024-09-01T00:00:00",
         "starter_code": "class Solution:\n    def twice(self, xs):", "metadata": '{"func_name": "twice"}',
         "public_test_cases": json.dumps([{"input": "[1, 2]", "output": "[2, 4]", "testtype": "functional"}]),
         "private_test_cases": ""},
    ]  # fmt: skip
    (tmp_path / "livecodebench/test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


def scored(task, sample, code):
    return task.score(sample, [Reply(text=f"```python\n{code}\n```", finish="stop")])["correct"]


def test_programs_are_run_on_public_and_private_tests(bench):
    task = LiveCodeBench()
    by_stdin, by_call = task.samples(bench)
    assert "standard input" in by_stdin.asks[0].messages[0]["content"]
    assert scored(task, by_stdin, "a, b = map(int, input().split())\nprint(a + b)") == 1
    assert scored(task, by_stdin, "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))\nsys.exit()") == 1
    assert scored(task, by_stdin, "print(3)") == 0, "right in public, wrong in private"
    assert scored(task, by_call, "class Solution:\n    def twice(self, xs):\n        return [2 * x for x in xs]") == 1
    assert scored(task, by_call, "class Solution:\n    def twice(self, xs):\n        return xs") == 0


def test_contests_outside_the_window_are_left_out(bench):
    task = in_form(LiveCodeBench, "chat", window=("2024-08-01", "2024-12-31"))()
    assert [s.id for s in task.samples(bench)] == ["twice"]


def test_a_pickle_that_would_make_an_object_is_refused():
    with pytest.raises(ValueError, match="the object"):
        unpacked(base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode())
    with pytest.raises(ValueError, match="neither JSON nor packed"):
        unpacked("@@")


def test_what_is_missing_is_named(bench, tmp_path):
    with pytest.raises(ConfigError, match=r"has no livecodebench/\*"):
        list(LiveCodeBench().samples(tmp_path / "livecodebench"))
    file = bench / "livecodebench/test.jsonl"
    file.write_text(file.read_text().replace('"metadata": "{\\"func_name\\"', '"metadata": "{\\"fun\\"'))
    with pytest.raises(DataError, match="line 2 is not an item of livecodebench"):
        list(LiveCodeBench().samples(bench))
