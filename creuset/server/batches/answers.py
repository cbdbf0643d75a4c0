"""What a line of a batch was answered, as a line of its output file or of its error file."""

from typing import Any

import msgspec

from creuset.server.batches.asking import Asked
from creuset.server.batches.store import LineDone
from creuset.server.tenants.admission import CostEstimate

AGAIN = (408, 409, 500, 502, 504)  # the fault of a moment, perhaps
WAITS = (429, 503)  # nobody's fault: it is tried until there is room
MOST_TRIES = 4


def waits_for(asked: Asked, tries: int) -> float | None:
    """After how many seconds the same line is to be asked again; None: this was its answer."""
    if asked.status == 429 and asked.retry_after is None and code_of(asked.body) == "insufficient_quota":
        return None
    if asked.status in WAITS:
        return min(max(asked.retry_after or 0.2, 0.05), 60.0)
    if asked.status in AGAIN and tries < MOST_TRIES:
        return float(2**tries) / 4
    return None


def code_of(body: bytes) -> str | None:
    try:
        found = msgspec.json.decode(body)["error"]["code"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def answered(batch: str, at: int, custom_id: str, request: str, asked: Asked) -> LineDone:
    try:
        body = msgspec.json.decode(asked.body)
    except msgspec.DecodeError:
        body = None
    response = {"status_code": asked.status, "request_id": request, "body": body}
    told = _line(batch, at, custom_id, response, None)
    if asked.status != 200:
        return LineDone(batch=batch, at=at, state="failed", result=told)
    done = LineDone(batch=batch, at=at, state="completed", result=told)
    return msgspec.structs.replace(done, **_usage(body))


def estimated(batch: str, at: int, custom_id: str, request: str, model: str, found: CostEstimate) -> LineDone:
    body = {
        "object": "batch.estimate", "model": model, "input_tokens": found.input, "output_tokens_at_most": found.output,
        "cost_at_least": found.least / 1e6, "cost_at_most": found.most / 1e6,
        "currency": found.currency.lower() or None,
    }  # fmt: skip
    told = _line(batch, at, custom_id, {"status_code": 200, "request_id": request, "body": body}, None)
    return LineDone(
        batch=batch, at=at, state="completed", result=told, input=found.input, output=found.output, least=found.least,
        most=found.most, currency=found.currency,
    )  # fmt: skip


def unanswered(batch: str, at: int, custom_id: str, code: str, message: str) -> LineDone:
    """A line that was never asked, or had no answer."""
    told = _line(batch, at, custom_id, None, {"code": code, "message": message})
    return LineDone(batch=batch, at=at, state="failed", result=told)


def _line(batch: str, at: int, custom_id: str, response: Any, error: Any) -> bytes:
    id = f"batch_req_{batch.removeprefix('batch_')}_{at}"
    return msgspec.json.encode({"id": id, "custom_id": custom_id, "response": response, "error": error}) + b"\n"


def _usage(body: Any) -> dict[str, int]:
    """What a reply says of its tokens, in the words of chats or of responses."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return {}
    details = {name: usage.get(f"{name}_tokens_details") or {} for name in ("prompt", "completion", "input", "output")}
    found = {
        "input": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output": usage.get("completion_tokens", usage.get("output_tokens")),
        "cached": (details["prompt"] or details["input"]).get("cached_tokens"),
        "reasoning": (details["completion"] or details["output"]).get("reasoning_tokens"),
    }
    return {name: value for name, value in found.items() if type(value) is int}
