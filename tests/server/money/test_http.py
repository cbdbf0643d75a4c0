"""Money over HTTP: every dialect is charged for what it used; limits refuse; usage, costs and limits are told."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import delete, select

from creuset.server.database import Database
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.tenants.keys import ORGANIZATION, add_key
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.rules import Channel, SpendAlert
from creuset.server.tenants.money.tables import LEDGER, LIMITS, USAGE

from ..conftest import NAME, Running, start
from ..peer import KEY as PEER_KEY
from ..peer import Peer
from .conftest import proven

CHAT = {"model": NAME, "messages": [{"role": "user", "content": "say one two three"}]}


@dataclass
class Shop:
    """A server that charges, and its database."""

    server: Running
    database: Database
    key: str
    url: str

    def post(self, path: str, body: dict[str, Any], **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"} | more.pop("headers", {})
        return self.server.own.post(path, json=body, headers=headers, **more)

    def get(self, path: str) -> httpx.Response:
        return self.server.own.get(path, headers={"authorization": f"Bearer {self.key}"})

    def rows(self, count: int = 1) -> list[Any]:
        """The last `count` requests that were charged, once they are in the database."""

        async def wait() -> list[Any]:
            async with asyncio.timeout(10):
                while True:
                    with self.database.reading() as connection:
                        found = connection.execute(select(USAGE).order_by(USAGE.c.at)).all()
                    if len(found) >= count:
                        return list(found[-count:])
                    await asyncio.sleep(0.005)

        return asyncio.run(wait())

    def forget(self) -> None:
        with self.database.transaction() as connection:
            for table in (USAGE, LEDGER):
                connection.execute(delete(table))

    def limited(self, *limits: Limit, alerts: tuple[SpendAlert, ...] = ()) -> list[Limit]:
        """Set limits, and wait until the server has them."""
        with self.database.transaction() as connection:
            connection.execute(delete(LIMITS))
            made = [rules.set_limit(connection, one) for one in limits]
            for alert in alerts:
                rules.add_alert(connection, alert)
            rules.changed(connection)

        async def wait() -> None:
            async with asyncio.timeout(10):
                while len(self.get("/v1/creuset/me").json()["limits"]) != len(limits):
                    await asyncio.sleep(0.02)

        asyncio.run(wait())
        return made


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.close()


@pytest.fixture(scope="module")
def shop(folder: Path, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    where = tmp_path_factory.mktemp("shop")
    key = add_key(where / "keys.json", "ann")
    url = f"sqlite:///{where}/one.db"
    database = Database(url)
    there = UpstreamSettings(url=f"{peer.url}/v1", model="theirs", names=("gpt-4o",), key=PEER_KEY, probe_s=5.0)
    running = start(
        folder, keys=where / "keys.json", database=url, journal=where / "usage", upstreams=[there], heartbeat_s=0.2
    )
    yield Shop(running, database, key, url)
    running.close()
    proven(database)
    database.close()


def flow(what: str, amount: int | None, **more: Any) -> Limit:
    plain = {"id": "", "organization": ORGANIZATION, "kind": "key", "subject": "ann", "window": "minute"}
    return Limit(**plain | {"what": what, "amount": amount} | more)


def budget(amount: int | None, **more: Any) -> Limit:
    return flow("money", amount, window="month", currency="USD", **more)


BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("chat", "/v1/chat/completions", CHAT),
    ("stream", "/v1/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}),
    ("choices", "/v1/chat/completions", CHAT | {"n": 3}),
    ("completion", "/v1/completions", {"model": NAME, "prompt": ["say a b", "say c"], "max_tokens": 9}),
    ("response", "/v1/responses", {"model": NAME, "input": "say one two three"}),
    ("message", "/v1/messages", CHAT | {"max_tokens": 20}),
]


@pytest.mark.parametrize(("name", "path", "body"), BODIES, ids=[name for name, *_ in BODIES])
def test_every_dialect_is_charged_for_what_it_says_it_used(shop, name, path, body):
    shop.forget()
    reply = shop.post(path, body)
    assert reply.status_code == 200, reply.text
    if name == "stream":
        chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        usage = chunks[-1]["usage"]
    else:
        usage = reply.json()["usage"]
    read = usage.get("prompt_tokens", usage.get("input_tokens"))
    written = usage.get("completion_tokens", usage.get("output_tokens"))
    (row,) = shop.rows()
    assert (row.input, row.output, row.request) == (read, written, reply.headers["x-request-id"])
    assert row.cost == (160 * read + 640 * written + 50) // 100, "qwen-max: 1.60 and 6.40 for a million"
    assert (row.key, row.model, row.kind, row.status, row.currency) == ("ann", NAME, "completions", "completed", "USD")
    assert row.price.startswith("qwen-max@2025-04-22#")


def test_a_response_in_the_background_is_charged_when_nobody_listens(shop):
    shop.forget()
    made = shop.post("/v1/responses", {"model": NAME, "input": "slowly 10", "background": True}).json()
    (row,) = shop.rows()
    told = shop.get(f"/v1/responses/{made['id']}").json()["usage"]
    assert (row.input, row.output) == (told["input_tokens"], told["output_tokens"]) and row.output >= 10


def test_a_client_that_leaves_pays_for_what_was_written_and_an_error_is_free(shop):
    shop.forget()
    body = CHAT | {"messages": [{"role": "user", "content": "slowly 400"}], "stream": True}
    headers = {"authorization": f"Bearer {shop.key}"}
    with shop.server.own.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
        lines = reply.iter_lines()
        while "content" not in next(lines):
            pass
    (row,) = shop.rows()
    assert row.status == "cancelled" and 1 <= row.output < 400 and row.input > 0
    shop.forget()
    for script, status in (("fail", 500), ("refuse", 400)):
        assert (
            shop.post("/v1/chat/completions", CHAT | {"messages": [{"role": "user", "content": script}]}).status_code
            == status
        )
    assert shop.post("/v1/chat/completions", CHAT | {"model": "gpt-4o", "messages": [
        {"role": "user", "content": "refuse 500 broken"}]}).status_code == 502  # fmt: skip
    assert shop.post("/v1/chat/completions", CHAT).status_code == 200
    assert len(shop.rows()) == 1


@pytest.mark.parametrize(
    ("body", "path", "kind", "tokens"),
    [
        ({"messages": [{"role": "user", "content": "say hi"}]}, "/v1/chat/completions", "completions", (11, 5)),
        ({"messages": [{"role": "user", "content": "say hi"}], "stream": True}, "/v1/chat/completions", "completions",
         (11, 5)),
        ({"input": "say hi"}, "/v1/responses", "completions", (11, 5)),
        ({"input": ["a", "b"]}, "/v1/embeddings", "embeddings", (11, 5)),
    ],
)  # fmt: skip
def test_a_model_of_another_server_is_charged_by_what_that_one_tells(shop, body, path, kind, tokens):
    shop.forget()
    reply = shop.post(path, body | {"model": "gpt-4o"})
    assert reply.status_code == 200, reply.text
    (row,) = shop.rows()
    assert (row.input, row.output, row.kind, row.estimated) == (*tokens, kind, False)
    assert row.cost == (250 * 11 + 1000 * 5 + 50) // 100


def test_a_client_that_leaves_another_servers_stream_pays_for_an_estimate(shop):
    shop.forget()
    body = CHAT | {"model": "gpt-4o", "messages": [{"role": "user", "content": "slow"}], "stream": True}
    headers = {"authorization": f"Bearer {shop.key}"}
    with shop.server.own.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
        next(reply.iter_lines())
    (row,) = shop.rows()
    assert row.estimated and row.status == "cancelled" and row.output >= 1


def test_limits_are_told_in_headers_and_refuse_with_openais_words(shop):
    shop.limited(flow("requests", 3, window="hour"), flow("tokens", 5000, window="hour"))
    try:
        body = CHAT | {"max_tokens": 100}
        first = shop.post("/v1/chat/completions", body)
        told = {name: value for name, value in first.headers.items() if name.startswith("x-ratelimit")}
        assert told["x-ratelimit-limit-requests"] == "3" and told["x-ratelimit-remaining-requests"] == "2"
        assert told["x-ratelimit-limit-tokens"] == "5000" and int(told["x-ratelimit-remaining-tokens"]) < 4900
        assert told["x-ratelimit-reset-requests"].startswith("20m0s") or told["x-ratelimit-reset-requests"].startswith(
            "19m5"
        )
        large = shop.post("/v1/chat/completions", CHAT | {"n": 20, "max_tokens": 1000}).json()["error"]
        assert large["code"] == "rate_limit_exceeded" and large["type"] == "tokens"
        assert "Request too large in key ann on tokens per hour: Limit 5000, Requested 20" in large["message"]
        for _ in range(2):
            assert shop.post("/v1/chat/completions", body).status_code == 200
        refused = shop.post("/v1/messages", body)
        assert refused.status_code == 429 and refused.json()["error"]["type"] == "rate_limit_error"
        with pytest.raises(openai.RateLimitError, match="on requests per hour: Limit 3, Used 3, Requested 1") as found:
            shop.server.openai(shop.key).chat.completions.create(**body)
        answer = found.value.response
        assert (
            1100 < int(answer.headers["retry-after"]) <= 1200
            and answer.headers["x-ratelimit-remaining-requests"] == "0"
        )
        assert found.value.code == "rate_limit_exceeded" and found.value.type == "requests"
        me = shop.get("/v1/creuset/me").json()
        assert [(one["what"], one["remaining"]) for one in me["limits"] if one["what"] == "requests"] == [
            ("requests", 0)
        ]
    finally:
        shop.limited()


def test_a_spent_budget_refuses_every_dialect_and_is_told_to_the_caller(shop):
    shop.forget()
    shop.limited(budget(300))  # millionths; one reply costs about 60
    try:
        body, seen = CHAT | {"max_tokens": 10}, []
        while (reply := shop.post("/v1/chat/completions", body)).status_code == 200:
            seen.append(reply)
            assert len(seen) < 40
        error = reply.json()["error"]
        assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
        assert "You exceeded your current quota: the budget of key ann for one month is 0.0003 USD" in error["message"]
        assert reply.headers["x-should-retry"] == "false" and "retry-after" not in reply.headers
        rows = shop.rows(len(seen))
        (told,) = shop.get("/v1/creuset/me").json()["limits"]
        assert told["spent"] == sum(row.cost for row in rows) <= 300 and told["currency"] == "USD"
        assert told["remaining"] == 300 - told["spent"] and told["renewed_at"].endswith("-01T00:00:00Z")
        for _, path, body in BODIES:
            assert shop.post(path, body).status_code == 429, path
        assert shop.get("/v1/models").status_code == 200
    finally:
        shop.limited()


def test_me_tells_models_their_prices_and_who_one_is(shop):
    me = shop.get("/v1/creuset/me").json()
    assert (me["key"], me["organization"], me["limits"]) == ("ann", ORGANIZATION, [])
    assert [one["id"] for one in me["models"]] == [NAME, "gpt-4o"]
    price = me["models"][0]["price"]
    plain = {"input": 1_600_000, "cached_input": 640_000, "cache_write": 1_600_000}
    assert price["tiers"]["default"][0] == {"above": 0, **plain, "output": 6_400_000, "reasoning": 6_400_000}
    assert price["source"].startswith("Alibaba Cloud") and price["currency"] == "USD"


def test_openais_client_reads_usage_and_costs(shop):
    shop.forget()
    shop.post("/v1/chat/completions", CHAT)
    shop.post("/v1/chat/completions", CHAT | {"model": "gpt-4o"})
    shop.post("/v1/embeddings", {"model": "gpt-4o", "input": "a"})
    rows = shop.rows(3)
    begin = rows[0].at // 10**6
    admin = shop.server.openai(shop.key)
    admin.admin_api_key = shop.key
    usage = admin.admin.organization.usage
    page = usage.completions(start_time=begin, bucket_width="1d", group_by=["model"])
    found = {one.model: one for bucket in page.data for one in bucket.results}
    assert set(found) == {NAME, "gpt-4o"} and page.has_more is False
    for row in rows[:2]:
        one = found[row.model]
        assert (one.input_tokens, one.output_tokens, one.num_model_requests) == (row.input, row.output, 1)
    everything = usage.embeddings(start_time=begin)
    assert [one.input_tokens for bucket in everything.data for one in bucket.results] == [11]
    assert not [one for bucket in usage.images(start_time=begin).data for one in bucket.results]
    costs = usage.costs(start_time=begin, group_by=["line_item"])
    lines = {one.line_item: one for bucket in costs.data for one in bucket.results}
    assert set(lines) == {f"{NAME}, input", f"{NAME}, output", "gpt-4o, input", "gpt-4o, output"}
    assert sum(one.amount.value for one in lines.values()) == pytest.approx(sum(row.cost for row in rows) / 1e6)
    assert lines["gpt-4o, input"].quantity == 22 and lines["gpt-4o, input"].amount.currency == "usd"
    pages = usage.completions(start_time=begin - 3 * 86400, limit=2)
    assert pages.has_more and len(pages.data) == 2 and pages.next_page == "page_2"
    rest = usage.completions(start_time=begin - 3 * 86400, limit=2, page=pages.next_page)
    assert [one.num_model_requests for bucket in rest.data for one in bucket.results] == [2] and not rest.has_more


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "`start_time` is required"),
        ("start_time=1&bucket_width=2d", "`bucket_width` must be one of 1m, 1h, 1d"),
        ("start_time=x", "`start_time` must be a whole number"),
        ("start_time=99999999&end_time=5", "`end_time` \\(5\\) must be after"),
        ("start_time=1&limit=99", "`limit` must be between 1 and 31, got 99"),
        ("start_time=1&group_by=planet", "`group_by` must be of project_id"),
        ("start_time=1&page=7", "`page` is no cursor"),
    ],
)
def test_a_question_that_cannot_be_is_refused_by_name(shop, query, words):
    reply = shop.get(f"/v1/organization/usage/completions?{query}")
    assert reply.status_code == 400, shop.server.log.getvalue()[-600:]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(reply.json()["error"]["message"])


def test_a_key_without_the_scope_sets_no_limit(shop):
    body = {"currency": "USD", "interval": "month", "threshold_amount": 100}
    for path in ("/v1/organization/spend_limit", "/v1/organization/projects/p/spend_limit"):
        assert shop.post(path, body).status_code == 403


def test_an_alert_is_told_once_to_a_webhook_that_failed_first(shop):
    got: list[dict[str, Any]] = []
    failures = [1]

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            broken = bool(failures) and failures.pop() is not None
            if not broken:
                got.append(body)
            self.send_response(503 if broken else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        shop.forget()
        (made,) = shop.limited(budget(100_000, kind="organization", subject=ORGANIZATION))
        channel = Channel(webhook=f"http://127.0.0.1:{receiver.server_port}/told")
        alert = SpendAlert(id="", organization=ORGANIZATION, limit=made.id, threshold=100, channel=channel)
        with shop.database.transaction() as connection:
            rules.add_alert(connection, alert)
        asyncio.run(told(shop, got))
        for _ in range(3):
            shop.post("/v1/chat/completions", CHAT)
        (notice,) = got
        assert notice["object"] == "spend_alert.notice" and notice["kind"] == "organization"
        assert notice["spent"] >= notice["threshold"] == 100 and notice["budget"] == 100_000
        assert "0.10 USD are spent by organization file in the month that began on" in notice["message"]
    finally:
        shop.limited()
        receiver.shutdown()
        thread.join()
        receiver.server_close()


async def told(shop: Shop, got: list[Any]) -> None:
    async with asyncio.timeout(20):
        while not got:
            await asyncio.to_thread(shop.post, "/v1/chat/completions", CHAT)
            await asyncio.sleep(0.05)
