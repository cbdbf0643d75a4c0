"""Embeddings of texts by an engine: how many at once, how they come back, how long and how near they are.

An embedding is a prompt that is only read, so the engine shares its steps among embeddings and chats as among prompts.
A call has only so many of its texts in the engine at a time that others find places, however long its list is.
"""

import asyncio
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

from starlette.requests import Request

from creuset.core.errors import EngineError, Overloaded, PromptTooLong
from creuset.server.carry import admitted
from creuset.server.engines.client import ClientDisconnected
from creuset.server.engines.pool import ServedEngine
from creuset.server.state import ServerState, context_of
from creuset.server.stream import disconnected, watched
from creuset.types.generation import GenerationRequest, Sampling
from creuset.types.usage import TokenUsage

PAUSE_S = 0.05  # how long the next texts of a call wait where others have taken the places
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TokenText:
    """One text in tokens, and the field that it came in."""

    ids: list[int]
    path: str
    cut_by: str = "truncate_prompt_tokens"  # the field that would have it cut


async def embed(
    state: ServerState, request: Request, engine: ServedEngine, texts: Sequence[TokenText], *, reply_id: str, salt: str,
    kind: str = "embeddings",
) -> list[bytes]:  # fmt: skip
    """fp32 rows of length 1, little end first. Raises PromptTooLong, Overloaded (before any text was read),
    EngineError, and ClientDisconnected where the client hung up."""
    facts: dict[str, Any] = context_of(request).facts
    facts["reply"] = reply_id
    if not state.engines.alone:
        facts["model"] = engine.name
    found: list[bytes] = [b""] * len(texts)
    wave = max(1, state.settings.max_concurrency // 2)
    sizes = [len(text.ids) for text in texts]
    hold = await admitted(state, request, engine.names, prompt_tokens=sum(sizes), max_tokens=0, kind=kind)
    read = 0
    try:
        for begin in range(0, len(texts), wave):
            some = texts[begin : begin + wave]
            while True:
                try:
                    await _wave(state, request, engine, some, begin, found, reply_id, salt)
                    break
                except Overloaded:
                    if not begin:
                        raise
                    await _pause(request)
            read += sum(sizes[begin : begin + wave])
        hold.settle(TokenUsage(input=read))
    except ClientDisconnected:
        if read:  # what was read until then
            hold.settle(TokenUsage(input=read), status="cancelled")
        raise
    finally:
        hold.release()
    return found


async def _wave(
    state: ServerState,
    request: Request,
    engine: ServedEngine,
    texts: Sequence[TokenText],
    begin: int,
    found: list[bytes],
    reply_id: str,
    salt: str,
) -> None:
    async with state.engines.hold(engine, len(texts), unless=lambda: disconnected(request.receive)):
        for text in texts:
            _refuse_long(text, engine)
        requests = [
            GenerationRequest(
                id=f"{reply_id}:{begin + at}", prompt=text.ids, sampling=Sampling(max_tokens=0, temperature=0.0),
                salt=salt, whole=True, embeds=engine.model.pooling.mode,
            )
            for at, text in enumerate(texts)
        ]  # fmt: skip
        generation = engine.submit(requests)
    async with watched(generation, request.receive):
        while generation.unread:
            for index, event in await generation.batch(60.0):
                if event.embedding is None:
                    raise EngineError("the engine read a text and sent no embedding of it")
                found[begin + index] = event.embedding


async def _pause(request: Request) -> None:
    try:
        async with asyncio.timeout(PAUSE_S):
            await disconnected(request.receive)
    except TimeoutError:
        return
    raise ClientDisconnected


def _refuse_long(text: TokenText, engine: ServedEngine) -> None:
    if len(text.ids) > engine.window:
        raise PromptTooLong(
            f"This model's maximum context length is {engine.window} tokens; `{text.path}` has {len(text.ids)} as "
            f"{engine.name} reads it",
            param=text.path,
            hint=f"cut the text into pieces, or send {text.cut_by}",
        )


def numbers(raw: bytes) -> Vector:
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def shortened(raw: bytes, dimensions: int | None) -> bytes:
    """The first `dimensions` numbers, made 1 long again."""
    if dimensions is None or 4 * dimensions >= len(raw):
        return raw
    kept = numbers(raw[: 4 * dimensions])
    length = math.hypot(*kept)
    return struct.pack(f"<{dimensions}f", *(x / length for x in kept)) if length else raw[: 4 * dimensions]


def cosine(a: Vector, b: Vector) -> float:
    """Of two rows that are 1 long, but for rounding: so it is held between -1 and 1."""
    found: float = sum(map(mul, a, b))
    return max(-1.0, min(1.0, found))
