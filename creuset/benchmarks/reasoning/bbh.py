"""BIG-Bench Hard: 6,511 problems of 27 kinds (Suzgun et al. 2022), reasoned out (bbh) or answered at once (bbh_direct).

data        bbh/bbh/KIND.json {"examples": [{"input", "target"}]}, bbh/cot-prompts/KIND.txt (three worked examples)
licence     MIT
metric      exact match over all problems, interval clustered by kind. Strict: what follows "the answer is" (bbh), the
            reply itself (bbh_direct). Lenient: in any writing, without brackets, markup and full stop
shots       3
reference   3-shot with reasoning, base models: 87.5 DeepSeek-V3, 79.8 Qwen2.5-72B, 82.9 Llama-3.1-405B
            (README of DeepSeek-V3)
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import find
from creuset.core.errors import DataError
from creuset.evals import extract

KINDS = (
    "boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa", "dyck_languages",
    "formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects",
    "logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation",
    "multistep_arithmetic_two", "navigate", "object_counting", "penguins_in_a_table",
    "reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks",
    "sports_understanding", "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects", "web_of_lies",
    "word_sorting",
)  # fmt: skip
STEPS = "A: Let's think step by step."


class Bbh(AnswerTask):
    name = "bbh"
    parts = part = KINDS
    files = ("bbh/bbh/*.json", "bbh/cot-prompts/*.txt")
    licence = "MIT"
    reference = "87.5 DeepSeek-V3 base, 79.8 Qwen2.5-72B base, 3-shot (README of DeepSeek-V3)"
    shots = 3
    max_tokens = 1024
    stop = ("</s>", "Q", "\n\n")
    strict_name, lenient_name = "answer_said", "answer_lenient"
    ending = 'Think step by step and end with a sentence "So the answer is X."'

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        for kind in self.part:
            path = find(folder, f"bbh/bbh/{kind}.json", self.name)
            try:
                pairs = [(e["input"], e["target"]) for e in json.loads(path.read_text(encoding="utf-8"))["examples"]]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"`{path}` is not a file of {self.name}: {error!r}") from error
            description, worked = read_worked(find(folder, f"bbh/cot-prompts/{kind}.txt", self.name))
            yield Group(
                questions=[self._problem(kind, i, text, target) for i, (text, target) in enumerate(pairs)],
                examples=[self._example(kind, text, steps) for text, steps in worked],
                description=f"{description}\n\n",
            )

    def _problem(self, kind: str, number: int, text: str, target: str, worked: str = "") -> AnswerItem:
        return AnswerItem(
            id=f"{kind}/{number}",
            prompt=self.ask(text),
            gold=target,
            cluster=kind,
            worked=worked,
            message=f"{text}\n\n{self.ending}",
        )

    def _example(self, kind: str, text: str, steps: str) -> AnswerItem:
        return self._problem(kind, -1, text, "", steps)

    def ask(self, text: str) -> str:
        return f"Q: {text}\n{STEPS}\n"

    def strict(self, text: str, language: str) -> str | None:
        return extract.answer_said(text)

    def lenient(self, text: str, language: str) -> str | None:
        return extract.answer_lenient(text)

    def same_leniently(self, answer: str, gold: str) -> bool:
        return plain(answer) == plain(gold)


class BbhDirect(Bbh):
    name = "bbh_direct"
    max_tokens = 256
    strict_name = "reply"
    ending = "Write the answer and nothing else."

    def ask(self, text: str) -> str:
        return f"Q: {text}\nA:"

    def _example(self, kind: str, text: str, steps: str) -> AnswerItem:
        return self._problem(kind, -1, text, "", f" {extract.answer_said(steps)}")

    def strict(self, text: str, language: str) -> str | None:
        return text.strip() or None


def plain(text: str) -> str:
    """Without case, one pair of round brackets around the whole, a final full stop, and runs of blanks."""
    return re.sub(r"^\((.*)\)$", r"\1", re.sub(r"\s+", " ", text.strip().rstrip(".")).lower())


def read_worked(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """Description, and (input, reasoning) of each worked example; a line on the data's canary stands above them."""
    text = path.read_text(encoding="utf-8").partition("-----\n")[2]
    description, *parts = text.strip().split("\n\nQ: ")
    found = [part.partition(f"\n{STEPS}") for part in parts]
    if not found or not all(between for _, between, _ in found):
        raise DataError(f"`{path}` has no worked examples of the form `Q: ... {STEPS} ...`")
    return description, [(asked, steps.strip()) for asked, _, steps in found]
