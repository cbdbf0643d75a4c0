"""LiveCodeBench, code generation (Jain et al. 2024): contest problems with their dates, from files you bring.

data        livecodebench/*.jsonl, the files of the release you choose (code_generation_lite: test.jsonl holds release
            v1, test2.jsonl what v2 added, and so on); nothing of it is shipped
licence     the data set's own terms: read them where you get the file
metric      pass@1: every public and private test passes, each within 6 s; beside it the share by difficulty and by
            month of contest, where a model that has seen old problems falls off. `livecodebench_2408_2411` counts only
            contests from August to November 2024, and so for any two months
prompt      the authors', for chat models; strict: the one fenced block; lenient: the last one, as the authors read
reference   40.5 DeepSeek-V3, 36.3 Claude 3.5 Sonnet, 33.4 GPT-4o (chain of thought, DeepSeek-V3 README; its release)
safety      programs run in evals/sandbox, or not at all; private tests are a pickled text in the files, and are read
            by an unpickler that makes no object
note        outputs are compared line by line, blanks at their ends left out; `1.0` is `1.00`, and nothing is rounded
"""

import base64
import binascii
import io
import json
import pickle
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from creuset.benchmarks.code.program import CodeTask, fenced_strict
from creuset.benchmarks.files import json_rows, made
from creuset.core.errors import ConfigError
from creuset.evals import sandbox
from creuset.evals.extract import without_thinking
from creuset.evals.model import Ability, Outcome
from creuset.evals.task import Form, Row, Sample
from creuset.types.measure import Measure

# The words of the authors.
SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
ASK = (
    "### Question:\n{content}\n\n### Format: {way}\n```python\n{code}\n```\n\n"
    "### Answer: (use the provided format with backticks)\n\n"
)
STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT."
)
START = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
TEST_S = 6  # for one test
PACKED_BYTES = 1 << 29  # of a problem's private tests, unpacked: a small field can unpack to all of the memory

# What a program may use without importing it: contest programs are written for judges that offer these names.
OFFERED = ("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics",
           "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing")  # fmt: skip
