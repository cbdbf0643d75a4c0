"""What counting and charging costs: processor time of a reply and of a stream with limits and a ledger, and without.

    python bench/ledger.py --keep

Two servers over a scripted engine that costs nothing: one without keys, and one with a key, five limits, two budgets, a
price and a ledger in a SQLite file. They are asked in turns. Counted is the processor time of the HTTP process, all its
threads, writing included.
"""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import common
import psutil
from serve import folder, wait

PLAIN = """
import asyncio, sys
from pathlib import Path
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.server.tenants.keys import KeyRing
where = Path(sys.argv[2])
charged = {"database": f"sqlite:///{where}/one.db", "journal": where / "usage"} if sys.argv[3] == "charged" else {}
asyncio.run(serve(
    [(describe(Path(sys.argv[1]), ["gpt-4o"]), [sys.executable, "-m", "creuset.testing", "{fd}"])],
    ServeSettings(port=0, max_concurrency=64, **charged), log=new_log("error"),
    keys=KeyRing(where / "keys.json") if charged else None,
    on_listening=lambda url: print(url, flush=True),
))
"""
PIECES = 64


def out_of_reach(address: str) -> None:
    """Five limits and two budgets that nobody reaches, in the database at `address`."""
    from creuset.server.database import Database
    from creuset.server.tenants.keys import ORGANIZATION
    from creuset.server.tenants.money.limits import Limit
    from creuset.server.tenants.money.rules import set_limit

    plain: dict[str, Any] = {"id": "", "organization": ORGANIZATION, "kind": "key", "subject": "bench"}
    whole = plain | {"kind": "organization", "subject": ORGANIZATION}
    database = Database(address)
    with database.transaction() as connection:
        for more in (
            plain | {"what": "requests", "window": "minute", "amount": 10**7},
            plain | {"what": "tokens", "window": "minute", "amount": 10**9},
            plain | {"what": "tokens", "window": "day", "amount": 10**12},
            plain | {"what": "concurrent", "amount": 10**4},
            whole | {"what": "requests", "window": "month", "amount": 10**9},
            plain | {"what": "money", "window": "month", "amount": 10**12, "currency": "USD"},
            whole | {"what": "money", "window": "day", "amount": 10**12, "currency": "USD"},
        ):
            set_limit(connection, Limit(**more))
    database.close()


def prepare(place: Path) -> str:
    """A key, limits and budgets that nobody reaches. Returns the key."""
    from creuset.server.tenants.keys import add_key

    out_of_reach(f"sqlite:///{place}/one.db")
    return add_key(place / "keys.json", "bench")


def ask(address: str, key: str, streamed: bool, count: int) -> None:
    link = http.client.HTTPConnection(address, timeout=300)
    words = {"role": "user", "content": "say x"}
    body = json.dumps({"model": "gpt-4o", "messages": [words], "max_tokens": PIECES, "ignore_eos": True,
                       "stream": streamed})  # fmt: skip
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    for _ in range(count):
        link.request("POST", "/v1/chat/completions", body, headers)
        reply = link.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
    link.close()


def cpu_s(process: psutil.Process) -> float:
    """Processor seconds of all threads: the kernel's exact count where it tells it, and not that of its ticks."""
    tasks = [Path(f"/proc/{process.pid}/task/{thread.id}/schedstat") for thread in process.threads()]
    if tasks and tasks[0].is_file():
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    return float(sum(process.cpu_times()[:2]))


def cpu_ms(address: str, process: psutil.Process, key: str, streamed: bool, callers: int, count: int) -> float:
    """Processor milliseconds of the HTTP process for one of `callers` times `count` requests."""
    before = cpu_s(process)
    threads = [threading.Thread(target=ask, args=(address, key, streamed, count)) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.1)  # what is written in the background belongs to it
    return 1000 * (cpu_s(process) - before) / (callers * count)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--requests", type=int, default=60, help="of each caller in one turn")
    args = parser.parse_args()
    servers: dict[str, tuple[subprocess.Popen[str], str, psutil.Process]] = {}
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        model, place = folder(Path(scratch) / "model"), Path(scratch)
        key = prepare(place)
        try:
            for name in ("plain", "charged"):
                command = [sys.executable, "-c", PLAIN, str(model), str(place), name]
                server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                assert server.stdout is not None
                servers[name] = (
                    server,
                    server.stdout.readline().strip().removeprefix("http://"),
                    psutil.Process(server.pid),
                )
                wait(servers[name][1])
            for turn in range(args.repeat + 1):
                for streamed in (False, True):
                    for name, (_, address, process) in servers.items():
                        each = cpu_ms(address, process, key, streamed, args.callers, args.requests)
                        if turn:
                            found.setdefault(f"{'stream' if streamed else 'reply'}, {name}", []).append(each)
        finally:
            for server, *_ in servers.values():
                server.terminate()
                server.wait(10)
                assert server.stdout is not None
                server.stdout.close()
    medians = {name: statistics.median(each) for name, each in found.items()}
    added = {one: round(medians[f"{one}, charged"] - medians[f"{one}, plain"], 3) for one in ("reply", "stream")}
    figures = {
        "cpu_ms": {name: round(each, 3) for name, each in medians.items()},
        "added_ms": added,
        "pieces": PIECES, "callers": args.callers, "requests": args.requests,
    }  # fmt: skip
    print(common.table(("", "CPU ms each"), figures["cpu_ms"].items()))
    print(f"keys, limits, budgets and a ledger in SQLite add {added['reply']} ms to a reply, "
          f"{added['stream']} ms to a stream of {PIECES} pieces")  # fmt: skip
    common.keep("ledger", args, figures)


if __name__ == "__main__":
    main()
