"""What every request passes before a route sees it, in this order: id, Host, Origin, size, key, media type.

On loopback there is no key, so a web page somewhere else must not be able to use this server through the
reader's browser. Two checks stand against that: Host must be a name of this machine (a page whose own name
was rebound to 127.0.0.1 still sends its name), and a request that a browser sends for another site is refused.
Decisions are taken on `scope["path"]` and raw headers, never on a URL put together from them.
"""

import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from secrets import token_hex
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.errors import EngineError, Forbidden, NotFound, RequestError
from creuset.server.body import limited, refuse_encoding, too_large
from creuset.server.errors import OPENAI_DIALECT, Dialect, WrongMediaType, error_response
from creuset.server.metrics import Metrics
from creuset.server.settings import LOOPBACK_NAMES, ServeSettings, is_loopback
from creuset.server.tenants.access import check_scope
from creuset.server.tenants.admission import Errand
from creuset.server.tenants.cookies import check_origin_of_cookie, cookie_of
from creuset.server.tenants.gate import Gate
from creuset.types.served import PLAIN, ServedBy
from creuset.types.tenants import Caller

OPEN_PATHS = (
    "/",
    "/health",
    "/favicon.svg",
    "/admin",
    "/auth/login",
    "/auth/accept",
    "/auth/oidc/login",
    "/auth/oidc/callback",
)  # and the pages' files, under /assets/ and /admin/
POLLED = ("/health", "/metrics")  # asked all the time; the engine's own states are logged anyway
FOLLOWED = ("/", "/admin", "/auth/oidc/callback")  # links from elsewhere lead there
LOCALHOST = "localhost"  # as an allowed origin: pages of this machine, whatever their port
EXPOSED = (
    b"x-request-id, retry-after, retry-after-ms, x-should-retry, x-creuset-ignored, openai-processing-ms, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, idempotent-replayed, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, deprecation, sunset, link, "
    b"x-creuset-energy, x-creuset-model, x-creuset-target"
)
CLIENT_GONE = 499  # nginx's number for a client that closed the connection; it is only ever logged
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


Socket = Callable[[Scope, Receive, Send, ASGIApp], Awaitable[None]]


class KeyStore(Protocol):
    def identify(self, key: str, address: str) -> Caller:
        """Whose `key` it is, asked from `address`. Raises NotAllowed; answers from memory."""
        ...

    def session(self, token: str) -> Caller:
        """Who has signed on and got `token` in a cookie. Raises NotAllowed."""
        ...

    def standing(self, id: str) -> Caller:
        """What the key with this id, which is no secret, stands for now. Raises NotAllowed where it was revoked."""
        ...


@dataclass(slots=True)
class RequestContext:
    """What is known of one request: what its log line says."""

    id: str
    route: str = "unmatched"  # never the raw path, which a client may fill with anything
    caller: str | None = None  # the owner of what is kept; None where no keys are asked for
    who: Caller | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    dialect: Dialect = OPENAI_DIALECT
    ignored: tuple[str, ...] = ()  # fields of the body that were given and change nothing: told in a header
    turns: Any = None  # what a WebSocket remembers of its responses
    limits: Sequence[tuple[bytes, bytes]] = ()  # headers: what is left of the caller's limits
    errand: Errand | None = None  # where the server asks itself: for a batch
    served: ServedBy = PLAIN  # who answers, and how
    guards: Any = None  # what looks at its texts: protect/guards/chain.py, once it was asked for
    told: dict[bytes, bytes] = field(default_factory=dict)  # headers: what is to be known of the model and its name


