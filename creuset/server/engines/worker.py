"""The engine process: loads the model, steps the engine, and talks over one socket.

    python -m creuset.server.engines.worker FD MODEL SETTINGS-JSON

This is the only module of `server` that imports the engine, inside a function. A reader thread fills an inbox; the
main thread empties it between steps. When the socket closes, because the HTTP process stopped or was killed, this
process ends at once, even while it is loading: it never outlives its parent.
"""

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from creuset.core.errors import ConfigError, CreusetError, RequestError
from creuset.core.memory import memory_for, resident_memory
from creuset.server.engines import wire
from creuset.types.generation import Event, GenerationRequest

IDLE_BEAT_S = 1.0  # an engine with nothing to tell says that it lives this often
STATS_S = 0.1  # and an engine with much to tell sends its numbers this often, and whenever a request has ended


class Steppable(Protocol):
    """What this loop needs of an engine. `creuset.testing` has a scripted one."""

    @property
    def busy(self) -> bool: ...
    def add(self, request: GenerationRequest) -> None: ...
    def cancel(self, id: str) -> None: ...
    def step(self) -> list[Event]: ...
    def stats(self) -> dict[str, float]: ...


Inbox = queue.SimpleQueue[wire.Down]


def listen(link: socket.socket) -> Inbox:
    """Start the reader thread. From now on this process ends when the link closes, whatever else it does."""
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(link, inbox), daemon=True, name="link").start()
    return inbox


def run(
    engine: Steppable, link: socket.socket, inbox: Inbox, facts: dict[str, Any], *, beat_s: float = IDLE_BEAT_S
) -> None:
    """Step `engine` for ever. Never returns: the reader thread ends the process when the link closes."""
    link.sendall(wire.pack(wire.Ready(facts)) + wire.pack(wire.Heartbeat(engine.stats())))
    spoken = counted = time.monotonic()
    while True:
        busy = engine.busy
        for message in _waiting(inbox, None if busy else beat_s):
            if refusal := _apply(engine, message):
                link.sendall(wire.pack(refusal))
        if engine.busy:
            events, now = engine.step(), time.monotonic()
            if events:
                stats: dict[str, float] = {}
                if now - counted >= STATS_S or any(event.finish for event in events):
                    stats, counted = engine.stats(), now
                link.sendall(wire.pack(wire.StepEvents(events, stats)))
                spoken = now
            elif now - spoken >= beat_s:  # a long prompt, or replies that are told at their ends
                link.sendall(wire.pack(wire.Heartbeat(engine.stats())))
                spoken = now
        elif not busy:
            link.sendall(wire.pack(wire.Heartbeat(engine.stats())))
            spoken = time.monotonic()


def _waiting(inbox: Inbox, wait_s: float | None) -> list[wire.Down]:
    """What arrived. When `wait_s` is given, wait that long for the first message."""
    found: list[wire.Down] = []
    try:
        if wait_s is not None:
            found.append(inbox.get(timeout=wait_s))
        while True:
            found.append(inbox.get_nowait())
    except queue.Empty:
        return found


def _apply(engine: Steppable, message: wire.Down) -> wire.Refused | None:
    if isinstance(message, wire.Cancel):
        engine.cancel(message.id)
        return None
    try:
        engine.add(message.request)
    except RequestError as error:
        return wire.Refused(message.request.id, str(error), error.param, error.code)
    return None


def _load(folder: Path, settings: dict[str, Any]) -> tuple[Steppable, dict[str, Any]]:
    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.text.watermark import load_watermark

    file = settings.pop("watermark", None)  # the key's file: an argument of a process can be read by all, its file not
    mark = load_watermark(Path(file)) if file else None
    try:
        engine = Engine.load(folder, settings=EngineSettings(**settings), watermark=mark)
    except ValueError as refused:  # raised by __post_init__ of the settings
        raise ConfigError(str(refused)) from refused
    # A cache smaller than one context bounds what can be asked for.
    window = min(engine.context, engine.capacity)
    choices = engine.choices
    # The cache takes memory as it is written: it is counted as if it were full.
    memory = resident_memory() + choices["kv_cache"]["bytes"]
    return engine, {"window": window, "capacity": engine.capacity, "choices": choices, "memory_bytes": memory}


def _read(link: socket.socket, inbox: Inbox) -> None:
    try:
        while True:
            size = wire.length(_exactly(link, 4))
            inbox.put(wire.unpack_down(_exactly(link, size)))
    except (EOFError, OSError):
        os._exit(0)  # the HTTP process is gone: a step in progress has nobody to answer to
    except Exception:
        os._exit(1)  # what came is no frame of ours; the other side sees the death and starts anew


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
    inbox = listen(link)
    try:
        with memory_for("the engine and its model"):
            engine, facts = _load(Path(argv[1]), json.loads(argv[2]))
    except CreusetError as error:
        link.sendall(wire.pack(wire.LoadFailed(str(error), error.hint, error.exit_code)))
        return error.exit_code
    run(engine, link, inbox, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
