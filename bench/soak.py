"""A server under random load for minutes: nothing may leak, hang, or end in two ways.

    python bench/soak.py --minutes 30 --keep

Requests come at random times and in random sizes: whole and streamed replies, several choices, stop strings, schemas,
prompts that are too long, clients that leave, clients that read slowly. The engine process is killed now and then. At
the end nothing runs any more, and then the books are compared: each request ended in exactly one way, the tokens that
clients were told of are those that the server and the engine counted, every block of the cache is free or cached, and
neither process has grown. Exit code 1 names what does not hold.
"""

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import httpx
import psutil

HANG_S = 120.0  # a request that takes longer hangs
GROWTH_MB = 24.0  # what a process may grow by between the middle and the end of the run
KINDS = ("whole", "stream", "stream", "stream", "choices", "stop", "form", "long", "leave", "leave", "slow", "too long")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@dataclass
class Books:
    """What the clients saw."""

    sent: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    read: int = 0  # tokens of prompts, as usage told
    written: int = 0  # tokens of complete answers, as usage told
    completions: int = 0  # complete answers
    begun_s: list[float] = field(default_factory=list)  # until the first words
    gaps_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)  # from a kill until /health is green
    faults: list[str] = field(default_factory=list)


class Soak:
    def __init__(self, url: str, model: str, context: int, seed: int, server: psutil.Process) -> None:
        self.url, self.model, self.context, self.server = url, model, context, server
        self.random, self.books = random.Random(seed), Books()
        self.client = httpx.AsyncClient(
            base_url=url, timeout=HANG_S, trust_env=False, limits=httpx.Limits(max_connections=None)
        )
        self.memory: list[tuple[float, float, float]] = []  # seconds, MB of the HTTP process, MB of the engine

    def body(self, kind: str) -> dict[str, Any]:
        pick = self.random
        size = {"long": self.context // 2, "too long": 2 * self.context}.get(kind, pick.choice((4, 20, 60)))
        words = [pick.choice(("river", "cat", "mat", "water", "sea", "dog", "what", "is", "the")) for _ in range(size)]
        most = min(pick.choice((1, 8, 30, 80)), self.context // 4)
        body: dict[str, Any] = {
            "model": self.model, "messages": [{"role": "user", "content": " ".join(words)}], "max_tokens": most,
            "temperature": pick.choice((0, 1)), "seed": pick.randrange(1000),
        }  # fmt: skip
        if kind in ("stream", "leave", "slow", "stop", "long"):
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if kind in ("leave", "slow"):
            body |= {"ignore_eos": True, "max_tokens": self.context // 4}
        if kind == "choices":
            body["n"] = pick.choice((2, 4))
        if kind == "stop":
            body["stop"] = ["e", "the"]
        if kind == "form":
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
        return body

    async def request(self, kind: str) -> None:
        """One request to its end, which is written down once."""
        self.books.sent += 1
        body, patience = self.body(kind), self.random.random() * 0.5
        try:
            async with asyncio.timeout(HANG_S):
                if kind == "slow":
                    end = await asyncio.to_thread(self.slowly, body)
                elif body.get("stream"):
                    end = await self.streamed(body, leave_s=patience if kind == "leave" else None)
                else:
                    end = await self.whole(body)
        except TimeoutError:
            end = "hang"
        except (httpx.HTTPError, OSError) as error:
            end = f"broken: {type(error).__name__}"
        if (kind == "too long" and end == "complete") or (kind != "too long" and end == "400"):
            self.books.faults.append(f"a request of kind `{kind}` ended with {end}")
        self.books.ends[end] += 1

    async def whole(self, body: dict[str, Any]) -> str:
        answer = await self.client.post("/v1/chat/completions", json=body)
        if answer.status_code != 200:
            return str(answer.status_code)
        found = answer.json()
        reasons = [choice["finish_reason"] for choice in found["choices"]]
        if len(reasons) != body.get("n", 1) or not set(reasons) <= {"stop", "length"}:
            self.books.faults.append(f"choices ended with {reasons}")
        self.complete(found["usage"], len(reasons))
        return "complete"

    async def streamed(self, body: dict[str, Any], *, leave_s: float | None) -> str:
        sent, last = time.monotonic(), 0.0
        lines: list[dict[str, Any]] = []
        ended = 0
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                await answer.aread()
                return str(answer.status_code)
            async for line in answer.aiter_lines():
                now = time.monotonic()
                if leave_s is not None and now - sent > leave_s:
                    return "left"
                if not line.startswith("data: "):
                    continue
                if ended:
                    self.books.faults.append("something came behind the end of a stream")
                if line == "data: [DONE]":
                    ended += 1
                    continue
                lines.append(json.loads(line.removeprefix("data: ")))
                if last and leave_s is None:
                    self.books.gaps_s.append(now - last)
                elif leave_s is None:
                    self.books.begun_s.append(now - sent)
                last = now
        return self.told(lines, ended)

    def told(self, lines: list[dict[str, Any]], ended: int) -> str:
        errors = [line for line in lines if "error" in line]
        choices = [choice for line in lines for choice in line.get("choices", ())]
        reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
        if errors and not ended and len(errors) == 1 and not reasons:
            return "error event"
        if errors or ended != 1 or len(reasons) != 1:
            self.books.faults.append(f"a stream had {len(errors)} errors, {len(reasons)} reasons and {ended} ends")
            return "unclear"
        self.complete(lines[-1]["usage"], 1)
        return "complete"

    def slowly(self, body: dict[str, Any]) -> str:
        """A client with a small buffer that waits before it reads; it reads to the end in the end."""
        host, port = self.url.removeprefix("http://").split(":")
        data = json.dumps(body).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.settimeout(HANG_S)
            link.connect((host, int(port)))
            link.sendall(f"{head}Host: {host}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            text = b""
            while part := link.recv(2048):
                text += part
                time.sleep(0.02)
        status = text.split(b" ", 2)[1].decode()
        if status != "200":
            return status
        found = [piece for piece in text.replace(b"\r\n", b"\n").split(b"\n") if piece.startswith(b"data: ")]
        events = [json.loads(piece[6:]) for piece in found if piece != b"data: [DONE]"]
        return self.told(events, found.count(b"data: [DONE]"))

    def complete(self, usage: dict[str, Any], choices: int) -> None:
        self.books.read += usage["prompt_tokens"]
        self.books.written += usage["completion_tokens"]
        self.books.completions += choices

    def engine(self) -> psutil.Process | None:
        for child in self.server.children():
            try:
                if "creuset.server.engines.worker" in child.cmdline():
                    return child
            except psutil.Error:
                pass
        return None

    async def kill(self) -> None:
        if (one := self.engine()) is None:
            return
        one.kill()
        begun = time.monotonic()
        while (await self.client.get("/health")).status_code == 200 and time.monotonic() - begun < 1:
            await asyncio.sleep(0.01)
        while (await self.client.get("/health")).status_code != 200:
            if time.monotonic() - begun > HANG_S:
                self.books.faults.append("the engine did not come back")
                return
            await asyncio.sleep(0.02)
        self.books.back_s.append(time.monotonic() - begun)

    def weigh(self, at: float) -> None:
        try:
            one = self.engine()
            mb = one.memory_info().rss / 2**20 if one else 0.0
        except psutil.Error:
            mb = 0.0
        self.memory.append((at, self.server.memory_info().rss / 2**20, mb))

    async def metrics(self) -> dict[str, float]:
        """Series by name, the values of all labels added; of the engine's and of reasons each label by itself."""
        found: Counter[str] = Counter()
        for line in (await self.client.get("/metrics")).text.splitlines():
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            for label in labels.rstrip("}").split(","):
                if label.startswith(("name=", "reason=")):
                    name += "." + label.partition("=")[2].strip('"')
            found[name] += float(value)
        return found

    async def drained(self) -> dict[str, float]:
        """The metrics once nothing is open any more and the engine has said so."""
        for _ in range(600):
            found = await self.metrics()
            busy = found["creuset_engine.running"] + found["creuset_engine.waiting"]
            if not found["creuset_open_completions"] and not busy:
                await asyncio.sleep(1.2)  # an idle engine tells its numbers once a second
                return await self.metrics()
            await asyncio.sleep(0.1)
        self.books.faults.append("what was open did not end")
        return await self.metrics()

    async def run(self, seconds: float, rate: float, kill_every_s: float) -> None:
        begun, open_ = time.monotonic(), set[asyncio.Task[None]]()
        next_kill, next_weight = kill_every_s / 2, 0.0
        while (at := time.monotonic() - begun) < seconds:
            task = asyncio.create_task(self.request(self.random.choice(KINDS)))
            open_.add(task)
            task.add_done_callback(open_.discard)
            if at >= next_kill and at < 0.6 * seconds:
                open_.add(killing := asyncio.create_task(self.kill()))
                killing.add_done_callback(open_.discard)
                next_kill = at + kill_every_s * (0.5 + self.random.random())
            if at >= next_weight:
                self.weigh(at)
                next_weight = at + min(10.0, seconds / 40)
            await asyncio.sleep(self.random.expovariate(rate))
        await asyncio.gather(*open_)


async def soaked(args: argparse.Namespace, url: str, context: int, server: psutil.Process) -> dict[str, Any]:
    soak = Soak(url, "soak", context, args.seed, server)
    books = soak.books
    seconds = 60 * args.minutes
    await soak.run(seconds, args.rate, args.kill_every)
    found = await soak.drained()
    if sum(books.ends.values()) != books.sent or books.ends["hang"] or books.ends["unclear"]:
        books.faults.append(f"{books.sent} requests were sent and ended so: {dict(books.ends)}")
    if any(end.startswith("broken") for end in books.ends):
        books.faults.append(f"connections broke: {dict(books.ends)}")
    told = found["creuset_completion_tokens_total"]
    if told < books.written or found["creuset_prompt_tokens_total"] < books.read:
        books.faults.append(f"clients were told of {books.written} tokens, the server counted {told:.0f}")
    complete = found["creuset_completions_total.stop"] + found["creuset_completions_total.length"]
    if complete < books.completions:
        books.faults.append(f"{books.completions} completions were received and {complete:.0f} counted as complete")
    blocks = {name: found[f"creuset_engine.{name}"] for name in ("blocks", "blocks_free", "blocks_cached")}
    if blocks["blocks_free"] + blocks["blocks_cached"] != blocks["blocks"]:
        books.faults.append(f"blocks leaked: {blocks}")
    grown = growth(soak.memory)
    for process, mb in grown.items():
        if mb > GROWTH_MB:
            books.faults.append(f"the {process} has grown by {mb:.1f} MB")
    await exactly(soak)
    await soak.client.aclose()
    gaps, begun = sorted(books.gaps_s) or [0.0], sorted(books.begun_s) or [0.0]
    return {
        "sent": books.sent,
        "ends": dict(books.ends),
        "completion_tokens": books.written,
        "kills": len(books.back_s),
        "back_s": {"median": statistics.median(books.back_s or [0.0]), "worst": max(books.back_s, default=0.0)},
        "first_words_ms": {"median": 1e3 * begun[len(begun) // 2], "p95": 1e3 * begun[int(0.95 * len(begun))]},
        "gap_ms": {"median": 1e3 * gaps[len(gaps) // 2], "p95": 1e3 * gaps[int(0.95 * len(gaps))]},
        "grown_mb": grown,
        "faults": books.faults,
    }


def growth(memory: list[tuple[float, float, float]]) -> dict[str, float]:
    """MB that each process grew by. The HTTP process: from the middle of the run to its end; the engine: within its
    last life, from the first third of that to its end (the cache takes its memory as it is first written)."""
    if len(memory) < 8:
        return {}
    http_mb, life = [mb for _, mb, _ in memory], [mb for _, _, mb in memory[int(0.7 * len(memory)) :] if mb]
    found = {"HTTP process": statistics.median(http_mb[-3:]) - statistics.median(http_mb[len(http_mb) // 2 :][:3])}
    if len(life) >= 6:
        found["engine"] = statistics.median(life[-3:]) - statistics.median(life[len(life) // 3 :][:3])
    return {name: round(mb, 1) for name, mb in found.items()}


async def exactly(soak: Soak) -> None:
    """With a new engine and nobody who kills it, both processes must count the same, to the token."""
    await soak.kill()
    before = await soak.drained()
    kinds = ["stream", "whole", "choices", "stop", "form", "leave", "slow", "long"] * 3
    await asyncio.gather(*(soak.request(kind) for kind in kinds))
    after = await soak.drained()
    counted = after["creuset_completion_tokens_total"] - before["creuset_completion_tokens_total"]
    if counted != after["creuset_engine.completion_tokens_total"]:
        its = after["creuset_engine.completion_tokens_total"]
        soak.books.faults.append(f"the server counted {counted:.0f} tokens and the engine {its:.0f}")
    for reason in ("stop", "length", "cancelled", "error"):
        series = f"creuset_completions_total.{reason}"
        if (ours := after[series] - before[series]) != (its := after[f"creuset_engine.finished_{reason}_total"]):
            soak.books.faults.append(f"the server counted {ours:.0f} ends by {reason} and the engine {its:.0f}")


def tiny(path: Path) -> tuple[Path, int]:
    from creuset.testing import tiny_model_folder

    return tiny_model_folder(path / "tiny", context=512), 512


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=6.0, help="requests a second, on average (default: %(default)s)")
    parser.add_argument("--kill-every", type=float, default=20.0, metavar="S", help="seconds, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="a model's name or folder (default: a tiny random one)")
    parser.add_argument("--context", type=int, default=2048, help="of --model (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path, context = (Path(args.model), args.context) if args.model else tiny(Path(scratch))
        command = [
            sys.executable, "-m", "creuset", "serve", "--model", str(path), "--port", "0", "--json", "--threads", "1",
            "--dtype", "fp32", "--kv-tokens", str(6 * context), "--max-concurrency", "8", "--max-queue", "24",
            "--served-name", "soak", "--context", str(context), "--log-level", "error", "--speculation", "lookup",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            while httpx.get(f"{url}/health", trust_env=False).status_code != 200:
                time.sleep(0.1)
            figures = asyncio.run(soaked(args, url, context, psutil.Process(process.pid)))
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()
    figures["ended_with"] = process.returncode
    rows = [(name, json.dumps(value)) for name, value in figures.items()]
    print(common.table(("", "figure"), rows))
    common.keep("soak", args, figures)
    if figures["faults"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