class Middleware:
    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        keys: KeyStore | None,
        metrics: Metrics,
        log: Any,
        clock: Callable[[], float] = time.monotonic,
        *,
        posts: Collection[str] | None = None,
        dialects: Sequence[Dialect] = (),
        places: Callable[[], tuple[int, int]] | None = None,
        gate: Gate | None = None,
        metered: Collection[str] = (),
        files: re.Pattern[str] | None = None,
        seen: Callable[[RequestContext, int, float], object] = lambda _context, _status, _seconds: None,
        sockets: Mapping[str, Socket] | None = None,
    ) -> None:
        """`posts`: the addresses that take a body; of another one, nothing is said of its media type. None: all.

        `places`: completions that run or wait at most, and how many more would be taken now; replies to POST tell them.
        `files`: the addresses that take files, as forms, which may be larger than other bodies.
        `seen` hears of each request when it has ended: its status, and seconds.
        `metered`: the addresses whose requests count against the limits of `gate`, asked before a body is read.
        `sockets`: what serves a WebSocket at an address; it sends its requests back through here.
        """
        self._app, self._settings, self._keys = app, settings, keys
        self._metrics, self._log, self._clock = metrics, log, clock
        self._hosts = {h.lower() for h in (*LOOPBACK_NAMES, settings.host, *settings.allow_hosts)}
        self._origins = {o.lower().rstrip("/") for o in settings.allow_origins}
        self._posts, self._dialects, self._places = posts, dialects, places
        self._gate, self._metered, self._files, self._sockets = gate, metered, files, sockets or {}
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._socket(scope, receive, send)
            return
        dialect = next((d for d in self._dialects if scope["path"].startswith(d.prefix)), OPENAI_DIALECT)
        context = RequestContext("req_" + token_hex(12), dialect=dialect, turns=scope.get("turns"))
        scope["context"] = context
        named = _header(scope, b"x-client-request-id")
        if _CLIENT_ID.fullmatch(named):
            context.facts["client_request"] = named
        started, status = self._clock(), 0
        origin = _header(scope, b"origin")

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                took_ms = int(1000 * (self._clock() - started))
                message = {**message, "headers": [*message["headers"], *self._headers(context, took_ms, origin)]}
                if self._places is not None and scope["method"] == "POST":
                    told = dict(_rate_limits(*self._places())) | dict(context.limits)
                    message["headers"] += told.items()
            await send(message)

        try:
            refusal = self._check(scope, context)
            body = limited(receive, self._limit(scope), _header(scope, b"content-encoding"))
            await (refusal or self._app)(scope, body, answer)
        except Exception as error:
            context.facts["fault"] = f"{type(error).__name__} at {_where(error)}"
            self._log.error("fault", id=context.id, fault=context.facts["fault"])
            if not status:
                await error_response(error, dialect, context.id)(scope, receive, answer)
        finally:
            seconds, status = self._clock() - started, status or CLIENT_GONE  # gone before anything was said
            self._metrics.requests.labels(context.route, str(status)).inc()
            self._metrics.seconds.labels(context.route).observe(seconds)
            self._seen(context, status, seconds)
            say = self._log.debug if context.route in POLLED else self._log.info
            say(
                "request", id=context.id, method=scope["method"], route=context.route, status=status,
                ms=round(1000 * seconds, 1), key=context.who and context.who.key, **context.facts,
            )  # fmt: skip

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: its handshake is let in or refused like a request; what it sends are requests of their own."""
        context = RequestContext("req_" + token_hex(12), route=f"{scope['path']} (socket)")
        handler = self._sockets.get(scope["path"])
        asked = {**scope, "method": "GET", "scheme": "https" if scope.get("scheme") == "wss" else "http"}
        refusal = self._check(asked, context)
        if handler is None and refusal is None:
            refusal = error_response(NotFound("no WebSocket is served at this address"), context.dialect, context.id)
        if refusal is not None:
            await _denied(refusal, scope, receive, send)
            return
        assert handler is not None
        started = self._clock()
        try:
            await handler(scope, receive, send, self)
        finally:
            seconds = round(self._clock() - started, 1)
            self._log.info("socket", id=context.id, route=context.route, seconds=seconds,
                           key=context.who and context.who.key)  # fmt: skip

    def _check(self, scope: Scope, context: RequestContext) -> Response | None:
        """A refusal, or the answer to a browser's question whether it may ask; None: go on."""
        try:
            self._check_host(scope)
            cross = self._check_origin(scope)
            if cross and scope["method"] == "OPTIONS":
                return Response(status_code=204, headers=_preflight(scope))
            size = _header(scope, b"content-length")
            if size.isdecimal() and int(size) > self._limit(scope):
                raise too_large(int(size), self._limit(scope))
            if self._keys is not None and not _is_open(scope["path"]):
                who = context.who = _who(scope, self._keys)
                context.caller = who.owner
                check_scope(who, scope["path"])
            if self._takes_file(scope):
                if not _header(scope, b"content-type").lower().startswith("multipart/form-data"):
                    raise WrongMediaType("a file must be sent as multipart/form-data")
            elif scope["method"] == "POST" and (self._posts is None or scope["path"] in self._posts):
                media = _header(scope, b"content-type").partition(";")[0].strip().lower()
                if media != "application/json" and media != context.dialect.media:
                    raise WrongMediaType(f"the body must be sent as application/json, got `{media[:80] or 'no type'}`")
                refuse_encoding(_header(scope, b"content-encoding"))
                self._first_look(scope["path"], context)
        except (RequestError, EngineError) as error:
            return error_response(error, context.dialect, context.id)
        return None

    def _takes_file(self, scope: Scope) -> bool:
        return scope["method"] == "POST" and self._files is not None and bool(self._files.fullmatch(scope["path"]))

    def _limit(self, scope: Scope) -> int:
        return self._settings.file_limit_bytes if self._takes_file(scope) else self._settings.body_limit_bytes

    def _first_look(self, path: str, context: RequestContext) -> None:
        if self._gate is None or context.who is None or path not in self._metered:
            return
        try:
            self._gate.precheck(context.who)
        except RequestError:
            context.limits = self._gate.headers(context.who, ())
            raise

    def _check_host(self, scope: Scope) -> None:
        found = [value for name, value in scope["headers"] if name == b"host"]
        if len(found) != 1:
            raise RequestError("a request needs exactly one Host header", code="bad_host")
        name = _host_name(found[0].decode("latin-1"))
        if name in self._hosts or (self._settings.loopback and is_loopback(name)):
            return
        if not self._settings.loopback and _is_address(name):
            return  # an address can not be rebound; only names can
        raise Forbidden(
            "this server does not answer to that Host name",
            code="host_not_allowed",
            hint="start it with --allow-host NAME",
        )

    def _check_origin(self, scope: Scope) -> bool:
        """Whether the request comes from a listed other origin; refused when from one that is not listed."""
        origin = _header(scope, b"origin").lower().rstrip("/")
        if origin:
            if self._listed(origin):
                return True
            if origin != f"{scope.get('scheme', 'http')}://{_header(scope, b'host').lower()}":
                raise Forbidden(
                    "this server does not answer pages of that origin",
                    code="origin_not_allowed",
                    hint="start it with --allow-origin ORIGIN",
                )
            return False
        # Without Origin, browsers still say for whom they ask; following a link to the page itself is fine.
        site = _header(scope, b"sec-fetch-site")
        if site in ("cross-site", "same-site") and not (scope["path"] in FOLLOWED and scope["method"] == "GET"):
            raise Forbidden("this server does not answer requests made for another site", code="origin_not_allowed")
        return False

    def _listed(self, origin: str) -> bool:
        """Whether pages of `origin`, in small letters, may ask. `localhost` lists those of this machine, any port."""
        if origin in self._origins and origin != LOCALHOST:
            return True
        scheme, _, place = origin.partition("://")
        return LOCALHOST in self._origins and scheme in ("http", "https") and is_loopback(_host_name(place))

    def _headers(self, context: RequestContext, took_ms: int, origin: str) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"x-request-id", context.id.encode()),
            (b"openai-processing-ms", str(took_ms).encode()),
            (b"openai-version", b"2020-10-01"),
            *SECURITY_HEADERS,
        ]
        if context.dialect.id_header:
            headers.append((context.dialect.id_header, context.id.encode()))
        headers += context.told.items()
        if context.ignored:
            headers.append((b"x-creuset-ignored", ", ".join(context.ignored).encode()))
        if self._origins:
            headers.append((b"vary", b"origin"))
            if self._listed(origin.lower().rstrip("/")):
                headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
                headers.append((b"access-control-expose-headers", EXPOSED))
        return headers


