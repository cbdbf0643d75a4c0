"""Every error as OpenAI's error object: message, type, param, code, all four always there; or as a dialect has it."""

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import CreusetError, EngineError, RequestError

RETRY_S = 1  # what Retry-After says while the engine restarts


class TooLarge(RequestError):
    status = 413
    code = "request_too_large"


class WrongMediaType(RequestError):
    status = 415
    code = "unsupported_media_type"


def error_object(error: Exception) -> dict[str, Any]:
    if isinstance(error, RequestError):
        message = f"{error} ({error.hint})" if error.hint else str(error)
        return _object(message, error.kind, error.param, error.code)
    if isinstance(error, EngineError):
        return _object(str(error), "server_error", None, error.code)
    if isinstance(error, HTTPException):
        kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
        return _object(_WORDS.get(error.status_code, error.detail), kind, None, _CODES.get(error.status_code))
    # Its words may repeat what a client sent: they go nowhere.
    return _object("the server had an error of its own; it is in the log", "server_error", None, "internal_error")


_WORDS = {404: "there is nothing at this address", 405: "this address does not take this method"}
_CODES = {404: "unknown_url", 405: "method_not_allowed", 413: "request_too_large"}


class UnknownAddress(RequestError):
    status = 404
    code = "unknown_url"


def nothing_at(path: str, served: Sequence[tuple[str, str]]) -> UnknownAddress:
    """What is there instead: (method, path) of each route that is `served`. `path` itself is not repeated."""
    known = [address for _, address in served if "{" not in address]
    tail = path.rstrip("/").removeprefix("/v1").removeprefix("/v1")
    near = [f"/v1{tail}"] if f"/v1{tail}" in known else difflib.get_close_matches(path, known, n=1, cutoff=0.7)
    told = [f"{verb} {address}" for verb, address in served if address.startswith("/v1/") and "{" not in address]
    hint = f"did you mean {near[0]}?" if near else "the API is under /v1"
    return UnknownAddress(f"there is nothing at this address; this server has {', '.join(told)}", hint=hint)


def _object(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How errors are written to those who speak it."""

    prefix: str  # of the addresses where it is spoken
    error: Callable[[Exception, str | None], dict[str, Any]]  # with the id of the request
    id_header: bytes | None = None  # that has the id as well
    media: str = "application/json"  # of bodies, which may be plain JSON in any case


OPENAI_DIALECT = Dialect("", lambda error, _id: error_object(error))


def status_of(error: Exception) -> int:
    return (
        error.status
        if isinstance(error, RequestError | EngineError)
        else (error.status_code if isinstance(error, HTTPException) else 500)
    )


def _again_after(seconds: float) -> dict[str, str]:
    """For any client, and in the words of OpenAI's own."""
    wait = str(max(1, math.ceil(seconds)))
    return {"retry-after": wait, "retry-after-ms": str(max(1, math.ceil(1000 * seconds))), "x-should-retry": "true"}


def error_response(error: Exception, dialect: Dialect = OPENAI_DIALECT, request_id: str | None = None) -> Response:
    headers: dict[str, str] = {}
    status = status_of(error)
    if isinstance(error, RequestError):
        if error.retry_after is not None:
            headers |= _again_after(error.retry_after)
        elif status not in (408, 409, 429) or error.code == "insufficient_quota":
            headers["x-should-retry"] = "false"  # the same request would be refused again
        if status == 401:
            headers["www-authenticate"] = "Bearer"
    elif isinstance(error, EngineError):
        if status == 503:
            headers |= _again_after(RETRY_S if error.retry_after is None else error.retry_after)
    elif isinstance(error, HTTPException):
        headers |= dict(error.headers or {})
    return Response(msgspec.json.encode(dialect.error(error, request_id)), status, headers, "application/json")


async def handle(request: Request, error: Exception) -> Response:
    context = request.scope["context"]
    return error_response(error, context.dialect, context.id)


HANDLERS: dict[Any, Any] = {CreusetError: handle, HTTPException: handle, Exception: handle}
