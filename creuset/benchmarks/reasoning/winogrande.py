"""WinoGrande: who or what a sentence means (Sakaguchi et al. 2020), 1,267 validation items.

data        winogrande/winogrande.jsonl: {"context_options": [2 beginnings], "continuation": "...", "gold": 1}
licence     Apache-2.0 (code of the authors); the data as redistributed in llm-foundry, not verified
metric      acc: the beginning behind which the same continuation is likelier; letters in the other forms
reference   5-shot acc of base models: 84.9 DeepSeek-V3, 82.3 Qwen2.5-72B, 85.2 Llama-3.1-405B (README of DeepSeek-V3)
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question
from creuset.benchmarks.files import Row, find, json_rows, made


class WinoGrande(ChoiceTask):
    name = "winogrande"
    files = ("winogrande/winogrande.jsonl",)
    licence = "Apache-2.0"
    reference = "84.9 DeepSeek-V3 base, 82.3 Qwen2.5-72B base, 5-shot (README of DeepSeek-V3)"
    norm = False        # the continuation is the same for both

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))


def _question(line: int, row: Row) -> Question:
    first, second = row["context_options"]
    rest = row["continuation"]
    return Question(
        id=f"winogrande/{line}", context="", contexts=(first, second), choices=(f" {rest}",) * 2, gold=int(row["gold"]),
        stem="Which sentence makes more sense?", options=(f"{first} {rest}", f"{second} {rest}"),
    )
