"""C-Eval (52 subjects, Huang et al. 2023) and CMMLU (67, Li et al. 2023): Chinese examinations; you bring the files.

data        ceval/val/SUBJECT_val.csv and ceval/dev/SUBJECT_dev.csv: id, question, A, B, C, D, answer
            cmmlu/test/SUBJECT.csv and cmmlu/dev/SUBJECT.csv: a number, Question, A, B, C, D, Answer
licence     C-Eval CC-BY-NC-SA-4.0, CMMLU CC-BY-NC-4.0: not for commercial use
metric      acc of the letter, interval clustered by subject. C-Eval: its val split, as answers of test are secret
shots       5 (the subject's dev questions, in order)
reference   5-shot, base models: C-Eval 90.1 DeepSeek-V3, 89.2 Qwen2.5-72B; CMMLU 88.8, 89.5 (README of DeepSeek-V3)
"""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from creuset.evals.tasks.choices import LETTERS, ChoiceTask, Group, Question, options
from creuset.evals.tasks.files import Row, csv_rows, find, made

SUBJECTS: dict[str, dict[str, str]] = json.loads(
    files("creuset.evals.tasks").joinpath("chinese_subjects.json").read_text(encoding="utf-8")
)


class CEval(ChoiceTask):
    name = "ceval"
    parts = part = tuple(SUBJECTS["ceval"])
    files = ("ceval/val/*.csv", "ceval/dev/*.csv")
    licence = "CC-BY-NC-SA-4.0"
    reference = "90.1 DeepSeek-V3 base, 89.2 Qwen2.5-72B base, 5-shot (README of DeepSeek-V3)"
    shots = 5
    norm = False
    asked: ClassVar[str] = "ceval/val/{}_val.csv"
    worked: ClassVar[str] = "ceval/dev/{}_dev.csv"
    description: ClassVar[str] = "以下是中国关于{}的单项选择题，请选出其中的正确答案。\n\n"
    instruction = "请回答下面的单项选择题，可以先分析。最后一行必须写成 `Answer: X`，X 是 {letters} 中的一个字母。"

    def groups(self, folder: Path) -> Iterator[Group]:
        family = self.asked.partition("/")[0]
        for subject in self.part:
            yield Group(
                questions=self._read(folder, self.asked.format(subject), subject),
                examples=self._read(folder, self.worked.format(subject), subject) if self.fewshot else (),
                description=self.description.format(SUBJECTS[family][subject]),
            )

    def _read(self, folder: Path, file: str, subject: str) -> list[Question]:
        path = find(folder, file, self.name)

        def question(line: int, cells: Row) -> Question:
            row = {key.lower(): value for key, value in cells.items()}
            shown, stem = tuple(row[letter] for letter in "abcd"), row["question"].strip()
            return Question(
                id=f"{subject}/{line}", context=f"{stem}\n{options(shown)}\n答案：",
                choices=tuple(f" {letter}" for letter in "ABCD"), gold=LETTERS.index(row["answer"].strip()),
                stem=stem, options=shown, cluster=subject,
            )

        return list(made(path, csv_rows(path), question, self.name))

    def lettered(self, q: Question) -> str:
        return q.context


class Cmmlu(CEval):
    name = "cmmlu"
    parts = part = tuple(SUBJECTS["cmmlu"])
    files = ("cmmlu/test/*.csv", "cmmlu/dev/*.csv")
    licence = "CC-BY-NC-4.0"
    reference = "88.8 DeepSeek-V3 base, 89.5 Qwen2.5-72B base, 5-shot (README of DeepSeek-V3)"
    asked = "cmmlu/test/{}.csv"
    worked = "cmmlu/dev/{}.csv"
    description = "以下是关于{}的单项选择题，请直接给出正确答案的选项。\n\n"
