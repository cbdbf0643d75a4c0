"""The HTTP process's end of an engine, with engine processes that say what a test tells them to."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psutil
import pytest

from creuset.core.errors import EngineError, Overloaded, PromptTooLong, RequestError
from creuset.server.engines.client import ClientDisconnected, EngineClient, Generation, GenerationFailed
from creuset.types.generation import Event, GenerationRequest, Sampling

# `say` sends one of our messages, `hear` waits for one; `asked` is the first request's id.
HEAD = """
import os, socket, sys, time
from creuset.server.engines import wire
from creuset.types.generation import Event
link = socket.socket(fileno=int(sys.argv[1]))
def say(message): link.sendall(wire.pack(message))
def exactly(size):
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part: sys.exit(0)
        data += part
    return data
def hear(): return wire.unpack_down(exactly(wire.length(exactly(4))))
def step(*events): say(wire.StepEvents(list(events), {"running": float(len(events))}))
"""
READY = HEAD + 'say(wire.Ready({"window": 100}))\n'
ECHO = (
    READY
    + """
while True:
    heard = hear()
    if isinstance(heard, wire.Cancel):
        step(Event(id=heard.id, finish="cancelled", completion_tokens=1))
        continue
    id, size = heard.request.id, len(heard.request.prompt)
    step(Event(id=id, text="one ", completion_tokens=1, prompt_tokens=size))
    if heard.request.sampling.max_tokens > 1:
        step(Event(id=id, text="two", completion_tokens=3, prompt_tokens=size, finish="length"))
