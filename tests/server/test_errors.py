"""Every error as OpenAI's object: the four members, the status, the headers that go with it."""

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from creuset.core.errors import (
    ConfigError,
    EngineError,
    Forbidden,
    NotAllowed,
    NotFound,
    Overloaded,
    PromptTooLong,
    RequestError,
)
from creuset.server.errors import TooLarge, WrongMediaType, error_object, error_response

CLIENTS = "invalid_request_error"


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (RequestError("`n` is 0", param="n"), 400, ("`n` is 0", CLIENTS, "n", None)),
        (RequestError("no", hint="do x"), 400, ("no (do x)", CLIENTS, None, None)),
        (RequestError("no", code="own_code"), 400, ("no", CLIENTS, None, "own_code")),
        (NotAllowed("who?"), 401, ("who?", CLIENTS, None, "invalid_api_key")),
        (Forbidden("no"), 403, ("no", CLIENTS, None, "forbidden")),
        (NotFound("where?", param="model"), 404, ("where?", CLIENTS, "model", "not_found")),
        (PromptTooLong("long", param="messages"), 400, ("long", CLIENTS, "messages", "context_length_exceeded")),
        (TooLarge("big"), 413, ("big", CLIENTS, None, "request_too_large")),
        (WrongMediaType("text"), 415, ("text", CLIENTS, None, "unsupported_media_type")),
        (Overloaded("full"), 429, ("full", "rate_limit_error", None, "slow_down")),
        (EngineError("down"), 503, ("down", "server_error", None, "engine_unavailable")),
        (HTTPException(404), 404, ("there is nothing at this address", CLIENTS, None, "unknown_url")),
        (HTTPException(405), 405, ("this address does not take this method", CLIENTS, None, "method_not_allowed")),
        (HTTPException(413, "big"), 413, ("big", CLIENTS, None, "request_too_large")),
        (HTTPException(418, "teapot"), 418, ("teapot", CLIENTS, None, None)),
        (HTTPException(500, "x"), 500, ("x", "server_error", None, None)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_has_its_status_and_openais_four_members(
    error: Exception, status: int, expected: tuple[str, str, str | None, str | None]
) -> None:
    response = error_response(error)
    assert response.status_code == status and response.headers["content-type"] == "application/json"
    body = json.loads(bytes(response.body))
    assert body == error_object(error)
    assert body == {"error": dict(zip(("message", "type", "param", "code"), expected, strict=True))}


@pytest.mark.parametrize("error", [KeyError("secret"), ConfigError("secret"), ZeroDivisionError("secret")])
def test_a_fault_of_ours_never_says_its_own_words(error: Exception) -> None:
    response = error_response(error)
    assert response.status_code == 500 and b"secret" not in bytes(response.body)
    told = json.loads(bytes(response.body))["error"]
    assert (told["type"], told["code"]) == ("server_error", "internal_error")


AGAIN = {"x-should-retry": "true"}


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (NotAllowed("x"), {"www-authenticate": "Bearer", "x-should-retry": "false"}),
        (Overloaded("x", retry_after=2.4), {"retry-after": "3", "retry-after-ms": "2400", **AGAIN}),
        (Overloaded("x", retry_after=0.01), {"retry-after": "1", "retry-after-ms": "10", **AGAIN}),
        (Overloaded("x"), {}),
        (RequestError("x", retry_after=7), {"retry-after": "7", "retry-after-ms": "7000", **AGAIN}),
        (EngineError("x"), {"retry-after": "1", "retry-after-ms": "1000", **AGAIN}),
        (HTTPException(405, headers={"allow": "GET"}), {"allow": "GET"}),
        (Forbidden("x"), {"x-should-retry": "false"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_client_is_told_when_to_come_back_and_how_to_say_who_it_is(error: Exception, headers: dict[str, Any]) -> None:
    found = dict(error_response(error).headers)
    assert {name: found[name] for name in found if name not in ("content-length", "content-type")} == headers


def test_an_engine_that_failed_one_reply_is_no_reason_to_wait() -> None:
    class Failed(EngineError):
        status, code = 500, "engine_error"

    response = error_response(Failed("it broke"))
    assert response.status_code == 500 and "retry-after" not in response.headers
