"""Two other servers on ports of their own, which do what their `mode` says, and a server with routes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from creuset.server.routes.config import RoutesFile

from ..conftest import Running, start
from ..peer import KEY, Peer


@dataclass
class Far(Peer):
    """`mode`: what it does whatever it is asked, in the words of `Peer`; empty: what it is asked."""

    mode: str = ""
    lacks: tuple[str, ...] = ()  # addresses that it answers with `status`
    status: int = 404
    last: dict[str, Any] = field(default_factory=dict)

    async def _answer(self, path: str, headers: dict[str, str], body: Any, reader: Any, writer: Any) -> None:
        if isinstance(body, dict):
            if path in self.lacks:
                self.asked.append((path, headers, body))
                writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}" % self.status)
                return
            self.last = msgspec.json.decode(msgspec.json.encode(body))
            if self.mode and "messages" in body:
                body["messages"] = [{"role": "user", "content": self.mode}]
            elif self.mode and "prompt" in body:
                body["prompt"] = self.mode
        await super()._answer(path, headers, body, reader, writer)


@dataclass
class Net:
    """`a` and `b` are asked by the routes of `server`."""

    server: Running
    a: Far
    b: Far

    def ask(self, text: str = "say hi", model: str = "smart", path: str = "/v1/chat/completions", **more: Any) -> Any:
        headers = more.pop("headers", {})
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
        if path == "/v1/responses":
            body = {"model": model, "input": text, "store": False}
        if path == "/v1/messages":
            body["max_tokens"] = 50
        if path == "/v1/completions":
            body = {"model": model, "prompt": text}
        return self.server.own.post(path, json=body | more, headers=headers)

    def counts(self) -> tuple[int, int]:
        return len(self.a.asked), len(self.b.asked)


def table(a: Far, b: Far, change: Callable[[dict[str, Any]], None] = lambda _: None, **more: Any) -> RoutesFile:
    """A routes file as it would be read. `change` changes what stands in it."""
    said: dict[str, Any] = {
        "here": {"country": "FR", "operator": "we", "law": ["FR", "EU"]},
        "upstreams": {
            "a": {"url": a.url, "key_env": "FAR_KEY", "country": "DE", "operator": "A GmbH", "law": ["EU"]},
            "b": {"url": b.url, "key_env": "FAR_KEY", "country": "US", "operator": "B Inc", "law": ["US"]},
        },
        "routes": {
            "smart": {
                "targets": [
                    {"upstream": "a", "model": "theirs", "name": "alpha"},
                    {"upstream": "b", "model": "theirs", "name": "beta", "order": 2,
                     "on": ["failure", "overload", "context", "policy"]},
                ],
                "retries": 0, "rest_s": 0.05, "failures": 1000,
            },
        },
    }  # fmt: skip
    for name, value in more.items():
        said[name] = said.get(name, {}) | value
    change(said)
    return msgspec.convert(said, RoutesFile)


@pytest.fixture(scope="module")
def fars() -> Iterator[tuple[Far, Far]]:
    both = Far(), Far()
    yield both
    for one in both:
        one.close()


Begin = Callable[..., Net]


@pytest.fixture(scope="module")
def begin(folder: Path, fars: tuple[Far, Far]) -> Iterator[Begin]:
    """Start a server with these routes."""
    running: list[Running] = []
    patch = pytest.MonkeyPatch()
    patch.setenv("FAR_KEY", KEY)

    def made(more: dict[str, Any] | None = None, **options: Any) -> Net:
        change = options.pop("change", lambda _: None)
        server = start(folder, routes=table(*fars, change, **(more or {})), heartbeat_s=0.2, **options)
        running.append(server)
        return Net(server, *fars)

    yield made
    patch.undo()
    for server in running:
        assert KEY not in server.log.getvalue()
        server.close()


@pytest.fixture(autouse=True)
def calm(fars: tuple[Far, Far]) -> None:
    for one in fars:
        one.mode, one.failures, one.lacks, one.status = "", 0, (), 404
        one.asked.clear()


def texts(reply: httpx.Response) -> str:
    return "".join(line for line in reply.text.splitlines() if line.startswith("data:"))
