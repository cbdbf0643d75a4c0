"""LiveCodeBench's shape with problems written for this: both kinds of tests, packed private ones, dates, bad files."""

import base64
import json
import pickle
import zlib

import pytest

from creuset.benchmarks.catalogue import make
from creuset.benchmarks.code import livecodebench
from creuset.benchmarks.code.livecodebench import LiveCodeBench, fenced_last, unpacked
from creuset.core.errors import ConfigError, DataError
from creuset.evals import sandbox
from creuset.evals.model import Reply


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
    system, asked = by_stdin.asks[0].messages
    assert system["role"] == "system" and "reads the inputs" in asked["content"] and "Add." in asked["content"]
    assert scored(task, by_stdin, "a, b = map(int, input().split())\nprint(a + b)") == 1
    assert scored(task, by_stdin, "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))\nsys.exit()") == 1
    assert scored(task, by_stdin, "print(3)") == 0, "right in public, wrong in private"
    assert scored(task, by_call, "class Solution:\n    def twice(self, xs):\n        return [2 * x for x in xs]") == 1
    assert scored(task, by_call, "class Solution:\n    def twice(self, xs):\n        return xs") == 0


def test_contests_outside_the_window_are_left_out(bench):
    for name, ids in (
        ("livecodebench_2408_2412", ["twice"]),
        ("livecodebench_2405_2409", ["sum", "twice"]),
        ("livecodebench_2405_2405", ["sum"]),
    ):
        assert [s.id for s in make(name).samples(bench)] == ids
    with pytest.raises(ConfigError, match="is not a task"):
        make("livecodebench_2413_2414")


def test_the_starter_code_stands_in_the_question_and_the_last_block_is_what_the_authors_read(bench):
    task = LiveCodeBench()
    by_stdin, by_call = task.samples(bench)
    assert "```python\nclass Solution:\n    def twice(self, xs):\n```" in by_call.asks[0].messages[1]["content"]
    assert "# YOUR CODE HERE" in by_stdin.asks[0].messages[1]["content"]
    said = "```python\nprint(3)\n```\nNo:\n```\nprint(sum(map(int, input().split())))\n```"
    row = task.score(by_stdin, [Reply(text=said, finish="stop")])
    assert (row["correct"], row["correct_lenient"]) == (0, 1)
    assert fenced_last("```python\nx") is None and fenced_last("<think>\n```\na\n```\n</think>no") is None


def test_each_test_has_a_limit_of_time_of_its_own(bench, monkeypatch):
    monkeypatch.setattr(livecodebench, "TEST_S", 1)
    task = LiveCodeBench()
    by_stdin, _ = task.samples(bench)
    said = "```python\nwhile True:\n    pass\n```"
    row = task.score(by_stdin, [Reply(text=said, finish="stop")])
    assert row["correct"] == 0 and "a test took more than 1 s" in row["why"]


def test_shares_by_month_and_difficulty_stand_beside_the_score(bench):
    task = LiveCodeBench()
    rows = [
        {
            "asked": 1,
            "right": r,
            "right_lenient": 1,
            "correct": float(r),
            "correct_lenient": 1.0,
            "ends": {},
            "failed": False,
            "extracted": True,
            "extracted_lenient": True,
            "difficulty": d,
            "month": m,
        }
        for r, d, m in ((1, "easy", "2024-05"), (0, "easy", "2024-09"), (0, "hard", "2024-09"))
    ]
    strict, lenient = task.measures(rows)
    assert strict.extra["by_month"] == {"2024-05": {"score": 1.0, "n": 1}, "2024-09": {"score": 0.0, "n": 2}}
    assert strict.extra["by_difficulty"]["easy"] == {"score": 0.5, "n": 2}
    assert lenient.extra["by_difficulty"]["hard"]["score"] == 1.0


def test_a_pickle_that_would_make_an_object_is_refused():
    with pytest.raises(ValueError, match="the object"):
        unpacked(base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode())
    with pytest.raises(ValueError, match="neither JSON nor packed"):
        unpacked("@@")


def test_what_would_unpack_to_too_much_is_refused(monkeypatch):
    tests = [{"input": "x" * 5000, "output": "y", "testtype": "stdin"}]
    assert unpacked(packed(tests)) == tests
    monkeypatch.setattr(livecodebench, "PACKED_BYTES", 4000)
    with pytest.raises(ValueError, match="more than 4,000 bytes unpacked"):
        unpacked(packed(tests))


def test_what_is_missing_is_named(bench, tmp_path):
    with pytest.raises(ConfigError, match=r"has no livecodebench/\*"):
        list(LiveCodeBench().samples(tmp_path / "livecodebench"))
    file = bench / "livecodebench/test.jsonl"
    file.write_text(file.read_text().replace('"metadata": "{\\"func_name\\"', '"metadata": "{\\"fun\\"'))
    with pytest.raises(DataError, match="line 2 is not an item of livecodebench"):
        list(LiveCodeBench().samples(bench))


def test_what_a_program_returns_is_asked_with_the_call_that_the_file_has(tmp_path):
    rows = [
        {
            "question_id": "q",
            "id": f"sample_{i}",
            "code": "def twice(s):\n    return s + s\n",
            "output": f"'{i}{i}'",
            "input": f"twice(s = '{i}')",
            "function_name": "twice",
        }
        for i in range(3)
    ]
    (tmp_path / "livecodebench_execution").mkdir()
    file = tmp_path / "livecodebench_execution/test.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    task = make("livecodebench_execution")
    (sample,) = task.samples(tmp_path)
    assert sample.id == "livecodebench_execution/sample_2" and sample.cluster == "q"
    assert sample.asks[0].prompt.endswith(
        "assert twice(s = '1') == '11'\n\ndef twice(s):\n    return s + s\n\nassert twice(s = '2') =="
    )
    assert [task.score(sample, [Reply(text=t, finish="stop")])["correct"] for t in (" '22'", " 22")] == [1, 0]
    file.write_text(file.read_text().replace('"output": "\'11\'"', '"output": "1 +"'))
    with pytest.raises(DataError, match="line 2 is not an item of livecodebench_execution"):
        list(task.samples(tmp_path))


@pytest.mark.parametrize(("text", "strict", "lenient"), [
    ("```python\nassert f([1, 2], 'a') == [True, None]\n```", 1, 1),
    ("assert f(1) == 0\nNo:\nassert f([1, 2], 'a') == [True, None]", 1, 1),
    ("It gives:\n```\n[True, None]\n```", 0, 1),
    ("assert f([1, 2], 'a') == [False, None]", 0, 0),
    ("assert f([1, 2], 'a') == list((True, None))", 0, 0),
    ("assert f(", 0, 0),
])  # fmt: skip
def test_what_a_test_gives_is_read_behind_the_last_assertion(tmp_path, text, strict, lenient):
    row = {
        "question_id": 7,
        "test_id": 3,
        "question_content": "Do.",
        "function_name": "f",
        "starter_code": "def f(xs, c):",
        "test": json.dumps([{"input": "[1, 2]\n'a'", "output": "[true, null]", "testtype": "functional"}]),
    }
    (tmp_path / "livecodebench_test_output").mkdir()
    (tmp_path / "livecodebench_test_output/test.jsonl").write_text(json.dumps(row) + "\n")
    task = make("livecodebench_test_output")
    (sample,) = task.samples(tmp_path)
    assert sample.id == "7/3" and "assert f([1, 2], 'a') == # TODO" in sample.asks[0].messages[0]["content"]
    found = task.score(sample, [Reply(text=text, finish="stop")])
    assert (found["correct"], found["correct_lenient"]) == (strict, lenient)
