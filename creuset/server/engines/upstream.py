"""An engine that is another server: vLLM, SGLang, Ollama, llama.cpp or any provider with OpenAI's API, behind ours.

Reading order: `UpstreamSettings`, `UpstreamEngine.opened` (a request goes out, with retries), `UpstreamEngine.run` (is
it well?). What goes through, and how it is changed on the way, is engines/relay.py's.

The key of a client never goes out, and the upstream's key never comes in: it is in no error, log or `repr`. A request
is sent again only where nothing was answered and nothing can have been done twice: the connection was not made, or the
answer was 429 with Retry-After, 502, 503 or 504.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

import creuset
from creuset.core.errors import ConfigError, EngineError, Overloaded, RequestError
from creuset.server.engines.client import State
from creuset.server.engines.outgoing import IncomingReply, NotConnected, Outgoing, OutgoingError, TimedOut
from creuset.server.engines.turns import TurnGate
from creuset.server.metrics import Gauges, ModelMetrics
from creuset.server.settings import is_loopback

CHAT = "/chat/completions"
SLOW_PROBES = 3
BACKOFF_S, LONGEST_WAIT_S = 0.25, 10.0
MAX_ERROR_BYTES = 64 << 10  # of an error that is read
CONTEXT_FIELDS = ("max_model_len", "context_length", "max_context_length", "context_window")


class UpstreamError(EngineError):
    """The upstream did not do what was asked, and nothing that the client could change."""

    status = 502
    code = "upstream_error"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamUnknown(UpstreamError):
    """It has no such model. That says nothing of its health."""


class UpstreamDown(EngineError):
    code = "upstream_unavailable"


class UpstreamRefused(RequestError):
    """The upstream refuses what was asked."""


class UpstreamLacks(UpstreamRefused):
    """The upstream has no address for this kind of request."""

    code = "unsupported_value"


class PolicyRefused(UpstreamRefused):
    """A filter of the upstream stopped its reply before a word of it was sent."""

    code = "content_filter"


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamSettings:
    url: str  # of its API: http://localhost:8001/v1
    model: str  # its name there
    names: tuple[str, ...] = ()  # its names here; none: the name there
    key: str = field(default="", repr=False)
    retries: int = 2
    connect_s: float = 5.0
    silence_s: float = 300.0  # longest time without a byte
    at_a_time: int = 0  # requests that run there for this server; 0: as many as at a model of ours
    probe_s: float = 10.0  # health is looked at this often, and five times as often while it is red

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"--upstream must be an address such as http://localhost:8001/v1, got `{_safe(self.url)}`"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(
                f"--upstream `{_safe(self.url)}` must be a plain address", hint="give its key by --upstream-key-env VAR"
            )
        if not self.model:
            raise ConfigError(f"--upstream `{self.url}` needs `--upstream-model NAME`: the model's name there")
        if any(not 33 <= ord(letter) < 127 for letter in self.key):
            raise ConfigError(f"the key for --upstream `{self.url}` has characters that a header cannot have")

    @property
    def base(self) -> str:
        """The address before `/chat/completions`; an address without a path gets OpenAI's `/v1`."""
        bare = self.url.rstrip("/")
        return bare if urlsplit(bare).path else f"{bare}/v1"


