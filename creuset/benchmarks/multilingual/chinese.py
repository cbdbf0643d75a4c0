"""C-Eval (52 subjects, Huang et al. 2023) and CMMLU (67, Li et al. 2023): Chinese examinations; you bring the files.

data        ceval/val/SUBJECT_val.csv and ceval/dev/SUBJECT_dev.csv: id, question, A, B, C, D, answer (explanation)
            cmmlu/test/SUBJECT.csv and cmmlu/dev/SUBJECT.csv: a number, Question, A, B, C, D, Answer
            as the zips have them; also below cmmlu/data (the authors' repository) and ceval/formal_ceval (OpenCompass),
            and as the hub's parquet files, ceval/SUBJECT/val-*.parquet
licence     C-Eval CC-BY-NC-SA-4.0, CMMLU CC-BY-NC-4.0: not for commercial use
metric      acc over all questions, interval clustered by subject. C-Eval: its val split, as answers of test are secret.
            Beside it the authors' own figures: the mean of the subjects' shares, and the same for each area
shots       5 (the subject's dev questions, in order)
prompt      lm-evaluation-harness's. The authors' differ: C-Eval's says "of the examination" of the subject, CMMLU's
            begins a question with "题目：" and ends it with "答案是："
reference   5-shot, base models: C-Eval 90.1 DeepSeek-V3, 89.2 Qwen2.5-72B; CMMLU 88.8, 89.5 (README of DeepSeek-V3)
count       CMMLU's files have 11,582 test and 335 dev questions (commit d6e7b71 of the authors); its paper says 11,528
"""

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import mean
from typing import ClassVar

from creuset.benchmarks.choices import LETTERS, ChoiceTask, Group, Question, options
from creuset.benchmarks.files import Row, csv_rows, find, made, parquet_rows
from creuset.evals.task import Row as Scored
from creuset.types.measure import Measure

# By benchmark and subject: its name in Chinese and the areas that the authors count it to.
SUBJECTS: dict[str, dict[str, list[str]]] = json.loads(
    files("creuset.benchmarks.multilingual").joinpath("chinese_subjects.json").read_text(encoding="utf-8")
)


def _files(homes: Sequence[str], splits: Sequence[str]) -> tuple[str, ...]:
    shapes = ("{}/*.csv", "*/{}-*.parquet")
    return tuple(f"{home}/{shape.format(split)}" for home in homes for split in splits for shape in shapes)


class CEval(ChoiceTask):
    name = "ceval"
    parts = part = tuple(SUBJECTS["ceval"])
    homes: ClassVar[tuple[str, ...]] = ("ceval", "ceval/formal_ceval")
    splits: ClassVar[tuple[str, str]] = ("val", "dev")      # what is asked, and the worked examples
    csv: ClassVar[str] = "{split}/{subject}_{split}.csv"
    files = _files(homes, splits)
    licence = "CC-BY-NC-SA-4.0"
    reference = "90.1 DeepSeek-V3 base, 89.2 Qwen2.5-72B base, 5-shot (README of DeepSeek-V3)"
    shots = 5
    norm = False
    description: ClassVar[str] = "以下是中国关于{}的单项选择题，请选出其中的正确答案。\n\n"
    instruction = "请回答下面的单项选择题，可以先分析。最后一行必须写成 `Answer: X`，X 是 {letters} 中的一个字母。"

    def groups(self, folder: Path) -> Iterator[Group]:
        for subject in self.part:
            yield Group(
                questions=self._read(folder, self.splits[0], subject),
                examples=self._read(folder, self.splits[1], subject) if self.fewshot else (),
                description=self.description.format(SUBJECTS[self.homes[0]][subject][0]),
            )

    def _read(self, folder: Path, split: str, subject: str) -> list[Question]:
        file = self.csv.format(split=split, subject=subject)
        ways = (pattern for home in self.homes for pattern in (f"{home}/{file}", f"{home}/{subject}/{split}-*.parquet"))
        found = [path for pattern in ways for path in sorted(folder.glob(pattern))]
        path = found[0] if found else find(folder, f"{self.homes[0]}/{file}", self.name)
        rows = parquet_rows(path) if path.suffix == ".parquet" else csv_rows(path)

        def question(line: int, cells: Row) -> Question:
            row = {key.lower(): value for key, value in cells.items()}
            shown, stem = tuple(row[letter] for letter in "abcd"), row["question"].strip()
            return Question(
                id=f"{subject}/{line}", context=f"{stem}\n{options(shown)}\n答案：",
                choices=tuple(f" {letter}" for letter in "ABCD"), gold=LETTERS.index(row["answer"].strip()),
                stem=stem, options=shown, cluster=subject,
            )

        return list(made(path, rows, question, self.name))

    def lettered(self, q: Question) -> str:
        return q.context

    def measures(self, rows: Sequence[Scored]) -> list[Measure]:
        found = super().measures(rows)
        for measure in found:
            shares = {subject: group["score"] for subject, group in measure.extra.get("groups", {}).items()}
            by_area: dict[str, list[float]] = {}
            for subject, share in shares.items():
                for area in SUBJECTS[self.homes[0]][subject][1:]:
                    by_area.setdefault(area, []).append(share)
            if shares:
                measure.extra["mean_of_subjects"] = mean(shares.values())
                measure.extra["areas"] = {area: mean(of_it) for area, of_it in sorted(by_area.items())}
        return found


class Cmmlu(CEval):
    name = "cmmlu"
    parts = part = tuple(SUBJECTS["cmmlu"])
    homes = ("cmmlu", "cmmlu/data")
    splits = ("test", "dev")
    csv = "{split}/{subject}.csv"
    files = _files(homes, splits)
    licence = "CC-BY-NC-4.0"
    reference = "88.8 DeepSeek-V3 base, 89.5 Qwen2.5-72B base, 5-shot (README of DeepSeek-V3)"
    description = "以下是关于{}的单项选择题，请直接给出正确答案的选项。\n\n"
