"""Generated code is run here: no network, no writes but in a scratch folder, limits on time, memory, processes, files.

What holds it (Linux, x86-64 or arm64, no root needed): user, mount, network, pid, ipc and uts namespaces; every mount
read-only but an empty memory file system; no /proc; no capabilities; a seccomp filter without sockets, new processes
and new programs; limits of resources; a wall clock. `check` proves each limit by breaking it, before the first sample;
where one does not hold, the run is refused. Other files of the machine can be read, and nothing can be sent anywhere.

A program that passes has come to its end by itself. One that digs in this runner's memory to say `passed` is not
stopped from lying: the sandbox protects the machine, not the score, against malice.
"""

import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from creuset.core.errors import ConfigError, CreusetError

CHILD = Path(__file__).with_name("child.py")
# Names another Python to run programs with, one that has the libraries they need. The standard library is enough for
# the sandbox itself.
PYTHON = "CREUSET_CODE_PYTHON"


class SandboxRefused(CreusetError):
    """Generated code cannot be confined on this machine, so it is not run."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    wall_s: int = 6
    cpu_s: int = 5
    memory_bytes: int = 1 << 30  # of address space: stacks of threads are in it
    file_bytes: int = 1 << 20  # of one file
    scratch_bytes: int = 8 << 20  # of all files
    threads: int = 32  # where the kernel counts them; processes: none


@dataclass(frozen=True, slots=True)
class Verdict:
    reason: str  # passed, failed, exit, timeout, memory, crashed
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.reason == "passed"


def run(program: str, limits: Limits | None = None) -> Verdict:
    """The program's end. SandboxRefused where the machine cannot confine it; nothing is run then."""
    limits = limits or Limits()
    python = os.environ.get(PYTHON, sys.executable)
    if shutil.which(python) is None:
        raise ConfigError(f"`{python}`, named by {PYTHON}, cannot be run")
    word = secrets.token_hex(16)  # a program that does not know it cannot say that it passed
    asked = {name: getattr(limits, name) for name in Limits.__slots__}
    with tempfile.TemporaryDirectory(prefix="sandbox-") as scratch:
        reading, writing = os.pipe()
        try:
            words = [python, "-I", str(CHILD), scratch, json.dumps(asked), str(writing)]
            # An environment of its own: keys of endpoints are in ours.
            child = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                     "HOME": scratch, "TMPDIR": scratch}, pass_fds=(writing,), cwd="/",
                start_new_session=True,
            )  # fmt: skip
            os.close(writing)
            try:
                child.communicate(f"{word}\n{program}".encode("utf-8", "replace"), timeout=limits.wall_s + 10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                return Verdict("timeout", "the guard did not answer")
            with open(reading, "rb", closefd=False) as stream:
                said = stream.read()
        finally:
            os.close(reading)
    try:
        found = json.loads(said)
        verdict = Verdict(str(found["reason"]), str(found.get("detail", "")))
        if verdict.passed and found["word"] != word:
            return Verdict("exit", "the program wrote its own verdict")
    except (ValueError, KeyError, TypeError):
        # Nothing, or more than one word: the program left without a word, or wrote into the report itself.
        return Verdict("exit", "the program ended without coming to its end")
    if verdict.reason == "refused":
        raise SandboxRefused(
            f"generated code cannot be confined here: {verdict.detail}",
            hint="a kernel of 5.12 or later that allows user namespaces is needed",
        )
    return verdict


@cache
def check() -> None:
    """Break every limit once; SandboxRefused names the first that did not hold. A few seconds, once a process."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise SandboxRefused(f"generated code is run on Linux, x86-64 or arm64, not on {sys.platform}")
    short = Limits(wall_s=1, cpu_s=1)
    with tempfile.TemporaryDirectory(prefix="outside-") as outside, socket.create_server(("127.0.0.1", 0)) as server:
        probes: list[tuple[str, str, Limits, Callable[[Verdict], bool]]] = [
            ("a right program passes", "assert 1 + 1 == 2", Limits(), _passes),
            ("a wrong program fails", "assert 1 + 1 == 3", Limits(), lambda v: v.reason == "failed"),
            ("it can write in its scratch folder", "open('a', 'w').write('x')", Limits(), _passes),
            ("the network is out of reach", _refused(
                f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)"), Limits(),
             _passes),
            ("no file is written outside", _refused(f"open({outside + '/x'!r}, 'w')"), Limits(), _passes),
            ("no process is started", _refused("import os; os.fork()"), Limits(), _passes),
            ("no program is started", _refused("import subprocess; subprocess.run(['true'])"), Limits(), _passes),
            ("a file has a limit", _refused("open('b', 'wb').write(bytes(2 << 20))"), Limits(), _passes),
            ("all files together have a limit", _refused(
                "for i in range(20): open(f'c{i}', 'wb').write(bytes(1 << 19))"), Limits(), _passes),
            ("memory has a limit", "x = bytearray(3 << 30)", short, lambda v: v.reason == "memory"),
            ("other processes are out of sight", _refused("open('/proc/1/environ')"), Limits(), _passes),
            ("time has a limit", "while True: pass", short, lambda v: v.reason == "timeout"),
            ("sleep has a limit", "import time; time.sleep(60)", replace(short, cpu_s=5),
             lambda v: v.reason == "timeout"),
        ]  # fmt: skip
        for what, program, limits, holds in probes:
            if not holds(verdict := run(program, limits)):
                raise SandboxRefused(
                    f"generated code is not run: this does not hold here: {what} ({verdict.reason}: {verdict.detail})"
                )
        if any(Path(outside).iterdir()):
            raise SandboxRefused("generated code is not run: a file was written outside the scratch folder")


def _passes(verdict: Verdict) -> bool:
    return verdict.passed


def _refused(attempt: str) -> str:
    """A program that passes when `attempt` is refused by the system."""
    return f"try:\n    {attempt}\nexcept OSError:\n    pass\nelse:\n    raise AssertionError('it was allowed')\n"
