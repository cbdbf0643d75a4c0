"""Runs tests on changed code: each time in a fresh process, forked from one that has the big libraries loaded.

Starting Python and importing torch, transformers and pytest takes seconds; a fork takes none. The parent never imports
creuset, so every child loads the code as it lies in its own copy of the tree.
"""

import compileall
import contextlib
import importlib
import os
import pickle
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.mutation.places import Mutant

PRELOAD = (
    "torch", "numpy", "pytest", "hypothesis", "safetensors.torch", "tokenizers", "transformers", "jinja2", "starlette",
    "uvicorn", "httpx", "openai", "msgspec", "prometheus_client", "structlog", "zstandard", "rich", "coverage",
)  # fmt: skip
SETUP = " (setup)"
CRASHED = 70  # a child in which pytest itself ended in an error: under a mutant, that is noticed too
LONGEST = 60.0  # seconds of tests, as long as they took on the unchanged code, that one mutant gets


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    before: str  # the code at its place
    after: str
    outcome: str  # killed, survived, timeout, equivalent
    seconds: float
    reason: str = ""

    def __str__(self) -> str:
        m = self.mutant
        return f"{m.file}:{m.line} {m.operator}\n    - {self.before}\n    + {self.after}"


@dataclass(slots=True)
class Baseline:
    """The unchanged code under some tests: how long each takes, and which lines it executes."""

    tests: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)  # file -> line -> ids of tests

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that execute the mutant's line, the quickest first, as many as fit in LONGEST.

        Where a line runs in the setup of a test, a fixture may serve all tests of the file: all count. Where no test
        runs it by itself (it runs when the module is loaded, or in another process), all tests of the package do.
        """
        contexts = self.lines.get(mutant.file, {}).get(mutant.line, [])
        found = {context for context in contexts if not context.endswith(SETUP)}
        files = {context.partition("::")[0] for context in contexts if context.endswith(SETUP)}
        found |= {test for test in self.seconds if test.partition("::")[0] in files}
        total, kept = 0.0, []
        for test in sorted(found or self.seconds, key=lambda t: (self.seconds.get(t, 0.0), t)):
            total += self.seconds.get(test, 0.0)
            if kept and total > LONGEST:
                break
            kept.append(test)
        return kept


class Only:
    """A pytest plugin: run the tests with these ids, in this order."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.order = {id: n for n, id in enumerate(ids)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])


