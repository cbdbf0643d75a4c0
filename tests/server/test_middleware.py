"""What stands before every route, asked directly: no socket, no engine, a clock of our own."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from creuset.server.log import new_log
from creuset.server.metrics import Metrics
from creuset.server.middleware import POLICY, Middleware
from creuset.server.settings import ServeSettings
from creuset.server.tenants.keys import KeyRing, add_key

Headers = list[tuple[bytes, bytes]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
HOST = (b"host", b"localhost:8000")
JSON = (b"content-type", b"application/json")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the whole body and answers its size."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await PlainTextResponse(f"{size} bytes")(scope, receive, send)


class Asked:
    """One request through the middleware, and everything that came of it."""

    def __init__(
        self,
        method: str = "GET",
        path: str = "/v1/models",
        headers: Headers | None = None,
        *,
        body: list[bytes] | None = None,
        app: Application = echo,
        settings: ServeSettings | None = None,
        keys: KeyRing | None = None,
        scheme: str = "http",
        clock: Callable[[], float] = lambda: 0.0,
        level: str = "info",
    ) -> None:
        self.log_text, self.metrics, self.sent = io.StringIO(), Metrics(), []
        parts = body or [b""]
        incoming = [
            {"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)
        ]
        self.scope: dict[str, Any] = {
            "type": "http", "method": method, "path": path, "scheme": scheme,
            "headers": [HOST] if headers is None else headers,
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        log = new_log(level, self.log_text)
        middleware = Middleware(app, settings or ServeSettings(), keys, self.metrics, log, clock)
        asyncio.run(middleware(self.scope, receive, send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)["error"]
        return found

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_text.getvalue().splitlines()]

    def counted(self, route: str, status: str) -> float:
        return float(self.metrics.requests.labels(route, status)._value.get())


def test_a_request_passes_with_an_id_the_time_it_took_and_the_guards_of_the_page() -> None:
    times = iter([10.0, 10.25, 10.5])
    asked = Asked("POST", headers=[HOST, JSON], body=[b"ab", b"cde"], clock=lambda: next(times))
    assert (asked.status, asked.text) == (200, "5 bytes")
    assert asked.headers["x-request-id"].startswith("req_") and len(asked.headers["x-request-id"]) == 28
    assert asked.headers["openai-processing-ms"] == "250"
    assert asked.headers["content-security-policy"] == POLICY
    (line,) = asked.log
    assert (line["event"], line["id"]) == ("request", asked.headers["x-request-id"])
    assert (line["method"], line["status"], line["ms"], line["key"]) == ("POST", 200, 500.0, None)
    assert line["route"] == "unmatched", "a path that no route has taken is what a client wrote"


def test_ids_of_requests_differ() -> None:
    assert len({Asked().headers["x-request-id"] for _ in range(20)}) == 20


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]])
def test_a_request_has_one_host(hosts: list[bytes]) -> None:
    asked = Asked(headers=[(b"host", host) for host in hosts])
    assert (asked.status, asked.error["code"]) == (400, "bad_host")
    assert asked.error["message"] == "a request needs exactly one Host header"


@pytest.mark.parametrize(
    ("host", "settings", "status"),
    [
        ("example.org", {"allow_hosts": ("example.org",)}, 200),
        ("EXAMPLE.org:443", {"allow_hosts": ("Example.ORG",)}, 200),
        ("www.example.org", {"allow_hosts": ("example.org",)}, 403),
        ("10.1.2.3:8000", {"host": "0.0.0.0"}, 200),
        ("[2001:db8::1]:8000", {"host": "0.0.0.0"}, 200),
        ("machine.lan", {"host": "0.0.0.0"}, 403),
        ("machine.lan", {"host": "machine.lan"}, 200),
        ("127.3.4.5", {}, 200),
        ("127.3.4.5", {"host": "10.0.0.1"}, 200),
        ("10.1.2.3", {}, 403),
        ("localhost:123456", {}, 403),
        ("local host", {}, 403),
    ],
)
def test_the_server_answers_to_its_own_names_only(host: str, settings: dict[str, Any], status: int) -> None:
    asked = Asked(headers=[(b"host", host.encode())], settings=ServeSettings(**settings))
    assert asked.status == status
    if status == 403:
        assert asked.error["code"] == "host_not_allowed"
        assert "start it with --allow-host NAME" in asked.error["message"]


@pytest.mark.parametrize(
    ("origin", "scheme", "status"),
    [
        ("http://localhost:8000", "http", 200),
        ("http://LOCALHOST:8000/", "http", 200),
        ("https://localhost:8000", "https", 200),
        ("https://localhost:8000", "http", 403),
        ("http://localhost:8001", "http", 403),
        ("http://evil.example", "http", 403),
        ("null", "http", 403),
    ],
)
def test_pages_of_another_origin_are_refused(origin: str, scheme: str, status: int) -> None:
    asked = Asked(headers=[HOST, (b"origin", origin.encode())], scheme=scheme)
    assert asked.status == status
    assert "access-control-allow-origin" not in asked.headers
    if status == 403:
        assert asked.error["code"] == "origin_not_allowed"


LISTED = ServeSettings(allow_origins=("https://app.example/",))


def test_a_listed_origin_may_ask_and_read_what_it_needs() -> None:
    asked = Asked(headers=[HOST, (b"origin", b"https://App.example")], settings=LISTED)
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == "https://App.example"
    assert {"x-request-id", "retry-after"} <= set(asked.headers["access-control-expose-headers"].split(", "))
    assert asked.headers["vary"] == "origin"


def test_the_vary_header_is_there_for_everybody_once_an_origin_is_listed() -> None:
    asked = Asked(settings=LISTED)
    assert asked.headers["vary"] == "origin" and "access-control-allow-origin" not in asked.headers
    assert "vary" not in Asked().headers


def test_a_browser_that_asks_whether_it_may_ask_is_answered_without_a_key(tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "ann")
    asked = Asked(
        "OPTIONS", headers=[HOST, (b"origin", b"https://app.example")], settings=LISTED, keys=KeyRing(tmp_path / "keys")
    )
    assert (asked.status, asked.text) == (204, "")
    assert asked.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
    assert "access-control-allow-private-network" not in asked.headers
    unlisted = Asked("OPTIONS", headers=[HOST, (b"origin", b"https://evil.example")], settings=LISTED)
    assert unlisted.status == 403


def test_the_headers_that_a_client_sends_from_a_page_are_allowed() -> None:
    wanted = b"Authorization, content-type, x-stainless-os, X-Stainless-Lang, bad name, " + b"x" * 99
    headers = [
        HOST, (b"origin", b"https://app.example"), (b"access-control-request-headers", wanted),
        (b"access-control-request-private-network", b"true"),
    ]  # fmt: skip
    asked = Asked("OPTIONS", headers=headers, settings=LISTED)
    allowed = "authorization, content-type, x-stainless-os, x-stainless-lang"
    assert asked.headers["access-control-allow-headers"] == allowed
    assert asked.headers["access-control-allow-private-network"] == "true"
    assert (b"vary", b"access-control-request-headers") in asked.sent[0]["headers"]
    unlisted = [HOST, (b"origin", b"https://evil.example"), *headers[2:]]
    assert Asked("OPTIONS", headers=unlisted, settings=LISTED).status == 403


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"http://localhost:5173", True), (b"https://LOCALHOST", True), (b"http://127.0.0.1:3000", True),
        (b"http://[::1]:3000", True), (b"http://localhost.evil.example", False), (b"http://evil.example", False),
        (b"null", False), (b"file://localhost", False), (b"localhost", False), (b"http://10.0.0.1:3000", False),
    ],
)  # fmt: skip
def test_pages_of_this_machine_may_ask_from_any_port_where_localhost_is_allowed(origin: bytes, allowed: bool) -> None:
    asked = Asked(headers=[HOST, (b"origin", origin)], settings=ServeSettings(allow_origins=("localhost",)))
    assert asked.status == (200 if allowed else 403)
    assert (asked.headers.get("access-control-allow-origin") == origin.decode()) is allowed
    assert Asked(headers=[HOST, (b"origin", origin)]).status == 403, "where it was not allowed"


@pytest.mark.parametrize(
    ("site", "method", "path", "status"),
    [
        (b"same-origin", "POST", "/v1/models", 200), (b"none", "GET", "/v1/models", 200),
        (b"cross-site", "GET", "/v1/models", 403), (b"same-site", "GET", "/v1/models", 403),
        (b"cross-site", "GET", "/", 200), (b"cross-site", "POST", "/", 403),
    ],
)  # fmt: skip
def test_a_request_that_a_browser_sends_for_another_site_is_refused(
    site: bytes, method: str, path: str, status: int
) -> None:
    assert Asked(method, path, [HOST, JSON, (b"sec-fetch-site", site)]).status == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (b"application/json", 200), (b"application/json; charset=utf-8", 200), (b"APPLICATION/JSON", 200),
        (b"text/plain", 415), (b"", 415), (b"application/jsonp", 415), (b"x" * 200, 415),
    ],
)  # fmt: skip
def test_a_body_is_json(kind: bytes, status: int) -> None:
    asked = Asked("POST", headers=[HOST, (b"content-type", kind)])
    assert asked.status == status
    if status == 415:
        shown = kind.decode()[:80] or "no type"
        assert asked.error["message"] == f"the body must be sent as application/json, got `{shown}`"
    assert Asked("GET", headers=[HOST, (b"content-type", kind)]).status == 200, "only a POST has a body"


SMALL = ServeSettings(body_limit_bytes=10)


@pytest.mark.parametrize(
    ("headers", "body", "status", "size"),
    [
        ([(b"content-length", b"10")], [b"0123456789"], 200, 10),
        ([(b"content-length", b"11")], [b"0123456789a"], 413, 11),
        ([], [b"01234", b"56789"], 200, 10),
        ([], [b"01234", b"56789", b"a"], 413, 11),
        ([(b"content-length", b"-5")], [b"0123456789a"], 413, 11),
        ([(b"content-length", b"2")], [b"0123456789ab"], 413, 12),
    ],
)
def test_a_body_over_the_limit_is_refused_whatever_it_said_of_itself(
    headers: Headers, body: list[bytes], status: int, size: int
) -> None:
    asked = Asked("POST", headers=[HOST, JSON, *headers], body=body, settings=SMALL)
    assert asked.status == status
    if status == 413:
        said = f"the body has at least {size} bytes; this server takes 10 (start it with --max-body-mb for more)"
        assert asked.error["message"] == said


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key"])
def test_a_key_may_come_alone_in_a_header(tmp_path: Path, name: bytes) -> None:
    key = add_key(tmp_path / "keys", "ann").encode()
    ring = KeyRing(tmp_path / "keys")
    assert Asked(headers=[HOST, (name, key)], keys=ring).status == 200
    assert Asked(headers=[HOST, (name, key[:-1])], keys=ring).status == 401
    both = [HOST, (name, key), (b"authorization", b"Bearer crs-of-somebody-else")]
    assert Asked(headers=both, keys=ring).status == 401, "a bearer token is the one that counts"
    assert Asked(headers=[HOST, (name, key), (b"authorization", b"Bearer ")], keys=ring).status == 200


@pytest.mark.parametrize(
    ("scheme", "status"), [("Bearer", 200), ("bearer", 200), ("BEARER", 200), ("Basic", 401), ("Token", 401)]
)
def test_the_key_comes_as_a_bearer_token(tmp_path: Path, scheme: str, status: int) -> None:
    key = add_key(tmp_path / "keys", "ann")
    ring = KeyRing(tmp_path / "keys")
    asked = Asked(headers=[HOST, (b"authorization", f"{scheme}  {key} ".encode())], keys=ring)
    assert asked.status == status
    assert asked.log[-1]["key"] == ("ann" if status == 200 else None)
    assert key not in asked.log_text.getvalue() and key not in asked.text
    if status == 401:
        assert asked.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200), ("/health", 200), ("/favicon.svg", 200), ("/assets/app.js", 200),
        ("//", 401), ("/healthy", 401), ("/x/health", 401), ("/assets", 401), ("/x/assets/app.js", 401),
        ("/metrics", 401),
    ],
)  # fmt: skip
def test_only_the_page_and_its_health_need_no_key(tmp_path: Path, path: str, status: int) -> None:
    add_key(tmp_path / "keys", "ann")
    assert Asked(path=path, keys=KeyRing(tmp_path / "keys")).status == status


def test_a_route_that_fails_is_logged_by_place_and_never_by_words() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("canary")

    asked = Asked(app=failing)
    assert asked.status == 500 and asked.error["code"] == "internal_error"
    fault, request = asked.log
    assert fault["event"] == "fault" and fault["fault"].startswith("KeyError at test_middleware.py:")
    assert request["fault"] == fault["fault"] and request["status"] == 500
    assert "canary" not in asked.log_text.getvalue() + asked.text
    assert asked.counted("unmatched", "500") == 1


def test_a_fault_in_the_middle_of_an_answer_sends_no_second_start() -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    asked = Asked(app=breaking)
    assert [message["type"] for message in asked.sent] == ["http.response.start"]
    assert asked.log[-1]["status"] == 200 and asked.log[0]["event"] == "fault"


def test_a_client_that_went_before_an_answer_is_counted_as_gone() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    asked = Asked(app=silent)
    assert asked.sent == [] and asked.log[-1]["status"] == 499 and asked.counted("unmatched", "499") == 1


@pytest.mark.parametrize(("route", "lines"), [("/health", 0), ("/metrics", 0), ("/v1/models", 1)])
def test_what_is_polled_all_the_time_is_not_logged_at_info(route: str, lines: int) -> None:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope["context"].route = route
        await echo(scope, receive, send)

    assert len(Asked(app=named).log) == lines
    assert len(Asked(app=named, level="debug").log) == 1
    assert Asked(app=named).counted(route, "200") == 1


def test_facts_of_a_route_are_in_its_log_line_and_ignored_fields_in_a_header() -> None:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope["context"].facts["reply"] = "chatcmpl-1"
        scope["context"].ignored = ("user", "metadata")
        await echo(scope, receive, send)

    asked = Asked(app=told)
    assert asked.log[-1]["reply"] == "chatcmpl-1"
    assert asked.headers["x-creuset-ignored"].replace(" ", "").split(",") == ["user", "metadata"]
    assert "x-creuset-ignored" not in Asked().headers


def test_a_websocket_is_closed_where_none_is_served_and_a_lifespan_goes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        seen.append(f"{message['type']} {message.get('code')}")

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    middleware = Middleware(app, ServeSettings(), None, Metrics(), new_log("info", io.StringIO()))
    for kind in ("lifespan", "websocket"):
        asyncio.run(
            middleware({"type": kind, "path": "/v1/elsewhere", "headers": [(b"host", b"localhost")]}, receive, send)
        )
    assert seen == ["lifespan", "websocket.close 1008"]
