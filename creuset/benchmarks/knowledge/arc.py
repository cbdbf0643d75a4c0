"""ARC: grade-school science questions (Clark et al. 2018), easy (2,376) and challenge (1,172) test splits.

data        arc/arc_easy.jsonl, arc/arc_challenge.jsonl: {"query": "Question: ...", "choices": [...], "gold": 0}
licence     CC-BY-SA-4.0
metric      acc, acc_norm (loglikelihood); share of right letters (generate, chat)
reference   25-shot acc of base models: ARC-Easy 98.9 DeepSeek-V3, 98.4 Qwen2.5-72B; ARC-Challenge 95.3, 94.5
            (README of DeepSeek-V3); those show the lettered options, lm-evaluation-harness's prompt does not
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made


class ArcEasy(ChoiceTask):
    name = "arc_easy"
    files = ("arc/arc_easy.jsonl",)
    licence = "CC-BY-SA-4.0"
    reference = "98.9 DeepSeek-V3 base, 98.4 Qwen2.5-72B base, 25-shot with lettered options (README of DeepSeek-V3)"

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), self._question, self.name)))

    def _question(self, line: int, row: Row) -> Question:
        query = row["query"].strip()
        return Question(
            id=f"{self.name}/{line}", context=f"{query}\nAnswer:", choices=tuple(f" {c}" for c in row["choices"]),
            gold=int(row["gold"]), stem=query.removeprefix("Question: "), options=tuple(row["choices"]),
        )


class ArcChallenge(ArcEasy):
    name = "arc_challenge"
    files = ("arc/arc_challenge.jsonl",)
    reference = "95.3 DeepSeek-V3 base, 94.5 Qwen2.5-72B base, 25-shot with lettered options (README of DeepSeek-V3)"
