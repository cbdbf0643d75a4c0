"""One HTTP client for endpoints of any dialect: keys, retries, limits, money. No torch.

What is retried, `retries` times at most: no connection, time out, 408, 409, 429, 5xx, JSON that is broken, a stream
that ends early. The wait is what Retry-After (seconds or a date) or retry-after-ms says, at most `MAX_WAIT_S`, or else
doubles from half a second, with jitter from a seed. Everything else (400, 401, 404 ...) is a Failure at once. The key
is read from one environment variable; it is in no log, message, repr or manifest.
"""

import asyncio
import json
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from creuset.core.errors import ConfigError, EngineError
from creuset.evals.model import Budget, Failure
from creuset.evals.prices import Price

MAX_WAIT_S = 120.0  # no Retry-After is waited for longer
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
AGAIN = (408, 409, 425, 429)
REPLY_BYTES = 16 << 20  # of a reply, or of one event of a stream: 30,000 log-probabilities with names take 5 MiB
STREAM_BYTES = 64 << 20  # of a whole stream, in which each token has an envelope
ERROR_BYTES = 64 << 10  # that are read of a refusal

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallSettings:
    """How an endpoint is called."""

    key_env: str = ""  # name of the environment variable that holds the key; "": no key
    concurrency: int = 8  # calls open at a time
    timeout_s: float = 120.0  # of a call, from sending to its last byte
    retries: int = 5  # after the first attempt
    price_cap: float | None = None  # in the currency of `price`; no call is begun once it is spent
    price: Price | None = None
    stream: bool = False  # stream replies, to measure the time to the first token
    seed: int = 1234  # of the jitter
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # more of them; `env:VAR` stands for a secret
    query: Mapping[str, str] = field(default_factory=dict, repr=False)  # behind each address, such as api-version
    extra_body: Mapping[str, Any] = field(default_factory=dict)  # into each request for text
    temperature: float | None = None  # in the place of each task's own, as the next two
    max_tokens: int | None = None
    system: str = ""  # before a task's own

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.retries < 0 or self.timeout_s <= 0:
            raise ValueError("concurrency and timeout must be positive, retries must not be negative")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be positive, got {self.max_tokens}")
        if bad := [name for name in self.headers if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name)]:
            raise ValueError(f"`{bad[0]}` is not the name of a header")
        if self.price_cap is not None and self.price is None:
            raise ValueError("a price cap needs a price: this model is in no price file (--prices FILE)")

    def told(self) -> Json:
        """What of it makes answers others than a task's own settings would; empty where nothing does. No secret."""
        found: Json = {"temperature": self.temperature, "max_tokens": self.max_tokens, "system": self.system or None}
        found["extra_body"] = dict(self.extra_body) or None
        kept = {name: value for name, value in found.items() if value is not None}
        return {"asked_with": kept} if kept else {}


@dataclass(slots=True)
class HttpReply:
    """A call that succeeded."""

    body: Json
    seconds: float
    attempts: int
    first_s: float | None = None  # to the first streamed text
    warnings: list[str] = field(default_factory=list)


