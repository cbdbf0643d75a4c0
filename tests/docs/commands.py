"""Every command in README and the guides is run, in order, in a folder that holds what they name.

A page's ```sh blocks are run with bash, its ```python blocks with Python; ```text blocks are output. A line that
is one command of `creuset`, and Python code, start in a process that has imported torch (tests/forked.py). A
`creuset serve` that stays is started beside, and the lines after it talk to it: port 8000 of the page is a free
one here. Pages that start the same plain server share it; one that nobody talks to is stopped once it listens.
What a page may name: texts/ (jsonl), corpus, tokenizer, shards, pretrained/model, talks.jsonl, model.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests import forked

TREE = Path(__file__).parents[2]
PAGES = [TREE / "README.md", *sorted((TREE / "docs" / "guides").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENDS = r"--new-|--help|--dry-run"  # with one of these, `creuset serve` serves nothing and ends
PLAIN = re.compile(r"creuset [^|><;&$*~`]*$")  # nothing that the shell would do
BY_MAKE = {"make run", "make run MODEL=smollm2", "make test"}  # what runs these tests, and what opens a page for ever
SHARED = re.compile(r"creuset serve --model model( --served-name tiny)?$")  # keeps nothing, and reads the model alone
Server = forked.Forked | subprocess.Popen[bytes]


class Servers:
    """The servers that pages share, each with its port."""

    def __init__(self, shelf: Path) -> None:
        self.shelf, self.running = shelf, dict[str, tuple[Server, int]]()

    def port(self, command: str, environment: dict[str, str]) -> int:
        if command not in self.running:
            port = free_port()
            self.running[command] = start(command, port, self.shelf, environment), port
        return self.running[command][1]

    def stop(self) -> None:
        for server, _ in self.running.values():
            stop(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    for kind, text in BLOCK.findall(page.read_text()):
        assert kind in ("sh", "python", "text", "json"), f"{page.name}: a block of `{kind}` is neither run nor output"
        if kind in ("sh", "python"):
            yield kind, text


def commands(text: str) -> list[str]:
    """Lines of a shell block, those continued by a backslash joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in (raw.split("  #")[0].strip() for raw in joined.splitlines()) if line and line[0] != "#"]


def is_server(command: str) -> bool:
    return command.startswith("creuset serve") and not re.search(ENDS, command)


def run_page(page: Path, room: Path, shared: Servers) -> None:
    """AssertionError with the command that fails, and what it said."""
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(TREE), "CREUSET_KEY": "none",
        "CREUSET_HOME": str(room / "home"),
    }  # fmt: skip
    server: Server | None = None
    lines = [(kind, one) for kind, text in blocks(page) for one in (commands(text) if kind == "sh" else [text])]
    try:
        for (kind, line), (_, after) in zip(lines, [*lines, ("", "")][1:], strict=True):
            command = line.replace(".venv/bin/", "").replace("python datasets/", f"python {TREE}/datasets/")
            if command in BY_MAKE:
                assert re.search(rf"^{command.split()[1]}:", (TREE / "Makefile").read_text(), re.MULTILINE)
                continue
            if kind == "sh" and is_server(command):
                if server is not None:
                    stop(server)
                    server = None
                if SHARED.match(command):
                    port = shared.port(command, environment)
                else:
                    port = free_port()
                    talked_to = bool(after) and not after.startswith("creuset serve")
                    server = start(command.replace("8000", str(port)), port, room, environment, talked_to=talked_to)
                continue
            command = command.replace("8000", str(port))
            if kind == "python" or PLAIN.match(command):
                words = ["-c", command] if kind == "python" else shlex.split(command)
                done = forked.run(words, cwd=room, env=environment, timeout=170)
            else:
                done = subprocess.run(
                    ["bash", "-ec", command], cwd=room, env=environment, capture_output=True, text=True,
                    timeout=170, check=False, stdin=subprocess.DEVNULL,
                )  # fmt: skip
            assert done.returncode == 0, f"{page.name}: `{command}` ended with {done.returncode}:\n{done.stderr}"
    finally:
        if server is not None:
            stop(server)


def start(command: str, port: int, room: Path, environment: dict[str, str], *, talked_to: bool = True) -> Server:
    """A server that answers; `talked_to` False: one that listens, whose model may still be on its way."""
    if "--port" not in command:
        command += f" --port {port}"
    if "--model" not in command:
        command += " --model model"
    server: Server
    if PLAIN.match(command):
        server = forked.Forked(shlex.split(command), cwd=room, env=environment)
    else:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=room, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        code = server.poll()
        assert code is None, f"`{command}` ended with {code}"
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/health")
            if answer.status_code == 200 or (not talked_to and answer.json()["engine"] == "starting"):
                return server
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    stop(server)
    raise AssertionError(f"`{command}` was not ready in 90 s")


def stop(server: Server) -> None:
    server.send_signal(signal.SIGINT)
    server.wait(20)
