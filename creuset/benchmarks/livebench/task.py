"""LiveBench (White et al. 2024): 18 tasks in six categories, from question files that you bring.

data        livebench/**/*.jsonl or *.parquet, one or many files: question_id, category, task, subtask, turns,
            ground_truth, livebench_release_date, livebench_removal_date; nothing of it is shipped
licence     Apache-2.0 (LiveBench's repository); articles and contest problems in the questions are their owners'
metric      as LiveBench: mean of a task's scores, mean of a category's tasks, mean of the six categories. Each task by
            LiveBench's own rule of August 2025, which on published answers scores as that of February 2025 does;
            interval from the same weights, clustered by proof and by contest problem
release     livebench: 2024-11-25 (62.3 Qwen2.5-Max, 60.5 DeepSeek-V3 by LiveBench's table of that release);
            livebench_0831: 2024-08-31 (53.2 Llama-3.1-405B); livebench_YYYY-MM-DD: any other. Its questions: out by
            then, not yet removed
parts       livebench_math, livebench_olympiad ...: a category or a task; an average with a task missing is not given
safety      programs, and formulae (sympy), run in evals/sandbox/__init__.py or not at all
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.livebench import algebra, questions
from creuset.benchmarks.livebench.averages import averages
from creuset.benchmarks.livebench.questions import CATEGORIES, TASKS
from creuset.benchmarks.livebench.score import scored
from creuset.core.sentences import sentence
from creuset.evals import sandbox
from creuset.evals.model import Ability, GenerateRequest, Outcome, Reply
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

STRICTER = sentence("benchmarks.livebench_tables")


class LiveBench(Task):
    name: ClassVar[str] = "livebench"
    parts: ClassVar[tuple[str, ...]] = (*CATEGORIES, *TASKS)
    part: ClassVar[tuple[str, ...]] = tuple(CATEGORIES)
    release: ClassVar[str] = "2024-11-25"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    files: ClassVar[tuple[str, ...]] = ("livebench/**/*.jsonl", "livebench/**/*.parquet")
    licence: ClassVar[str] = "Apache-2.0; texts within are their owners'"
    reference: ClassVar[str] = "62.3 Qwen2.5-Max, 60.5 DeepSeek-V3 (LiveBench's table of 2024-11-25)"
    max_tokens: ClassVar[int] = 4096
    caveat: ClassVar[str] = ""

    @classmethod
    def variant(cls, said: str) -> Row | None:
        """`livebench_2024-07-26`: the questions of that release."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", said):
            return None
        return {"release": said, "reference": "", "caveat": STRICTER if said < cls.release else ""}

    def samples(self, folder: Path) -> Iterator[Sample]:
        """One of each task in turn, so that the first few are of all of them."""
        self.left_out: Counter[str] = Counter()  # questions of no task known here, by the task's name
        by_task: dict[str, list[Sample]] = {}
        for row in questions.rows(folder, self.files, self.name):
            task = str(row["task"])
            if task not in TASKS:
                self.left_out[task] += 1
            elif (task in self.part or TASKS[task] in self.part) and questions.stands(row, self.release):
                ask = GenerateRequest(
                    messages=({"role": "user", "content": str(row["turns"][0])},), max_tokens=self.max_tokens
                )
                sample = Sample(id=row["question_id"], asks=(ask,), gold=row["gold"], cluster=row["cluster"])
                by_task.setdefault(task, []).append(sample)
        for task in by_task:
            self._must_be_possible(task)
        for turn in zip_longest(*by_task.values()):
            yield from (sample for sample in turn if sample is not None)

    def _must_be_possible(self, task: str) -> None:
        """What a scorer needs is refused by name before anything is asked or paid for."""
        if task == "AMPS_Hard":
            algebra.check()
        elif TASKS[task] == "coding":
            sandbox.check()

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        reply = outcomes[0]
        found = scored(sample.gold, reply.text if isinstance(reply, Reply) else "")
        return found | {
            "failed": not isinstance(reply, Reply),
            "cut": isinstance(reply, Reply) and reply.finish == "length",
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        return averages(self, rows, self.part, dict(getattr(self, "left_out", {})))


class LiveBench0831(LiveBench):
    name = "livebench_0831"
    release = "2024-08-31"
    reference = "53.2 Llama-3.1-405B (LiveBench's table of 2024-08-31)"
    caveat = STRICTER
