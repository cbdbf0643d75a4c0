"""HellaSwag: which ending fits the scene (Zellers et al. 2019); 1,000 of the 10,042 validation items.

data        hellaswag/hellaswag_val_subset.jsonl, rows as published (activity_label, ctx_a, ctx_b, endings, label)
licence     MIT
metric      acc, acc_norm (loglikelihood); share of right letters (generate, chat)
reference   10-shot acc of base models: 88.9 DeepSeek-V3, 84.8 Qwen2.5-72B, 89.2 Llama-3.1-405B (README of DeepSeek-V3),
            on the whole validation split
"""

import re
from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made


class HellaSwag(ChoiceTask):
    name = "hellaswag"
    files = ("hellaswag/hellaswag_val_subset.jsonl",)
    licence = "MIT"
    caveat = "1,000 of the 10,042 items of the validation split"
    reference = "88.9 DeepSeek-V3 base, 84.8 Qwen2.5-72B base, 10-shot, whole split (README of DeepSeek-V3)"

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))


def _question(line: int, row: Row) -> Question:
    context = plain(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
    endings = tuple(plain(ending) for ending in row["endings"])
    return Question(
        id=f"hellaswag/{row.get('ind', line)}", context=context, choices=tuple(f" {e}" for e in endings),
        gold=int(row["label"]), stem=f"How does this go on?\n{context}", options=endings,
    )


def plain(text: str) -> str:
    """WikiHow's markup out, as lm-evaluation-harness does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")
