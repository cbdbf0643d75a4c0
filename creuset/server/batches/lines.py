"""The lines of a batch's input: what each asks for, and what is wrong with it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.batches.batch import BatchFault
from creuset.types.fields import BOM, show

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
MOST_LINES = 50_000
MOST_BYTES = 200 << 20
MOST_FAULTS = 100  # that are told; the batch fails with the first
MOST_ID = 512


class LineAsk(msgspec.Struct, frozen=True):
    """One request of a batch."""

    custom_id: str
    body: dict[str, Any]

    @property
    def model(self) -> str:
        model = self.body.get("model")
        return model if isinstance(model, str) else ""


class LineFault(RequestError):
    """What is wrong with a line."""


def parse_line(raw: bytes, endpoint: str) -> LineAsk:
    """Raises LineFault. What the body says is looked at when it is asked, except for what no line may ask."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineFault(f"the line is not JSON: {error}", code="invalid_json_line") from None
    if not isinstance(value, dict):
        raise LineFault("the line must be a JSON object", code="invalid_json_line")
    id = value.get("custom_id")
    if type(id) is not str or not 1 <= len(id) <= MOST_ID:
        words = f"`custom_id` must be a text of 1 to {MOST_ID} characters, got {show(id)}"
        raise LineFault(words, param="custom_id", code="missing_required_parameter")
    if value.get("method") != "POST":
        words = f'`method` must be "POST", got {show(value.get("method"))}'
        raise LineFault(words, param="method", code="invalid_method")
    if value.get("url") != endpoint:
        words = f"`url` must be the endpoint of the batch, {endpoint}, got {show(value.get('url'))}"
        raise LineFault(words, param="url", code="mismatched_endpoint")
    body = value.get("body")
    if not isinstance(body, dict):
        raise LineFault(f"`body` must be an object, got {show(body)}", param="body", code="missing_required_parameter")
    if extra := sorted(value.keys() - {"custom_id", "method", "url", "body"}):
        raise LineFault(f"`{extra[0][:64]}` is not a field of a line", param=extra[0][:64], code="unknown_parameter")
    for name in ("stream", "background"):
        if body.get(name):
            raise LineFault(f"`{name}` is not for batches", param=f"body.{name}", code="unsupported_parameter")
    return LineAsk(id, body)


class LineIndex:
    """Where each line of an input stands, and whether the whole is a batch."""

    def __init__(self, endpoint: str, most_bytes: int) -> None:
        """`most_bytes`: that one line may have."""
        self.places: list[tuple[int, int]] = []  # begin and size
        self.faults: list[BatchFault] = []
        self.models: dict[str, None] = {}
        self._endpoint, self._most, self._ids = endpoint, most_bytes, set[str]()
        self._number = 0

    async def read(self, content: AsyncIterator[bytes]) -> None:
        """Stops where there is too much."""
        rest, begin = b"", 0
        async for data in content:
            rest += data
            *whole, rest = rest.split(b"\n")
            for line in whole:
                self._line(line, begin)
                begin += len(line) + 1
            if len(rest) > self._most:
                self._number += 1
                self.fault("line_too_long", f"a line has at most {self._most} bytes")
                return
            if len(self.places) > MOST_LINES:
                self.fault("too_many_requests", f"a batch has at most {MOST_LINES} requests")
                return
        self._line(rest, begin)
        if not self.places and not self.faults:
            self.faults.append(BatchFault("empty_file", "the input file has no request"))

    def fault(self, code: str, message: str, param: str | None = None) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(BatchFault(code, message, self._number, param))

    def _line(self, raw: bytes, begin: int) -> None:
        self._number += 1
        if raw.startswith(BOM):
            begin, raw = begin + len(BOM), raw[len(BOM) :]
        if not raw.strip():
            return
        if len(raw) > self._most:
            return self.fault("line_too_long", f"a line has at most {self._most} bytes")
        try:
            ask = parse_line(raw, self._endpoint)
        except LineFault as error:
            return self.fault(error.code or "invalid_line", str(error), error.param)
        if ask.custom_id in self._ids:
            return self.fault(
                "duplicate_custom_id", f"`custom_id` {show(ask.custom_id)} stands there twice", "custom_id"
            )
        self._ids.add(ask.custom_id)
        self.models[ask.model] = None
        self.places.append((begin, len(raw)))
