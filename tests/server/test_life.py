"""Conservation, disconnects, the engine's death: every reply ends, every token is counted, nothing hangs."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from tests.lazy import lazily

from .conftest import NAME, Running, start

if TYPE_CHECKING:
    import openai
else:
    openai = lazily("openai")


@pytest.fixture
def server(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    running.close()


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": NAME, "messages": [{"role": "user", "content": text}], **more}


def settled(server: Running, open_jobs: float = 0) -> None:
    """Until as many completions are open."""
    end = time.monotonic() + 10
    while server.metric("creuset_open_completions") != open_jobs:
        assert time.monotonic() < end, "a completion does not end"
        time.sleep(0.02)


def test_usage_is_what_was_emitted_and_what_is_counted(server: Running) -> None:
    client = server.own
    read = written = 0
    for body in (chat("say one two three"), chat("slowly 5", n=3, max_tokens=4), chat("say x", stop="x")):
        usage = client.post("/v1/chat/completions", json=body).json()["usage"]
        read, written = read + usage["prompt_tokens"], written + usage["completion_tokens"]
    body = {"model": NAME, "prompt": ["say a", "say été"], "n": 2, "echo": True, "logprobs": 0}
    usage = client.post("/v1/completions", json=body).json()["usage"]
    read, written = read + usage["prompt_tokens"], written + usage["completion_tokens"]
    # A stream that the client leaves in the middle: what the engine made until it noticed is counted too.
    with client.stream("POST", "/v1/chat/completions", json=chat("slowly 500", stream=True)) as stream:
        seen = 0
        for line in stream.iter_lines():
            seen += "content" in line and " la" in line
            if seen == 5:
                break
    settled(server)
    emitted = server.metric("creuset_completion_tokens_total") - written
    assert 5 <= emitted < 100
    read_by_the_gone = server.metric("creuset_prompt_tokens_total") - read
    tokens = client.post("/tokenize", json={"messages": chat("slowly 500")["messages"]}).json()["count"]
    assert read_by_the_gone == tokens
    assert server.metric('creuset_completions_total{reason="cancelled"}') == 1


def test_a_client_that_leaves_a_whole_reply_stops_it(server: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/chat/completions", json=chat("slowly 400"), timeout=0.4, trust_env=False)
    settled(server)
    assert server.metric('creuset_completions_total{reason="cancelled"}') == 1
    assert server.logged('"status": 499')


def test_a_slow_start_is_bridged_by_comments(folder: Path) -> None:
    server = start(folder, heartbeat_s=0.1)
    try:
        with server.own.stream("POST", "/v1/chat/completions", json=chat("wait 0.5", stream=True)) as stream:
            text = "".join(stream.iter_text())
        assert text.startswith(": keep-alive\n\n") is False and text.count(": keep-alive\n\n") >= 2
        assert text.endswith("data: [DONE]\n\n")
        client = server.openai()
        chunks = client.chat.completions.create(**chat("wait 0.3"), stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "waited"
    finally:
        server.close()


def test_a_client_that_reads_nothing_is_dropped(folder: Path) -> None:
    import socket

    server = start(folder, send_timeout_s=0.3)
    try:
        host, port = server.url.removeprefix("http://").split(":")
        # Far more than the buffers between the two hold.
        endless = {"ignore_eos": True, "max_tokens": 3500, "logprobs": True, "top_logprobs": 20, "n": 8}
        body = json.dumps(chat("say x", stream=True, **endless)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            settled(server, 8)
            settled(server, 0)
        assert server.metric('creuset_completions_total{reason="cancelled"}') > 0
        server.wait_until(200)
    finally:
        server.close()


def test_the_engine_killed_in_the_middle_is_told_and_replaced(server: Running) -> None:
    client = server.openai()
    failures: list[Exception] = []

    def whole() -> None:
        try:
            client.chat.completions.create(**chat("slowly 500"))
        except openai.APIError as error:
            failures.append(error)

    waiting = threading.Thread(target=whole)
    waiting.start()
    stream = client.chat.completions.create(**chat("slowly 500"), stream=True)
    for _ in range(5):
        next(stream)
    first = server.engine()
    first.kill()
    with pytest.raises(openai.APIError, match="the engine process ended before this reply was complete"):
        list(stream)
    waiting.join(5)
    assert isinstance(failures[0], openai.InternalServerError) and failures[0].status_code == 503
    server.wait_until(200)
    assert client.chat.completions.create(**chat("say again")).choices[0].message.content == "again"
    assert server.engine().pid != first.pid and server.metric("creuset_engine_restarts_total") == 1
    assert server.metric('creuset_completions_total{reason="lost"}') == 2
    settled(server)


def test_health_is_red_while_there_is_no_engine(folder: Path) -> None:
    server = start(folder, client={"backoff_s": 2.0})
    try:
        server.engine().kill()
        server.wait_until(503)
        found = server.own.get("/health")
        assert found.json()["error"]["code"] == "engine_unavailable" and found.headers["retry-after"] == "1"
        refused = server.own.post("/v1/chat/completions", json=chat("say hi"))
        assert refused.status_code == 503 and refused.json()["error"]["type"] == "server_error"
        assert server.metric("creuset_engine_up") == 0
        server.wait_until(200)
        assert server.metric("creuset_engine_up") == 1
    finally:
        server.close()


def test_an_engine_that_hangs_is_replaced(folder: Path) -> None:
    server = start(folder, client={"stall_s": 2.0})
    try:
        stuck = server.engine()
        stuck.suspend()
        server.wait_until(503)
        server.wait_until(200)
        assert server.engine().pid != stuck.pid and not psutil.pid_exists(stuck.pid)
    finally:
        server.close()


def test_stopping_ends_open_streams_and_the_engine(folder: Path) -> None:
    server = start(folder)
    engine = server.engine()
    client = server.openai()
    stream = client.chat.completions.create(**chat("slowly 500"), stream=True)
    next(stream)
    begun = time.monotonic()
    server.stop()
    with pytest.raises((openai.APIError, httpx.HTTPError)):
        list(stream)
    server.close()
    assert time.monotonic() - begun < 6 and not engine.is_running()


def test_a_log_line_keeps_no_key_and_no_address() -> None:
    from creuset.server.log import new_log

    out = io.StringIO()
    key = "crs-" + "aB3_" * 10 + "xyz" + "Q1w2E3"
    new_log("info", out).warning("upstream", error=f"401 for Bearer {key} of ann@host.fr at 82.66.4.40", tries=2)
    line = json.loads(out.getvalue())
    assert line["error"] == "401 for Bearer [SECRET] of [EMAIL] at [IP]" and line["tries"] == 2


def test_logs_hold_neither_prompts_nor_replies(server: Running) -> None:
    client = server.client(headers={"authorization": "Bearer canary-key-1"})
    client.post("/v1/chat/completions?canary-query-2=1", json=chat("say canary-prompt-3", user="canary-user-4"))
    with client.stream("POST", "/v1/completions", json={"model": NAME, "prompt": "say canary-5", "stream": True}) as s:
        s.read()
    client.post("/v1/chat/completions", json=chat("x", canary_field_6="canary-7"))
    client.get("/canary-path-8"), client.get("/v1/models/canary-9")
    client.post("/v1/chat/completions", json=chat("fail canary-10"))
    log = server.log.getvalue()
    assert "canary" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"id", "method", "route", "status", "ms", "key"} <= set(next(x for x in lines if x["event"] == "request"))


def test_an_engine_that_never_starts_ends_the_server(folder: Path) -> None:
    import asyncio
    import io
    import sys

    from creuset.core.errors import EngineError
    from creuset.server.log import new_log
    from creuset.server.model import describe
    from creuset.server.run import serve
    from creuset.server.settings import ServeSettings

    log = io.StringIO()
    dying = [sys.executable, "-S", "-c", "raise SystemExit(7)"]
    with pytest.raises(EngineError, match="ended 3 times before it was ready"):
        quick = {"backoff_s": 0.01}
        asyncio.run(
            serve([(describe(folder), dying)], ServeSettings(port=0), log=new_log("info", log), client_options=quick)
        )
    assert log.getvalue().count('"exit_code": 7') == 3


@pytest.mark.parametrize("when", ["at once", "while it loads"])
def test_a_server_that_is_stopped_before_its_model_is_loaded_has_not_failed(folder: Path, when: str) -> None:
    """`serve` raises what the engine failed with; a signal is no failure, so it returns."""
    log = io.StringIO()
    stops: list[Any] = []

    async def run() -> None:
        async with asyncio.timeout(20):
            serving = asyncio.create_task(
                serve(
                    [(describe(folder, [NAME]), ["sleep", "60"])], ServeSettings(port=0), log=new_log("info", log),
                    on_server=stops.append,
                )
            )  # fmt: skip
            while not stops or (when == "while it loads" and not loading()):
                await asyncio.sleep(0.01)
            stops[0]()
            await serving

    def loading() -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if child.name() == "sleep"]

    asyncio.run(run())
    assert not loading() and '"state": "failed"' not in log.getvalue()
