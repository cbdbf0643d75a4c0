"""Servers of the same model side by side through HTTP: ours, llama.cpp's and vLLM's, turn by turn in one run.

    python bench/http_peers.py --models mini,smollm2 --llama-server PATH --keep

Streams of /v1/completions with random, distinct prompts of token ids, greedy, no end token. For 1, 8 and 32 clients at
once: tokens a second of all together, the server's processor time a token, the time to the first token, and the 95th
percentile of the time between two pieces of one answer. All servers run beside each other; those that are not asked
wait. A turn in which others used more than a twentieth of a processor is thrown away and run again. `--llama-server` is
the program of llama.cpp itself: the server of its Python package answers one request after the other, and is no
measure.
"""

import argparse
import asyncio
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
from engine_peers import OTHERS, TRIES, python_of

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
from busy import Quiet, descendants, process_seconds  # noqa: E402
from models import CACHE, MODELS, Model  # noqa: E402

TITLES = {"ours": "creuset serve", "llamacpp": "llama.cpp's server", "vllm": "vLLM (CPU)"}
CLIENTS, DEPTH = (1, 8, 32), 64
START_S = 240  # vLLM's build for processors compiles first


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(column: str, file: Path, port: int, args: argparse.Namespace, context: int) -> list[str]:
    at = ["--host", "127.0.0.1", "--port", str(port)]
    streams = max(args.clients)
    if column == "ours":
        ours = [sys.executable, "-m", "creuset", "serve", "--model", str(file), "--max-concurrency", str(streams)]
        return [*ours, "--threads", str(args.our_threads), *at]
    if column == "vllm":
        vllm = str(Path(python_of("vllm", args.python)).parent / "vllm")
        return [vllm, "serve", str(file), "--dtype", "bfloat16", "--max-model-len", str(context),
                "--max-num-seqs", str(streams), "--no-enable-prefix-caching", *at]  # fmt: skip
    return [args.llama_server, "--model", str(file), "--parallel", str(streams), "--ctx-size", str(streams * context),
            "--threads", str(args.threads), "--no-webui", "--no-cache-prompt", *at]  # fmt: skip


class Server:
    def __init__(self, column: str, model: Model, file: Path, args: argparse.Namespace) -> None:
        self.column, self.port = column, free_port()
        context = -(-(DEPTH + model.tokens + 16) // 256) * 256
        environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "VLLM_CPU_KVCACHE_SPACE": "1"}
        environment["PYTHONPATH"] = str(HERE.parent) if column == "ours" else ""
        self._log = (CACHE / f"server-{column}.log").open("w")
        words = command(column, file, self.port, args, context)
        self._process = subprocess.Popen(words, stdout=self._log, stderr=self._log, env=environment)
        self.id = self._process.pid
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise SystemExit(f"{TITLES[column]} did not start; {self._log.name} has what it said")
            time.sleep(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models") as answer:
            self.model = json.load(answer)["data"][0]["id"]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass
class Answer:
    first_s: float = 0.0  # after the request was sent
    gaps_s: list[float] = field(default_factory=list)  # between two pieces
    tokens: int = 0


async def ask(server: Server, prompt: list[int], tokens: int) -> Answer:
    """One streamed answer. Little is parsed, since this process shares the machine with the server."""
    body = json.dumps({
        "model": server.model, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
        "stream": True, "stream_options": {"include_usage": True},
    }).encode()  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 22)
    head = "POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    begun = last = time.perf_counter()
    writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
    found = Answer()
    status = await reader.readline()
    assert b" 200 " in status, status + await reader.read(2000)
    async for line in reader:
        if not line.startswith(b"data: {"):
            if line.startswith(b"data: [DONE]"):
                break
            continue
        now = time.perf_counter()
        if b'"completion_tokens"' in line and (said := re.search(rb'"completion_tokens": ?(\d+)', line)):
            found.tokens = int(said[1])
        if b'"text":' in line.replace(b" ", b""):
            if not found.first_s:
                found.first_s = now - begun
            else:
                found.gaps_s.append(now - last)
            last = now
    writer.close()
    if not found.tokens:  # a server that tells no usage: each piece is a token
        found.tokens = 1 + len(found.gaps_s)
    return found