"""
)


class Counted:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, dict[str, Any]]] = []
        self.accepted_ids: list[str] = []
        self.endings: list[tuple[str, str]] = []
        self.generated = self.read = 0

    def accepted(self, ids: Sequence[str]) -> None:
        self.accepted_ids += ids

    def on_event(self, event: Event, generated: int, read: int) -> None:
        self.generated, self.read = self.generated + generated, self.read + read

    def ended(self, id: str, reason: str) -> None:
        self.endings.append((id, reason))

    def on_state(self, state: str, **facts: Any) -> None:
        self.states.append((state, facts))


def ask(id: str, *, prompt: int = 5, max_tokens: int = 3) -> GenerationRequest:
    return GenerationRequest(id=id, prompt=[1] * prompt, sampling=Sampling(max_tokens=max_tokens))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def with_engine(
    script: str, work: Callable[[EngineClient, Counted], Awaitable[None]], *, ready: bool = True, **options: Any
) -> Counted:
    """Run `work` beside a client of an engine process that runs `script`; all of it ends afterwards."""
    watch = Counted()

    async def main() -> None:
        command = [sys.executable, "-c", script, "{fd}"]
        client = EngineClient(command, watch, **({"limit": 4, "backoff_s": 0.01} | options))
        running = asyncio.create_task(client.run())
        try:
            if ready:
                await until(lambda: client.state == "ready")
            await work(client, watch)
        finally:
            client.close()
            await running

    asyncio.run(main())
    return watch


async def all_of(generation: Generation) -> list[tuple[int, Event]]:
    found = []
    while generation.unread:
        found += await generation.batch(10)
    return found


def test_events_come_back_to_who_asked_and_every_token_is_counted_once() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        one, two = client.submit([ask("a"), ask("b")]), client.submit([ask("c", prompt=7)])
        assert client.open_requests == 3
        for generation, count in ((one, 2), (two, 1)):
            events = await all_of(generation)
            for index in range(count):
                assert "".join(e.text for i, e in events if i == index) == "one two"
        assert client.open_requests == 0 and client.window(4096) == 100 and client.window(50) == 50

    watch = with_engine(ECHO, work)
    assert watch.accepted_ids == ["a", "b", "c"]
    assert sorted(watch.endings) == [("a", "length"), ("b", "length"), ("c", "length")]
    assert (watch.generated, watch.read) == (9, 5 + 5 + 7)
    assert [state for state, _ in watch.states] == ["ready", "closed"]


def test_a_prompt_is_counted_once_for_all_its_choices() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        await all_of(client.submit([ask("a"), ask("b"), ask("c", prompt=7), ask("d", prompt=7)], choices=2))

    assert with_engine(ECHO, work).read == 5 + 7


def test_no_more_is_taken_than_the_limit_and_of_one_call_all_or_nothing() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        first = client.submit([ask(id, max_tokens=1) for id in "abc"])  # never ends by itself
        with pytest.raises(Overloaded, match=r"3 completions are running or waiting, .*\(4\); try again") as refused:
            client.submit([ask("d"), ask("e")])
        assert refused.value.retry_after == 1.0 and client.open_requests == 3
        with pytest.raises(RequestError, match="129 completions at once; this server runs or queues 128") as never:
            client.submit([ask(f"n{at}") for at in range(129)])
        assert never.value.param == "n" and not isinstance(never.value, Overloaded)
        await all_of(client.submit([ask("d")]))  # the fourth fits
        first.cancel()
        await until(lambda: client.open_requests == 0)

    watch = with_engine(ECHO, work)
    assert watch.accepted_ids == ["a", "b", "c", "d"]
    assert sorted(watch.endings) == [("a", "cancelled"), ("b", "cancelled"), ("c", "cancelled"), ("d", "length")]


def test_a_client_that_hangs_up_is_told_so_and_its_last_events_are_still_counted() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        generation = client.submit([ask("a", max_tokens=1)])
        assert [event.text for _, event in await generation.batch(10)] == ["one "]
        generation.hang_up()
        with pytest.raises(ClientDisconnected):
            await generation.batch(10)
        generation.cancel()
        await until(lambda: client.open_requests == 0)

    assert with_engine(ECHO, work).endings == [("a", "cancelled")]


def test_nothing_new_for_a_while_is_an_empty_batch() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        generation = client.submit([ask("a", max_tokens=1)])
        await generation.batch(10)
        assert await generation.batch(0.01) == [] and generation.unread

    with_engine(ECHO, work)


@pytest.mark.parametrize(
    ("code", "kind"), [("context_length_exceeded", PromptTooLong), ("other", RequestError), (None, RequestError)]
)
def test_a_refusal_of_the_engine_names_its_field(code: str | None, kind: type[Exception]) -> None:
    script = READY + f'say(wire.Refused(hear().request.id, "too long", "prompt", {code!r}))\nhear()\n'

    async def work(client: EngineClient, watch: Counted) -> None:
        with pytest.raises(RequestError, match="too long") as refused:
            await client.submit([ask("a")]).batch(10)
        assert type(refused.value) is kind and (refused.value.param, refused.value.code) == ("prompt", code)

    assert with_engine(script, work).endings == [("a", "refused")]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ('finish="error", error="the logits are not finite"', "the logits are not finite"),
        ('finish="error"', "the engine gave this reply up before it was complete"),
        ('finish="cancelled"', "the engine gave this reply up before it was complete"),
    ],
)
def test_a_reply_that_fails_ends_with_why_after_what_came_before(event: str, words: str) -> None:
    script = READY + f'id = hear().request.id\nstep(Event(id=id, text="x"), Event(id=id, {event}))\nhear()\n'

    async def work(client: EngineClient, watch: Counted) -> None:
        generation = client.submit([ask("a")])
        assert [e.text for _, e in await generation.batch(10)] == ["x"]
        with pytest.raises(GenerationFailed, match=words) as failed:
            await generation.batch(10)
        assert failed.value.status == 500 and client.state == "ready"

    with_engine(script, work)


def test_an_engine_that_dies_fails_what_was_open_and_is_started_again() -> None:
    script = READY + "hear()\nos._exit(9)\n"

    async def work(client: EngineClient, watch: Counted) -> None:
        first = client.pid
        generation = client.submit([ask("a"), ask("b")])
        with pytest.raises(EngineError, match="ended before this reply was complete; it is being restarted"):
            await generation.batch(10)
        assert client.open_requests == 0
        await until(lambda: client.state == "ready" and client.pid != first)

    watch = with_engine(script, work)
    assert sorted(watch.endings) == [("a", "lost"), ("b", "lost")]
    assert [state for state, _ in watch.states] == ["ready", "down", "ready", "closed"]
    assert watch.states[1][1] == {"exit_code": 9}


def test_between_the_end_of_the_link_and_that_of_the_process_nothing_is_taken() -> None:
    script = READY + "hear()\nlink.close()\ntime.sleep(600)\n"

    async def work(client: EngineClient, watch: Counted) -> None:
        client.submit([ask("a")])
        await until(lambda: client._writer is None)
        assert client.state == "ready"
        with pytest.raises(EngineError, match="the engine process ended and is being restarted; try again in a moment"):
            client.submit([ask("b")])

    assert with_engine(script, work).endings == [("a", "lost")]


@pytest.mark.parametrize(
    ("sent", "fault"),
    [(r'b"\xff\xff\xff\xff"', "ValueError"), (r'b"\0\0\0\x01\xc1"', "DecodeError")],
    ids=["a length that is none of ours", "bytes that are no message"],
)
def test_an_engine_that_sends_what_is_no_message_is_replaced(sent: str, fault: str) -> None:
    script = READY + f"hear()\nlink.sendall({sent})\ntime.sleep(60)\n"

    async def work(client: EngineClient, watch: Counted) -> None:
        first = client.pid
        with pytest.raises(EngineError, match="ended before this reply was complete"):
            await client.submit([ask("a")]).batch(20)
        await until(lambda: client.state == "ready" and client.pid != first)

    assert ("down", {"reason": f"it sent what is no frame: {fault}"}) in with_engine(script, work).states


def test_a_silent_engine_is_killed_and_replaced() -> None:
    script = READY + "time.sleep(600)\n"

    async def work(client: EngineClient, watch: Counted) -> None:
        first = client.pid
        assert first is not None
        with pytest.raises(EngineError):
            await client.submit([ask("a")]).batch(20)
        await until(lambda: client.state == "ready" and client.pid != first)
        assert not psutil.pid_exists(first)

    watch = with_engine(script, work, stall_s=0.3)
    assert ("down", {"reason": "silent for 0.3 s"}) in watch.states


def test_loading_may_take_as_long_as_it_takes() -> None:
    script = HEAD + 'time.sleep(0.5)\nsay(wire.Ready({}))\nsay(wire.Heartbeat({"running": 7.0}))\nhear()\n'

    async def work(client: EngineClient, watch: Counted) -> None:
        await until(lambda: client.stats == {"running": 7.0})
        assert client.window(4096) == 4096, "an engine that names no window has the model's"

    with_engine(script, work, stall_s=0.2 + 0.5 * 10)


def test_nothing_is_taken_before_the_engine_is_ready() -> None:
    script = HEAD + "hear()\n"

    async def work(client: EngineClient, watch: Counted) -> None:
        with pytest.raises(EngineError, match="the engine is loading the model; try again in a moment"):
            client.submit([ask("a")])
        client.cancel("a")

    with_engine(script, work, ready=False)


def test_a_model_that_cannot_be_loaded_is_said_and_not_tried_again() -> None:
    script = HEAD + 'say(wire.LoadFailed("`x` is damaged", "make it again", 3))\n'

    async def work(client: EngineClient, watch: Counted) -> None:
        await until(lambda: client.state == "failed")
        assert client.failure is not None
        assert (str(client.failure), client.failure.hint, client.failure.exit_code) == (
            "`x` is damaged", "make it again", 3,
        )  # fmt: skip
        with pytest.raises(EngineError, match="the engine could not load the model"):
            client.submit([ask("a")])

    watch = with_engine(script, work, ready=False)
    assert [state for state, _ in watch.states if state != "closed"] == ["failed"]


def test_an_engine_that_never_becomes_ready_is_tried_three_times() -> None:
    async def work(client: EngineClient, watch: Counted) -> None:
        await until(lambda: client.state == "failed")
        assert "the engine process ended 3 times before it was ready" in str(client.failure)

    watch = with_engine("raise SystemExit(7)", work, ready=False)
    assert [facts for state, facts in watch.states if state == "down"] == [{"exit_code": 7}] * 3


def test_closing_ends_the_process_and_every_open_call() -> None:
    pids: list[int] = []

    async def work(client: EngineClient, watch: Counted) -> None:
        assert client.pid is not None
        pids.append(client.pid)
        generation = client.submit([ask("a", max_tokens=1)])
        client.close()
        client.close()  # a second time does nothing
        with pytest.raises(EngineError, match="the server is stopping: this reply is not complete"):
            await all_of(generation)
        with pytest.raises(EngineError, match="the server is stopping"):
            client.submit([ask("b")])

    watch = with_engine(ECHO, work)
    assert watch.endings == [("a", "lost")] and watch.states[-1][0] == "closed"
    assert not psutil.pid_exists(pids[0]), "the engine outlived its client"
    assert os.getpid() not in pids
