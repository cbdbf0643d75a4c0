"""Batches: every line has one answer, and is charged once, at half price, whatever happens on the way."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import func, select

from creuset.server.database import Database
from creuset.server.tenants.keys import ORGANIZATION, add_key
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.prices import shipped_prices
from creuset.server.tenants.money.tables import LEDGER, USAGE
from creuset.types.usage import TokenUsage

from ..conftest import NAME, Running, start
from ..money.conftest import proven
from .test_files import strict

CHAT = "/v1/chat/completions"


@dataclass
class Office:
    server: Running
    client: openai.OpenAI
    database: Database
    keys: Path

    def file(self, lines: list[Any]) -> str:
        raw = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
        return self.client.files.create(file=("in.jsonl", raw.encode()), purpose="batch").id

    def start(self, lines: list[Any], endpoint: Any = CHAT, **more: Any) -> Any:
        return self.client.batches.create(
            input_file_id=self.file(lines), endpoint=endpoint, completion_window="24h", **more
        )

    def ended(self, batch: Any, within_s: float = 20.0) -> Any:
        end = time.monotonic() + within_s
        while batch.status not in ("failed", "completed", "expired", "cancelled"):
            assert time.monotonic() < end, batch
            time.sleep(0.02)
            batch = self.client.batches.retrieve(batch.id)
        return batch

    def lines(self, file: str | None) -> list[Any]:
        assert file is not None
        return [json.loads(one) for one in self.client.files.content(file).text.splitlines()]

    def charged(self, batch: str, count: int = 1) -> list[Any]:
        """The lines that were charged, once `count` of them are in the database, or after a while."""
        end = time.monotonic() + 5
        while True:
            with self.database.reading() as connection:
                query = select(USAGE).where(USAGE.c.request.startswith(f"{batch}:", autoescape=True))
                rows = connection.execute(query.order_by(USAGE.c.request)).all()
            if len(rows) >= count or time.monotonic() > end:
                return list(rows)
            time.sleep(0.02)


def chat(id: str, text: str, **more: Any) -> dict[str, Any]:
    body = {"model": NAME, "messages": [{"role": "user", "content": text}]} | more
    return {"custom_id": id, "method": "POST", "url": CHAT, "body": body}


@pytest.fixture(scope="module")
def office(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    where = tmp_path_factory.mktemp("office")
    key = add_key(where / "keys.json", "ann")
    url = f"sqlite:///{where}/one.db"
    running = start(folder, keys=where / "keys.json", database=url, journal=where / "usage", max_concurrency=4)
    database = Database(url)
    yield Office(running, strict(running, key), database, where / "keys.json")
    running.close()
    proven(database)
    database.close()


ENDPOINTS: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"messages": [{"role": "user", "content": "say one two"}]}, "completions"),
    ("/v1/completions", {"prompt": "say one two", "max_tokens": 5}, "completions"),
    ("/v1/responses", {"input": "say one two"}, "completions"),
    ("/v1/embeddings", {"input": "one two"}, "embeddings"),
]


@pytest.mark.parametrize(("endpoint", "body", "kind"), ENDPOINTS, ids=lambda value: str(value))
def test_a_line_is_answered_as_its_route_answers_and_costs_half(
    office: Office, endpoint: str, body: dict[str, Any], kind: str
) -> None:
    body = {"model": NAME} | body
    lines = [{"custom_id": f"c{at}", "method": "POST", "url": endpoint, "body": body} for at in range(3)]
    batch = office.ended(office.start(lines, endpoint, metadata={"a": "b"}))
    assert (batch.status, batch.request_counts.completed, batch.model, batch.metadata) == (
        "completed", 3, NAME, {"a": "b"})  # fmt: skip
    found = office.lines(batch.output_file_id)
    assert [one["custom_id"] for one in found] == ["c0", "c1", "c2"] and batch.error_file_id is None
    direct = office.server.own.post(
        endpoint, json=body, headers={"authorization": f"Bearer {office.client.api_key}"}
    ).json()
    answer = found[0]["response"]["body"]
    assert found[0]["response"]["status_code"] == 200 and answer.keys() == direct.keys()
    for name in ("usage", "choices", "data"):
        assert answer.get(name) == direct.get(name)
    rows = office.charged(batch.id, 3)
    assert [(row.request, row.tier, row.kind) for row in rows] == [
        (f"{batch.id}:{at}", "batch", kind) for at in range(3)
    ]
    price = next(one for one in shipped_prices() if NAME in one.names)
    assert price.rates("batch", 1).input * 2 == price.rates("default", 1).input
    assert [row.cost for row in rows] == [
        price.cost(TokenUsage(input=row.input, output=row.output), "batch") for row in rows
    ]
    assert batch.usage.input_tokens == sum(row.input for row in rows)
    assert batch.usage.output_tokens == sum(row.output for row in rows)


def test_what_a_line_does_wrong_is_in_the_error_file_and_the_others_are_answered(office: Office) -> None:
    lines = [
        chat("a", "say a"),
        chat("b", "say b", model="nobody"),
        chat("c", "say c", temperature=9),
        chat("d", "refuse"),
    ]
    batch = office.ended(office.start(lines))
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 1, 3)
    assert [one["custom_id"] for one in office.lines(batch.output_file_id)] == ["a"]
    errors = {one["custom_id"]: one["response"] for one in office.lines(batch.error_file_id)}
    assert {id: one["status_code"] for id, one in errors.items()} == {"b": 404, "c": 400, "d": 400}
    assert errors["c"]["body"]["error"]["param"] == "temperature"
    assert len(office.charged(batch.id)) == 1
    assert office.client.files.retrieve(batch.error_file_id).purpose == "batch_output"


@pytest.mark.parametrize(
    ("lines", "code", "line"),
    [
        ([chat("a", "x"), "{"], "invalid_json_line", 2),
        (["[]"], "invalid_json_line", 1),
        ([chat("", "x")], "missing_required_parameter", 1),
        ([chat("a", "x"), "", chat("a", "y")], "duplicate_custom_id", 3),
        ([chat("a", "x") | {"method": "GET"}], "invalid_method", 1),
        ([chat("a", "x") | {"url": "/v1/admin"}], "mismatched_endpoint", 1),
        ([chat("a", "x") | {"body": 1}], "missing_required_parameter", 1),
        ([chat("a", "x") | {"path": "/etc"}], "unknown_parameter", 1),
        ([chat("a", "x", stream=True)], "unsupported_parameter", 1),
        (["", " "], "empty_file", None),
    ],
)
def test_an_input_that_is_no_batch_fails_before_a_line_is_asked(
    office: Office, lines: list[Any], code: str, line: int | None
) -> None:
    batch = office.ended(office.start(lines))
    assert batch.status == "failed" and batch.output_file_id is None and batch.failed_at is not None
    assert [(one.code, one.line) for one in batch.errors.data] == [(code, line)]


def test_what_cannot_be_a_batch_is_refused(office: Office) -> None:
    file = office.client.files.create(file=b"{}", purpose="user_data").id
    good: dict[str, Any] = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    for change, words in (
        ({}, "has the purpose `user_data`"), ({"input_file_id": "file-x"}, "No such File"),
        ({"endpoint": "/v1/models"}, "`endpoint` must be one of"), ({"completion_window": "1h"}, 'must be "24h"'),
        ({"metadata": {"a": "x" * 513}}, "at most 512 characters"), ({"extra_body": {"x": 1}}, "`x` is not a field"),
    ):  # fmt: skip
        with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=words):
            office.client.batches.create(**good | change)


def test_a_dry_run_says_what_would_be_reserved_and_asks_no_model(office: Office) -> None:
    written = office.server.metric("creuset_completion_tokens_total")
    lines = [chat("a", "say a", max_tokens=7), chat("b", "say b", max_tokens=9, n=2), chat("c", "x", model="nobody")]
    batch = office.ended(office.start(lines, extra_body={"dry_run": True}))
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    price = next(one for one in shipped_prices() if NAME in one.names)
    found = [one["response"]["body"] for one in office.lines(batch.output_file_id)]
    assert [one["output_tokens_at_most"] for one in found] == [7, 18]
    assert [round(one["cost_at_most"] * 1e6) for one in found] == [
        price.most(one["input_tokens"], one["output_tokens_at_most"], "batch") for one in found
    ]
    assert round(batch.estimate["cost"]["most"] * 1e6) == sum(round(one["cost_at_most"] * 1e6) for one in found)
    assert batch.dry_run and batch.estimate["cost"]["currency"] == "usd"
    assert office.server.metric("creuset_completion_tokens_total") == written
    with office.database.reading() as connection:
        mine = USAGE.c.request.startswith(f"{batch.id}:", autoescape=True)
        assert connection.execute(select(func.count()).where(mine)).scalar() == 0


def test_a_batch_that_is_cancelled_tells_what_was_done_and_what_was_not(office: Office) -> None:
    batch = office.start([chat(f"c{at}", "slowly 12") for at in range(30)])
    while batch.request_counts.completed < 2:
        batch = office.client.batches.retrieve(batch.id)
    assert office.client.batches.cancel(batch.id).status == "cancelling"
    batch = office.ended(batch)
    done, left = office.lines(batch.output_file_id), office.lines(batch.error_file_id)
    assert batch.status == "cancelled" and batch.cancelling_at and batch.cancelled_at
    assert {one["custom_id"] for one in (*done, *left)} == {f"c{at}" for at in range(30)} and len(left) > 10
    assert {one["error"]["code"] for one in left} == {"batch_cancelled"}
    assert len(office.charged(batch.id, len(done))) == len(done), "what ran could end, and nothing else is charged"
    assert office.client.batches.cancel(batch.id).status == "cancelled"


def test_a_batch_stops_when_its_key_is_revoked(office: Office) -> None:
    key = add_key(office.keys, "robot")
    robot = Office(office.server, strict(office.server, key), office.database, office.keys)
    batch = robot.start([chat(f"c{at}", "slowly 12") for at in range(30)])
    while batch.request_counts.completed < 2:
        batch = robot.client.batches.retrieve(batch.id)
    kept = office.keys.read_text()
    entries = json.loads(kept)
    entries["keys"] = [one for one in entries["keys"] if one["name"] != "robot"]
    office.keys.write_text(json.dumps(entries))
    time.sleep(0.3)
    office.server.logged(f'"id": "{batch.id}", "status": "failed"')
    office.keys.write_text(kept)
    batch = robot.client.batches.retrieve(batch.id)
    assert (batch.status, batch.errors.data[0].code) == ("failed", "invalid_api_key")
    done, left = robot.lines(batch.output_file_id), robot.lines(batch.error_file_id)
    assert len(done) + len(left) == 30 and {one["error"]["code"] for one in left} == {"batch_failed"}


def test_a_spent_budget_ends_lines_and_a_limit_lets_them_wait(office: Office) -> None:
    def limited(*limits: Limit) -> None:
        with office.database.transaction() as connection:
            for one in rules.find_limits(connection, ORGANIZATION, kind="key", subject="poor"):
                rules.drop_limit(connection, ORGANIZATION, one.id)
            for one in limits:
                rules.set_limit(connection, one)
            rules.changed(connection)
        headers = {"authorization": f"Bearer {key}"}
        while len(office.server.own.get("/v1/creuset/me", headers=headers).json()["limits"]) != len(limits):
            time.sleep(0.02)

    key = add_key(office.keys, "poor")
    poor = Office(office.server, strict(office.server, key), office.database, office.keys)
    of = {"id": "", "organization": ORGANIZATION, "kind": "key", "subject": "poor"}
    limited(Limit(**of, what="money", amount=60, currency="USD", window="month"))
    lines = [chat(f"c{at}", "say a", max_tokens=4) for at in range(8)]
    batch = poor.ended(poor.start(lines))
    codes = {one["response"]["body"]["error"]["code"] for one in poor.lines(batch.error_file_id)}
    assert codes == {"insufficient_quota"} and batch.request_counts.completed >= 1
    assert sum(row.cost for row in poor.charged(batch.id)) <= 60
    limited()
    limited(Limit(**of, what="concurrent", amount=1))
    batch = poor.ended(poor.start(lines))
    assert batch.request_counts.completed == 8, "where there is no room for a moment, a line waits"


def test_lines_take_no_place_that_others_want(office: Office) -> None:
    """Of four places two may be of batches, and none while others have two."""
    headers = {"authorization": f"Bearer {office.client.api_key}"}
    slow = {"model": NAME, "messages": [{"role": "user", "content": "slowly 40"}], "stream": True}
    with httpx.Client(base_url=office.server.url, headers=headers, timeout=20, trust_env=False, verify=False) as one:
        with one.stream("POST", CHAT, json=slow) as first, one.stream("POST", CHAT, json=slow) as second:
            batch = office.start([chat("c", "say a")])
            for _ in range(15):
                batch = office.client.batches.retrieve(batch.id)
                assert batch.request_counts.completed == 0
            next(first.iter_bytes()), next(second.iter_bytes())
        assert office.ended(batch).request_counts.completed == 1


SERVER = """
import sys
from pathlib import Path
from tests.server.conftest import start
where, folder = Path(sys.argv[1]), Path(sys.argv[2])
running = start(folder, keys=where / "keys.json", database=f"sqlite:///{where}/one.db", journal=where / "usage",
                max_concurrency=8)
