"""MBPP: write a short Python function from a sentence and three assertions (Austin et al. 2021).

data        mbpp/mbpp.jsonl, as published: 974 problems; the test split is task_id 11 to 510, worked examples 2, 3, 4
licence     CC-BY-4.0
metric      pass@1 greedy with three worked examples, or pass@k of n samples
reference   84.7 for Qwen2.5-72B, base (Qwen2.5 report, table 2); the prompt is that of MBPP's paper, others differ
safety      programs run in evals/sandbox/__init__.py, or not at all
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.code.program import CodeTask
from creuset.benchmarks.files import find, json_rows, made
from creuset.core.errors import DataError
from creuset.evals import sandbox
from creuset.evals.model import Ability
from creuset.evals.task import Form, Row, Sample

ASK = (
    "You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{tests}\n"
)
SHOTS, FIRST, LAST = (2, 3, 4), 11, 510


class Mbpp(CodeTask):
    name = "mbpp"
    form: ClassVar[Form] = "generate"
    needs: ClassVar[frozenset[Ability]] = frozenset({"completion"})
    files = ("mbpp/mbpp.jsonl",)
    licence = "CC-BY-4.0"
    reference = "pass@1 84.7 % Qwen2.5-72B, 73.0 % Llama-3.1-405B, base models (Qwen2.5 technical report, table 2)"

    def samples(self, folder: Path) -> Iterator[Sample]:
        sandbox.check()  # before anything is asked or paid for
        path = find(folder, self.files[0], self.name)
        rows = list(json_rows(path))
        worked = [row for _, row in rows if row.get("task_id") in SHOTS]
        if self.form == "generate" and len(worked) < len(SHOTS):
            raise DataError(f"`{path}` has not the worked examples, task_id {SHOTS}")
        try:
            before = "".join(f"{_ask(row)}[BEGIN]\n{_lines(row['code'])}\n[DONE]\n\n" for row in worked)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"`{path}`: a worked example is no item of mbpp: {error!r}") from error
        asked = ((n, row) for n, row in rows if FIRST <= int(row.get("task_id", FIRST)) <= LAST)
        yield from made(path, asked, lambda line, row: self._sample(row, before), self.name)

    def _sample(self, row: Row, before: str) -> Sample:
        own = "Reply with the function in one ```python block and nothing else."
        prompt = f"{before}{_ask(row)}[BEGIN]\n" if self.form == "generate" else f"{_ask(row)}\n{own}"
        first = str(row["test_list"][0])
        return Sample(
            id=f"mbpp/{row['task_id']}",
            asks=self.asks(prompt, 512, ("[DONE]",)),
            gold={"tests": "\n".join([row.get("test_setup_code", ""), *row["test_list"]]), "entry": _name(first)},
            meta={"solution": _lines(row["code"])},
        )

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        # A completion without a fence is read in one way: its first def is not where it begins.
        fenced = text if self.form == "chat" or "```" in text else ""
        found = self.read(fenced, sample.gold["entry"], text.partition("[DONE]")[0])
        strict, loose = (None if f is None else f"{f}\n\n{sample.gold['tests']}\n" for f in found)
        return strict, loose


def _ask(row: Row) -> str:
    return ASK.format(text=row["text"], tests="\n".join(row["test_list"]))


def _lines(code: str) -> str:
    return code.replace("\r\n", "\n").strip()


def _name(test: str) -> str:
    """The function that `assert NAME(...) == ...` calls."""
    return test.removeprefix("assert").strip().lstrip("(").partition("(")[0].strip().rpartition(".")[2]