class Broken(Exception):
    """A reply that cannot be read, by the reason it has as a Failure; worth another attempt."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


Join = Callable[[list[Json]], Json]  # the events of a stream -> the body it stands for; raises Broken
HasText = Callable[[Json], bool]  # whether an event of a stream brings text


class HttpClient:
    def __init__(
        self,
        url: str,
        calling: CallSettings,
        headers: Callable[[str], dict[str, str]],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`headers`: those that carry the key. Raises ConfigError: no URL, no such variable."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"`{url}` is not the URL of an endpoint", hint="give it as https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ConfigError(
                "a URL with a key in it would be kept with the results",
                hint="use --key-env VARIABLE, and --query NAME=VALUE for what stands behind its `?`",
            )
        self.url, self.calling = url.rstrip("/").removesuffix("/chat/completions").removesuffix("/messages"), calling
        self._key = ""
        if calling.key_env:
            self._key = os.environ.get(calling.key_env, "")
            if not self._key:
                raise ConfigError(f"the environment has no `{calling.key_env}`", hint="export the endpoint's key there")
        self._headers, self._more = headers, {name: _secret(name, text) for name, text in calling.headers.items()}
        self._query = {name: _secret(name, text) for name, text in calling.query.items()}
        self._secrets = [text for text in (self._key, *self._more.values(), *self._query.values()) if len(text) > 5]
        self._clock, self._now, self._sleep = clock, now, sleep
        self._random = random.Random(calling.seed)
        self._open = asyncio.Semaphore(calling.concurrency)
        self.budget = Budget()
        # Certificates take long to load and plain HTTP has none; a proxy is nothing for this machine's own addresses.
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        limits = httpx.Limits(max_connections=calling.concurrency + 2)
        self._http = httpx.AsyncClient(
            timeout=calling.timeout_s, verify=parts.scheme == "https", trust_env=not here, limits=limits
        )

    def __repr__(self) -> str:
        return f"HttpClient({self.url!r})"

    async def first_model(self) -> str:
        """The first model that the endpoint lists. EngineError where it does not say, ConfigError where it has none."""
        listed = await self.get("/models")
        if not isinstance(listed, HttpReply):
            raise EngineError(f"`{self.url}` does not say its models: {listed.detail}", hint="name one with --model")
        names = [str(m["id"]) for m in listed.body.get("data") or [] if isinstance(m, dict) and m.get("id")]
        if not names:
            raise ConfigError(f"`{self.url}` serves no model", hint="name one with --model")
        return names[0]

    async def close(self) -> None:
        await self._http.aclose()

    def pay(self, prompt_tokens: int, completion_tokens: int) -> None:
        if self.calling.price is not None:
            self.budget.spent += self.calling.price.cost(prompt_tokens, completion_tokens)

    async def get(self, path: str) -> HttpReply | Failure:
        return await self.call("GET", path, None)

    async def post(
        self, path: str, body: Json, *, join: Join | None = None, has_text: HasText | None = None
    ) -> HttpReply | Failure:
        """`join` puts a reply together that comes as a stream, whether or not the body asks for one."""
        return await self.call("POST", path, body, join=join, has_text=has_text)

    async def call(
        self, method: str, path: str, body: Json | None, *, join: Join | None = None, has_text: HasText | None = None
    ) -> HttpReply | Failure:
        """`path` beginning with `//` is one of the server's root, not of the API's."""
        url = self._root() + path[1:] if path.startswith("//") else self.url + path
        cap = self.calling.price_cap
        attempt = 0
        while True:
            attempt += 1
            async with self._open:
                if cap is not None and self.budget.spent >= cap:
                    currency = self.calling.price.currency if self.calling.price else ""
                    said = f"{self.budget.spent:.4f} of {cap:.4f} {currency} are spent"
                    return Failure(reason="price_cap", detail=said)
                found, wait = await self._attempt(method, url, body, join, has_text, attempt)
            if not isinstance(found, Failure) or wait is None or attempt > self.calling.retries:
                return found
            await self._sleep(wait)

    async def _attempt(
        self, method: str, url: str, body: Json | None, join: Join | None, has_text: HasText | None, attempt: int
    ) -> tuple[HttpReply | Failure, float | None]:
        """What came of one attempt, and after how many seconds another is worth it (None: not at all)."""
        begun = self._clock()
        try:
            async with asyncio.timeout(self.calling.timeout_s):
                headers = self._headers(self._key) | self._more
                request = self._http.build_request(method, url, json=body, headers=headers, params=self._query or None)
                response = await self._http.send(request, stream=True)
                try:
                    if response.status_code != 200:
                        said = (await _bytes(response, ERROR_BYTES, cut=True)).decode(errors="replace")
                        return self._refused(response, said, attempt)
                    answer = await self._read(
                        response, join, has_text, begun, attempt, streamed=bool(body and body.get("stream"))
                    )
                    return answer, None
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            return self._failed("timeout", f"no reply within {self.calling.timeout_s:g} s", attempt)
        except Broken as broken:
            failure, wait = self._failed(broken.reason, str(broken), attempt)
            return failure, None if broken.reason == "too_large" else wait
        except httpx.RemoteProtocolError as error:
            if "without sending" in str(error):
                return self._failed("disconnected", str(error), attempt)
            return self._failed("truncated", f"the reply ended early: {error}", attempt)
        except httpx.HTTPError as error:
            return self._failed("connection", f"{type(error).__name__}: {error}", attempt)
        except (UnicodeEncodeError, ValueError) as error:  # half a surrogate pair in a prompt, NaN
            return Failure(reason="refused_400", detail=self._clean(f"cannot be sent: {error}"), attempts=attempt), None

    async def _read(
        self,
        response: httpx.Response,
        join: Join | None,
        has_text: HasText | None,
        begun: float,
        attempt: int,
        *,
        streamed: bool,
    ) -> HttpReply:
        kind = response.headers.get("content-type", "")
        if join is None or "text/event-stream" not in kind:
            body = _object((await _bytes(response, REPLY_BYTES)).decode(errors="replace"))
            warnings = ["not_streamed: a stream was asked for"] if streamed and join is not None else []
            return HttpReply(body, self._clock() - begun, attempt, warnings=warnings)
        events: list[Json] = []
        first_s = None
        async for line in _lines(response):
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                break
            event = _object(data)
            if event.get("error"):
                raise Broken("stream_error", json.dumps(event["error"], ensure_ascii=False)[:300])
            if first_s is None and has_text is not None and has_text(event):
                first_s = self._clock() - begun
            events.append(event)
        return HttpReply(join(events), self._clock() - begun, attempt, first_s=first_s)

    def _refused(self, response: httpx.Response, said: str, attempt: int) -> tuple[Failure, float | None]:
        status = response.status_code
        detail = self._clean(f"HTTP {status}: {_message(said)}")
        if "context_length" in said or "maximum context" in said or "prompt is too long" in said:
            return Failure(reason="context_length", detail=detail, attempts=attempt), None
        if "insufficient_quota" in said:
            return Failure(reason="quota", detail=detail, attempts=attempt), None
        if status in AGAIN or status >= 500:
            wait = self._asked_wait(response.headers)
            return Failure(reason=f"http_{status}", detail=detail, attempts=attempt), (
                self._backoff(attempt) if wait is None else wait
            )
        return Failure(reason=f"refused_{status}", detail=detail, attempts=attempt), None

    def _failed(self, reason: str, detail: str, attempt: int) -> tuple[Failure, float]:
        return Failure(reason=reason, detail=self._clean(detail), attempts=attempt), self._backoff(attempt)

    def _backoff(self, attempt: int) -> float:
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1)) * self._random.uniform(0.5, 1.0)

    def _asked_wait(self, headers: httpx.Headers) -> float | None:
        """Seconds, as the endpoint asks for; None where it does not, or not in a way to be read."""
        wait = None
        try:
            if "retry-after-ms" in headers:
                wait = float(headers["retry-after-ms"]) / 1000
            elif "retry-after" in headers:
                said = headers["retry-after"].strip()
                plain = said.replace(".", "", 1).isdecimal()
                wait = float(said) if plain else parsedate_to_datetime(said).timestamp() - self._now()
        except (ValueError, TypeError):
            return None
        return None if wait is None or wait != wait else min(MAX_WAIT_S, max(0.0, wait))

    def _root(self) -> str:
        return self.url.removesuffix("/v1")

    def _clean(self, text: str) -> str:
        """Servers like to repeat the key that they refuse."""
        for secret in self._secrets:
            text = text.replace(secret, "(key)")
        return text


def _secret(name: str, text: str) -> str:
    """What is sent: the value of a variable, for `env:VAR`. ConfigError where there is none."""
    if not text.startswith("env:"):
        return text
    if not (found := os.environ.get(text[4:], "")):
        raise ConfigError(f"`{name}`: the environment has no `{text[4:]}`", hint="export the value there")
    return found


async def _bytes(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """The body. Broken (too_large) beyond `limit` bytes, or with `cut` what came until then."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > limit:
            if cut:
                break
            raise Broken("too_large", f"a reply of more than {limit >> 20} MiB")
    return b"".join(parts)


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a stream of events, which has a limit as any reply."""
    left, size = b"", 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > STREAM_BYTES or len(left) > REPLY_BYTES:
            raise Broken(
                "too_large", f"a stream of more than {STREAM_BYTES >> 20} MiB, {REPLY_BYTES >> 20} in one line"
            )
        *lines, left = (left + part).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if left:
        yield left.decode(errors="replace")


def _object(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Broken("broken_json", f"{error}: {text[:120]!r}" if text else "an empty body") from None
    if not isinstance(value, dict):
        raise Broken("broken_json", f"a JSON {type(value).__name__} instead of an object")
    return value


def _message(text: str) -> str:
    """The words of an error object; of anything else its first characters."""
    try:
        error = json.loads(text)["error"]
        param = error.get("param") if isinstance(error, dict) else None
        named = f" [{param}]" if isinstance(param, str) and param else ""
        return str(error["message"] if isinstance(error, dict) else error)[:400] + named[:80]
    except (ValueError, KeyError, TypeError):
        return text[:200].strip() or "no explanation"
