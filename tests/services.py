"""Debian's PostgreSQL and Redis in folders of their own, on Unix sockets, for as long as a block lasts.

`initdb` refuses root, so PostgreSQL runs as another user there. Both can be stopped and started again in the block,
which is what tests of faults do.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SETTINGS = "-c listen_addresses= -c fsync=off -c max_connections=60"


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else (Path(at).parent if (at := shutil.which("initdb")) else None)


def redis_program() -> str | None:
    """The program of Redis or Valkey; None where neither is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


@dataclass(frozen=True, slots=True)
class Postgres:
    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        settings = f"-k {self.folder} {_SETTINGS}"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", settings, "start")

    def stop(self) -> None:
        """At once, as if the power were gone."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def make(self) -> None:
        self._run("initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-N")

    def _run(self, program: str, *words: Any) -> None:
        options: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": self.folder}
        if os.geteuid() == 0:
            who = pwd.getpwnam("nobody")
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            options |= {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": ()}
        subprocess.run([self.programs / program, *words], **options)


@contextmanager
def postgres_server(programs: Path) -> Iterator[Postgres]:
    """An empty server of PostgreSQL."""
    server = Postgres(programs, _folder("postgres"))
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@dataclass(slots=True)
class Redis:
    program: str
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def start(self) -> None:
        words = [
            "--port",
            "0",
            "--unixsocket",
            str(self.folder / "redis.sock"),
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen([self.program, *words], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not (self.folder / "redis.sock").exists():
            assert time.monotonic() < end and self.process.poll() is None, "Redis did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """At once; what it knew is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
        (self.folder / "redis.sock").unlink(missing_ok=True)


@contextmanager
def redis_server(program: str) -> Iterator[Redis]:
    """An empty server of Redis."""
    server = Redis(program, _folder("redis"))
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def _folder(name: str) -> Path:
    folder = Path("/tmp") / f"creuset-{name}-{os.getpid()}"  # a socket's path must be short
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o777)
    return folder
