"""HumanEval: complete a Python function from its docstring (Chen et al. 2021), 164 problems.

data        humaneval/HumanEval.jsonl.gz, as published: prompt, canonical_solution, test, entry_point
licence     MIT
metric      pass@1 greedy, or pass@k of n samples at 0.8: 1 - C(n-c, k) / C(n, k), mean over problems
reference   59.1 for Qwen2.5-72B and 61.0 for Llama-3.1-405B, base models (Qwen2.5 report, table 2)
safety      programs run in evals/sandbox/__init__.py, or not at all
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.code.program import STOPS, CodeTask, continuation
from creuset.benchmarks.files import find, json_rows, made
from creuset.evals import sandbox
from creuset.evals.model import Ability
from creuset.evals.task import Form, Row, Sample

ASK = "Complete this Python function. Reply with the whole function in one ```python block and nothing else.\n\n{}"


class HumanEval(CodeTask):
    name = "humaneval"
    form: ClassVar[Form] = "generate"
    needs: ClassVar[frozenset[Ability]] = frozenset({"completion"})
    files = ("humaneval/HumanEval.jsonl.gz",)
    licence = "MIT"
    reference = "pass@1 59.1 % Qwen2.5-72B, 61.0 % Llama-3.1-405B, base models (Qwen2.5 technical report, table 2)"

    def samples(self, folder: Path) -> Iterator[Sample]:
        sandbox.check()  # before anything is asked or paid for
        path = find(folder, self.files[0], self.name)
        yield from made(path, json_rows(path), self._sample, self.name)

    def _sample(self, line: int, row: Row) -> Sample:
        prompt = row["prompt"] if self.form == "generate" else ASK.format(f"```python\n{row['prompt'].rstrip()}\n```")
        return Sample(
            id=str(row["task_id"]),
            asks=self.asks(prompt, 512, STOPS[:4]),
            gold={"prompt": row["prompt"], "test": row["test"], "entry": row["entry_point"]},
            meta={"solution": row["canonical_solution"]},
        )

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        prompt, tests, entry = (sample.gold[k] for k in ("prompt", "test", "entry"))
        # The prompt's imports and helpers stand before the function: some replies leave them out.
        head = _head(prompt)
        found = self.read(text, entry, prompt[len(head) :] + continuation(text))
        strict, loose = (None if f is None else f"{head}\n{f}\n\n{tests}\ncheck({entry})\n" for f in found)
        return strict, loose


def _head(prompt: str) -> str:
    """What stands before the function to complete: imports, helpers."""
    return prompt[: prompt.rfind("\ndef ") + 1]
