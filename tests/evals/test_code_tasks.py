"""HumanEval and MBPP on small files of their shape, written for this: right and wrong replies, both forms."""

import gzip
import json

import pytest

from creuset.benchmarks.choices import in_form
from creuset.benchmarks.code.humaneval import HumanEval
from creuset.benchmarks.code.mbpp import Mbpp
from creuset.benchmarks.code.program import continuation, fenced_lenient, fenced_strict
from creuset.core.errors import DataError
from creuset.evals import sandbox
from creuset.evals.model import Failure, Reply

PROMPT = 'from typing import List\n\n\ndef double(xs: List[int]) -> List[int]:\n    """Twice each number."""\n'
PROBLEM = {
    "task_id": "Own/0", "prompt": PROMPT, "entry_point": "double",
    "canonical_solution": "    return [2 * x for x in xs]\n",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n    assert candidate([]) == []\n",
}  # fmt: skip


def confines():
    try:
        return bool(sandbox.run(""))
    except sandbox.SandboxRefused:
        return False


WHOLE = f"{PROMPT}    return [2 * x for x in xs]\n"

pytestmark = pytest.mark.skipif(not confines(), reason="this machine forbids user namespaces: no code is run")


def reply(text, finish="stop"):
    return Reply(text=text, finish=finish)


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "humaneval").mkdir()
    (tmp_path / "mbpp").mkdir()
    (tmp_path / "humaneval/HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(PROBLEM).encode() + b"\n"))
    rows = [
        {
            "task_id": i,
            "text": f"Add {i}.",
            "code": f"def add{i}(x):\r\n  return x + {i}",
            "test_setup_code": "",
            "test_list": [f"assert add{i}(1) == {1 + i}", f"assert (add{i}(0)) == {i}"],
        }
        for i in (2, 3, 4, 11, 511)
    ]
    (tmp_path / "mbpp/mbpp.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


@pytest.mark.parametrize(("text", "strict", "lenient"), [
    ("    return [x + x for x in xs]\n\n\ndef main():\n    pass", 1, 1),
    ("    return xs\n", 0, 0),
    (f"Sure:\n```python\n{WHOLE}```", 0, 1),
])  # fmt: skip
def test_a_continuation_is_completed_and_run(bench, text, strict, lenient):
    task = HumanEval()
    row = task.score(next(task.samples(bench)), [reply(text)])
    assert (row["correct"], row["correct_lenient"]) == (strict, lenient)


@pytest.mark.parametrize(("text", "strict", "lenient"), [
    (f"```python\n{WHOLE}```", 1, 1),
    ("```python\ndef double(xs: List[int]):\n    return [2 * x for x in xs]\n```", 1, 1),    # without its import
    (f"```\n{WHOLE}```\nand so\n```python\nprint(double([1]))\n```", 0, 1),
    (f"Here it is.\n\n{WHOLE}", 0, 1),
    ("<think>\n```python\nno\n```\n</think>\n```python\n" + WHOLE + "```", 1, 1),
    ("I cannot.", 0, 0),
    ("```python\ndef double(xs): return xs\n```", 0, 0),
])  # fmt: skip
def test_a_chat_reply_is_read_and_run(bench, text, strict, lenient):
    task = in_form(HumanEval, "chat")()
    row = task.score(next(task.samples(bench)), [reply(text)])
    assert (row["correct"], row["correct_lenient"]) == (strict, lenient)


def test_pass_at_k_counts_every_sample_and_every_failure(bench):
    task = HumanEval(samples_each=10)
    sample = next(task.samples(bench))
    assert len({ask.seed for ask in sample.asks}) == 10 and sample.asks[0].temperature == 0.8
    good, bad = reply("    return [x + x for x in xs]"), reply("    return 1")
    row = task.score(sample, [good, good, *[bad] * 7, Failure(reason="timeout")])
    measures = {m.metric: m for m in task.measures([row | {"id": "0", "cluster": ""}])}
    assert measures["pass@1"].score == pytest.approx(0.2) and measures["pass@10"].score == 1.0
    assert measures["pass@1"].extra["ends"] == {"passed": 2, "failed": 7, "no program": 1}


def test_a_failed_call_stays_in_the_denominator(bench):
    task = HumanEval()
    sample = next(task.samples(bench))
    rows = [task.score(sample, [o]) for o in (Failure(reason="timeout"), reply("    return [2 * x for x in xs]"))]
    measure = task.measures(rows)[0]
    assert (measure.score, measure.n, measure.denominator, measure.failed) == (0.5, 1, 2, 1)


def test_mbpp_asks_with_three_examples_and_runs_the_assertions(bench):
    task = Mbpp()
    samples = list(task.samples(bench))
    assert [s.id for s in samples] == ["mbpp/11"]
    prompt = samples[0].asks[0].prompt
    assert prompt.count("[BEGIN]") == 4 and prompt.endswith("[BEGIN]\n") and "\r" not in prompt
    assert samples[0].gold["entry"] == "add11"
    for text, right in (("def add11(x):\n    return x + 11\n[DONE]\nnoise(", 1), ("def add11(x): return 12", 0)):
        assert task.score(samples[0], [reply(text)])["correct"] == right
    chat = in_form(Mbpp, "chat")()
    said = "```python\ndef add11(x):\n    return x + 11\n```"
    assert chat.score(next(chat.samples(bench)), [reply(said)])["correct"] == 1


def test_a_broken_file_is_named_with_its_line(bench):
    file = bench / "mbpp/mbpp.jsonl"
    file.write_text(file.read_text().replace('"text": "Add 11."', '"texts": ""'))
    with pytest.raises(DataError, match=r"line 4 is not an item of mbpp"):
        list(Mbpp().samples(bench))
    (bench / "humaneval/HumanEval.jsonl.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(DataError, match="line 1 cannot be unpacked"):
        list(HumanEval().samples(bench))


def test_extractors():
    assert continuation("    return 1\n\ndef g():\n") == "    return 1\n"
    assert fenced_strict("no code") is None and fenced_strict("```py\nx\n```\n```py\ny\n```") is None
    assert fenced_lenient("```python\nhelp()\n```\n```python\ndef f(): pass\n```", "f") == "def f(): pass\n"
    assert fenced_lenient("```python\ndef f(): pass", "f") == "def f(): pass"
