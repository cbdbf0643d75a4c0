"""MMLU-Pro: 12,032 questions of 14 fields with up to ten options (Wang et al. 2024), reasoned out before the answer.

data        mmlu_pro/test.jsonl; mmlu_pro/validation.jsonl (with `cot_content`) for worked examples, if you have it
licence     MIT (data), Apache-2.0 (code of the authors)
metric      share of right letters, interval clustered by field. Strict: lm-evaluation-harness's one pattern; lenient:
            the authors' three stages. The two differ by up to 10 points on one model's replies
shots       0; 5 as published, where the validation file is there
reference   75.9 DeepSeek-V3, 71.6 Qwen2.5-72B, 72.6 GPT-4o-0513, 78.0 Claude-3.5-Sonnet-1022 (README of DeepSeek-V3)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from creuset.benchmarks.choices import LETTERS, ChoiceItem, ChoiceTask, options
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, find, json_rows, made
from creuset.core.errors import DataError
from creuset.evals import extract

FIELDS = (
    "biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law",
    "math", "other", "philosophy", "physics", "psychology",
)  # fmt: skip
STEPS = "Let's think step by step."


class MmluPro(ChoiceTask):
    name = "mmlu_pro"
    parts = part = FIELDS
    form = "generate"
    needs = frozenset({"completion"})
    forms = ("generate", "chat", "loglikelihood")
    files = ("mmlu_pro/test.jsonl",)
    licence = "MIT"
    reference = "75.9 DeepSeek-V3, 71.6 Qwen2.5-72B, 72.6 GPT-4o-0513, chat models (README of DeepSeek-V3)"
    norm = False
    max_tokens = max_tokens_chat = 2048
    stop = ("Question:",)
    strict_name, lenient_name = "mmlu_pro_single", "mmlu_pro_three_stage"

    def groups(self, folder: Path) -> Iterator[Group[ChoiceItem]]:
        asked = self._fields(find(folder, self.files[0], self.name))
        worked = self._fields(find(folder, "mmlu_pro/validation.jsonl", self.name)) if self.fewshot else {}
        for field in self.part:
            yield Group(questions=asked.get(field, []), examples=worked.get(field, []), description=_description(field))

    def _fields(self, path: Path) -> dict[str, list[ChoiceItem]]:
        found: dict[str, list[ChoiceItem]] = {}
        for question in made(path, json_rows(path), _question, self.name):
            if question.cluster not in FIELDS:
                raise DataError(f"`{path}`: {question.id} is of `{question.cluster}`, which is no field of MMLU-Pro")
            found.setdefault(question.cluster, []).append(question)
        return found

    def strict(self, text: str, options: Sequence[str]) -> str | None:
        return extract.mmlu_pro_single(text)

    def lenient(self, text: str, options: Sequence[str]) -> str | None:
        return extract.mmlu_pro_three_stage(text)

    def lettered(self, q: ChoiceItem) -> str:
        return f"Question:\n{q.stem}\nOptions:\n{options(q.options)}\nAnswer: {STEPS}"

    def message(self, q: ChoiceItem) -> str:
        return _description(q.cluster) + self.lettered(q)


def _description(field: str) -> str:
    return (
        f"The following are multiple choice questions (with answers) about {field}. Think step by step and then "
        'finish your answer with "the answer is (X)" where X is the correct letter choice.\n'
    )


def _question(line: int, row: Row) -> ChoiceItem:
    shown = tuple(option.strip() for option in row["options"])
    worked = row.get("cot_content", "").removeprefix(f"A: {STEPS}").strip()
    return ChoiceItem(
        id=f"mmlu_pro/{row['question_id']}",
        context=f"{row['question']}\n{options(shown)}\nAnswer:",
        choices=tuple(f" {letter}" for letter in LETTERS[: len(shown)]),
        gold=LETTERS.index(row["answer"]),
        stem=row["question"],
        options=shown,
        cluster=row["category"],
        worked=f" {worked}" if worked else "",
    )
