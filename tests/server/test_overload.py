"""A full server refuses at once: before a body is read, and for next to nothing."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import NAME, Running, start


@pytest.fixture(scope="module")
def full(folder: Path) -> Iterator[Running]:
    """A server that runs one completion and queues one."""
    running = start(folder, max_concurrency=1, max_queue=1)
    yield running
    running.close()


def begun(server: Running, path: str, size: int) -> tuple[bytes, socket.socket]:
    """What is answered to a head whose body of `size` bytes does not come."""
    host = urlsplit(server.url)
    link = socket.create_connection((host.hostname, host.port), timeout=5)
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {host.netloc}",
        "content-type: application/json",
        f"content-length: {size}",
    ]
    link.sendall("\r\n".join([*lines, "", ""]).encode())
    found = b""
    while b"\r\n\r\n" not in found or not found.endswith(b"}"):
        piece = link.recv(65536)
        if not piece:
            break
        found += piece
    return found, link


@contextmanager
def occupied(server: Running, count: int) -> Iterator[None]:
    """While so many streams run."""
    body = {"model": NAME, "messages": [{"role": "user", "content": "slowly 400"}], "stream": True}
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(server.own.stream("POST", "/v1/chat/completions", json=body))
        yield
    end = time.monotonic() + 10
    while server.metric("creuset_open_completions"):  # it is noticed a step later that they left
        assert time.monotonic() < end, "a place was never free again"
        time.sleep(0.01)


def test_a_refusal_comes_before_the_body_and_in_the_words_of_the_dialect(full: Running) -> None:
    with occupied(full, 2):
        for path, kind in (("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")):
            found, link = begun(full, path, 1000)
            head, _, body = found.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nretry-after: 1" in head and b"\r\nx-request-id: req_" in head
            error = json.loads(body)["error"]
            assert error["message"].startswith("2 requests are running or waiting, which is all this server takes")
            assert error.get("code") == "slow_down" if kind == "openai" else error["type"] == "rate_limit_error"
            # The body comes after all, and then another request: the connection is as good as before.
            link.sendall(b" " * 1000 + b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert link.recv(65536).startswith(b"HTTP/1.1 200 ")
            link.close()
        found, link = begun(full, "/v1/chat/completions", 1 << 20)
        assert b"\r\nconnection: close" in found
        link.close()

    full.logged('"event": "overload"')
    assert full.metric('creuset_requests_total{status="429"}') == 3


def test_what_is_not_an_answer_of_a_model_is_served_by_a_full_server(full: Running) -> None:
    with occupied(full, 2):
        assert full.own.get("/v1/models").status_code == 200
        page = {"origin": "https://elsewhere.example"}
        assert full.own.post("/v1/chat/completions", json={}, headers=page).status_code == 403  # checked in full


def test_places_are_free_again_when_requests_have_ended_in_whatever_way(full: Running) -> None:
    say = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}]}
    for body in (say, {"model": NAME}, {"model": "none"}, say, say):
        assert full.own.post("/v1/chat/completions", json=body).status_code in (200, 400, 404)
    assert full.own.post("/v1/chat/completions", json=say).status_code == 200


def test_a_whole_reply_is_one_event(full: Running) -> None:
    before = full.metric("creuset_inter_token_seconds_count")
    body = {"model": NAME, "messages": [{"role": "user", "content": "say one two three"}], "max_tokens": 9,
            "ignore_eos": True}  # fmt: skip
    assert full.own.post("/v1/chat/completions", json=body).json()["usage"]["completion_tokens"] == 9
    assert full.metric("creuset_inter_token_seconds_count") == before  # times between tokens are not known here
    full.own.post("/v1/chat/completions", json={**body, "stream": True})
    assert full.metric("creuset_inter_token_seconds_count") == before + 8
