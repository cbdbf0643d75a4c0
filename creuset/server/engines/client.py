"""The HTTP process's end of one engine: starts it, talks to it, notices its death, starts it again.

Reading order: `EngineClient.submit` (requests go in), `Generation.batch` (events come out), `EngineClient.run`
(one life of the engine process after another). Everything runs in one asyncio loop; nothing is locked.

Each request ends in exactly one of: a final event, a refusal, the engine's death. Tokens are counted
here, as events arrive, so that what a client no longer waits for is counted as well.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from creuset.core.errors import CreusetError, EngineError, Overloaded, PromptTooLong, RequestError
from creuset.server.engines import wire
from creuset.types.generation import Event, GenerationRequest

MAX_FIRST_LIVES = 3  # an engine that never became ready is not tried more often
STEADY_S = 5.0  # an engine that lived so long is started anew at once, others after longer and longer waits
LARGEST_CALL = 128  # completions that one call may always ask for: OpenAI's highest `n`
State = Literal["unloaded", "starting", "ready", "down", "failed", "closed"]
_OVER: tuple[State, ...] = ("unloaded", "failed", "closed")  # no process, and none will be started


class EngineObserver(Protocol):
    """Who counts. `on_event` sees every event with the tokens, generated and read, that are new in it."""

    def accepted(self, ids: Sequence[str]) -> None: ...
    def on_event(self, event: Event, generated: int, read: int) -> None: ...
    def ended(self, id: str, reason: str) -> None: ...
    def on_state(self, state: State, **facts: Any) -> None: ...


class EngineMeter(Protocol):
    """Who is told once how each request of a call ended, whoever still reads."""

    def ended(self, index: int, last: Event | Exception) -> None: ...


class GenerationFailed(EngineError):
    """One reply failed in an engine that goes on."""

    status = 500
    code = "engine_error"


class ClientDisconnected(Exception):
    """The client of a call hung up."""


@dataclass(slots=True, eq=False)
class Generation:
    """The generation requests of one HTTP request, and the queue on which their events come back."""

    client: "EngineClient"
    index: dict[str, int]  # request id -> its place among the requests
    pending: set[str]  # requests without a final event
    inbox: "asyncio.Queue[Event | Exception]" = field(default_factory=asyncio.Queue)
    ended: Exception | None = None
    meter: EngineMeter | None = None

    @property
    def unread(self) -> bool:
        """Whether events are still to come."""
        return bool(self.pending) or not self.inbox.empty() or self.ended is not None

    async def batch(self, wait_s: float) -> list[tuple[int, Event]]:
        """Events that came, in order; an empty list when none came for `wait_s` seconds.

        Raises what ended the call (a refusal, the engine's death, `ClientDisconnected`), after the events before it.
        """
        found: list[tuple[int, Event]] = []
        if self.inbox.empty() and self.ended is None:
            try:
                async with asyncio.timeout(wait_s):
                    self._sort(await self.inbox.get(), found)
            except TimeoutError:
                return found
        while self.ended is None and not self.inbox.empty():
            self._sort(self.inbox.get_nowait(), found)
        if self.ended is not None and not found:
            raise self.ended
        return found

    def _sort(self, item: Event | Exception, found: list[tuple[int, Event]]) -> None:
        if isinstance(item, Exception):
            self.ended = item
        elif item.param is not None:  # the request was wrong, which shows only now
            self.ended = RequestError(item.error or "the request cannot be answered", param=item.param or None)
        elif item.finish in ("error", "cancelled"):  # a client that cancelled no longer reads
            self.ended = GenerationFailed(item.error or "the engine gave this reply up before it was complete")
        else:
            found.append((self.index[item.id], item))

    def hang_up(self) -> None:
        """The client went: `batch` raises `ClientDisconnected`, and whoever waits there cancels."""
        self.inbox.put_nowait(ClientDisconnected())

    def cancel(self) -> None:
        """Stop what still runs, at the engine's next step. Its last events are counted, not delivered."""
        for id in self.pending:
            self.client.cancel(id)


@dataclass(slots=True)
class _Open:
    generation: Generation
    unread: int  # prompt tokens that the first event will count
    tokens: int = 0


class EngineClient:
    def __init__(
        self,
        command: Sequence[str],
        observer: EngineObserver,
        *,
        limit: int,
        backoff_s: float = 0.05,
        backoff_max_s: float = 30.0,
        stall_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        on_idle: Callable[[], object] = lambda: None,
        state: State = "starting",
        renew: Callable[[Sequence[str], dict[str, Any]], list[str]] = lambda command, _: list(command),
    ) -> None:
        """`command` starts the engine process; `{fd}` in it is replaced by the number of its socket.

        At most `limit` requests are open at a time. `stall_s`: a process that says nothing for so long is killed.
        `on_idle` is called when the last open request has ended. `renew` makes the command of the next life of the
        command and the facts of this one.
        """
        self._command, self._observer, self._limit = list(command), observer, limit
        self._backoff_s, self._backoff_max_s, self._stall_s = backoff_s, backoff_max_s, stall_s
        self._clock, self._renew = clock, renew
        self._open: dict[str, _Open] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ended, self._settled = asyncio.Event(), asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self.on_idle = on_idle
        self.state = state
        self.facts: dict[str, Any] = {}
        self.stats: dict[str, float] = {}
        self.failure: CreusetError | None = None  # why the first start failed

    @property
    def open_requests(self) -> int:
        return len(self._open)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def submit(
        self, requests: Sequence[GenerationRequest], *, choices: int = 1, meter: EngineMeter | None = None
    ) -> Generation:
        """Send `requests` to the engine, all or none. Each run of `choices` of them shares one prompt.

        Raises EngineError (no engine), RequestError (more than it ever takes), Overloaded (more than it takes now).
        """
        if self.state != "ready" or self._writer is None:
            raise EngineError(self.why_not())
        self.refuse(len(requests))
        ids = [request.id for request in requests]
        self._observer.accepted(ids)
        generation = Generation(self, {id: at for at, id in enumerate(ids)}, set(ids), meter=meter)
        for at, request in enumerate(requests):
            # A prompt is read once for all its choices, so it is counted once.
            self._open[request.id] = _Open(generation, 0 if at % choices else len(request.prompt))
            self._writer.write(wire.pack(wire.Add(request)))
        return generation

    def refuse(self, completions: int, *, promised: int = 0) -> None:
        """Raise what `submit` would raise for so many now, beside those `promised` to others: RequestError, Overloaded.

        A call that is larger than the limit takes one place, so that `n` up to LARGEST_CALL is queued: its choices wait
        in the engine.
        """
        most = max(self._limit, LARGEST_CALL)
        if completions > most:
            raise RequestError(
                f"this request asks for {completions} completions at once; this server runs or queues {most}", param="n"
            )
        taken = len(self._open) + promised
        if taken + (completions if completions <= self._limit else 1) > self._limit:
            raise Overloaded(
                f"{taken} completions are running or waiting, which is all this server takes "
                f"({self._limit}); try again",
                hint="more are taken with --max-queue",
                retry_after=1.0,
            )

    def window(self, context: int) -> int:
        """Tokens that one prompt and its reply may have: the model's `context`, or less when the cache is small."""
        return min(context, int(self.facts.get("window", context)))

    def why_not(self) -> str:
        """Why nothing can be generated now."""
        # Its socket may be closed a moment before the process has ended, and until then its state is the old one.
        return _WHY_NOT["down" if self.state == "ready" else self.state]

    def cancel(self, id: str) -> None:
        if id in self._open and self._writer is not None:
            self._writer.write(wire.pack(wire.Cancel(id)))

    async def load(self) -> None:
        """Start the engine process, and return when it is ready. Raises why the model cannot be loaded."""
        if self.state == "closed":
            raise EngineError(self.why_not())
        self._ended.clear()
        self._settled.clear()
        self.facts, self.stats, self.failure = {}, {}, None
        self._set("starting")
        self._life = asyncio.create_task(self.run())
        await self._settled.wait()
        if self.state != "ready":
            await self._life
            raise self.failure or EngineError(self.why_not())

    async def unload(self) -> None:
        """End the engine process, which must have no open request; its memory is free when this returns."""
        self._end("unloaded")
        await self.ended()

    async def ended(self) -> None:
        """Return when the process that `close` or `unload` ended is gone."""
        if self._life is not None:
            await self._life

    async def run(self) -> None:
        """Keep one engine process alive until `close`. Ends early when the model cannot be loaded at all."""
        wait_s, lives = self._backoff_s, 0
        while self.state not in _OVER:
            started = self._clock()
            await self._one_life()
            lives += 1
            if not self.facts and lives == MAX_FIRST_LIVES and self.state == "down":
                self.failure = EngineError(f"the engine process ended {lives} times before it was ready; see the log")
                self._set("failed", reason=str(self.failure))
            if self.state in _OVER:
                return
            if self._clock() - started > STEADY_S:
                wait_s = self._backoff_s
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ended.wait()
            wait_s = min(2 * wait_s, self._backoff_max_s)

    async def _one_life(self) -> None:
        ours, theirs = socket.socketpair()
        command = [part.replace("{fd}", str(theirs.fileno())) for part in self._command]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL
            )
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 22)
        if self.state in _OVER:  # ended while the process was being started
            self._process.kill()
        try:
            while True:
                # Loading takes as long as it takes; from then on the process speaks every second or step.
                async with asyncio.timeout(self._stall_s if self.state == "ready" else None):
                    size = wire.length(await reader.readexactly(4))
                    body = await reader.readexactly(size)
                self._on_message(wire.unpack_up(body), writer)
        except TimeoutError:  # before OSError, of which it is one
            self._observer.on_state("down", reason=f"silent for {self._stall_s:g} s")
        except (asyncio.IncompleteReadError, OSError):
            pass  # the process ended, or `close` did
        except (ValueError, msgspec.MsgspecError) as error:
            self._observer.on_state("down", reason=f"it sent what is no frame: {type(error).__name__}")
        finally:
            self._writer = None
            writer.close()
            await self._reap()
            if self.state not in _OVER:
                self._set("down", exit_code=self._process.returncode)
            self._fail_all()

    async def _reap(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(0.2):  # its socket is closed: it ends by itself, unless it hangs
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._process.wait()

    def _on_message(self, message: wire.Up, writer: asyncio.StreamWriter) -> None:
        match message:
            case wire.StepEvents():
                self.stats = message.stats or self.stats
                for event in message.events:
                    self._on_event(event)
            case wire.Heartbeat():
                self.stats = message.stats
            case wire.Ready():
                self.facts, self._writer = message.facts, writer
                self._command = self._renew(self._command, message.facts)
                self._set("ready", pid=self.pid, choices=message.facts.get("choices"))
            case wire.Refused():
                self._finish(message.id, _refusal(message), "refused")
            case wire.LoadFailed():
                error = CreusetError(message.message, hint=message.hint)
                error.exit_code = message.exit_code
                if not self.facts:  # it never ran: trying again would say the same
                    self.failure = error
                    self._set("failed", reason=message.message)

    def _on_event(self, event: Event) -> None:
        one = self._open.get(event.id)
        if one is None:
            return
        new, one.tokens = event.completion_tokens - one.tokens, event.completion_tokens
        read, one.unread = one.unread, 0
        self._observer.on_event(event, new, read)
        if event.finish is not None:
            self._finish(event.id, event, event.finish)
        else:
            one.generation.inbox.put_nowait(event)

    def _finish(self, id: str, last: Event | Exception, reason: str) -> None:
        one = self._open.pop(id, None)
        if one is not None:
            self._observer.ended(id, reason)
            one.generation.pending.discard(id)
            if one.generation.meter is not None:
                one.generation.meter.ended(one.generation.index[id], last)
            one.generation.inbox.put_nowait(last)
            if not self._open:
                self.on_idle()

    def _fail_all(self) -> None:
        for id in list(self._open):
            self._finish(id, EngineError(_LOST[self.state == "closed"]), "lost")

    def _set(self, state: State, **facts: Any) -> None:
        self.state = state
        if state == "ready" or state in _OVER:
            self._settled.set()
        self._observer.on_state(state, **facts)

    def close(self) -> None:
        """End the engine process and every open call, now."""
        self._end("closed")

    def _end(self, state: State) -> None:
        if self.state == "closed":
            return
        self._ended.set()
        self._set(state)
        self._fail_all()
        if self._writer is not None:
            self._writer.close()
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)


_WHY_NOT: dict[State, str] = {
    "unloaded": "the model is not loaded; try again in a moment",
    "starting": "the engine is loading the model; try again in a moment",
    "down": "the engine process ended and is being restarted; try again in a moment",
    "failed": "the engine could not load the model",
    "closed": "the server is stopping",
}
_LOST = {
    False: "the engine process ended before this reply was complete; it is being restarted",
    True: "the server is stopping: this reply is not complete",
}


def _refusal(message: wire.Refused) -> RequestError:
    kind = PromptTooLong if message.code == PromptTooLong.code else RequestError
    return kind(message.message, param=message.param, code=message.code)
