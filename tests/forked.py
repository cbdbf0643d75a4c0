"""Commands of `creuset`, scripts and Python code run in processes that need not import torch again.

A process of multiprocessing's fork server has imported what the commands use, and forks for each of them. Importing
costs two seconds of processor time, most commands cost less than that. What is run is what a shell would run: its own
process, folder, environment, output and exit code. `tests/test_packages.py` and `tests/test_wheel.py` start them whole.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

IMPORTED = [
    "torch", "httpx", "openai", "phonenumbers", "pyarrow.parquet", "typst", "creuset.api", "creuset.cli.audit",
    "creuset.cli.compare", "creuset.cli.corpus", "creuset.cli.dossier", "creuset.cli.eval", "creuset.cli.serve",
    "creuset.cli.tokenizer", "creuset.cli.training.train", "creuset.cli.training.tune", "creuset.data.build.executor",
    "creuset.data.build.pipeline", "creuset.engine.engine", "creuset.evals.clients.local", "creuset.evals.run",
    "creuset.governance.audit.run", "creuset.governance.dossier.build", "creuset.governance.dossier.check",
    "creuset.model.store.pull", "creuset.server.app", "creuset.train.finetune", "creuset.train.run",
]  # fmt: skip
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)


@dataclass(frozen=True, slots=True)
class Command:
    """`words`: `creuset` and its arguments, a script and its arguments, or `-c` and code."""

    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    out: str
    err: str

    def __call__(self) -> None:
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        for file, fd in ((self.out, 1), (self.err, 2)):
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(opened, fd)
            os.close(opened)
        sys.argv = list(self.words)
        sys.path[0:0] = [p for p in self.environment.get("PYTHONPATH", "").split(os.pathsep) if p and p not in sys.path]
        first = self.words[0]
        if first == "creuset":
            from creuset.cli import entry

            entry()
        elif first == "-c":
            main = sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(self.words[1], "<page>", "exec"), main.__dict__)
        else:
            sys.path.insert(0, str(Path(first).parent))
            runpy.run_path(first, run_name="__main__")


class Forked:
    """A running command."""

    def __init__(self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self.words, self._kept = tuple(map(str, words)), tempfile.TemporaryDirectory()
        self.out, self.err = (Path(self._kept.name) / name for name in ("out", "err"))
        self.process = FORKS.Process(target=Command(self.words, str(cwd), dict(env), str(self.out), str(self.err)))
        self.process.start()

    def poll(self) -> int | None:
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> "subprocess.CompletedProcess[str]":
        """Its end; AssertionError, and it is killed, when it does not come in `seconds`."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.send_signal(signal.SIGKILL)
            self.process.join()
            raise AssertionError(f"`{' '.join(self.words)}` did not end in {seconds} s")
        said = [file.read_text() if file.exists() else "" for file in (self.out, self.err)]
        self._kept.cleanup()
        return subprocess.CompletedProcess(self.words, code, *said)


def run(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> "subprocess.CompletedProcess[str]":
    return Forked(words, cwd=cwd, env=env).wait(timeout)
