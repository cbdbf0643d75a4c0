"""LiveBench, the tasks with a short answer (White et al. 2024), from question files that you bring.

data        livebench/*.jsonl (any depth): question_id, category, task, turns, ground_truth; nothing of it is shipped
licence     the data set's own terms: read them where you get the files
metric      share of answers equal to the ground truth, blanks, case, markup and a final full stop left out; strict: the
            last <solution>, \\boxed{} or **bold** span; lenient: the last line as well. Clustered by task
reference   53.2 Llama-3.1-405B (2024-08-31, Qwen2.5 technical report): all tasks, by LiveBench's own scorers
note        tasks that need a scorer of their own (code, tables, instructions, formulas ...) are left out, counted by
            name in `left_out`, and never part of the score: this is not LiveBench's average
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from creuset.core.errors import ConfigError
from creuset.evals.extract import without_thinking
from creuset.evals.measure import Measure
from creuset.evals.subject import Ability, Ask, Outcome, Reply
from creuset.evals.task import Form, Row, Sample, Task
from creuset.evals.tasks.files import json_rows, made
from creuset.evals.tasks.shares import correct_measure

SHORT = frozenset({"web_of_lies_v2", "web_of_lies_v3", "zebra_puzzle", "spatial", "math_comp", "house_traversal"})
SPANS = (r"<solution>(.*?)</solution>", r"\\boxed\{([^{}]*)\}", r"\*\*([^*\n]+)\*\*")


def plain(text: str) -> str:
    """What is compared: no case, no blanks, no markup, no final full stop."""
    return re.sub(r"[\s*$`\"]|\\text|[{}]", "", text).rstrip(".").casefold()


def marked(text: str) -> str | None:
    """The answer as it was to be marked: the last span of the surest kind."""
    for pattern in SPANS:
        if found := re.findall(pattern, text, re.DOTALL):
            return str(found[-1])
    return None


def same(said: str | None, truth: str) -> bool:
    """A letter may stand several times, as the questions of contests ask for it."""
    if said is None or not (own := plain(said)):
        return False
    wanted = plain(truth)
    return own == wanted or (len(wanted) == 1 and own == wanted * len(own))


class LiveBench(Task):
    name: ClassVar[str] = "livebench_short"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    files: ClassVar[tuple[str, ...]] = ("livebench/**/*.jsonl",)
    licence: ClassVar[str] = "that of the files you bring"
    max_tokens: ClassVar[int] = 2048

    def samples(self, folder: Path) -> Iterator[Sample]:
        paths: Sequence[Path] = [folder] if folder.is_file() else sorted(folder.glob(self.files[0]))
        if not paths:
            raise ConfigError(f"`{folder}` has no {self.files[0]}", hint="bring a release of the data set as jsonl")
        self.left_out: Counter[str] = Counter()
        for path in paths:
            for task, sample in made(path, json_rows(path), self._sample, self.name):
                if task in SHORT:
                    yield sample
                else:
                    self.left_out[task] += 1

    def _sample(self, line: int, row: Row) -> tuple[str, Sample]:
        task = str(row["task"])
        if len(row["turns"]) != 1 and task in SHORT:
            raise ValueError(f"{len(row['turns'])} turns")
        ask = Ask(messages=({"role": "user", "content": str(row["turns"][0])},), max_tokens=self.max_tokens)
        truth = str(row.get("ground_truth", ""))
        if not truth.strip() and task in SHORT:
            raise ValueError("no ground truth")
        return task, Sample(id=str(row["question_id"]), asks=(ask,), gold=truth, cluster=task)

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        reply = outcomes[0]
        text = without_thinking(reply.text) if isinstance(reply, Reply) else ""
        strict = marked(text)
        lines = text.strip().splitlines()
        lenient = strict if strict is not None else lines[-1] if lines else None
        return {
            "correct": float(same(strict, sample.gold)), "correct_lenient": float(same(lenient, sample.gold)),
            "answer": strict, "gold": sample.gold, "extracted": strict is not None,
            "extracted_lenient": lenient is not None, "failed": not isinstance(reply, Reply),
            "cut": isinstance(reply, Reply) and reply.finish == "length",
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        extra = {"left_out": dict(getattr(self, "left_out", {}))}
        return [
            correct_measure(self, "match", rows, extractor="marked", extra=extra),
            correct_measure(self, "match_lenient", rows, key="correct_lenient", extracted="extracted_lenient",
                            extractor="marked, else the last line", extra=extra),
        ]
