"""BigCodeBench-Hard: 148 practical problems that call libraries (Zhuo et al. 2024), each with its unittest class.

data        bigcodebench_hard/bigcodebench_hard.json: {"BigCodeBench/13": {complete_prompt, instruct_prompt,
            code_prompt, canonical_solution, test, entry_point ...}}
licence     Apache-2.0
metric      pass@1, calibrated as the authors do: the prompt's imports stand before the program, as replies leave them
            out. `bigcodebench_hard` continues the code (complete), `bigcodebench_hard_instruct` asks in words (chat)
here        programs need pandas, matplotlib, scikit-learn ... and old versions of some: CREUSET_CODE_PYTHON names a
            Python that has them. A problem whose libraries are missing, or whose own solution does not pass in this
            sandbox (no network, no processes), cannot be tested here: it is asked, counted by reason, and not scored
safety      programs run in evals/sandbox/__init__.py, or not at all
"""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from creuset.benchmarks.code.program import CodeTask, continuation, ended
from creuset.benchmarks.files import find, json_object, made
from creuset.core.sentences import sentence
from creuset.evals import sandbox
from creuset.evals.model import Ability, Outcome
from creuset.evals.task import Form, Row, Sample
from creuset.types.measure import Measure

ASK = (  # the words of the authors
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n{}\n"
)
STOPS = ("\nif __name__", "\ndef ", "\nprint(", "\nclass ", "\nimport ", "\nfrom ", "\nassert ", "\n```")
LIMITS = sandbox.Limits(wall_s=240, cpu_s=100, memory_bytes=8 << 30, file_bytes=32 << 20, scratch_bytes=64 << 20)
# The program and its tests are a module of their own, not `__main__`: what stands below `if __name__` must not run.
RUN = """
import os, sys, time, types, unittest
os.environ["TZ"] = "UTC"
time.tzset()
module = types.ModuleType("__test__")
module.__dict__.update(__file__="__test__.py", sys=sys, os=os, environ=os.environ)
sys.modules["__test__"] = module
exec(compile({program!r}, "__test__.py", "exec"), module.__dict__)
found = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(module.TestCases).run(found)
assert found.testsRun, "no test was run"
# A test whose clean-up fails as well is there twice.
wrong = {{test.id().rpartition(".")[2]: said.strip().splitlines()[-1] for test, said in found.errors + found.failures}}
assert not wrong, f"{{len(wrong)}} of {{found.testsRun}} tests: " + "; ".join(": ".join(one) for one in wrong.items())
"""


class BigCodeBenchHard(CodeTask):
    name = "bigcodebench_hard"
    form: ClassVar[Form] = "generate"
    needs: ClassVar[frozenset[Ability]] = frozenset({"completion"})
    files = ("bigcodebench_hard/bigcodebench_hard.json",)
    licence = "Apache-2.0"
    asked: ClassVar[str] = "complete_prompt"
    limits = LIMITS

    def samples(self, folder: Path) -> Iterator[Sample]:
        sandbox.check()  # before anything is asked or paid for
        path = find(folder, self.files[0], self.name)
        yield from made(path, enumerate(json_object(path).values(), 1), self._sample, self.name)

    def _sample(self, number: int, row: Row) -> Sample:
        prompt = row[self.asked]
        if self.form == "chat":
            prompt = ASK.format(f"```\n{prompt.strip()}\n```" if self.asked == "complete_prompt" else prompt.strip())
        return Sample(
            id=str(row["task_id"]),
            asks=self.asks(prompt, 1280, STOPS[:4]),
            gold={
                "prompt": row["complete_prompt"],
                "before": f"{row['code_prompt']}\n    pass\n",
                "test": row["test"],
                "entry": row["entry_point"],
            },
            meta={"solution": row["canonical_solution"]},
        )

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        found = self.read(text, sample.gold["entry"], sample.gold["prompt"] + continuation(text, STOPS))
        strict, loose = (None if f is None else _run(sample.gold, f) for f in found)
        return strict, loose

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        own = sample.gold["prompt"] + "\n" + sample.meta["solution"]
        why = untestable(own, sample.gold["test"], _run(sample.gold, own))
        unsaid = {"correct": None, "correct_lenient": None} if why else {}  # neither right nor wrong
        return super().score(sample, outcomes) | {"untestable": why, **unsaid}

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        why = Counter(row["untestable"] for row in rows if row["untestable"])
        said = _untestable(why, len(rows)) if why else ""
        if rows and why.total() == len(rows):
            return [Measure(task=self.name, metric="pass@1", status="not_testable", why=said, form=self.form)]
        found = super().measures([row for row in rows if not row["untestable"]])
        return [replace(m, caveat=said, extra=m.extra | {"not_testable": dict(why)}) for m in found]


class BigCodeBenchHardInstruct(BigCodeBenchHard):
    name = "bigcodebench_hard_instruct"
    form = "chat"
    needs = frozenset({"chat"})
    forms = ("chat",)
    asked = "instruct_prompt"


def _run(gold: dict[str, Any], solution: str) -> str:
    return RUN.format(program=f"{gold['before']}{solution}\n{gold['test']}")


def _untestable(why: Counter[str], total: int) -> str:
    reasons = [sentence("benchmarks.reason", reason=reason, n=count) for reason, count in why.most_common()]
    return sentence("benchmarks.untestable", n=why.total(), total=total, reasons=reasons)


def modules(*programs: str) -> set[str]:
    """What the programs import, by the name before the first dot. SyntaxError where one is no program."""
    found = set()
    for node in (node for program in programs for node in ast.walk(ast.parse(program))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@lru_cache(maxsize=1024)
def untestable(solution: str, test: str, program: str) -> str:
    """Why the problem cannot be tested on this machine; "" where its own solution passes."""
    if missing := sorted(name for name in modules(solution, test) if _lacking(name)):
        return sentence("benchmarks.needs_modules", names=", ".join(missing))
    verdict = ended(program, LIMITS)
    return "" if verdict.passed else sentence("benchmarks.own_solution", reason=verdict.reason)


@lru_cache(maxsize=1024)
def _lacking(module: str) -> bool:
    return not sandbox.run(f"import importlib.util\nassert importlib.util.find_spec({module!r})").passed
