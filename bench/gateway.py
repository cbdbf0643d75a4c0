"""The server as a gateway, beside LiteLLM's proxy: replies and streams a second, their processor time, time to a reply.

    python bench/gateway.py --keep

Both stand in front of the same scripted upstream (replies of 64 pieces), each with one process on one core of its own,
in turns. Ours has a key, five limits, two budgets and a ledger in PostgreSQL; LiteLLM has no database. The upstream,
the callers and PostgreSQL have the other cores. LiteLLM is installed in an environment of its own.

Closed loop: 16 callers, and one. Open loop: requests come at moments of their own, below and at twice what the closed
loop reached; goodput and the time of a refusal are told. Wall-clock figures need a quiet machine; processor time (of
the kernel's count, /proc/PID/stat) moves little. `--cpu` leaves the figures of the clock out.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]
from busy import descendants, process_seconds  # noqa: E402
from callers import closed, open_loop  # noqa: E402

LITELLM = "1.108.7"
MODEL = "gpt-4o"  # of which ours knows the list price
CALLERS = 16
START_S = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(given: Path | None) -> Path:
    """The Python of an environment with LiteLLM's proxy: the one given, or one that is made here and kept."""
    python = (given or HERE / ".litellm") / "bin" / "python"
    if not python.exists():
        print(f"making an environment with litellm[proxy] {LITELLM}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*pip, f"litellm[proxy]=={LITELLM}"]).returncode:
            subprocess.run([*pip, "litellm[proxy]"], check=True)
    return python


def version(python: Path) -> str:
    ask = "from importlib.metadata import version; print(version('litellm'))"
    return subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


class Server:
    """One gateway on core `core`, and what it has used."""

    def __init__(self, name: str, command: list[str], port: int, key: str, core: int, place: Path,
                 more: dict[str, str]) -> None:  # fmt: skip
        self.name, self.port, self.key = name, port, key
        self._log = (place / f"{name}.log").open("w")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdout=self._log, stderr=self._log, env=os.environ | more
        )
        self.id = self._process.pid

    async def ready(self) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                found, _ = await closed(self.port, self.request(False), 1, 1)
                if found[0].status == 200:
                    return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name} did not start: {Path(self._log.name).read_text()[-2000:]}")
            await asyncio.sleep(0.2)

    def request(self, streamed: bool) -> bytes:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "say something of 64 words"}],
                "max_tokens": 64, "stream": streamed}  # fmt: skip
        raw = json.dumps(body).encode()
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        ).encode() + raw

    def cpu_s(self) -> float:
        return process_seconds(descendants(self.id))

    def memory_mb(self) -> float:
        total = 0
        for id in descendants(self.id):
            lines = Path(f"/proc/{id}/status").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
        return total / 1024

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def ours(place: Path, upstream: int, database: str, redis: str) -> tuple[list[str], int, str]:
    """Our command, its port and a key: five limits and two budgets that nobody reaches."""
    from ledger import out_of_reach

    from creuset.server.tenants.keys import add_key

    out_of_reach(database)
    key, port = add_key(place / "keys.json", "bench"), free_port()
    command = [
        sys.executable, "-m", "creuset", "serve", "--upstream", f"http://127.0.0.1:{upstream}/v1", "--upstream-model",
        f"{MODEL}=scripted", "--keys", str(place / "keys.json"), "--database", database, "--port", str(port),
        "--max-concurrency", "64", "--max-queue", "64", *(["--redis", redis] if redis else []),
    ]  # fmt: skip
    return command, port, key


def litellm(place: Path, python: Path, upstream: int) -> tuple[list[str], int, str]:
    """Its command, port and key: one worker, no database, its own log off."""
    port, key = free_port(), "sk-bench"
    config = {
        "model_list": [{
            "model_name": MODEL,
            "litellm_params": {
                "model": "openai/scripted", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "x",
            },
        }],
        "general_settings": {"master_key": key},
    }  # fmt: skip
    (place / "litellm.yaml").write_text(json.dumps(config))
    program = str(python.parent / "litellm")
    return [program, "--config", str(place / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)], port, key


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def milli(values: list[float], share: float = 0.5) -> float:
    return round(1000 * quantile(values, share), 2)


