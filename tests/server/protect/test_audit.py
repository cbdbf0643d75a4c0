"""The audit log: who read what, how long it is kept, that tampering shows, and how it goes out."""

import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import delete, func, select, update

from creuset.core.errors import ConfigError, EngineError
from creuset.server.protect.audit.forms import cef, otlp, syslog
from creuset.server.protect.audit.keep import DAY_S, OWN_EVENTS, prune
from creuset.server.protect.audit.outlet import read_outlet, send_new
from creuset.server.protect.settings import ProtectSettings
from creuset.server.protect.tables import ANCHORS
from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.people import update_user
from creuset.server.tenants.directory.tables import AUDIT

from ..conftest import NAME, start
from .conftest import NOW, House

ENTRY = {
    "id": "audit_log_1", "type": "user.updated", "organization": "org_a", "project": None, "effective": 1_796_000_000,
    "previous": "0" * 64, "hash": "ab" * 32, "body": json.dumps({"id": "user_1", "note": 'a]b"c\\d|e=f'}),
    "actor": json.dumps({"kind": "api_key", "id": "key_1", "user": "user_9", "email": "ann@example.org",
                         "address": "192.0.2.7"}),
}  # fmt: skip


def fill(house: House, count: int, days: float = 0) -> None:
    """So many entries, `days` apart."""
    for at in range(count):
        house.do(update_user, house.a, house.bob, name=f"bob {at}")
        house.now[0] += days * DAY_S


def rows(house: House) -> list[Any]:
    with house.directory.database.reading() as connection:
        query = select(AUDIT).where(AUDIT.c.organization == house.a).order_by(AUDIT.c.at)
        return [dict(row) for row in connection.execute(query).mappings()]


def wrong(house: House) -> list[str]:
    with house.directory.database.reading() as connection:
        return problems(connection, house.a)


@pytest.mark.parametrize("column", ["actor", "body", "type", "effective", "project", "salt", "hash", "previous"])
def test_a_changed_entry_is_named(house: House, column: str) -> None:
    fill(house, 3)
    assert wrong(house) == []
    entry = rows(house)[-2]
    value = entry[column] + 1 if column == "effective" else "x" * len(str(entry[column] or "p"))
    with house.directory.database.transaction() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.at == entry["at"]).values({column: value}))
    found = wrong(house)
    assert found and (entry["id"] in found[0] or "something was removed" in found[0])


def test_a_removed_entry_shows_wherever_it_stood(house: House) -> None:
    fill(house, 4)
    for entry in rows(house)[:-1]:  # what comes after an entry shows that it is gone; the last has nothing after it
        with house.directory.database.engine.connect() as connection:
            connection.execute(delete(AUDIT).where(AUDIT.c.at == entry["at"]))
            assert any("something was removed" in one for one in problems(connection, house.a)), entry["type"]
            connection.rollback()
    assert wrong(house) == []


def test_old_entries_are_removed_from_the_beginning_and_the_rest_is_whole(house: House) -> None:
    fill(house, 10, days=30)
    before, now = rows(house), int(house.now[0])
    with house.directory.database.transaction() as connection:
        gone = prune(connection, now, 200)
        assert gone and connection.execute(select(ANCHORS.c.removed)).scalars().all()
    left = rows(house)
    assert 0 < len(left) < len(before) and left == before[-len(left) :] and wrong(house) == []
    assert all(entry["effective"] >= now - 200 * DAY_S for entry in left)
    with house.directory.database.transaction() as connection:
        assert prune(connection, now, 200) == 0
        connection.execute(update(ANCHORS).values(hash="0" * 64))
        assert "something was removed" in problems(connection, house.a)[0], "an anchor cannot be moved"


def test_an_organization_whose_log_is_all_old_goes_on_from_its_anchor(house: House) -> None:
    fill(house, 2)
    house.now[0] += 400 * DAY_S
    with house.directory.database.transaction() as connection:
        prune(connection, int(house.now[0]), 366)
    assert rows(house) == []
    fill(house, 2)
    assert wrong(house) == [] and rows(house)[0]["previous"] != "0" * 64


