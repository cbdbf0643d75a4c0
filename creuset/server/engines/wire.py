"""What the HTTP process and the engine process say to each other: length-prefixed msgpack frames.

Downwards (`Down`): add a request, cancel it. Upwards (`Up`): ready or failed, the events of a
step, a refusal, a sign of life. The names of fields are those of `creuset.types.generation`.
"""

import struct
from typing import Any

import msgspec

MAX_FRAME = 256 << 20  # bytes; a longer length prefix means that the stream is not ours
_LENGTH = struct.Struct(">I")


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None  # alternatives per token; 0: the chosen one only
    prompt_logprobs: int | None = None


class Add(msgspec.Struct, frozen=True, tag="add"):
    id: str
    prompt: list[int]
    sampling: Sampling
    salt: str = ""  # cached prefixes are shared among requests of the same salt only


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: str


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


NO_LOGPROB = TokenLogprob(-1, None)  # stands for the first token of a prompt, which follows nothing


class Event(msgspec.Struct, frozen=True, array_like=True):
    """What one step did to one request. Counts are totals since the request began."""

    id: str
    text: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    finish: str | None = None  # stop, length, cancelled, error
    stop_match: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    error: str | None = None


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    facts: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The engine could not be loaded; the process ends after saying so."""

    message: str
    hint: str = ""
    exit_code: int = 1


class Step(msgspec.Struct, frozen=True, tag="step"):
    events: list[Event]
    stats: dict[str, float]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    id: str
    message: str
    param: str | None = None
    code: str | None = None


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    stats: dict[str, float]


Down = Add | Cancel
Up = Ready | Failed | Step | Refused | Beat

_encoder = msgspec.msgpack.Encoder()
_down = msgspec.msgpack.Decoder(Down)
_up = msgspec.msgpack.Decoder(Up)


def pack(message: Down | Up) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def length(prefix: bytes) -> int:
    (size,) = _LENGTH.unpack(prefix)
    if size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes is not one of ours")
    return int(size)


def unpack_down(body: bytes) -> Down:
    message: Down = _down.decode(body)
    return message


def unpack_up(body: bytes) -> Up:
    message: Up = _up.decode(body)
    return message
