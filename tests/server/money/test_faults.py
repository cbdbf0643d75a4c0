"""Faults of the parts around a server: in none is a charge doubled, a usage row lost, or a request left hanging.

Others are beside what they are about: an engine that is killed and a slow reader in test_life.py, a server that is
killed in test_books.py and test_postgres.py, Redis that is gone in test_redis.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from creuset.server.database import Database
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.tenants.keys import ORGANIZATION, add_key
from creuset.server.tenants.money.tables import HOLDS, USAGE

from ..conftest import NAME, start
from ..peer import KEY as PEER_KEY
from ..peer import Peer
from .conftest import limit, proven, set_limits

pytestmark = pytest.mark.slow

SERVER = """
import asyncio, sys
from pathlib import Path
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.server.tenants.keys import KeyRing
folder, place, database, port = sys.argv[1:]
engine = ["env", "-u", "LD_PRELOAD", sys.executable, "-m", "creuset.testing", "{fd}"]
asyncio.run(serve(
    [(describe(Path(folder), ["gpt-4o"]), engine)],
    ServeSettings(port=int(port), database=database, journal=Path(place) / "usage"), log=new_log("warning"),
    keys=KeyRing(Path(place) / "keys.json"), on_listening=lambda url: print(url, flush=True),
))
"""
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Replica:
    """A server in a process of its own."""

    def __init__(self, folder: Path, place: Path, database: str, *, port: int = 0, **more: str) -> None:
        if not (place / "keys.json").exists():
            (place / "key").write_text(add_key(place / "keys.json", "ann"))
        command = [sys.executable, "-c", SERVER, str(folder), str(place), database, str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | more)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the server did not start"
        headers = {"authorization": f"Bearer {(place / 'key').read_text()}"}
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=False, headers=headers)
        for _ in range(600):
            if self.http.get("/health").status_code == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the engine did not start")

    def ask(self, text: str) -> httpx.Response:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "max_tokens": 200}
        return self.http.post("/v1/chat/completions", json=body)

    def stream(self, text: str, told: list[str]) -> threading.Thread:
        """Read a stream on a thread; what it says goes to `told`, each piece when it comes."""
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "stream": True}

        def read() -> None:
            with self.http.stream("POST", "/v1/chat/completions", json=body) as reply:
                for line in reply.iter_lines():
                    if line.startswith("data: "):
                        told.append(line[6:])

        thread = threading.Thread(target=read)
        thread.start()
        wait_for(lambda: len(told) > 2)
        return thread

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.http.close()
        assert self.process.stdout is not None
        self.process.stdout.close()


def usage(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(USAGE)).scalar() or 0


def wait_for(true: Any, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    """What a test starts, ended in any case."""
    started: list[Replica] = []
    yield started
    for one in started:
        one.close()


def test_postgresql_goes_and_comes_back_while_a_stream_runs(
    postgres_service, postgres_database, folder, tmp_path, replicas
):
    server = Replica(folder, tmp_path, postgres_database)
    replicas.append(server)
    assert server.ask("say one").status_code == 200
    told: list[str] = []
    reading = server.stream("slowly 120", told)
    postgres_service.stop()
    try:
        refused = server.ask("say two")
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "ledger_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        reading.join(30)
        assert told[-1] == "[DONE]"  # what ran went on, to its end
        assert server.ask("say three").status_code == 503
    finally:
        postgres_service.start()
    wait_for(lambda: server.ask("say four").status_code == 200)
    assert server.end() == 0
    database = Database(postgres_database)
    found = proven(database)
    with database.reading() as connection:
        statuses = connection.execute(select(USAGE.c.output).order_by(USAGE.c.output)).scalars().all()
    database.close()
    assert found["rows"] == 3 and statuses[-1] >= 120  # one, the stream, four; what was refused is free
    assert list((tmp_path / "usage").glob("*.jsonl")) == []


def test_a_rolling_restart_lets_what_runs_end_and_answers_at_the_same_port(
    postgres_database, folder, tmp_path, replicas
):
    first = Replica(folder, tmp_path, postgres_database)
    replicas.append(first)
    told: list[str] = []
    reading = first.stream("slowly 700", told)
    first.process.send_signal(signal.SIGTERM)
    with pytest.raises(httpx.TransportError):  # it takes nothing new
        for _ in range(200):
            httpx.get(f"{first.url}/health", trust_env=False, verify=False)
            time.sleep(0.02)
    second = Replica(folder, tmp_path, postgres_database, port=int(first.url.rpartition(":")[2]))
    replicas.append(second)
    assert reading.is_alive(), "the old one still answers"
    assert second.ask("say hello").status_code == 200
    reading.join(30)
    assert told[-1] == "[DONE]" and first.process.wait(20) == 0
    assert second.end() == 0
    database = Database(postgres_database)
    assert proven(database)["rows"] == 2
    database.close()


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed: apt-get install faketime")
@pytest.mark.parametrize("jump", [-2 * 86400, 40 * 86400])
def test_the_clock_jumps_and_everybody_goes_on(folder, tmp_path, replicas, jump):
    database = f"sqlite:///{tmp_path}/one.db"
    books = Database(database)
    key = {"organization": ORGANIZATION, "kind": "key", "subject": "ann"}
    set_limits(
        books, limit(**key, what="requests", window="minute", amount=600), limit(**key, what="concurrent", amount=3),
        limit(**key, what="requests", window="month", amount=20), limit(**key, amount=10**6),
    )  # fmt: skip
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    server = Replica(
        folder, tmp_path, database, LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    replicas.append(server)
    assert [server.ask("say one").status_code for _ in range(3)] == [200] * 3
    told: list[str] = []
    reading = server.stream("slowly 60", told)
    clock.write_text(f"{jump:+d}\n")
    assert [server.ask("say two").status_code for _ in range(5)] == [200] * 5
    reading.join(30)
    assert told[-1] == "[DONE]"
    clock.write_text("+0\n")
    assert [server.ask("say three").status_code for _ in range(3)] == [200] * 3
    assert server.end() == 0
    assert proven(books)["rows"] == 12 and proven(books)["held"] == 0
    books.close()


FULL = """
import asyncio, resource, sys
from pathlib import Path
from creuset.server.database import Database
from creuset.server.tenants.gate import MoneyGate
from creuset.server.tenants.money.books import Books
from creuset.server.tenants.money.journal import UsageJournal
from creuset.server.tenants.money.refusals import LedgerUnavailable
from creuset.types.tenants import Caller
from creuset.types.usage import TokenUsage

