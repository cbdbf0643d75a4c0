"""A POST with an `Idempotency-Key` is carried out once; headers say what is left and whether to come again."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.server.idempotency import KEEP_S, Idempotency
from creuset.server.middleware import RequestContext
from creuset.server.tenants.keys import add_key

from .conftest import NAME, Running, start


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, add_key(file, "ann"), add_key(file, "bob")


@pytest.fixture(scope="module")
def server(folder: Path, keys: tuple[Path, str, str]) -> Iterator[Running]:
    running = start(folder, keys=keys[0], max_concurrency=2, max_queue=3)
    yield running
    running.close()


def send(
    server: Running, text: str | None, key: str, again: str, path: str = "/v1/completions", **more: Any
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "idempotency-key": again}
    with httpx.Client(base_url=server.url, timeout=20, trust_env=False, verify=False) as client:
        given = {"model": NAME, **more} | ({} if text is None else {"prompt": text})
        return client.post(path, json=given, headers=headers)


def test_the_same_request_gets_the_same_reply_and_nothing_is_generated_again(
    server: Running, keys: tuple[Path, str, str]
) -> None:
    _, ann, bob = keys
    first = send(server, "hello", ann, "one")
    made = server.own.get("/metrics", headers={"authorization": f"Bearer {ann}"}).text
    second = send(server, "hello", ann, "one")
    assert first.status_code == 200 and second.content == first.content
    assert "idempotent-replayed" not in first.headers and second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    line = next(one for one in made.splitlines() if one.startswith("creuset_completion_tokens_total"))
    assert line in server.own.get("/metrics", headers={"authorization": f"Bearer {ann}"}).text
    other = send(server, "hello", bob, "one")  # another caller's key is another key
    assert other.status_code == 200 and other.json()["id"] != first.json()["id"]
    stream = send(server, "hello", ann, "streamed", stream=True)
    assert send(server, "hello", ann, "streamed", stream=True).content == stream.content


def test_the_same_key_for_something_else_is_refused(server: Running, keys: tuple[Path, str, str]) -> None:
    ann = keys[1]
    assert send(server, "hello", ann, "two").status_code == 200
    for more, path in (({"max_tokens": 3}, "/v1/completions"), ({}, "/v1/chat/completions")):
        found = send(server, "hello", ann, "two", path, **more)
        error = found.json()["error"]
        assert found.status_code == 422 and error["code"] == "idempotency_key_reused"
        assert error["param"] == "Idempotency-Key" and found.headers["x-should-retry"] == "false"
    for wrong in ("", "a b", "x" * 256):
        refused = send(server, "hello", ann, wrong)
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "Idempotency-Key"


def test_one_that_comes_meanwhile_waits_for_the_first(server: Running, keys: tuple[Path, str, str]) -> None:
    found: list[httpx.Response] = []
    turns = [{"role": "user", "content": "slowly 20"}]

    def one() -> None:
        found.append(send(server, None, keys[1], "three", "/v1/chat/completions", messages=turns))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {one.status_code for one in found} == {200} and len({one.json()["id"] for one in found}) == 1
    assert sorted("idempotent-replayed" in one.headers for one in found) == [False, True, True]


def test_headers_tell_the_queue_and_the_clients_own_id_stands_in_the_log(
    server: Running, keys: tuple[Path, str, str]
) -> None:
    headers = {"authorization": f"Bearer {keys[1]}", "x-client-request-id": "trace-42"}
    found = server.own.post("/v1/completions", json={"model": NAME, "prompt": "hello"}, headers=headers)
    assert found.headers["x-ratelimit-limit-requests"] == "5"
    assert 0 <= int(found.headers["x-ratelimit-remaining-requests"]) <= 5
    lines = [json.loads(line) for line in server.logged("trace-42").splitlines()]
    assert [one["id"] for one in lines if one.get("client_request") == "trace-42"] == [found.headers["x-request-id"]]
    spaced = {**headers, "x-client-request-id": "forged id"}
    assert server.own.post("/v1/completions", json={"model": NAME, "prompt": "hi"}, headers=spaced).status_code == 200
    assert "forged id" not in server.log.getvalue()


async def ask(app: Idempotency, key: str, body: bytes = b"{}") -> tuple[int, bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def reply(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [(b"idempotency-key", key.encode())]}
    await app({**scope, "context": RequestContext("req_1")}, receive, reply)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)


@pytest.mark.parametrize(("status", "kept"), [(200, True), (400, True), (409, False), (429, False), (500, False)])
def test_what_may_go_better_is_tried_again_and_the_rest_is_kept_for_its_time(status: int, kept: bool) -> None:
    now, count = [0.0], [0]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        count[0] += 1
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % count[0]})

    once = Idempotency(app, clock=lambda: now[0])
    assert asyncio.run(ask(once, "k")) == (status, b"1")
    assert asyncio.run(ask(once, "k")) == (status, b"1" if kept else b"2")
    now[0] = KEEP_S + 1
    assert asyncio.run(ask(once, "k", b"[]")) == (status, b"2" if kept else b"3")
