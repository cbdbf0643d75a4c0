"""CommonsenseQA: five options, one of them plain to a person (Talmor et al. 2019), 1,221 validation items.

data        commonsense_qa/val/default_val.csv: question, A to E, letter; no header. train/ gives worked examples
licence     MIT
metric      acc of the letter (loglikelihood), letters in the other forms
reference   none printed: published figures differ in shots and prompt
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import LETTERS, ChoiceTask, Group, Question, options
from creuset.benchmarks.files import Row, csv_rows, find, made


class CommonsenseQA(ChoiceTask):
    name = "commonsense_qa"
    files = ("commonsense_qa/val/default_val.csv", "commonsense_qa/train/default_train.csv")
    licence = "MIT"
    norm = False

    def groups(self, folder: Path) -> Iterator[Group]:
        asked, train = (self._read(folder, file) if i == 0 or self.fewshot else [] for i, file in enumerate(self.files))
        yield Group(questions=asked, examples=train)

    def _read(self, folder: Path, file: str) -> list[Question]:
        path = find(folder, file, self.name)
        return list(made(path, csv_rows(path, ("question", *"ABCDE", "answer")), _question, self.name))

    def lettered(self, q: Question) -> str:
        return q.context


def _question(line: int, row: Row) -> Question:
    shown, stem = tuple(row[letter] for letter in "ABCDE"), row["question"].strip()
    return Question(
        id=f"commonsense_qa/{line}", context=f"Question: {stem}\n{options(shown)}\nAnswer:",
        choices=tuple(f" {letter}" for letter in "ABCDE"), gold=LETTERS.index(row["answer"]), stem=stem, options=shown,
    )