def load(server: Server, clients: int, seed: int, model: Model) -> dict[str, float]:
    draw = random.Random(seed)
    prompts = [[draw.randrange(model.vocab) for _ in range(DEPTH)] for _ in range(clients)]

    async def together() -> list[Answer]:
        return list(await asyncio.gather(*(ask(server, prompt, model.tokens) for prompt in prompts)))

    family = descendants(server.id)
    begun, used = time.perf_counter(), process_seconds(family)
    answers = asyncio.run(together())
    wall, used = time.perf_counter() - begun, process_seconds(family) - used
    gaps = sorted(gap for answer in answers for gap in answer.gaps_s) or [0.0]
    tokens = sum(answer.tokens for answer in answers)
    return {
        "tokens_s": tokens / wall,
        "processor_ms": 1000 * used / tokens,
        "first_ms": 1000 * statistics.median(answer.first_s for answer in answers),
        "gap_p95_ms": 1000 * gaps[int(0.95 * (len(gaps) - 1))],
    }


def race(name: str, args: argparse.Namespace) -> dict[str, Any]:
    model = MODELS[name]
    form = next(iter(model.forms.values()))
    servers = [Server(c, model, form.files[c](), args) for c in args.columns if c in form.files]
    kept: dict[str, list[dict[str, dict[str, float]]]] = {server.column: [] for server in servers}
    thrown = 0
    try:
        for server in servers:
            load(server, max(args.clients), 1000, model)
        for turn in range(args.repeat):
            for server in servers if turn % 2 == 0 else servers[::-1]:
                for _ in range(TRIES):
                    with Quiet([one.id for one in servers]) as quiet:
                        found = {str(n): load(server, n, turn * 100 + n, model) for n in args.clients}
                    if quiet.others <= args.others:
                        kept[server.column].append(found)
                        break
                    thrown += 1
    finally:
        for server in servers:
            server.close()
    return {"columns": {column: summed(turns) for column, turns in kept.items()}, "thrown": thrown}


def summed(turns: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """clients: measure: [median, least, most]."""
    found: dict[str, dict[str, list[float]]] = {}
    for n in turns[0] if turns else {}:
        for what in turns[0][n]:
            values = sorted(turn[n][what] for turn in turns)
            found.setdefault(n, {})[what] = [round(v, 2) for v in (statistics.median(values), values[0], values[-1])]
    return found


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--models", type=lambda t: t.split(","), default=["mini", "smollm2"])
    parser.add_argument("--columns", type=lambda t: t.split(","), default=list(TITLES))
    parser.add_argument("--clients", type=lambda t: [int(n) for n in t.split(",")], default=list(CLIENTS))
    parser.add_argument("--our-threads", type=int, default=0, help="of ours alone; 0: what the engine chooses")
    parser.add_argument("--others", type=float, default=OTHERS, help="share of a processor that others may use")
    parser.add_argument("--python", action="append", default=[], metavar="PROGRAM=PATH", help="another environment")
    parser.add_argument("--llama-server", help="the program of llama.cpp itself")
    args = parser.parse_args()
    if "llamacpp" in args.columns and not args.llama_server:
        parser.error("the column llamacpp needs --llama-server PATH")
    args.python = dict(one.split("=", 1) for one in args.python)
    CACHE.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    for name in args.models:
        figures[name] = race(name, args)
        rows = [
            [f"{TITLES[column]}, {n} clients", *(f"{v[0]:,.4g} ({v[1]:,.4g}-{v[2]:,.4g})" for v in one.values())]
            for column, by in figures[name]["columns"].items()
            for n, one in by.items()
        ]
        print(
            common.table([name, "tokens/s", "processor ms a token", "first token ms", "between tokens, p95 ms"], rows)
        )
        print(f"  {figures[name]['thrown']} turns thrown away\n", flush=True)
    args.python = sorted(args.python)
    common.keep("http_peers", args, figures)


if __name__ == "__main__":
    main()
