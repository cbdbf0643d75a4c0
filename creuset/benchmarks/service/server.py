"""A server of ours for the self-test: started on a free port of this machine, watched, stopped. No torch here."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from creuset.core.errors import EngineError

READY_S = 180.0


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "creuset", "serve", *words]


@dataclass
class Server:
    """The process, its address, what it logged, and every connection it was seen to have."""

    process: "subprocess.Popen[str]"
    url: str
    log: list[str]
    reader: threading.Thread
    outbound: set[str] = field(default_factory=set)
    looked: int = 0

    def look(self) -> None:
        """Note the far ends of all sockets of the server and of the processes it started."""
        self.looked += 1
        try:
            parent = psutil.Process(self.process.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in family:
            try:
                for link in one.net_connections(kind="inet"):
                    if link.raddr and not _here(link.raddr.ip):
                        self.outbound.add(f"{link.raddr.ip}:{link.raddr.port}")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _shut(self.process, self.reader)


def _shut(process: "subprocess.Popen[str]", reader: threading.Thread) -> None:
    reader.join(10)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _here(address: str) -> bool:
    return address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1")


def start(model: Path, *words: str) -> Server:
    """Start it, and wait until the model is loaded. EngineError with its last words where it does not come up."""
    process = subprocess.Popen(
        command("--model", str(model), "--port", "0", "--json", *words),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    log: list[str] = []
    assert process.stdout is not None and process.stderr is not None
    reader = threading.Thread(target=_read, args=(process.stderr, log), daemon=True)
    reader.start()
    line = process.stdout.readline()
    try:
        server = Server(process, json.loads(line)["url"], log, reader)
    except (ValueError, KeyError):
        process.kill()
        process.wait()
        _shut(process, reader)
        raise EngineError(f"the server did not start: {' '.join(log[-3:])[:300] or 'it said nothing'}") from None
    end = time.monotonic() + READY_S
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        while client.get("/health").status_code != 200:
            server.look()
            if process.poll() is not None or time.monotonic() > end:
                server.close()
                raise EngineError(f"the server did not become ready: {' '.join(log[-3:])[:300]}")
            threading.Event().wait(0.1)
    return server


def _read(stream: Any, log: list[str]) -> None:
    for line in stream:
        log.append(line.rstrip("\n"))


def refuses_to_start(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and last words of a server that is expected not to start."""
    ran = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stderr.strip()[:300]
