"""LiveCodeBench, code generation (Jain et al. 2024): contest problems with their dates, from a file you bring.

data        livecodebench/*.jsonl of the release you choose (code_generation_lite); nothing of it is shipped
licence     the data set's own terms: read them where you get the file
metric      pass@1: every public and private test passes; `window` counts only problems of contests in those dates
reference   40.5 DeepSeek-V3, 36.3 Claude 3.5 Sonnet, 33.4 GPT-4o (chain of thought, DeepSeek-V3 README; its release)
safety      programs run in evals/sandbox.py, or not at all; private tests are a pickled text in the files, and are read
            by an unpickler that makes no object
note        outputs are compared line by line, blanks at their ends left out; `1.0` is `1.00`, and nothing is rounded
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

# What a program may use without importing it: contest programs are written for judges that offer these names.
OFFERED = ("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics",
           "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing")  # fmt: skip
BEGIN = """
import io as _io, json as _json, sys as _sys
from decimal import Decimal as _Decimal, InvalidOperation as _Invalid
_sys.setrecursionlimit(50_000)
_offered = {{"__name__": "__main__"}}
for _way in ("from {{}} import *", "import {{}}"):
    for _module in {offered!r}:
        exec(_way.format(_module), _offered)
_program = compile({program!r}, "reply.py", "exec")
"""
# Runs the reply's program once for each test; the first difference ends it.
BY_STDIN = BEGIN + """
def _numbers(line):
    try:
        return [_Decimal(word) for word in line.split()]
    except _Invalid:
        return None
for _given, _wanted in {tests!r}:
    _sys.stdin = _io.TextIOWrapper(_io.BytesIO(_given.encode()))
    _sys.stdout = _io.TextIOWrapper(_io.BytesIO(), write_through=True)
    try:
        exec(_program, _offered | {{"stdin": _sys.stdin, "stdout": _sys.stdout}})
    except SystemExit:
        pass
    _said = _sys.stdout.buffer.getvalue().decode(errors="replace")
    _lines = [[l.strip() for l in t.strip().split("\\n")] for t in (_said, _wanted)]
    assert len(_lines[0]) == len(_lines[1]), "another number of lines"
    for _own, _right in zip(*_lines):
        assert _own == _right or (_numbers(_right) is not None and _numbers(_own) == _numbers(_right)), "another output"
"""
BY_CALL = BEGIN + """
exec(_program, _offered)
_made = _offered["Solution"]() if "Solution" in _offered else None
_call = getattr(_made, {name!r}) if _made is not None else _offered[{name!r}]
for _given, _wanted in {tests!r}:
    _found = _call(*[_json.loads(l) for l in _given.splitlines() if l.strip()])
    if isinstance(_found, tuple):
        _found = list(_found)
    assert _found == _json.loads(_wanted), "another result"
"""


def with_tests(program: str, tests: list[list[str]], name: str) -> str:
    """A program for the sandbox that passes where `program` passes all tests; `name`: the function, "" for stdin."""
    return (BY_CALL if name else BY_STDIN).format(program=program, tests=tests, name=name, offered=OFFERED)


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
        strict, loose = (None if r is None else with_tests(r, tests, name) for r in readings)
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
