"""Reading what another server answers: in bounds, as JSON objects, with errors that say what was wrong."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from creuset.server.engines.outgoing import IncomingReply, OutgoingError, TimedOut
from creuset.server.engines.upstream import UpstreamEngine, UpstreamError, UpstreamTimeout, read_error
from creuset.types.fields import show

MAX_REPLY_BYTES = 64 << 20  # of a whole reply, and of one event of a stream
COUNTS = ("prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class ReplyReader:
    engine: UpstreamEngine

    async def whole(self, response: IncomingReply) -> dict[str, Any]:
        return self.object(b"".join([piece async for piece in self._bytes(response, MAX_REPLY_BYTES)]))

    async def values(self, response: IncomingReply) -> AsyncGenerator[bytes]:
        """The data of each event of a stream, up to `[DONE]`, which is the last of them where it comes."""
        async with aclosing(self.batches(response)) as batches:
            async for values in batches:
                for value in values:
                    yield value

    async def batches(self, response: IncomingReply) -> AsyncGenerator[list[bytes]]:
        """As `values`; those that came together are told together."""
        if "text/event-stream" not in response.headers.get("content-type", ""):
            raise self.error(await self.whole(response))
        rest = b""
        async with aclosing(self._bytes(response, None)) as pieces:
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > MAX_REPLY_BYTES:
                    raise UpstreamError(f"the server behind {self.engine.name} sent an event without an end")
                # Other lines are comments, an event's name, or the line between two.
                found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
                if b"[DONE]" in found:
                    del found[found.index(b"[DONE]") + 1 :]
                    response.complete = True
                if found := [value for value in found if value]:
                    yield found
                if response.complete:
                    return

    def chunk(self, value: bytes) -> dict[str, Any]:
        """One chunk of a stream. UpstreamError where it is an error, or nothing that is known."""
        found = self.object(value)
        if "choices" not in found and "usage" not in found:
            raise self.error(found)
        return found

    def object(self, raw: bytes) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UpstreamError(f"the server behind {self.engine.name} sent what is no JSON object")
        return found

    def error(self, reply: dict[str, Any]) -> UpstreamError:
        """What is told of a reply that says 200 and is an error, or nothing that is known."""
        message = self.engine.scrub(read_error(msgspec.json.encode(reply))[0])
        return UpstreamError(
            message or f"the server behind {self.engine.name} sent no reply, but {show(sorted(reply))}"
        )

    def cut(self) -> UpstreamError:
        return UpstreamError(f"the server behind {self.engine.name} ended the stream before the reply was complete")

    async def _bytes(self, response: IncomingReply, most: int | None) -> AsyncGenerator[bytes]:
        total, name = 0, self.engine.name
        try:
            async for piece in response.pieces():
                total += len(piece)
                if most is not None and total > most:
                    raise UpstreamError(f"the server behind {name} sent a reply of more than {most} bytes")
                yield piece
        except TimedOut as error:
            raise UpstreamTimeout(f"the server behind {name} fell silent before the reply was complete") from error
        except OutgoingError as error:
            raise UpstreamError(
                f"the server behind {name} broke the connection before the reply was complete"
            ) from error