async def main():
    place = Path(sys.argv[1])
    database = Database(f"sqlite:///{place}/one.db")
    gate = MoneyGate(Books(database, journal=UsageJournal(place / "usage", "srv")))
    await gate.start()
    who = Caller(owner="ann", key="k", organization="org", project="proj", user="ann")
    admit = lambda id: gate.admit(who, ("gpt-4o",), request=id, prompt_tokens=10, max_tokens=10)
    wal = place / "one.db-wal"
    running = [await admit(f"held{at}") for at in range(50)]
    await asyncio.sleep(0.2)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(wal.stat().st_size, 1), hard))  # no file grows any more
    asked = 0
    try:
        while True:
            (await admit(f"r{asked}")).settle(TokenUsage(input=10, output=1))
            asked += 1
            await asyncio.sleep(0.01)
    except LedgerUnavailable:
        pass
    for hold in running:  # what runs ends while nothing can be written
        hold.settle(TokenUsage(input=10, output=2))
    await asyncio.sleep(0.5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    while True:
        try:
            (await admit("after")).settle(TokenUsage(input=1))
            break
        except LedgerUnavailable:
            await asyncio.sleep(0.05)
    await gate.stop()
    database.close()
    print(asked)

asyncio.run(main())
"""


def test_a_full_disk_refuses_what_is_new_and_loses_no_usage(tmp_path):
    """No file may grow, the journal's neither: what ended meanwhile is in memory, and written when there is room."""
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    database = Database(f"sqlite:///{tmp_path}/one.db")
    found = proven(database)
    database.close()
    assert found["rows"] == int(ran.stdout) + 50 + 1


def test_who_stops_reading_pays_for_what_was_written_and_who_falls_silent_costs_nothing(folder, tmp_path):
    """A socket that is open and dead: the client's, whose buffers fill; the other server's, which says no more."""
    key, peer = add_key(tmp_path / "keys.json", "ann"), Peer()
    database = f"sqlite:///{tmp_path}/one.db"
    upstream = UpstreamSettings(url=peer.url, model="theirs", names=("far",), key=PEER_KEY, silence_s=0.5)
    server = start(
        folder, keys=tmp_path / "keys.json", database=database, send_timeout_s=0.5, heartbeat_s=0.1,
        upstreams=[upstream],
    )  # fmt: skip
    books = Database(database)
    try:
        body = {"model": NAME, "messages": [{"role": "user", "content": "say x"}], "stream": True, "n": 8,
                "ignore_eos": True, "max_tokens": 3500, "logprobs": True, "top_logprobs": 20}  # fmt: skip
        raw = json.dumps(body).encode()
        host, port = server.url.removeprefix("http://").split(":")
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {key}\r\ncontent-length: {len(raw)}\r\n\r\n"
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(head.encode() + raw)
            wait_for(lambda: usage(books) == 1)  # though its socket is open still
        silent = {"model": "far", "messages": [{"role": "user", "content": "silent"}]}
        found = server.own.post("/v1/chat/completions", json=silent, headers={"authorization": f"Bearer {key}"})
        assert found.status_code == 504
    finally:
        server.close()
        peer.close()
    with books.reading() as connection:
        row = connection.execute(select(USAGE)).one()
        assert row.status == "cancelled" and row.output > 0
        assert connection.execute(select(func.count()).select_from(HOLDS)).scalar() == 0
    books.close()


def test_an_engine_that_is_killed_costs_its_clients_nothing(folder, tmp_path, replicas):
    database = f"sqlite:///{tmp_path}/one.db"
    server = Replica(folder, tmp_path, database)
    replicas.append(server)
    told: list[str] = []
    reading = server.stream("slowly 500", told)
    for child in psutil.Process(server.process.pid).children():
        child.kill()
    reading.join(20)
    assert "the engine process ended before this reply was complete" in told[-1]
    wait_for(lambda: server.ask("say again").status_code == 200)
    assert server.end() == 0
    books = Database(database)
    assert proven(books)["rows"] == 1
    books.close()
