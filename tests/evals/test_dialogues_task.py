"""Held-out dialogues as a task: what counts as said."""

import asyncio
import json
from pathlib import Path

import pytest
import zstandard

from creuset.benchmarks.instructions.dialogues import FILE, Dialogues
from creuset.core.errors import ConfigError, DataError
from creuset.evals.model import Failure, Reply


def dialogue(question: str, answer: str, rule: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], "rule": rule}


ROWS = [
    dialogue("8 + 7?", "8 + 7 = 15", "numbers"), dialogue("9 + 1?", "9 + 1 = 10", "numbers"),
    dialogue("Hi", "Hello there!", "talk"), dialogue("Capital of Italy?", "The capital of Italy is Rome.", "countries"),
]  # fmt: skip


def write(folder: Path, rows: list[object]) -> Path:
    with zstandard.open(folder / FILE, "wt", encoding="utf-8") as out:
        out.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return folder


def test_every_dialogue_is_asked_once_in_an_order_that_does_not_depend_on_the_file(tmp_path: Path) -> None:
    task = Dialogues()
    samples = list(task.samples(write(tmp_path, ROWS)))
    (tmp_path / "b").mkdir()
    again = list(task.samples(write(tmp_path / "b", [*ROWS[::-1], ROWS[0]])))
    assert [s.id for s in samples] == [s.id for s in again] and len(samples) == 4
    assert {s.asks[0].messages[-1]["content"]: s.gold for s in samples}["8 + 7?"] == "8 + 7 = 15"


def test_the_shares_are_those_of_the_replies(tmp_path: Path) -> None:
    task = Dialogues()
    said = {
        "8 + 7 = 15": Reply(text=" 8 + 7 = 15 ", finish="stop"),
        "9 + 1 = 10": Reply(text="The sum is: 9 + 1 = 10", finish="length"),
        "Hello there!": Reply(text="Hello there", finish="stop"),
        "The capital of Italy is Rome.": Failure(reason="timeout"),
    }
    rows = [{**task.score(s, [said[s.gold]]), "id": s.id, "cluster": ""} for s in task.samples(write(tmp_path, ROWS))]
    same, figures, stopped = task.measures(rows)
    assert (same.score, same.denominator, same.failed) == (0.25, 4, 1)
    assert (figures.score, figures.denominator) == (1.0, 2), "right figures count, whatever is said around them"
    assert stopped.score == 0.5
    by_rule = same.row()["by_rule"]
    assert {rule: (v["score"], v["n"]) for rule, v in by_rule.items()} == {
        "numbers": (0.5, 2), "talk": (0.0, 1), "countries": (0.0, 1),
    }  # fmt: skip


@pytest.mark.parametrize("bad", ["{broken", json.dumps({"messages": [], "rule": "x"}), json.dumps({"rule": "x"})])
def test_a_line_that_is_no_dialogue_is_named(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match="line 2 is not a dialogue"):
        list(Dialogues().samples(write(tmp_path, [ROWS[0], bad])))


def test_an_absent_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"heldout\.jsonl\.zst` does not exist: dialogues needs it"):
        list(Dialogues().samples(tmp_path))
    with pytest.raises(DataError, match="holds no dialogue"):
        list(Dialogues().samples(write(tmp_path, [])))
    assert asyncio.iscoroutinefunction(Dialogues().play)
