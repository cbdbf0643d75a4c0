"""The engine process: loads the model, steps the engine, and talks over one socket.

    python -m creuset.server.engines.worker FD MODEL SETTINGS-JSON

The only module of `serve` that imports the engine, inside a function. A reader thread fills an
inbox; the main thread empties it between steps. When the socket closes, because the HTTP process
stopped or was killed, this process ends at once: it never outlives its parent.
"""

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from creuset.core.errors import ConfigError, CreusetError, RequestError
from creuset.server.engines import wire as frames

IDLE_BEAT_S = 1.0  # an idle engine says that it lives this often


class Engine(Protocol):
    """What this loop needs of an engine; `creuset.testing` has a scripted one."""

    @property
    def busy(self) -> bool: ...
    def add(self, request: Any) -> None: ...
    def cancel(self, id: str) -> None: ...
    def step(self) -> list[Any]: ...
    def stats(self) -> dict[str, float]: ...


def run(
    engine: Engine,
    link: socket.socket,
    request_of: Callable[[frames.Add], Any],
    facts: dict[str, Any],
    *,
    beat_s: float = IDLE_BEAT_S,
) -> None:
    """Step `engine` for ever. Returns never: the reader thread ends the process when the link closes."""
    inbox: queue.SimpleQueue[frames.Down] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(link, inbox), daemon=True, name="link").start()
    link.sendall(frames.pack(frames.Ready(facts)) + frames.pack(frames.Beat(engine.stats())))
    while True:
        busy = engine.busy
        for message in _waiting(inbox, None if busy else beat_s):
            refusal = _apply(engine, message, request_of)
            if refusal:
                link.sendall(frames.pack(refusal))
        if engine.busy:
            events = [_event(e) for e in engine.step()]
            if events:
                link.sendall(frames.pack(frames.Step(events, engine.stats())))
        elif not busy:
            link.sendall(frames.pack(frames.Beat(engine.stats())))


def _waiting(inbox: "queue.SimpleQueue[frames.Down]", wait_s: float | None) -> list[frames.Down]:
    """What arrived; when `wait_s` is given, wait that long for the first message."""
    found: list[frames.Down] = []
    try:
        if wait_s is not None:
            found.append(inbox.get(timeout=wait_s))
        while True:
            found.append(inbox.get_nowait())
    except queue.Empty:
        return found


def _apply(engine: Engine, message: frames.Down, request_of: Callable[[frames.Add], Any]) -> frames.Refused | None:
    if isinstance(message, frames.Cancel):
        engine.cancel(message.id)
        return None
    try:
        engine.add(request_of(message))
    except RequestError as error:
        return frames.Refused(message.id, str(error), error.param, error.code)
    except ValueError as error:  # raised by __post_init__ of the engine's own dataclasses
        return frames.Refused(message.id, str(error))
    return None


def _event(event: Any) -> frames.Event:
    return frames.Event(
        id=event.id,
        text=event.text,
        tokens=tuple(event.tokens),
        logprobs=_logprobs(event.logprobs),
        prompt_logprobs=_logprobs(event.prompt_logprobs),
        finish=event.finish,
        stop_match=event.stop_match,
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cached_tokens=event.cached_tokens,
        error=event.error,
    )


def _logprobs(entries: Any) -> tuple[frames.TokenLogprob, ...] | None:
    if entries is None:
        return None
    return tuple(frames.TokenLogprob(e.token, e.logprob, e.top) if e else frames.NO_LOGPROB for e in entries)


def request_of(message: frames.Add) -> Any:
    """The engine's own request. Its dataclasses refuse what the HTTP process let through."""
    from creuset.types.generation import Request, Sampling

    values = {name: getattr(message.sampling, name) for name in frames.Sampling.__struct_fields__}
    return Request(
        id=message.id, prompt=message.prompt, sampling=Sampling(**values), arrived=time.monotonic(), salt=message.salt
    )


def _load(folder: Path, settings: dict[str, Any]) -> tuple[Engine, dict[str, Any]]:
    from creuset.engine.engine import Engine as Real
    from creuset.engine.settings import EngineSettings
    from creuset.engine.watermark import load_watermark

    file = settings.pop("watermark", None)  # the key's file: an argument of a process can be read by all, its file not
    mark = load_watermark(Path(file)) if file else None
    try:
        engine = Real.load(folder, settings=EngineSettings(**settings), watermark=mark)
    except ValueError as refused:  # raised by __post_init__ of the settings
        raise ConfigError(str(refused)) from refused
    # A cache smaller than one context bounds what can be asked for.
    return engine, {"window": min(engine.context, engine.capacity), "capacity": engine.capacity}


def _read(link: socket.socket, inbox: "queue.SimpleQueue[frames.Down]") -> None:
    try:
        while True:
            size = frames.length(_exactly(link, 4))
            inbox.put(frames.unpack_down(_exactly(link, size)))
    except (EOFError, OSError):
        os._exit(0)  # the HTTP process is gone; a step in progress has nobody to answer to


def _exactly(link: socket.socket, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = link.recv(min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def child(fd: int) -> socket.socket:
    """The link inherited from the HTTP process. Ctrl-C reaches the whole group: only the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return socket.socket(fileno=fd)


def main(argv: list[str]) -> int:
    link = child(int(argv[0]))
    threading.Thread(target=_watch_while_loading, args=(link,), daemon=True).start()
    try:
        engine, facts = _load(Path(argv[1]), json.loads(argv[2]))
    except CreusetError as error:
        link.sendall(frames.pack(frames.Failed(str(error), error.hint, error.exit_code)))
        return error.exit_code
    run(engine, link, request_of, facts)
    return 0


def _watch_while_loading(link: socket.socket) -> None:
    """End the process when the parent dies before the engine is loaded. Peeks, so that no frame is lost."""
    try:
        if not link.recv(1, socket.MSG_PEEK):
            os._exit(0)
    except OSError:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