class Traced:
    """A pytest plugin: note the lines and the time of each test."""

    def __init__(self, tree: Path) -> None:
        import coverage

        self.tree, self.seconds = tree, dict[str, float]()
        self.coverage = coverage.Coverage(data_file=None, source=[str(tree / "creuset")], config_file=False)
        self.coverage.start()
        self.coverage.switch_context("")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid + SETUP)
        self.begun = time.perf_counter()

    def pytest_runtest_call(self, item: Any) -> None:
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] = time.perf_counter() - self.begun
        self.coverage.switch_context("")

    def lines(self) -> dict[str, dict[int, list[str]]]:
        self.coverage.stop()
        data = self.coverage.get_data()
        return {
            Path(file).relative_to(self.tree).as_posix(): {
                line: [context for context in contexts if context]
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }


class Pool:
    """Copies of the tree, one a job and one that stays as it is: the tree itself may change meanwhile."""

    def __init__(self, tree: Path, jobs: int) -> None:
        self.tree, self.jobs = tree, jobs

    def __enter__(self) -> Self:
        os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"}
        for name in PRELOAD:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        assert "creuset" not in sys.modules, "a child would keep the parent's unchanged code"
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.pristine, *self.copies = [self._copy(n) for n in range(self.jobs + 1)]
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # a child that was ended may still have written

    def _copy(self, number: int) -> Path:
        """The files that git knows or would know, as they lie there now."""
        copy = self.folder / str(number)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.tree, capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (self.tree / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.tree / name, copy / name)
        # Bytecode that is checked by the hash of its source: by time and size, a changed file can look unchanged.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(copy / "creuset", quiet=2, invalidation_mode=mode)
        return copy

    def baseline(self, tests: Sequence[str]) -> Baseline:
        """Run `tests` on the unchanged code; they must pass."""
        copy, file = self.copies[0], self.folder / "baseline.pickle"

        def measured() -> int:
            traced = Traced(copy)
            code = _pytest(tests, [traced])
            file.write_bytes(pickle.dumps((traced.seconds, traced.lines())))
            return code

        job = Job(copy, measured, timeout=1200)
        while (code := job.ended()) is None:
            time.sleep(0.1)
        if code != 0:
            raise SystemExit(f"{' '.join(tests)} do not pass on the unchanged code:\n{job.output()}")
        return Baseline(tuple(tests), *pickle.loads(file.read_bytes()))

    def judge(self, baseline: Baseline, mutants: Sequence[Mutant], *, stop_at: float) -> Iterator[Verdict]:
        """Try each mutant, `jobs` at a time; verdicts come as they are reached."""
        waiting, free = list(reversed(mutants)), list(self.copies)
        running: list[Trial] = []
        while running or waiting:
            while free and waiting and time.monotonic() < stop_at:
                running.append(Trial(waiting.pop(), baseline, free.pop(), self.pristine))
            if not running:
                return
            time.sleep(0.02)
            for trial in list(running):
                if (verdict := trial.verdict()) is not None:
                    running.remove(trial)
                    free.append(trial.copy)
                    yield verdict


class Trial:
    """One mutant in one copy."""

    def __init__(self, mutant: Mutant, baseline: Baseline, copy: Path, pristine: Path) -> None:
        self.mutant, self.copy, self.begun = mutant, copy, time.monotonic()
        self.file, self.original = copy / mutant.file, (pristine / mutant.file).read_text(encoding="utf-8")
        self.file.write_text(mutant.code(self.original), encoding="utf-8")
        ids = baseline.of(mutant)
        files = list(dict.fromkeys(id.partition("::")[0] for id in ids))
        timeout = 60 + 5 * sum(baseline.seconds[id] for id in ids)
        self.job = Job(copy, lambda: _pytest(["-x", *files], [Only(ids)]), timeout=timeout)

    def verdict(self) -> Verdict | None:
        """None while tests run."""
        code = self.job.ended()
        if code is None:
            return None
        assert code != 5, f"no test ran for {self.mutant}:\n{self.job.output()}"
        self.file.write_text(self.original, encoding="utf-8")
        outcome = {0: "survived", Job.TIMEOUT: "timeout"}.get(code, "killed")
        return Verdict(self.mutant, *self.mutant.lines(self.original), outcome, time.monotonic() - self.begun)


class Job:
    """A forked process that runs `work` in `copy`, in a session of its own so that its children end with it."""

    TIMEOUT = -1

    def __init__(self, copy: Path, work: Callable[[], int], *, timeout: float) -> None:
        self.log, self.deadline = copy / "output.txt", time.monotonic() + timeout
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _child(copy, work, self.log)

    def ended(self) -> int | None:
        """The exit code, TIMEOUT, or None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        late = time.monotonic() > self.deadline
        if pid == 0 and not late:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if pid == 0:
            os.waitpid(self.pid, 0)
            return self.TIMEOUT
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-5000:]


def _child(copy: Path, work: Callable[[], int], log: Path) -> None:
    code = CRASHED
    try:
        os.setsid()
        with log.open("wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy)
        os.environ["TMPDIR"] = str(copy / "tmp")
        (copy / "tmp").mkdir(exist_ok=True)
        tempfile.tempdir = None
        sys.path[:] = [str(copy), *(p for p in sys.path if p and Path(p).resolve() != Path(__file__).parents[2])]
        for name in [n for n in sys.modules if n == "tests" or n.startswith("tests.")]:
            del sys.modules[name]  # the tests of the copy, not of the tree
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _pytest(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    import pytest

    quiet = ["-q", "-o", "addopts=", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that the parent has loaded
    return int(pytest.main([*quiet, *arguments], plugins=list(plugins)))
