"""What a run says: events as JSON lines for machines, progress on stderr for people."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.core.jsonl import Appender


class Events:
    """Appends one JSON object a line; each line is flushed, so a killed run keeps what it said."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        """With no path nothing is kept: the ranks that do not lead write there."""
        self._stream = None if path is None else Appender(path)
        self._clock = clock

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()

    def write(self, event: str, **fields: Any) -> None:
        if self._stream:
            self._stream.write({"t": round(self._clock(), 3), "event": event, **fields})


def say(text: str) -> None:
    """Talk to a person: stderr, so that stdout stays data."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """One status line on stderr: rewritten in place on a terminal, one line every `every_s` elsewhere."""

    def __init__(self, *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._every_s, self._last = clock, every_s, -1e9
        self._terminal = sys.stderr.isatty()

    def show(self, text: str, *, final: bool = False) -> None:
        now = self._clock()
        wait = 0.1 if self._terminal else self._every_s
        if not final and now - self._last < wait:
            return
        self._last = now
        if self._terminal:
            sys.stderr.write("\r\x1b[2K" + text + ("\n" if final else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """`3725` -> `1 h 02 min`, `65` -> `1 min 05 s`, `4.2` -> `4 s`."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"
