"""LiveBench's shape with questions written for this: marked answers, tasks without a scorer, missing files."""

import json

import pytest

from creuset.core.errors import ConfigError, DataError
from creuset.evals.subject import Failure, Reply
from creuset.evals.tasks.livebench import LiveBench, marked, same


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "livebench/reasoning"
    folder.mkdir(parents=True)
    rows = [
        {"question_id": "1", "task": "web_of_lies_v2", "turns": ["Who lies?"], "ground_truth": "yes, no, yes"},
        {"question_id": "2", "task": "math_comp", "turns": ["Which?"], "ground_truth": "D"},
        {"question_id": "3", "task": "tablejoin", "turns": ["Join."], "ground_truth": "{}"},
    ]
    (folder / "question.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


@pytest.mark.parametrize(("text", "truth", "right"), [
    ("So **yes, no, yes**.", "yes, no, yes", True), ("**no** then **Yes,No, yes.**", "yes, no, yes", True),
    ("<solution>no, no</solution> **yes, no, yes**", "yes, no, yes", False), (r"\boxed{D}", "D", True),
    ("the answer: **DDDDD**", "D", True), ("**DDE**", "D", False), ("yes, no, yes", "yes, no, yes", False),
])  # fmt: skip
def test_the_marked_answer_counts(text, truth, right):
    assert same(marked(text), truth) is right


def test_the_last_line_counts_in_the_lenient_score_only(bench):
    task = LiveBench()
    samples = list(task.samples(bench))
    assert [s.id for s in samples] == ["1", "2"]
    rows = [task.score(samples[0], [Reply(text="I think:\nyes, no, yes", finish="stop")]),
            task.score(samples[1], [Failure(reason="timeout")])]
    rows = [row | {"id": s.id, "cluster": s.cluster} for row, s in zip(rows, samples, strict=True)]
    strict, lenient = task.measures(rows)
    assert (strict.score, strict.unextracted, strict.failed, strict.denominator) == (0, 1, 1, 2)
    assert lenient.score == 0.5 and strict.extra["left_out"] == {"tablejoin": 1}


def test_what_is_missing_is_named(bench, tmp_path):
    with pytest.raises(ConfigError, match="has no livebench"):
        list(LiveBench().samples(tmp_path / "livebench/reasoning/none"))
    file = bench / "livebench/reasoning/question.jsonl"
    file.write_text(file.read_text().replace('"ground_truth": "D"', '"ground_truth": " "'))
    with pytest.raises(DataError, match="line 2 is not an item of livebench_short"):
        list(LiveBench().samples(bench))
