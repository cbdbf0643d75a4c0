"""CRUXEval-I and BigCodeBench-Hard on small files of their shape, written for this: what is run, read, left out."""

import json
import sys

import pytest

from creuset.benchmarks.catalogue import make
from creuset.benchmarks.code.bigcodebench import modules
from creuset.benchmarks.code.cruxeval_i import call
from creuset.core.errors import ConfigError, DataError
from creuset.evals import sandbox
from creuset.evals.model import Failure, Reply


def confines():
    try:
        return bool(sandbox.run(""))
    except sandbox.SandboxRefused:
        return False


pytestmark = pytest.mark.skipif(not confines(), reason="this machine forbids user namespaces: no code is run")

TESTS = """import unittest
class TestCases(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(task_func([1, 2]), {right})
    def test_none(self):
        self.assertEqual(task_func([]), 0)
"""


def problem(name, imports="import math", body="    return int(math.fsum(xs))\n", right=3):
    head = f"{imports}\ndef task_func(xs):\n"
    return {
        "task_id": name, "entry_point": "task_func", "code_prompt": head, "canonical_solution": body,
        "complete_prompt": f'{head}    """Adds."""\n', "instruct_prompt": "Adds.\n", "test": TESTS.format(right=right),
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    rows = [
        problem("good"), problem("lib", imports="import math\nfrom no_such_library.part import x"),
        problem("net", body="    import socket\n    socket.socket()\n    return 3 if xs else 0\n"),
    ]  # fmt: skip
    (tmp_path / "bigcodebench_hard").mkdir()
    (tmp_path / "bigcodebench_hard/bigcodebench_hard.json").write_text(json.dumps({r["task_id"]: r for r in rows}))
    (tmp_path / "cruxeval").mkdir()
    lines = [
        {"code": "def f(s, n=1):\n    return s * n", "input": f"'a', {i}", "output": repr("a" * i), "id": str(i)}
        for i in range(4)
    ]
    (tmp_path / "cruxeval/cruxeval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def reply(text):
    return Reply(text=text, finish="stop")


def test_bigcodebench_runs_the_unit_tests_calibrated_and_counts_what_it_cannot_test(bench):
    task = make("bigcodebench_hard")
    samples = list(task.samples(bench))
    right = reply("    return int(math.fsum(xs))\n\n\nprint(task_func([1]))\nraise SystemExit")
    rows = [task.score(s, [right]) | {"id": s.id} for s in samples]
    network = "its own solution does not pass (failed)"
    assert [row["untestable"] for row in rows] == ["", "needs no_such_library", network]
    assert [row["correct"] for row in rows] == [1, None, None]
    wrong = task.score(samples[0], [reply("    return 3\n")])
    assert wrong["correct"] == 0 and "1 of 2 tests: test_none: AssertionError: 3 != 0" in wrong["why"]
    strict, lenient = task.measures([*rows, wrong | {"id": "again"}])
    assert (strict.score, strict.denominator, strict.extra["not_testable"]) == (
        0.5,
        2,
        {"needs no_such_library": 1, network: 1},
    )
    assert "2 of 4 problems cannot be tested here: needs no_such_library (1)" in strict.caveat
    (none,) = task.measures(rows[1:])
    assert none.status == "not_testable" and "2 of 2" in none.why and none.score is None
    failed = task.score(samples[0], [Failure(reason="timeout")])
    assert failed["failed"] and failed["untestable"] == "" and task.measures([failed])[0].denominator == 1
    assert lenient.metric == "pass@1_lenient"


def test_bigcodebench_chat_replies_may_leave_out_the_imports(bench):
    for name, form in (("bigcodebench_hard", "chat"), ("bigcodebench_hard_instruct", "chat")):
        task = make(name, form=form)
        sample = next(iter(task.samples(bench)))
        asked = sample.asks[0].messages[0]["content"]
        assert asked.startswith("Please provide a self-contained Python script")
        assert ("```\nimport math" in asked) == (name == "bigcodebench_hard")
        code = "def task_func(xs):\n    return int(math.fsum(xs))\nif __name__ == '__main__':\n    0 / 0"
        said = f"```python\n{code}\n```"
        assert task.score(sample, [reply(said)])["correct"] == 1, "math is imported, and what is for __main__ not run"
        assert task.score(sample, [reply("```python\ndef other(xs): return 3\n```")])["correct"] == 0


def test_bigcodebench_names_the_row_that_is_no_problem(bench):
    file = bench / "bigcodebench_hard/bigcodebench_hard.json"
    file.write_text(file.read_text().replace('"code_prompt"', '"prompt"', 1))
    with pytest.raises(DataError, match="line 1 is not an item of bigcodebench_hard: KeyError"):
        list(make("bigcodebench_hard").samples(bench))


def test_imports_are_found_wherever_they_stand():
    assert modules("import a.b as c\ndef f():\n    from d.e import g\n", "from . import h\nimport i") == {"a", "d", "i"}


def test_another_python_runs_the_programs_where_one_is_named(bench, monkeypatch):
    monkeypatch.setenv(sandbox.PYTHON, sys.executable)
    assert sandbox.run(f"import sys\nassert sys.executable == {sys.executable!r}").passed
    monkeypatch.setenv(sandbox.PYTHON, "/nowhere/python")
    with pytest.raises(ConfigError, match="`/nowhere/python`, named by CREUSET_CODE_PYTHON, cannot be run"):
        sandbox.run("pass")


@pytest.mark.parametrize(("text", "strict", "lenient"), [
    (" f('a', 2)", 1, 1),
    (" f('aa')", 1, 1),                                 # another input that gives the output
    (" f(s='a' * 2)\nassert 1", 1, 1),
    (" f('a', 3)", 0, 0),
    ("The input is f('b') or rather\n```python\nassert f('a', n=2) == 'aa'\n```", 0, 1),
    ("So `f('a', len([1, (2)]))` gives it.", 0, 1),
    (" 'aa'", 0, 0),
    (" print(f('aa'))", 0, 1),
    ("", 0, 0),
])  # fmt: skip
def test_any_input_that_gives_the_output_is_right(bench, text, strict, lenient):
    task = make("cruxeval_i")
    samples = list(task.samples(bench))
    assert [s.id for s in samples] == ["cruxeval/2", "cruxeval/3"]
    prompt = samples[0].asks[0].prompt
    assert prompt.endswith("return s * n\n\nassert 'aa' ==") and "assert 'a' == f('a', 1)\n\n" in prompt
    row = task.score(samples[0], [reply(text)])
    assert (row["correct"], row["correct_lenient"]) == (strict, lenient)
    assert {m.metric for m in task.measures([row])} == {"pass_strict", "pass_lenient"}


def test_a_call_is_a_call_of_f_and_nothing_else():
    assert call(" f(1, x=[2]) ") == "f(1, x=[2])"
    assert not any(call(text) for text in ("f(1) + 1", "g(1)", "f", "f(1", "o.f(1)", "f(1)(2)", ""))
