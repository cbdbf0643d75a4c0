"""Egress: what a server connects to, by a recorder; and a closed one connects to nothing that is not named."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from creuset.server.protect.egress import EgressClosed, EgressList, named_in
from creuset.server.protect.privacy.rules import set_rules
from creuset.server.tenants.money.tables import ALERTS

from .conftest import House

# A process of its own, since a hook can never be taken away: the server with a model of another server, asked in every
# dialect. Each connection that is opened is written down with the thread that opens it.
RECORDER = """
import json, sys, threading
from pathlib import Path
opened = []
def note(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        where = args[0] if event == "socket.getaddrinfo" else args[1] if len(args) > 1 else args[0]
        opened.append([threading.current_thread().name, event, str(where)])
sys.addaudithook(note)
from creuset.server.engines.upstream import UpstreamSettings
from tests.server.conftest import NAME, start
folder = Path(sys.argv[1])
far = start(folder)
opened.clear()
if sys.argv[2] == "closed":
    from creuset.server.protect.egress import EgressList, close_egress
    close_egress(EgressList(["127.0.0.1"]))
there = [UpstreamSettings(url=far.url + "/v1", model=NAME, names=("far",), retries=0),
         UpstreamSettings(url="http://192.0.2.1:9/v1", model=NAME, names=("nowhere",), retries=0, connect_s=0.3)]
server = start(folder, upstreams=there[: 1 if sys.argv[2] == "open" else 2], people=Path(sys.argv[3]))
own = server.client(headers={"x-api-key": sys.argv[4]})
said = "say http://evil.example/x <img src=http://203.0.113.9/y>"
bodies = {"/v1/responses": {"input": said}, "/v1/chat/completions": {"messages": [{"role": "user", "content": said}]},
          "/v1/messages": {"messages": [{"role": "user", "content": said}], "max_tokens": 30},
          "/v1/completions": {"prompt": said}, "/v1/embeddings": {"input": said}, "/v1/moderations": {"input": said}}
found = {}
for model in (NAME, "far", *(("nowhere",) if len(there) and sys.argv[2] == "closed" else ())):
    for path, body in bodies.items():
        found[model + path] = own.post(path, json={"model": model, **body}).status_code
server.close()
mine = server.thread.name
far.close()
print(json.dumps({"opened": opened, "ports": [far.url, server.url], "found": found}))
"""


def recorded(house: House, folder: Path, how: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    key = house.key()[1]
    done = subprocess.run(
        [sys.executable, "-c", RECORDER, str(folder), how, str(house.file), key], capture_output=True, text=True,
        env=environment, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_server_connects_to_the_hosts_that_are_named_and_to_no_others(house: House, folder: Path) -> None:
    found = recorded(house, folder, "open")
    hosts = {where for _, event, where in found["opened"] if event != "socket.getaddrinfo"}
    ports = {url.rpartition(":")[2] for url in found["ports"]}
    assert hosts and all("127.0.0.1" in where and any(port in where for port in ports) for where in hosts), hosts
    named = {where for _, event, where in found["opened"] if event == "socket.getaddrinfo"}
    assert named <= {"127.0.0.1", "localhost"}, named
    assert all(status in (200, 400, 404) for status in found["found"].values()), found["found"]


@pytest.mark.slow
def test_a_closed_server_does_not_even_try_what_is_not_named(house: House, folder: Path) -> None:
    found = recorded(house, folder, "closed")
    assert found["found"]["far/v1/responses"] == 200
    assert found["found"]["nowhere/v1/responses"] in (502, 503), found["found"]


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_a_name_and_its_addresses_are_allowed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(name: str, _port: Any) -> Any:
        if name != "llm.example.org":
            raise OSError
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("198.51.100.7", 0))]

    monkeypatch.setattr("creuset.server.protect.egress.socket.getaddrinfo", resolved)
    allowed = EgressList(["llm.example.org", "localhost"])
    for host in ("llm.example.org", "LLM.example.org.", "198.51.100.7", "127.0.0.1", "[::1]", "localhost"):
        assert allowed.allows(host), host
    # The corpus of security.md: other ways to write an address, the metadata of clouds, what only begins alike.
    for host in ("198.51.100.8", "llm.example.org.evil.test", "evil-llm.example.org", "169.254.169.254",
                 "0x7f000001",
                 "2130706433", "127.1", "::ffff:169.254.169.254",
                 "64:ff9b::a9fe:a9fe", "fe80::1%eth0", "0.0.0.0"):  # fmt: skip
        assert not allowed.allows(host), host
        for event, args in (("socket.getaddrinfo", (host, 80)), ("socket.connect", (None, (host, 80)))):
            with pytest.raises(EgressClosed, match="--egress does not name it"):
                allowed.refuse(event, args)
    allowed.refuse("socket.connect", (None, "/run/postgresql/.s.PGSQL.5432"))
    allowed.refuse("open", ("file", "r", 0))


def test_what_administrators_name_while_it_runs_is_allowed_then(house: House) -> None:
    database = house.directory.database

    def more() -> set[str]:
        with database.reading() as connection:
            return named_in(connection)

    allowed = EgressList([], more)
    assert not allowed.allows("hooks.example.org") and not allowed.allows("guard.example.org")
    house.do(set_rules, house.a, "", guards=[{"kind": "http", "url": "https://guard.example.org/x"}])
    with database.transaction() as connection:
        connection.execute(insert(ALERTS).values(
            id="a", organization=house.a, limit="l", threshold=1, share=None, created=1,
            channel=json.dumps({"webhook": "https://hooks.example.org/told"}),
        ))  # fmt: skip
    assert allowed.allows("hooks.example.org") and allowed.allows("guard.example.org")
    assert not allowed.allows("example.org") and threading.active_count() >= 1
