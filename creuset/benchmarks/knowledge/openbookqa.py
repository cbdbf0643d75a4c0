"""OpenBookQA: elementary science with everyday knowledge (Mihaylov et al. 2018), 500 test items.

data        openbookqa/openbook_qa.jsonl: {"query": "...", "choices": [4], "gold": 1}
licence     Apache-2.0 (data of the authors), as redistributed in llm-foundry; not verified
metric      acc, acc_norm (loglikelihood: the bare question stem, then the choice); letters in the other forms
reference   none printed: published figures differ in split and prompt
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made


class OpenBookQA(ChoiceTask):
    name = "openbookqa"
    files = ("openbookqa/openbook_qa.jsonl",)
    licence = "Apache-2.0"

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))


def _question(line: int, row: Row) -> Question:
    return Question(
        id=f"openbookqa/{line}", context=row["query"], choices=tuple(f" {c}" for c in row["choices"]),
        gold=int(row["gold"]), stem=row["query"], options=tuple(row["choices"]),
    )