BEGIN = """
import io as _io, json as _json, signal as _signal, sys as _sys
from decimal import Decimal as _Decimal, InvalidOperation as _Invalid
_sys.setrecursionlimit(50_000)
_offered = {{"__name__": "__main__"}}
for _way in ("from {{}} import *", "import {{}}"):
    for _module in {offered!r}:
        exec(_way.format(_module), _offered)
_program = compile({program!r}, "reply.py", "exec")
def _late(*_):
    raise TimeoutError("a test took more than {seconds} s")
_signal.signal(_signal.SIGALRM, _late)
"""
# Runs the reply's program once for each test; the first difference ends it.
BY_STDIN = (
    BEGIN
    + """
def _numbers(line):
    try:
        return [_Decimal(word) for word in line.split()]
    except _Invalid:
        return None
for _given, _wanted in {tests!r}:
    _signal.alarm({seconds})
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
)
BY_CALL = (
    BEGIN
    + """
exec(_program, _offered)
_made = _offered["Solution"]() if "Solution" in _offered else None
_call = getattr(_made, {name!r}) if _made is not None else _offered[{name!r}]
for _given, _wanted in {tests!r}:
    _signal.alarm({seconds})
    _found = _call(*[_json.loads(l) for l in _given.splitlines() if l.strip()])
    if isinstance(_found, tuple):
        _found = list(_found)
    assert _found == _json.loads(_wanted), "another result"
"""
)


def with_tests(program: str, tests: list[list[str]], name: str) -> str:
    """A program for the sandbox that passes where `program` passes all tests; `name`: the function, "" for stdin."""
    form = BY_CALL if name else BY_STDIN
    return form.format(program=program, tests=tests, name=name, offered=OFFERED, seconds=TEST_S)


class _TextOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"the private tests want the object {module}.{name}: they should be a text")


def unpacked(said: str) -> list[dict[str, Any]]:
    """The tests of a field: JSON, or (private ones) JSON in a pickle in zlib in base64. ValueError otherwise."""
    try:
        found = json.loads(said)
    except ValueError:
        try:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(base64.b64decode(said, validate=True), PACKED_BYTES)
            if unpacker.unconsumed_tail:
                raise ValueError(f"its tests are more than {PACKED_BYTES:,} bytes unpacked")
            found = json.loads(_TextOnly(io.BytesIO(raw)).load())
        except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, TypeError) as error:
            raise ValueError(f"its tests are neither JSON nor packed JSON: {error}") from error
    if not isinstance(found, list):
        raise ValueError("its tests are not a list")
    return found


class LiveCodeBench(CodeTask):
    name = "livecodebench"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    forms: ClassVar[tuple[Form, ...]] = ("chat",)
    files = ("livecodebench/*.jsonl",)
    licence = "that of the file you bring"
    window: ClassVar[tuple[str, str]] = ("", "9999")  # first and last month of contest, YYYY-MM
    # Of all tests of a problem together; each has its own limit.
    limits = sandbox.Limits(wall_s=300, cpu_s=290, memory_bytes=4 << 30)

    @classmethod
    def variant(cls, said: str) -> dict[str, Any] | None:
        """The header of `livecodebench_YYMM_YYMM`: contests from the first month to the second."""
        found = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])_(\d\d)(0[1-9]|1[0-2])", said)
        return {"window": (f"20{found[1]}-{found[2]}", f"20{found[3]}-{found[4]}")} if found else None

    def samples(self, folder: Path) -> Iterator[Sample]:
        sandbox.check()  # before anything is asked or paid for
        paths: Sequence[Path] = [folder] if folder.is_file() else sorted(folder.glob(self.files[0]))
        if not paths:
            raise ConfigError(f"`{folder}` has no {self.files[0]}", hint="bring a release of the data set as jsonl")
        first, last = self.window
        for path in paths:
            for sample in made(path, json_rows(path), _sample_of(self), self.name):
                if first <= sample.meta["date"][:7] <= last:
                    yield sample

    def programs(self, sample: Sample, text: str) -> tuple[str | None, str | None]:
        name, tests = sample.gold["name"], sample.gold["tests"]
        readings = fenced_strict(text), fenced_last(text)
        strict, loose = (None if r is None else with_tests(r, tests, name) for r in readings)
        return strict, loose

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        about = {"difficulty": sample.meta["difficulty"], "month": sample.meta["date"][:7]}
        return super().score(sample, outcomes) | about

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        found = super().measures(rows)
        for measure in found:
            right = "correct_lenient" if measure.metric.endswith("_lenient") else "correct"
            for key in ("difficulty", "month") if measure.metric.startswith("pass@1") else ():
                of_it: dict[str, list[float]] = {}
                for row in rows:
                    of_it.setdefault(row[key], []).append(row[right])
                measure.extra[f"by_{key}"] = {
                    name: {"score": sum(v) / len(v), "n": len(v)} for name, v in sorted(of_it.items())
                }
        return found


def fenced_last(text: str) -> str | None:
    """What stands between the last two lines that have three backticks; None where there are not two."""
    lines = without_thinking(text).split("\n")
    marks = [i for i, line in enumerate(lines) if "```" in line]
    return "\n".join(lines[marks[-2] + 1 : marks[-1]]) if len(marks) > 1 else None


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
        ask = ASK.format(content=row["question_content"], way=START if code else STDIN, code=code or "# YOUR CODE HERE")
        asks = (replace(a, messages=({"role": "system", "content": SYSTEM}, *a.messages)) for a in task.asks(ask, 4096))
        return Sample(
            id=str(row["question_id"]),
            asks=tuple(asks),
            gold={"name": name, "tests": [[str(t["input"]), str(t["output"])] for t in found]},
            meta={"date": str(row["contest_date"]), "difficulty": str(row.get("difficulty", ""))},
        )

    return make
