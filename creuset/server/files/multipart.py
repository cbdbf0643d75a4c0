"""multipart/form-data as it comes off the wire: the fields in memory, the file handed on a little at a time.

RFC 7578. Nothing is put in a temporary file, and the name that a client gives is text.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from creuset.core.errors import RequestError

MOST_FIELDS = 32
MOST_FIELD_BYTES = 64 << 10
_NESTED = re.compile(r"(\w{1,64})\[(\w{0,64})\]")
_CALLBACKS = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "headers_finished")

Sink = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class _FormPart:
    """One part while it is read."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: bytearray = field(default_factory=bytearray)  # of the header that is read
    value: bytearray = field(default_factory=bytearray)
    field: str = ""
    content: bytearray | None = None  # of a field; None: the file, or headers are not over


class FormReader:
    """Reads one form. What stands in its file goes to `sink`, the client's name for it to `filename`."""

    def __init__(self, content_type: str, sink: Sink, *, file_field: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
            raise RequestError("the body must be multipart/form-data with a boundary of 1 to 70 characters")
        self.fields: dict[str, Any] = {}
        self.filename: str | None = None
        self._sink, self._file_field = sink, file_field
        self._events: list[tuple[str, bytes]] = []
        callbacks: Any = {f"on_{name}": self._noting(name) for name in (*_CALLBACKS, "end")}
        self._parser = MultipartParser(boundary, callbacks)

    def _noting(self, name: str) -> Any:
        if name in ("part_data", "header_field", "header_value"):
            return lambda data, start, end: self._events.append((name, data[start:end]))
        return lambda: self._events.append((name, b""))

    async def read(self, stream: AsyncIterator[bytes]) -> None:
        """Raises RequestError for what is no form, has two files, or none."""
        part, over, count = _FormPart(), False, 0
        async for data in stream:
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise RequestError(f"the body is no multipart/form-data: {error}") from None
            events, self._events = self._events, []
            for kind, some in events:
                if kind == "part_begin":
                    part, count = _FormPart(), count + 1
                    if count > MOST_FIELDS:
                        raise RequestError(f"the form has more than {MOST_FIELDS} parts")
                elif kind == "part_data" and part.content is None:
                    await self._sink(some)
                elif kind == "part_data" and part.content is not None:
                    part.content += some
                    if len(part.content) > MOST_FIELD_BYTES:
                        words = f"`{part.field}` has more than {MOST_FIELD_BYTES} bytes"
                        raise RequestError(words, param=part.field)
                elif kind == "part_end" and part.content is not None:
                    self._keep(part.field, bytes(part.content))
                elif kind == "header_field":
                    part.name += some
                elif kind == "header_value":
                    part.value += some
                elif kind == "header_end":
                    part.headers[bytes(part.name).lower()] = bytes(part.value)
                    part.name, part.value = bytearray(), bytearray()
                elif kind == "headers_finished":
                    self._begun(part)
                elif kind == "end":
                    over = True
        if not over:
            raise RequestError("the form is cut: its last boundary is missing")
        if self.filename is None:
            raise RequestError(f"`{self._file_field}` is required: a file", param=self._file_field)

    def _begun(self, part: _FormPart) -> None:
        """The headers of `part` were read: they say which field it is."""
        kind, options = parse_options_header(part.headers.get(b"content-disposition"))
        if kind != b"form-data" or not options.get(b"name"):
            raise RequestError("a part of the form has no name")
        part.field = _text(options[b"name"], "name")[:64]
        if part.field != self._file_field:
            part.content = bytearray()
            return
        if self.filename is not None:
            raise RequestError(f"`{part.field}` stands there twice", param=part.field)
        self.filename = _text(options.get(b"filename", b""), "filename")

    def _keep(self, name: str, raw: bytes) -> None:
        """`a[b]` is the member b of the object a."""
        value, nested = _text(raw, name), _NESTED.fullmatch(name)
        place: Any = self.fields
        if nested is not None:
            place, name = self.fields.setdefault(nested[1], {}), nested[2]
        if not isinstance(place, dict) or name in place:
            raise RequestError(f"`{name}` stands there twice, or in two ways", param=name)
        place[name] = value


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RequestError(f"`{what[:64]}` of the form is not UTF-8") from None
