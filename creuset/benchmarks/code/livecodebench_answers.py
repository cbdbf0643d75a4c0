"""LiveCodeBench's two questions with one answer (Jain et al. 2024): what a test gives, what a program returns.

data        livecodebench_test_output/test.jsonl (test_generation: question_content, starter_code, function_name, test,
            question_id, test_id) and livecodebench_execution/test.jsonl (execution-v2: code, input, output, id); you
            bring them
licence     the data set's own terms: read them where you get the files
metric      em_strict, em_lenient: a literal equal to the published output, as values. Test output: strict reads behind
            the "==" of the last line that begins with `assert`, lenient also a block or the last line. Nothing is
            executed: an expression that is no literal is no answer
shots       test output: none. Execution: 2 (the first two programs, not asked), with the prompts of cruxeval.py
note        written after the data classes of the authors' code; the files themselves were not at hand
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.code.cruxeval import CruxevalO, literal
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import find, json_rows, made
from creuset.evals.task import Form, Row

ASK = (
    "{content}\n\nFunction:\n```python\n{code}\n```\n\nComplete this test of it with the right output, and write the "
    "whole assertion in one ```python block:\n\n```python\nassert {name}({given}) == # TODO\n```"
)


class LiveCodeBenchExecution(CruxevalO):
    name = "livecodebench_execution"
    files = ("livecodebench_execution/test.jsonl",)
    licence = "that of the file you bring"
    reference = ""

    def call(self, row: Row) -> str:
        return str(row["input"]).strip()


class LiveCodeBenchTestOutput(AnswerTask):
    name = "livecodebench_test_output"
    form: ClassVar[Form] = "chat"
    needs = frozenset({"chat"})
    forms = ("chat",)
    files = ("livecodebench_test_output/test.jsonl",)
    licence = "that of the file you bring"
    max_tokens = 2048
    strict_name, lenient_name = "last_assertion", "last_literal"

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _test, self.name)))

    def strict(self, text: str, language: str) -> str | None:
        said = [line for line in text.splitlines() if line.startswith("assert")]
        return _behind(said[-1]) if said else None

    def lenient(self, text: str, language: str) -> str | None:
        return self.strict(text, language) or CruxevalO().lenient(text, language)

    def same(self, answer: str, gold: str) -> bool:
        found: Any = ast.literal_eval(answer)
        return bool(found == json.loads(gold))


def _behind(assertion: str) -> str | None:
    """The literal behind the first "==" of an assertion."""
    try:
        (found,) = ast.parse(assertion.strip()).body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(found, ast.Assert) and isinstance(found.test, ast.Compare) and isinstance(found.test.ops[0], ast.Eq):
        return literal(ast.unparse(found.test.comparators[0]))
    return None


def _test(line: int, row: Row) -> AnswerItem:
    (test,) = json.loads(row["test"])
    json.loads(test["output"])
    given = ", ".join(str(test["input"]).strip().split("\n"))
    return AnswerItem(
        id=f"{row['question_id']}/{row['test_id']}",
        prompt="",
        gold=test["output"],
        cluster=str(row["question_id"]),
        message=ASK.format(
            content=row["question_content"].strip(),
            code=row["starter_code"].strip(),
            name=row["function_name"],
            given=given,
        ),
    )
