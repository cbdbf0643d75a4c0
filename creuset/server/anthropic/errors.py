"""Errors of Anthropic's dialect, and how its events are written."""

from typing import Any

import msgspec

from creuset.core.errors import PromptTooLong
from creuset.server.errors import Dialect, error_object, status_of
from creuset.server.stream import Frames

TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 409: "invalid_request_error", 413: "request_too_large",
    415: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error", 503: "overloaded_error",
    504: "timeout_error",
}  # fmt: skip
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def anthropic_error(error: Exception, request_id: str | None = None) -> dict[str, Any]:
    """The error under the name that Anthropic's clients know; the field that is wrong stands in its words."""
    said = error_object(error)["error"]["message"]
    if isinstance(error, PromptTooLong):  # clients look for these words
        said = f"prompt is too long: {said}"
    found: dict[str, Any] = {
        "type": "error",
        "error": {"type": TYPES.get(status_of(error), "api_error"), "message": said},
    }
    return found | ({"request_id": request_id} if request_id else {})


def encode(events: list[dict[str, Any]]) -> bytes:
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + msgspec.json.encode(event) + b"\n\n" for event in events
    )


FRAMES = Frames(encode=encode, error=anthropic_error, keep_alive=PING, done=b"")
DIALECT = Dialect("/v1/messages", anthropic_error, id_header=b"request-id")
