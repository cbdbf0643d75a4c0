"""What the code tasks share: the program in a reply, its run in the sandbox, pass@k.

    generate    the reply continues the prompt; it ends before the next top-level statement
    chat        strict: the reply holds one fenced block and nothing counts but it; lenient: the first fenced block that
                defines the function, else the reply itself from its first import or def

A program is run when its row is scored: the same answer gives the same row, and a run scored again asks no model.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

from creuset.core import stats
from creuset.core.sentences import sentence
from creuset.evals import sandbox
from creuset.evals.extract import without_thinking
from creuset.evals.model import GenerateRequest, Outcome, Reply
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE | re.I)
STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint", "\n@", "\nassert", "\n```")


def continuation(text: str, stops: Sequence[str] = STOPS) -> str:
    """A continuation up to the first line at the margin that starts something else."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def fenced_strict(text: str) -> str | None:
    """The one fenced block of a reply; None where there is none or more than one."""
    blocks = FENCE.findall(without_thinking(text))
    return blocks[0] if len(blocks) == 1 else None


def fenced_lenient(text: str, name: str) -> str | None:
    """The first block that defines `name`, else the first block, else the text from its first import or def."""
    text = without_thinking(text)
    blocks: list[str] = FENCE.findall(text)
    if not blocks and (opened := re.search(r"^[ \t]*```(?:python|py)?[ \t]*\n", text, re.MULTILINE | re.I)):
        blocks = [text[opened.end() :]]  # cut off before its end
    if found := [b for b in blocks if re.search(rf"\bdef {re.escape(name)}\b", b)]:
        return found[0]
    if blocks:
        return blocks[0]
    start = re.search(r"^(?:import |from \w|def |class |@)", text, re.MULTILINE)
    return text[start.start() :] if start else None


@lru_cache(maxsize=64)
def ended(program: str, limits: sandbox.Limits) -> sandbox.Verdict:
    """How a program ends. Results are kept for a while: both readings of a reply often find the same program."""
    return sandbox.run(program, limits)


class CodeTask(Task):
    """HumanEval, MBPP and their like. `samples_each` replies a problem, at `temperature` when there are several."""

    # One published solution of MBPP needs six seconds. The clock on the wall is for those that sleep: on a busy machine
    # six seconds of work have taken more than fifteen.
    limits = sandbox.Limits(wall_s=45, cpu_s=10)
    forms: ClassVar[tuple[Form, ...]] = ("generate", "chat")

    def __init__(self, samples_each: int = 1, temperature: float = 0.8) -> None:
        if samples_each < 1:
            raise ValueError(f"samples_each must be positive, got {samples_each}")
        self.samples_each, self.temperature = samples_each, temperature if samples_each > 1 else 0.0

    def asks(self, text: str, max_tokens: int, stop: tuple[str, ...] = ()) -> tuple[GenerateRequest, ...]:
        """The same question once for each sample, each with a seed of its own."""
        said: dict[str, Any] = (
            {"messages": ({"role": "user", "content": text},)}
            if self.form == "chat"
            else {"prompt": text, "stop": stop}
        )
        return tuple(
            GenerateRequest(**said, max_tokens=max_tokens, temperature=self.temperature, seed=1234 + i)
            for i in range(self.samples_each)
        )

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        """The whole program, tests included, that the strict and the lenient reading find; None where none is."""
        raise NotImplementedError

    def read(self, text: str, entry: str, continued: str) -> tuple[str | None, str | None]:
        """The strict and the lenient reading of a reply; `continued`: what it is as a continuation of the prompt."""
        found = fenced_lenient(text, entry)
        if self.form != "generate":
            return fenced_strict(text), found
        return continued, found if found is not None and f"def {entry}" in found else continued

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        readings, ends, why = [], Counter[str](), [""]
        for outcome in outcomes:
            strict, lenient = self.programs(sample, outcome.text) if isinstance(outcome, Reply) else (None, None)
            first = self._passes(strict, ends, why)
            readings.append(
                (first, first if lenient == strict else self._passes(lenient, Counter(), []), strict, lenient)
            )
        n = len(readings)
        return {
            "correct": sum(r[0] for r in readings) / n,
            "correct_lenient": sum(r[1] for r in readings) / n,
            "right": sum(r[0] for r in readings),
            "right_lenient": sum(r[1] for r in readings),
            "asked": n,
            "extracted": all(r[2] is not None for r in readings),
            "extracted_lenient": all(r[3] is not None for r in readings),
            "failed": not any(isinstance(o, Reply) for o in outcomes),
            "answer": readings[0][2] or "",
            "gold": sample.meta.get("solution", ""),
            "ends": dict(ends),
            "why": why[-1],
            "cut": any(isinstance(o, Reply) and o.finish == "length" for o in outcomes),
        }

    def _passes(self, program: str | None, ends: Counter[str], why: list[str]) -> bool:
        """`ends` counts how programs end; `why` gets what those say that do not pass."""
        if program is None:
            ends["no program"] += 1
            return False
        verdict = ended(program, self.limits)
        ends[verdict.reason] += 1
        if not verdict.passed:
            why.append(f"{verdict.reason}: {verdict.detail}")
        return verdict.passed

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        made = []
        for kind, right, extracted in (("", "right", "extracted"), ("_lenient", "right_lenient", "extracted_lenient")):
            most = min((row["asked"] for row in rows), default=0)
            for k in (k for k in (1, 10, 100) if k <= most):
                found = stats.share([stats.pass_at_k(row["asked"], row[right], k) for row in rows])
                ends = Counter[str]()
                for row in rows:
                    ends.update(row["ends"])
                failed = sum(row["failed"] for row in rows)
                made.append(Measure(
                    task=self.name, metric=f"pass@{k}{kind}", score=found.value, interval=found.interval,
                    interval_by=found.by, n=len(rows) - failed, denominator=len(rows), failed=failed, form=self.form,
                    unextracted=sum(not row[extracted] and not row["failed"] for row in rows), licence=self.licence,
                    extractor="code_lenient" if kind else "code_strict",
                    extra={"samples_each": self.samples_each, "temperature": self.temperature, "ends": dict(ends)},
                ))  # fmt: skip
        why = sentence("benchmarks.no_problem")
        return made or [Measure(task=self.name, metric="pass@1", status="not_tested", why=why)]