@pytest.mark.parametrize("days", [182, 367])
def test_it_is_kept_six_to_twelve_months(days: int) -> None:
    with pytest.raises(ValueError, match=f"six to twelve months.*got {days}"):
        ProtectSettings(audit_days=days)


def test_it_says_who_read_what(house: House, folder: Path) -> None:
    id, key = house.key()
    server = start(folder, people=house.directory)
    try:
        own = server.client(headers={"x-api-key": key})
        kept = own.post("/v1/responses", json={"model": NAME, "input": "say hi"}).json()["id"]
        assert own.get(f"/v1/responses/{kept}").status_code == 200
        assert own.get("/v1/responses/resp_never").status_code == 404
        own.get(f"/v1/responses/{kept}/input_items")
        end = time.monotonic() + 10
        while len(read := [e for e in rows(house) if e["type"].startswith("response.")]) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        server.close()
    assert [entry["type"] for entry in read] == ["response.retrieved", "response.input_items.listed"]
    actor = json.loads(read[0]["actor"])
    assert (actor["id"], actor["user"], actor["address"]) == (id, house.bob, "127.0.0.1")
    assert json.loads(read[0]["body"]) == {"id": kept} and read[0]["project"] == house.project and wrong(house) == []


def test_the_forms_are_those_of_the_standards() -> None:
    message = syslog(ENTRY, "host").decode()
    assert message.startswith(
        '<109>1 2026-11-30T00:53:20Z host creuset - user.updated [audit@32473 id="audit_log_1" type="user.updated" '
        f'organization="org_a" hash="{"ab" * 32}"] \ufeff{{'
    )
    assert json.loads(message.partition("\ufeff")[2])["actor"]["email"] == "ann@example.org"
    quoted = syslog(ENTRY | {"type": 'a"]\\'}, "host").decode()
    assert 'type="a\\"\\]\\\\"' in quoted
    line = cef(ENTRY, "host").decode().partition("\ufeff")[2]
    assert line.startswith("CEF:0|creuset|creuset|") and "|user.updated|user.updated|3|rt=1796000000000 " in line
    assert "suid=user_9 suser=ann@example.org" in line and "src=192.0.2.7" in line and "|e\\=f" in line
    assert "CEF:0|" in line and cef(ENTRY | {"type": "a|b"}, "h").decode().count("a\\|b|a\\|b|3|") == 1
    (record,) = otlp([ENTRY], "host")["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["timeUnixNano"] == "1796000000000000000" and record["eventName"] == "user.updated"
    assert json.loads(record["body"]["stringValue"])["hash"] == "ab" * 32


@pytest.mark.parametrize(
    "url", ["", "syslog://h", "syslog+udp:///x", "cef+udp://h:0x", "otlp+udp://h", "syslog+tcp://h/path", "http://h"]
)
def test_a_receiver_that_cannot_be_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="--audit-to must be like"):
        read_outlet(url)