print(running.url, flush=True)
running.thread.join()
"""


@pytest.mark.parametrize("kills", [(20,), pytest.param((5, 15, 25, 35, 45), marks=pytest.mark.slow)])
def test_a_server_that_is_killed_loses_no_line_and_charges_none_twice(
    folder: Path, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    key = add_key(tmp_path / "keys.json", "ann")

    def begin() -> tuple[subprocess.Popen[str], openai.OpenAI]:
        command = [sys.executable, "-c", SERVER, str(tmp_path), str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as said:
            url = said.readline().strip()
        plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
        return process, openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=plain)

    lines = [chat(f"c{at}", f"slowly {2 + at % 5}") for at in range(60)]
    process, client = begin()
    file = client.files.create(file=("in", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    for wanted in kills:
        while client.batches.retrieve(batch.id).request_counts.completed < wanted:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        client.close()
        process, client = begin()
    end = time.monotonic() + 20
    while (found := client.batches.retrieve(batch.id)).status != "completed":
        assert time.monotonic() < end, found
        time.sleep(0.02)
    told = [json.loads(one) for one in client.files.content(found.output_file_id).text.splitlines()]
    assert [one["custom_id"] for one in told] == [f"c{at}" for at in range(60)] and found.error_file_id is None
    client.close()
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    database = Database(f"sqlite:///{tmp_path}/one.db")
    from creuset.server.tenants.money.journal import UsageJournal

    left = [one for closings, _ in UsageJournal(tmp_path / "usage", "looks").orphans() for one in closings]
    with database.reading() as connection:
        rows = list(connection.execute(select(USAGE.c.request)).scalars())
        charges = connection.execute(
            select(LEDGER.c.request, func.count()).where(LEDGER.c.item == "output").group_by(LEDGER.c.request)
        ).all()
    names = {*rows, *(one.opening.charged_as for one in left)}
    assert names == {f"{batch.id}:{at}" for at in range(60)} and len(rows) == len(set(rows))
    assert {count for _, count in charges} == {1}
    database.close()
