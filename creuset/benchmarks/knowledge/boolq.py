"""BoolQ: yes or no, from a passage (Clark et al. 2019), 3,270 validation items.

data        boolq/boolq.jsonl: {"query": "Passage: ...\\nQuestion: ...?", "choices": ["no", "yes"], "gold": 0}
licence     CC-BY-SA-3.0
metric      acc (loglikelihood of ` no` and ` yes`); letters in the other forms
note        `Passage: ` stands before the passage, as the file has it; lm-evaluation-harness's own prompt does not
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made


class BoolQ(ChoiceTask):
    name = "boolq"
    files = ("boolq/boolq.jsonl",)
    licence = "CC-BY-SA-3.0"

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))


def _question(line: int, row: Row) -> Question:
    query = row["query"].strip()
    return Question(
        id=f"boolq/{line}", context=f"{query}\nAnswer:", choices=tuple(f" {c}" for c in row["choices"]),
        gold=int(row["gold"]), stem=query, options=tuple(row["choices"]),
    )