class Receiver(http.server.BaseHTTPRequestHandler):
    seen: ClassVar[list[Any]] = []
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        Receiver.seen.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        self.send_response(Receiver.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Receiver.seen.clear()
    yield f"otlp+http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_otlp_gets_each_entry_once_and_again_what_was_not_taken(house: House, receiver: str) -> None:
    database, outlet = house.directory.database, read_outlet(receiver)
    Receiver.status = 500
    with pytest.raises(EngineError, match="answered 500"):
        send_new(database, outlet)
    Receiver.status = 200
    Receiver.seen.clear()
    first = send_new(database, outlet)
    fill(house, 3)
    assert send_new(database, outlet) == 3 and send_new(database, outlet) == 0
    bodies = [body for path, body in Receiver.seen if path == "/v1/logs"]
    records = [one for body in bodies for one in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]
    with database.reading() as connection:
        assert len(records) == first + 3 == connection.execute(select(func.count()).select_from(AUDIT)).scalar()
    assert len({json.loads(one["body"]["stringValue"])["id"] for one in records}) == len(records)


def test_syslog_over_tcp_counts_its_octets_and_udp_has_one_message_a_datagram(house: House) -> None:
    fill(house, 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: list[bytes] = []

        def take() -> None:
            stream, _ = listener.accept()
            with stream:
                while data := stream.recv(65536):
                    found.append(data)

        thread = threading.Thread(target=take)
        thread.start()
        outlet = read_outlet(f"syslog+tcp://127.0.0.1:{listener.getsockname()[1]}")
        sent = send_new(house.directory.database, outlet)
        thread.join(10)
    raw, messages = b"".join(found), []
    while raw:
        size, _, rest = raw.partition(b" ")
        messages.append(rest[: int(size)])
        raw = rest[int(size) :]
    assert len(messages) == sent and all(one.startswith(b"<109>1 ") for one in messages)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        outlet = read_outlet(f"cef+udp://127.0.0.1:{receiver.getsockname()[1]}")
        assert send_new(house.directory.database, outlet) == sent
        assert all(b"CEF:0|creuset|" in receiver.recv(65536) for _ in range(sent))


def test_a_receiver_that_is_gone_gets_everything_later(house: House, receiver: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        send_new(house.directory.database, read_outlet(f"syslog+tcp://127.0.0.1:{port}"))
    assert send_new(house.directory.database, read_outlet(receiver)) > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed: apt-get install rsyslog")
@pytest.mark.parametrize("form", ["syslog", "cef"])
@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_rsyslog_reads_every_entry(house: House, tmp_path: Path, form: str, way: str) -> None:
    fill(house, 5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "out"
    (tmp_path / "rsyslog.conf").write_text(
        f'module(load="im{way}")\ninput(type="im{way}" port="{port}" address="127.0.0.1")\n'
        'template(name="all" type="string" string="%app-name%|%msgid%|%structured-data%|%msg%\\n")\n'
        f'action(type="omfile" file="{out}" template="all")\n'
    )
    command = ["rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        outlet, end, sent = read_outlet(f"{form}+{way}://127.0.0.1:{port}"), time.monotonic() + 20, 0
        time.sleep(1.0)
        while not sent:
            try:
                sent = send_new(house.directory.database, outlet)
            except OSError:
                assert time.monotonic() < end, "rsyslogd did not listen"
                time.sleep(0.1)
        while not out.is_file() or len(out.read_text().splitlines()) < sent:
            assert time.monotonic() < end, out.read_text() if out.is_file() else "nothing was written"
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(10)
    lines = out.read_text().splitlines()
    assert len(lines) == sent and all(line.startswith("creuset|") and "audit@32473 id=" in line for line in lines)
    assert all(("CEF:0|creuset" in line) == (form == "cef") for line in lines) and str(NOW) in "".join(lines)


def test_events_that_openai_has_no_name_for_are_listed_when_they_are_named(house: House, folder: Path) -> None:
    _, admin = house.do(issue, house.a, "k", kind="admin", user=house.ann)
    server = start(folder, people=house.directory)
    try:
        own = server.client(headers={"x-api-key": admin})
        path = "/v1/organization/audit_logs"
        assert own.get(path).status_code == 200
        end = time.monotonic() + 10
        while not (found := own.get(path, params={"event_types[]": "audit_logs.listed"}).json()["data"]):
            assert time.monotonic() < end
        assert {one["type"] for one in found} == {"audit_logs.listed"}
        assert not {one["type"] for one in own.get(path).json()["data"]} & OWN_EVENTS
    finally:
        server.close()
    with house.directory.database.reading() as connection:
        types = set(connection.execute(select(AUDIT.c.type)).scalars())
    assert OWN_EVENTS & types == {"audit_logs.listed"}
