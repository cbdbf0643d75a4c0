"""What the HTTP process and an engine process say to each other: length-prefixed msgpack frames.

Downwards (`Down`): add a request, cancel it. Upwards (`Up`): ready or failed, the events of a step, a refusal, a
sign of life. Requests and events are those of `creuset.types.generation`, encoded as they are.
"""

import struct
from typing import Any

import msgspec

from creuset.types.generation import Event, GenerationRequest

MAX_FRAME = 256 << 20  # bytes; a longer length prefix means that the stream is not ours
_LENGTH = struct.Struct(">I")


class Add(msgspec.Struct, frozen=True, tag="add"):
    request: GenerationRequest


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    facts: dict[str, Any]


class LoadFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The engine could not be loaded. The process ends after saying so."""

    message: str
    hint: str = ""
    exit_code: int = 1


class StepEvents(msgspec.Struct, frozen=True, tag="step"):
    events: list[Event]
    stats: dict[str, float]  # empty: they are told later


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    id: str
    message: str
    param: str | None = None
    code: str | None = None


class Heartbeat(msgspec.Struct, frozen=True, tag="beat"):
    stats: dict[str, float]


Down = Add | Cancel
Up = Ready | LoadFailed | StepEvents | Refused | Heartbeat

_encoder = msgspec.msgpack.Encoder()
_down = msgspec.msgpack.Decoder(Down)
_up = msgspec.msgpack.Decoder(Up)


def pack(message: Down | Up) -> bytes:
    """`message` as one frame."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def length(prefix: bytes) -> int:
    """Bytes of the frame behind its 4-byte prefix. Raises ValueError when it is longer than any of ours."""
    (size,) = _LENGTH.unpack(prefix)
    if size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes is not one of ours")
    return int(size)


def unpack_down(body: bytes) -> Down:
    """Raises msgspec.DecodeError for what is no frame, RequestError for sampling settings out of their range."""
    message: Down = _down.decode(body)
    return message


def unpack_up(body: bytes) -> Up:
    message: Up = _up.decode(body)
    return message