class UpstreamEngine:
    """One model of another server."""

    def __init__(
        self,
        settings: UpstreamSettings,
        metrics: ModelMetrics,
        log: Any,
        *,
        max_concurrency: int = 16,
        max_queue: int = 64,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        self.settings, self.metrics, self._log = settings, metrics, log
        self.names = settings.names or (settings.model,)
        self.state: State = "starting"
        self.reason = ""  # why it is red
        self.listed: Mapping[str, Any] = {}  # what its own list says of the model
        self.created = int(clock())
        self.open = 0
        self._limit, self._running = max_concurrency + max_queue, TurnGate(max_concurrency)
        self._pause = pause
        self._slow = 0  # looks at its health in a row that it left unanswered
        self._ended = asyncio.Event()
        headers = {"user-agent": f"creuset/{creuset.__version__}"}
        if settings.key:
            headers["authorization"] = f"Bearer {settings.key}"
        self._client = Outgoing(
            headers, connect_s=settings.connect_s, silence_s=settings.silence_s, keep=max_concurrency,
            trust_env=not is_loopback(urlsplit(settings.url).hostname or ""),  # no proxy to this machine itself
            context=tls,
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def context(self) -> int | None:
        """Tokens, where its own list says so."""
        meta = self.listed.get("meta")
        found = [self.listed.get(name) for name in CONTEXT_FIELDS]
        found += [meta.get("n_ctx"), meta.get("n_ctx_train")] if isinstance(meta, dict) else []
        return next((value for value in found if type(value) is int and value > 0), None)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = {"model": self.name, "state": self.state, "upstream": True}
        return found | ({"reason": self.reason} if self.reason else {})

    def gauges(self) -> Gauges:
        return Gauges(open=self.open, ready=self.state == "ready")

    def why_not(self) -> str:
        return f"the server behind {self.name} cannot be used: {self.reason or 'it was not reached yet'}"

    @asynccontextmanager
    async def place(self, tier: str = "default") -> AsyncIterator[None]:
        """A place among the requests that run; those behind `max_concurrency` wait, by class. Raises Overloaded."""
        if self.open >= self._limit:
            raise Overloaded(
                f"{self.open} requests to {self.name} are running or waiting, which is all it takes; try again",
                retry_after=1.0,
            )
        self.open += 1
        try:
            async with self._running.place(tier):
                yield
        finally:
            self.open -= 1

    @asynccontextmanager
    async def opened(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[IncomingReply]:
        """The answer to a POST, its status 200, its body not read yet. Leaving ends the request, there too.

        Raises what the client is to be told: RequestError, Overloaded, UpstreamError, UpstreamDown.
        """
        if self.state == "down":
            raise UpstreamDown(self.why_not())
        raw = msgspec.json.encode(body)
        for attempt in range(self.settings.retries + 1):
            response = await self._post(path, raw, last=attempt == self.settings.retries)
            if response is not None:
                wait = _retry_wait(response, attempt)
                if wait is None or attempt == self.settings.retries:
                    break
                await response.aclose()
            else:
                wait = BACKOFF_S * 2**attempt
            await self._pause(wait)
        assert response is not None
        try:
            if response.status_code != 200:
                raise await self._refusal(response, path)
            self._set("ready")
            yield response
        finally:
            await response.aclose()

    async def _post(self, path: str, raw: bytes, *, last: bool) -> IncomingReply | None:
        """The answer, or None where no connection was made and it can be tried again."""
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        try:
            return await self._client.post(self.settings.base + path, raw, headers)
        except NotConnected as error:
            if not last:
                return None
            self._set("down", "no connection can be made")
            raise UpstreamDown(self.why_not()) from error
        except TimedOut as error:
            raise UpstreamTimeout(f"the server behind {self.name} did not answer in time") from error
        except OutgoingError as error:
            raise UpstreamError(f"the server behind {self.name} broke the connection before it answered") from error

    async def _refusal(self, response: IncomingReply, path: str) -> Exception:
        """What a client is told of an answer from `path` that is none."""
        status = response.status_code
        raw = await self._beginning(response)
        message, param, code = read_error(raw)
        no_model = path == CHAT or code == "model_not_found" or self.settings.model in message
        message = self.scrub(message) or f"the server behind {self.name} answered {status}"
        if status in (401, 403):
            # Its words may repeat a part of the key: they go nowhere.
            return UpstreamError(f"the server behind {self.name} refuses the key of this server ({status})")
        if status == 404 and no_model:
            return UpstreamUnknown(f"the server behind {self.name} has no such model or address (404)")
        if status in (404, 405, 501):
            kind = path.strip("/").replace("/", " ")
            return UpstreamLacks(f"the server behind {self.name} does not serve {kind} ({status})", param="model")
        if status == 408:
            return UpstreamTimeout(message)
        if status == 429:
            return Overloaded(message, code=code, retry_after=_seconds(response) or 1.0)
        if 400 <= status < 500:
            refused = UpstreamRefused(message, param=param, code=code)
            refused.status = 413 if status == 413 else 400
            return refused
        if status in (503, 504):
            return UpstreamDown(message) if status == 503 else UpstreamTimeout(message)
        return UpstreamError(message)

    async def _beginning(self, response: IncomingReply) -> bytes:
        found = b""
        with suppress(OutgoingError):
            async for piece in response.pieces():
                found += piece
                if len(found) >= MAX_ERROR_BYTES:
                    break
        return found[:MAX_ERROR_BYTES]

    def scrub(self, text: str) -> str:
        """`text` without the key of the upstream."""
        return text.replace(self.settings.key, "***") if self.settings.key else text

    async def run(self) -> None:
        """Look at its health until `close`."""
        try:
            while not self._ended.is_set():
                await self.probe()
                wait = self.settings.probe_s / (5 if self.state == "down" else 1)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._ended.wait()
        finally:
            await self._client.close()

    async def probe(self) -> None:
        """Ask for its list of models: red when it cannot be reached, fails, or does not know our key."""
        try:
            status, body = await self._client.get(f"{self.settings.base}/models", within_s=self.settings.connect_s)
        except TimedOut:
            # It took the connection: some servers answer nothing else while they write a reply. Red when it goes on.
            self._slow += 1
            if self._slow >= SLOW_PROBES and not self.open:
                self._set("down", f"it did not answer {self._slow} times")
            return
        except OutgoingError as error:
            self._set("down", f"it does not answer ({error})")
            return
        self._slow = 0
        if status >= 500:
            self._set("down", f"it answers {status}")
        elif status == 401:
            self._set("down", "it refuses the key of this server (401)")
        else:  # a provider without such a list is well too
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                listed = {one["id"]: one for one in msgspec.json.decode(body)["data"]}
                self.listed = listed.get(self.settings.model, {})
            self._set("ready")

    def _set(self, state: State, reason: str = "") -> None:
        if self.state == "closed" or (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason = state, reason
        say = self._log.warning if state == "down" else self._log.info
        host = urlsplit(self.settings.url).netloc
        say("upstream", model=self.name, host=host, state=state, **({"reason": reason} if reason else {}))

    async def shut(self) -> None:
        """Close its connections, where nobody runs it."""
        self.close()
        await self._client.close()

    def close(self) -> None:
        self._set("closed")
        self._ended.set()


def read_error(raw: bytes) -> tuple[str, str | None, str | None]:
    """Message, param and code of an error body: OpenAI's form, Ollama's, FastAPI's, older vLLM's; empty for others."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", None, None
    if not isinstance(body, dict):
        return "", None, None
    found = body.get("error", body)
    if isinstance(found, str):
        return found, None, None
    if not isinstance(found, dict):
        return "", None, None
    message = found.get("message", found.get("detail"))
    if isinstance(message, list | dict):
        message = msgspec.json.encode(message).decode()[:500]
    param, code = found.get("param"), found.get("code")
    return (
        message if isinstance(message, str) else "",
        param if isinstance(param, str) else None,
        code if isinstance(code, str) else None,
    )


def _retry_wait(response: IncomingReply, attempt: int) -> float | None:
    """Seconds until this request may be sent again; None: it is not to be."""
    asked = _seconds(response)
    if response.status_code == 429:
        return asked if asked is not None and asked <= LONGEST_WAIT_S else None
    if response.status_code in (502, 503, 504):
        wait = BACKOFF_S * 2**attempt if asked is None else asked
        return wait if wait <= LONGEST_WAIT_S else None
    return None


def _seconds(response: IncomingReply) -> float | None:
    """Retry-After in seconds. A date, the other form, is as good as none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _safe(url: str) -> str:
    """`url` without what stands before an `@`."""
    scheme, between, rest = url.partition("://")
    return f"{scheme}{between}***@{rest.rpartition('@')[2]}" if "@" in rest else url
