"""GPQA: questions of biology, physics and chemistry that need an expert (Rein et al. 2023); you bring the file.

data        gpqa/gpqa_diamond.csv (198), gpqa_main.csv (448), gpqa_extended.csv (546), as the authors publish them:
            behind a password, to keep them out of training data. They are not distributed with anything here
licence     CC-BY-4.0
metric      share of right letters (chat, generate); acc of "(A)" to "(D)" (loglikelihood). The order of the options
            is that of hashes of the question's record, the same in every run; others draw it anew
reference   Diamond, pass@1: 59.1 DeepSeek-V3, 49.0 Qwen2.5-72B, 49.9 GPT-4o-0513, 65.0 Claude-3.5-Sonnet-1022
            (README of DeepSeek-V3)
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from creuset.evals.tasks.choices import LETTERS, ChoiceTask, Group, Question
from creuset.evals.tasks.files import Row, csv_rows, find, made


class GpqaDiamond(ChoiceTask):
    name = "gpqa_diamond"
    form = "chat"
    needs = frozenset({"chat"})
    forms = ("chat", "generate", "loglikelihood")
    files = ("gpqa/gpqa_diamond.csv",)
    licence = "CC-BY-4.0"
    reference = "59.1 DeepSeek-V3, 49.0 Qwen2.5-72B, 49.9 GPT-4o-0513, pass@1 (README of DeepSeek-V3)"
    norm = False
    max_tokens_chat = 4096

    def groups(self, folder: Path) -> Iterator[Group]:
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


def _question(line: int, row: Row) -> Question:
    id = row.get("Record ID") or str(line)
    keys = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
    order = sorted(keys, key=lambda key: hashlib.sha256(f"{id} {key}".encode()).digest())
    shown, asked = tuple(row[key].strip() for key in order), row["Question"].strip()
    listed = "\n".join(f"({letter}) {text}" for letter, text in zip(LETTERS, shown, strict=False))
    return Question(
        id=f"gpqa/{id}", context=f"What is the correct answer to this question:{asked}\nChoices:\n{listed}\nAnswer:",
        choices=tuple(f" ({letter})" for letter in "ABCD"), gold=order.index(keys[0]), stem=asked, options=shown,
    )
