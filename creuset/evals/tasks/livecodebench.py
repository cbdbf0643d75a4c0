"""LiveCodeBench, code generation (Jain et al. 2024): contest problems with their dates, from a file you bring.

data        livecodebench/*.jsonl of the release you choose (code_generation_lite); nothing of it is shipped
licence     the data set's own terms: read them where you get the file
metric      pass@1: every public and private test passes; `window` counts only problems of contests in those dates
reference   40.5 DeepSeek-V3, 36.3 Claude 3.5 Sonnet, 33.4 GPT-4o (chain of thought, DeepSeek-V3 README; its release)
safety      programs run in evals/sandbox.py, or not at all; private tests are a pickled text in the files, and are read
            by an unpickler that makes no object
note        outputs are compared line by line, blanks at their ends left out; numbers are not rounded
"""

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from creuset.core.errors import ConfigError
from creuset.evals import sandbox
from creuset.evals.subject import Ability
from creuset.evals.task import Form, Row, Sample
from creuset.evals.tasks.code import CodeTask, fenced_lenient, fenced_strict
from creuset.evals.tasks.files import json_rows, made

ASK = (
    "Write a Python program for this problem. Reply with the whole program in one ```python block.\n\n{content}\n\n"
    "{way}\n"
)
STDIN = "Read the input from standard input and write the answer to standard output."
START = "Keep this beginning:\n```python\n{code}\n```"

# Runs the reply's program once for each test; the first difference ends it.
BY_STDIN = """
import io as _io, sys as _sys
for _given, _wanted in {tests!r}:
    _sys.stdin = _io.TextIOWrapper(_io.BytesIO(_given.encode()))
    _sys.stdout = _io.TextIOWrapper(_io.BytesIO(), write_through=True)
    try:
        exec(compile({program!r}, "reply.py", "exec"), {{"__name__": "__main__"}})
    except SystemExit:
        pass
    _said = _sys.stdout.buffer.getvalue().decode(errors="replace")
    _lines = [[l.rstrip() for l in t.strip().splitlines()] for t in (_said, _wanted)]
    assert _lines[0] == _lines[1], "another output"
"""
BY_CALL = """
{program}
import json as _json
for _given, _wanted in {tests!r}:
    _found = Solution().{name}(*[_json.loads(l) for l in _given.splitlines() if l.strip()])
    if isinstance(_found, tuple):
        _found = list(_found)
    assert _found == _json.loads(_wanted), "another result"
"""


class _TextOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"the private tests want the object {module}.{name}: they should be a text")


def unpacked(said: str) -> list[dict[str, Any]]:
    """The tests of a field: JSON, or (private ones) JSON in a pickle in zlib in base64. ValueError otherwise."""
    try:
        found = json.loads(said)
    except ValueError:
        try:
            found = json.loads(_TextOnly(io.BytesIO(zlib.decompress(base64.b64decode(said, validate=True)))).load())
        except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, TypeError) as error:
            raise ValueError(f"its tests are neither JSON nor packed JSON: {error}") from error
    if not isinstance(found, list):
        raise ValueError("its tests are not a list")
    return found


class LiveCodeBench(CodeTask):
    name = "livecodebench"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    forms: ClassVar[tuple[str, ...]] = ("chat",)
    files = ("livecodebench/*.jsonl",)
    licence = "that of the file you bring"
    window: ClassVar[tuple[str, str]] = ("", "9999")     # first and last contest date, ISO 8601
    limits = sandbox.Limits(wall_s=60, cpu_s=50)

    def samples(self, folder: Path) -> Iterator[Sample]:
        sandbox.check()     # before anything is asked or paid for
        paths: Sequence[Path] = [folder] if folder.is_file() else sorted(folder.glob(self.files[0]))
        if not paths:
            raise ConfigError(f"`{folder}` has no {self.files[0]}", hint="bring a release of the data set as jsonl")
        first, last = self.window
        for path in paths:
            for sample in made(path, json_rows(path), _sample_of(self), self.name):
                if first <= sample.meta["date"][:10] <= last:
                    yield sample

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        name, tests = sample.gold["name"], sample.gold["tests"]
        readings = fenced_strict(text), fenced_lenient(text, name or "main")
        form = BY_CALL if name else BY_STDIN
        strict, loose = (None if r is None else form.format(program=r, tests=tests, name=name) for r in readings)
        return strict, loose


def _sample_of(task: LiveCodeBench) -> Any:
    def make(line: int, row: Row) -> Sample:
        found = unpacked(row["public_test_cases"]) + unpacked(row.get("private_test_cases") or "[]")
        kinds = {str(t.get("testtype", "stdin")) for t in found}
        if len(kinds) != 1 or not kinds <= {"stdin", "functional"}:
            raise ValueError(f"its tests are of kind {sorted(kinds)}")
        name = ""
        if kinds == {"functional"}:
            facts = row["metadata"]
            name = str((json.loads(facts) if isinstance(facts, str) else facts)["func_name"])
            if not name.isidentifier():
                raise ValueError(f"`{name}` is no name of a function")
        code = str(row.get("starter_code") or "")
        ask = ASK.format(content=row["question_content"], way=START.format(code=code) if code else STDIN)
        return Sample(
            id=str(row["question_id"]), asks=task.asks(ask, 2048),
            gold={"name": name, "tests": [[str(t["input"]), str(t["output"])] for t in found]},
            meta={"date": str(row["contest_date"]), "difficulty": str(row.get("difficulty", ""))},
        )

    return make