async def turn(server: Server, streamed: bool, args: argparse.Namespace) -> dict[str, float]:
    """One turn of one server: closed loop with many callers, and with one."""
    request = server.request(streamed)
    before = server.cpu_s()
    found, seconds = await closed(server.port, request, CALLERS, args.requests)
    wrong = [reply.status for reply in found if reply.status != 200]
    if wrong:
        raise SystemExit(f"{server.name} answered {wrong[:5]} to {len(wrong)} of {len(found)} requests")
    await asyncio.sleep(0.2)  # what is written in the background belongs to it
    told = {"cpu_ms": 1000 * (server.cpu_s() - before) / len(found), "per_s": len(found) / seconds}
    alone, _ = await closed(server.port, request, 1, max(10, args.requests // 10))
    told["first_ms"] = 1000 * statistics.median(reply.first_s for reply in alone)
    told["total_ms"] = 1000 * statistics.median(reply.total_s for reply in alone)
    return told | {"memory_mb": server.memory_mb()}


async def overload(server: Server, peak: float, args: argparse.Namespace) -> dict[str, float]:
    """Open loop at `args.over` times what the closed loop reached: goodput, and the time of a refusal."""
    before = server.cpu_s()
    found = await open_loop(server.port, server.request(False), args.over * peak, args.seconds)
    good = [one.total_s for one in found if one.status == 200]
    refused = [one.total_s for one in found if one.status in (429, 503)]
    lost = sum(one.status not in (200, 429, 503) for one in found)
    return {
        "asked_per_s": round(len(found) / args.seconds, 1), "good_per_s": round(len(good) / args.seconds, 1),
        "refused": len(refused), "other": lost,
        "refusal_p95_ms": milli(refused, 0.95), "good_p95_ms": milli(good, 0.95),
        "cpu_share": round((server.cpu_s() - before) / args.seconds, 2),
    }  # fmt: skip


def row(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


async def measure(servers: list[Server], args: argparse.Namespace) -> dict[str, Any]:
    turns: dict[str, list[float]] = {}
    for server in servers:
        await server.ready()
        for streamed in (False, True):
            await closed(server.port, server.request(streamed), CALLERS, 4 * CALLERS)  # unmeasured
    for _ in range(args.repeat):
        for streamed in (False, True):
            for server in servers:
                kind = "stream" if streamed else "reply"
                for name, value in (await turn(server, streamed, args)).items():
                    turns.setdefault(f"{kind} {name}, {server.name}", []).append(value)
    figures: dict[str, Any] = {"turns": {name: [round(one, 3) for one in each] for name, each in turns.items()}}
    if args.seconds and not args.cpu:
        loads = figures["open_loop"] = {}
        for server in servers:
            peak = statistics.median(turns[f"reply per_s, {server.name}"])
            below = await open_loop(server.port, server.request(False), 0.6 * peak, args.seconds)
            loads[server.name] = {
                "peak_per_s": round(peak, 1), "below_p50_ms": milli([one.total_s for one in below]),
                "below_p95_ms": milli([one.total_s for one in below], 0.95),
                "over": [await overload(server, peak, args) for _ in range(args.repeat)],
            }  # fmt: skip
    return figures


def tell(figures: dict[str, Any], names: list[str], *, cpu: bool) -> None:
    turns = figures["turns"]
    wanted = [("cpu_ms", "CPU ms")] if cpu else [("cpu_ms", "CPU ms"), ("per_s", "a second, 16 callers"),
              ("first_ms", "first piece ms, one caller"), ("total_ms", "whole ms, one caller")]  # fmt: skip
    rows = [[f"{kind}: {said}", *(row(turns[f"{kind} {what}, {name}"]) for name in names)]
            for kind in ("reply", "stream") for what, said in wanted]  # fmt: skip
    rows.append(["memory MB", *(row(turns[f"stream memory_mb, {name}"]) for name in names)])
    print(common.table(("", *names), rows))
    for name, found in figures.get("open_loop", {}).items():
        for one in found["over"]:
            share = one["good_per_s"] / found["peak_per_s"]
            print(f"{name}: {one['asked_per_s']} a second came, {one['good_per_s']} were answered ({share:.0%} of the "
                  f"peak of {found['peak_per_s']}), p95 of {one['refused']} refusals {one['refusal_p95_ms']} ms, "
                  f"of replies {one['good_p95_ms']} ms, {one['other']} others")  # fmt: skip


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--requests", type=int, default=400, help="of all callers in one turn")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one open loop; 0: none")
    parser.add_argument("--over", type=float, default=2.0, help="times the peak that come in the open loop")
    parser.add_argument("--pause-ms", type=float, default=0.0, help="between two pieces of the upstream")
    parser.add_argument("--cpu", action="store_true", help="processor time only: for a machine that is shared")
    parser.add_argument("--only", choices=("ours", "litellm"), help="one of the two")
    parser.add_argument("--redis", action="store_true", help="our limits in Redis")
    parser.add_argument("--sqlite", action="store_true", help="our ledger in a file of SQLite")
    parser.add_argument("--litellm", type=Path, metavar="FOLDER", help="an environment with litellm[proxy]")
    parser.add_argument("--core", type=int, default=0, help="of the server that is measured")
    parser.add_argument("--json", action="store_true", help="no table: the last line alone")
    args = parser.parse_args()
    from tests.services import postgres_programs, postgres_server, redis_program, redis_server

    rest = sorted(os.sched_getaffinity(0) - {args.core}) or [args.core]
    os.sched_setaffinity(0, rest)  # callers, the upstream and databases: they inherit it
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pause = [str(HERE / "peers" / "scripted.py"), str(listener.fileno()), str(args.pause_ms)]
        upstream = subprocess.Popen([sys.executable, *pause], pass_fds=[listener.fileno()])
        stack.callback(upstream.wait)
        stack.callback(upstream.terminate)
        port, servers = int(listener.getsockname()[1]), list[Server]()
        if args.only != "litellm":
            programs = postgres_programs()
            if programs is None and not args.sqlite:
                raise SystemExit("PostgreSQL is not installed: apt-get install postgresql, or --sqlite")
            database, redis = f"sqlite:///{place}/one.db", ""
            if not args.sqlite and programs is not None:
                database = stack.enter_context(postgres_server(programs)).url
            if args.redis and (program := redis_program()):
                redis = stack.enter_context(redis_server(program)).url
            mine = ours(place, port, database, redis)
            servers.append(Server("ours", *mine, args.core, place, {"PYTHONPATH": str(HERE.parent)}))
            stack.callback(servers[-1].close)
        told: dict[str, Any] = {}
        if args.only != "ours":
            python = environment(args.litellm)
            told["litellm"] = version(python)
            quiet = {"PYTHONPATH": "", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
            servers.append(Server("litellm", *litellm(place, python, port), args.core, place, quiet))
            stack.callback(servers[-1].close)
        figures = asyncio.run(measure(servers, args)) | told
        names = [server.name for server in servers]
    if not args.json:
        tell(figures, names, cpu=args.cpu)
    common.keep("gateway", args, figures)


if __name__ == "__main__":
    main()
