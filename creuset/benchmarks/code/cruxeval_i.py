"""CRUXEval-I: an input for which a short Python function returns a given output (Gu et al. 2024), 800 functions.

data        cruxeval/cruxeval.jsonl: {"code", "input", "output", "id"}
licence     MIT
metric      pass_strict: the first line of the reply is a call of f, and `assert OUTPUT == CALL` holds; pass_lenient: so
            does the last call of f in the reply, in a code block, an assertion or a sentence. Any input that gives the
            output is right, not only the published one; an argument may be an expression
shots       2 (the first two functions, not asked)
reference   2-shot, base models: 67.3 DeepSeek-V3, 59.1 Qwen2.5-72B, 58.5 Llama-3.1-405B (README of DeepSeek-V3), whose
            prompt is another
safety      calls are run in evals/sandbox/__init__.py, or not at all
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.code.program import ended
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row, find, json_rows, made
from creuset.evals import sandbox


class CruxevalI(AnswerTask):
    name = "cruxeval_i"
    files = ("cruxeval/cruxeval.jsonl",)
    licence = "MIT"
    reference = "67.3 DeepSeek-V3 base, 59.1 Qwen2.5-72B base, 2-shot, another prompt (README of DeepSeek-V3)"
    shots = 2
    stop = ("\n\n", "\nassert", "\ndef ")
    metric = "pass"
    strict_name, lenient_name = "first_line_call", "last_call"

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        sandbox.check()  # before anything is asked or paid for
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _problem, self.name)))

    def strict(self, text: str, language: str) -> str | None:
        return call(text.strip().partition("\n")[0])

    def lenient(self, text: str, language: str) -> str | None:
        for block in reversed([*re.findall(r"```(?:python)?\n?(.*?)```", text, re.DOTALL)] or [text]):
            for part in (*reversed(block.splitlines()), block):
                for start in re.finditer(r"(?<![\w.])f\(", part):
                    for end in reversed([e.end() for e in re.finditer(r"\)", part)]):
                        if found := call(part[start.start() : end]):
                            return found
        return None

    def same(self, answer: str, gold: str) -> bool:
        return ended(f"{gold} {answer}", sandbox.Limits(wall_s=20, cpu_s=3)).passed


def call(text: str) -> str | None:
    """`text` where it is a call of f and nothing else."""
    try:
        found = ast.parse(text.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return text.strip() if isinstance(found, ast.Call) and ast.unparse(found.func) == "f" else None


def _problem(line: int, row: Row) -> AnswerItem:
    ask = f"{row['code'].strip()}\n\nassert {row['output']} =="
    message = (
        f"```python\n{row['code'].strip()}\n```\n\nFind arguments for which f returns {row['output']}. Write only the "
        "call, as `f(...)`, in one line."
    )
    return AnswerItem(id=f"cruxeval/{row['id']}", prompt=ask, message=message, gold=ask, worked=f" f({row['input']})")
