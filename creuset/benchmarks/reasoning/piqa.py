"""PIQA: which of two ways reaches a practical goal (Bisk et al. 2020), 1,838 validation items.

data        piqa/valid.jsonl (goal, sol1, sol2) and piqa/valid-labels.lst, one answer a line
licence     AFL-3.0
metric      acc, acc_norm (loglikelihood); share of right letters (generate, chat)
reference   0-shot acc of base models: 84.7 DeepSeek-V3, 82.6 Qwen2.5-72B, 85.9 Llama-3.1-405B (README of DeepSeek-V3)
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made
from creuset.core.errors import DataError


class Piqa(ChoiceTask):
    name = "piqa"
    files = ("piqa/valid.jsonl", "piqa/valid-labels.lst")
    licence = "AFL-3.0"
    reference = "84.7 DeepSeek-V3 base, 82.6 Qwen2.5-72B base, 0-shot (README of DeepSeek-V3)"

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        beside = path.with_name("valid-labels.lst")
        if not beside.is_file():
            raise DataError(f"`{beside}` is missing: the answers of piqa are in a file of their own")
        labels, rows = beside.read_text(encoding="utf-8").split(), list(json_rows(path))
        if len(labels) != len(rows):
            raise DataError(f"`{beside}` has {len(labels)} answers, `{path}` has {len(rows)} questions")
        joined = ((line, {**row, "label": label}) for (line, row), label in zip(rows, labels, strict=True))
        yield Group(questions=list(made(path, joined, _question, self.name)))


def _question(line: int, row: Row) -> Question:
    ways = (row["sol1"], row["sol2"])
    return Question(
        id=f"piqa/{line}", context=f"Question: {row['goal']}\nAnswer:", choices=tuple(f" {way}" for way in ways),
        gold=int(row["label"]), stem=row["goal"], options=ways,
    )
