"""GPQA: questions of biology, physics and chemistry that need an expert (Rein et al. 2023); you bring the file.

data        gpqa/gpqa_diamond.csv (198), gpqa_main.csv (448), gpqa_extended.csv (546), as the authors publish them:
            behind a password, to keep them out of training data. They are not distributed with anything here
licence     CC-BY-4.0
metric      share of right letters (chat, generate); acc of "(A)" to "(D)" (loglikelihood). The order of the options
            is that of hashes of the question's record, the same in every run; lm-evaluation-harness draws it anew
            gpqa_diamond_simple_evals is the protocol of OpenAI's simple-evals, to the character: its prompt, its rule
            of extraction, four orders of each question as its seed draws them, interval clustered by question
reference   Diamond, pass@1: 59.1 DeepSeek-V3, 49.0 Qwen2.5-72B, 49.9 GPT-4o-0513, 65.0 Claude-3.5-Sonnet-1022
            (README of DeepSeek-V3)
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.choices import LETTERS, ChoiceItem, ChoiceTask
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, csv_rows, find, made
from creuset.evals import extract
from creuset.evals.task import Form

ANSWERS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
SIMPLE = (  # the words of simple-evals
    "Answer the following multiple choice question. The last line of your response should be of the following format: "
    "'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering."
)


class GpqaDiamond(ChoiceTask):
    name = "gpqa_diamond"
    form = "chat"
    needs = frozenset({"chat"})
    forms: ClassVar[tuple[Form, ...]] = ("chat", "generate", "loglikelihood")
    files = ("gpqa/gpqa_diamond.csv",)
    licence = "CC-BY-4.0"
    reference = "59.1 DeepSeek-V3, 49.0 Qwen2.5-72B, 49.9 GPT-4o-0513, pass@1 (README of DeepSeek-V3)"
    norm = False
    max_tokens_chat = 4096

    def groups(self, folder: Path) -> Iterator[Group[ChoiceItem]]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, csv_rows(path), _question, self.name)))


class GpqaMain(GpqaDiamond):
    name = "gpqa_main"
    files = ("gpqa/gpqa_main.csv",)
    reference = ""


class GpqaExtended(GpqaDiamond):
    name = "gpqa_extended"
    files = ("gpqa/gpqa_extended.csv",)
    reference = ""


class GpqaDiamondSimple(GpqaDiamond):
    name = "gpqa_diamond_simple_evals"
    forms = ("chat",)
    repeats: ClassVar[int] = 4
    strict_name = "simple_evals"

    def groups(self, folder: Path) -> Iterator[Group[ChoiceItem]]:
        path = find(folder, self.files[0], self.name)
        rows = list(made(path, csv_rows(path), _answers, self.name))
        draw = random.Random(0)
        yield Group(questions=[
            _shown(f"gpqa/{id}/{turn}", row["Question"], [answers[i] for i in order], order.index(0), cluster=id)
            for turn in range(self.repeats) for id, row, answers in rows for order in [draw.sample(range(4), 4)]
        ])  # fmt: skip

    def strict(self, text: str, options: Sequence[str]) -> str | None:
        return extract.letter_simple_evals(text)

    def message(self, q: ChoiceItem) -> str:
        listed = "\n".join(f"{letter}) {text}" for letter, text in zip("ABCD", q.options, strict=True))
        return f"{SIMPLE}\n\n{q.stem}\n\n{listed}"


def _answers(line: int, row: Row) -> tuple[str, Row, list[str]]:
    """Its record, its fields, the four answers, the right one first."""
    return row.get("Record ID") or str(line), row, [row[key] for key in ANSWERS]


def _question(line: int, row: Row) -> ChoiceItem:
    id, row, answers = _answers(line, row)
    order = sorted(range(4), key=lambda i: hashlib.sha256(f"{id} {ANSWERS[i]}".encode()).digest())
    # As lm-evaluation-harness writes them: double blanks are made one.
    return _shown(f"gpqa/{id}", row["Question"], [answers[i].strip().replace("  ", " ") for i in order], order.index(0))


def _shown(id: str, asked: str, shown: list[str], gold: int, cluster: str = "") -> ChoiceItem:
    listed = "\n".join(f"({letter}) {text}" for letter, text in zip(LETTERS, shown, strict=False))
    return ChoiceItem(
        id=id,
        context=f"What is the correct answer to this question:{asked}\nChoices:\n{listed}\nAnswer:",
        choices=tuple(f" ({letter})" for letter in "ABCD"),
        gold=gold,
        stem=asked,
        options=tuple(shown),
        cluster=cluster,
    )