async def _denied(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """A handshake refused with a status and a body, where the server can send them; else closed."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def answer(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await refusal({**scope, "type": "http"}, receive, answer)


def _preflight(scope: Scope) -> dict[str, str]:
    """Leave for what a browser asks whether it may send: clients have headers of their own (`x-stainless-os`)."""
    asked = [name.strip().lower() for name in _header(scope, b"access-control-request-headers").split(",")]
    named = [name for name in asked if _TOKEN.fullmatch(name)]
    headers = {
        "access-control-allow-methods": "GET, POST, DELETE",
        "access-control-allow-headers": ", ".join(dict.fromkeys(["authorization", "content-type", *named])),
        "access-control-max-age": "600",
        "vary": "access-control-request-headers",
    }
    if _header(scope, b"access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return headers


def _key(scope: Scope) -> str:
    """The key of a request: a bearer token, or alone in a header, as Anthropic's and Azure's clients send it."""
    scheme, _, key = _header(scope, b"authorization").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return _header(scope, b"x-api-key").strip() or _header(scope, b"api-key").strip()


def _who(scope: Scope, keys: KeyStore) -> Caller:
    """By the key, or, where there is none, by the cookie of a session."""
    key = _key(scope)
    token = "" if key else cookie_of(_header(scope, b"cookie"), _header(scope, b"host"))
    if not token:
        return keys.identify(key, _address(scope))
    check_origin_of_cookie(scope["method"], _header(scope, b"origin"), _header(scope, b"host"))
    return keys.session(token)


def _address(scope: Scope) -> str:
    """Of whoever opened the connection; a proxy's where one stands in front. Headers are not believed."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _rate_limits(limit: int, left: int) -> list[tuple[bytes, bytes]]:
    """OpenAI's headers, of the real queue: it has no window of time, so a place is free when some reply is complete."""
    told = {b"limit": str(limit), b"remaining": str(max(0, left)), b"reset": "0s" if left > 0 else "1s"}
    return [(b"x-ratelimit-%s-requests" % name, value.encode()) for name, value in told.items()]


_CLIENT_ID = re.compile(r"[!-~]{1,512}")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")


_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")


def _is_open(path: str) -> bool:
    """Whether `path` needs no key: the page, its files, and whether the server lives."""
    return path in OPEN_PATHS or path.startswith(("/assets/", "/admin/"))


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _host_name(value: str) -> str:
    """The name in `name:port`, `[address]:port` or `name`; empty when it is none of these."""
    found = _HOST.fullmatch(value)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _where(error: BaseException) -> str:
    """File and line of the last frame: the error's own words may repeat what a client sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
