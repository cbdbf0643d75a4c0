"""GSM8K: 1,319 grade-school word problems (Cobbe et al. 2021), in two prompts.

data        gsm8k/test.jsonl and gsm8k/train.jsonl: {"question", "answer": "... #### 18"}
licence     MIT; the eight worked examples of gsm8k_cot are those printed by Wei et al. 2022 (gsm8k_cot.json)
metric      em_strict: the number behind "#### " (gsm8k) or "The answer is " (gsm8k_cot); em_lenient: the last number,
            by the referee's rule; em_read: the last number, separators of thousands read whatever they are
shots       gsm8k: 5, the first of the training file. gsm8k_cot: 8; with 0, "Let's think step by step."
reference   8-shot, base models: 89.3 DeepSeek-V3, 88.3 Qwen2.5-72B, 83.5 Llama-3.1-405B (README of DeepSeek-V3)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, find, json_rows, made
from creuset.evals import extract


class Gsm8k(AnswerTask):
    name = "gsm8k"
    files: ClassVar[tuple[str, ...]] = ("gsm8k/test.jsonl", "gsm8k/train.jsonl")
    licence = "MIT"
    reference = "89.3 DeepSeek-V3 base, 88.3 Qwen2.5-72B base, 8-shot (README of DeepSeek-V3)"
    shots = 5
    stop = ("Question:", "</s>", "<|im_end|>")
    strict_name, lenient_name, read_name = "number_hash", "number_last", "number_read"

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        asked = self._read(find(folder, self.files[0], self.name))
        yield Group(questions=asked, examples=self._examples(folder) if self.fewshot else ())

    def _examples(self, folder: Path) -> list[AnswerItem]:
        return self._read(find(folder, self.files[1], self.name))

    def _read(self, path: Path) -> list[AnswerItem]:
        return list(made(path, json_rows(path), self._problem, self.name))

    def _problem(self, line: int, row: Row) -> AnswerItem:
        return AnswerItem(
            id=f"{self.name}/{line}",
            prompt=self.ask(row["question"]),
            worked=f" {row['answer']}",
            message=f"{row['question']}\n\nSolve it step by step. {self.ending}",
            gold=extract.plain_number(row["answer"].split("#### ")[1]),
        )

    ending = "Your last line must be `#### N`, where N is the number."

    def ask(self, question: str) -> str:
        return f"Question: {question}\nAnswer:"

    def strict(self, text: str, language: str) -> str | None:
        return extract.number_hash(text)

    def lenient(self, text: str, language: str) -> str | None:
        return extract.number_last(text)

    def read(self, text: str, language: str) -> str | None:
        return extract.number_read(text)


class Gsm8kCot(Gsm8k):
    name = "gsm8k_cot"
    files = ("gsm8k/test.jsonl",)
    shots = 8
    stop = ("Q:", "</s>", "<|im_end|>")
    strict_name = "number_said"
    ending = "End with a sentence `The answer is N.`, where N is the number."

    def ask(self, question: str) -> str:
        return f"Q: {question}\nA:" + ("" if self.fewshot else " Let's think step by step.")

    def _examples(self, folder: Path) -> list[AnswerItem]:
        worked = json.loads(Path(__file__).with_name("gsm8k_cot.json").read_text(encoding="utf-8"))
        rows = ({"question": w["question"], "answer": f"#### {extract.number_said(w['target'])}"} for w in worked)
        made = (self._problem(i, row) for i, row in enumerate(rows))
        return [
            AnswerItem(id=p.id, prompt=p.prompt, message=p.message, gold=p.gold, worked=f" {w['target']}")
            for p, w in zip(made, worked, strict=True)
        ]

    def strict(self, text: str, language: str) -> str | None:
        return extract.number_said(text)
