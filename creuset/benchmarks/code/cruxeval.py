"""CRUXEval-O: what a short Python function returns for an input (Gu et al. 2024), 800 functions.

data        cruxeval/cruxeval.jsonl: {"code", "input", "output", "id"}
licence     MIT
metric      em_strict: the first line of the reply is a literal equal to the output; em_lenient: so is what follows the
            last "==", the last code block or the last line. Literals are compared as values; nothing is executed, so
            an expression that is no literal counts as no answer
shots       2 (the first two functions, not asked)
reference   2-shot, base models: 69.8 DeepSeek-V3, 59.9 Qwen2.5-72B, 59.9 Llama-3.1-405B (README of DeepSeek-V3), whose
            prompt is another. CRUXEval-I is cruxeval_i.py
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, find, json_rows, made


class CruxevalO(AnswerTask):
    name = "cruxeval_o"
    files = ("cruxeval/cruxeval.jsonl",)
    licence = "MIT"
    reference = "69.8 DeepSeek-V3 base, 59.9 Qwen2.5-72B base, 2-shot, another prompt (README of DeepSeek-V3)"
    shots = 2
    stop = ("\n\n", "\nassert", "\ndef ")
    strict_name, lenient_name = "first_line_literal", "last_literal"

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), self.problem, self.name)))

    def call(self, row: Row) -> str:
        """What is asserted to be equal to the output."""
        return f"f({row['input']})"

    def problem(self, line: int, row: Row) -> AnswerItem:
        if literal(row["output"]) is None:
            raise ValueError(f"the output `{row['output']}` is no literal")
        code, call = row["code"].strip(), self.call(row)
        message = f"```python\n{code}\n```\n\nWhat does {call} return? Write it as a Python literal and nothing else."
        return AnswerItem(
            id=f"{self.name.removesuffix('_o')}/{row['id']}",
            prompt=f"{code}\n\nassert {call} ==",
            message=message,
            gold=row["output"],
            worked=f" {row['output']}",
            cluster=str(row.get("question_id", "")),
        )

    def strict(self, text: str, language: str) -> str | None:
        return literal(text.strip().partition("\n")[0])

    def lenient(self, text: str, language: str) -> str | None:
        blocks = re.findall(r"```(?:python)?\n?(.*?)```", text, re.DOTALL)
        lines = text.strip().splitlines() or [""]
        for part in (*blocks[-1:], lines[-1], text, lines[0]):
            for said in (part.rpartition("==")[2], part):
                if found := literal(said.strip(" \n*`.")):
                    return found
        return None

    def same(self, answer: str, gold: str) -> bool:
        return _value(answer) == _value(gold)


def literal(text: str) -> str | None:
    """`text` where it is a Python literal."""
    try:
        _value(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return text.strip()


def _value(text: str) -> tuple[type, Any]:
    """With its type: 1, 1.0 and True are three answers."""
    found = ast.literal_eval(text.strip())
    return type(found), found
