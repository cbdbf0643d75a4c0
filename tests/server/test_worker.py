"""The engine process alone, spoken to over its socket: what it answers, and that it never outlives its parent."""

import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from creuset.core.errors import ConfigError
from creuset.core.native.library import FILE
from creuset.model.hub import find_model
from creuset.server.engines import wire
from creuset.server.engines.worker import _load, run
from creuset.server.run import worker_command
from creuset.testing import tiny_model_folder, tiny_tokenizer
from creuset.types.generation import Event, GenerationRequest, Sampling
from tests.tree import TREE


class Worker:
    """A scripted engine in a process of its own, and our end of its socket."""

    def __init__(self, command: list[str]) -> None:
        self.link, theirs = socket.socketpair()
        self.link.settimeout(30)
        arguments = [part.replace("{fd}", str(theirs.fileno())) for part in command]
        self.process = subprocess.Popen(arguments, pass_fds=[theirs.fileno()])
        theirs.close()

    def say(self, message: wire.Down) -> None:
        self.link.sendall(wire.pack(message))

    def ask(self, id: str, script: str, **sampling: object) -> None:
        settings = Sampling(**({"max_tokens": 50} | sampling))  # type: ignore[arg-type]
        self.say(wire.Add(GenerationRequest(id=id, prompt=tiny_tokenizer().encode(script), sampling=settings)))

    def hear(self) -> wire.Up:
        return wire.unpack_up(self._exactly(wire.length(self._exactly(4))))

    def events(self, id: str) -> list[Event]:
        """Those of one request, to its end."""
        found: list[Event] = []
        while not (found and found[-1].finish):
            message = self.hear()
            if isinstance(message, wire.StepEvents):
                found += [event for event in message.events if event.id == id]
        return found

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.link.recv(size - len(data))
            assert part, "the worker closed its socket"
            data += part
        return data


@contextmanager
def worker(command: list[str]) -> Iterator[Worker]:
    one = Worker(command)
    try:
        yield one
    finally:
        one.link.close()
        one.process.wait(30)


SCRIPTED = [sys.executable, "-m", "creuset.testing", "{fd}"]


@pytest.fixture
def scripted() -> Iterator[Worker]:
    with worker(SCRIPTED) as one:
        assert isinstance(one.hear(), wire.Ready)
        yield one


def test_it_says_that_it_is_ready_and_that_it_lives(scripted: Worker) -> None:
    assert isinstance(scripted.hear(), wire.Heartbeat)
    beat = scripted.hear()  # a second later, with nothing asked
    assert isinstance(beat, wire.Heartbeat) and beat.stats["running"] == 0


def test_what_is_asked_is_answered_with_text_counts_and_an_end(scripted: Worker) -> None:
    scripted.ask("a", "say one two")
    events = scripted.events("a")
    assert "".join(event.text for event in events) == "one two"
    last = events[-1]
    assert last.finish == "stop" and last.prompt_tokens == len(tiny_tokenizer().encode("say one two"))
    assert last.completion_tokens == sum(len(event.tokens) for event in events) + 1


def test_several_are_answered_side_by_side(scripted: Worker) -> None:
    scripted.ask("slow", "slowly 20")
    scripted.ask("quick", "say hi")
    order = []
    while len(order) < 2:
        message = scripted.hear()
        if isinstance(message, wire.StepEvents):
            order += [event.id for event in message.events if event.finish]
    assert order == ["quick", "slow"]


def test_what_the_engine_refuses_is_told_with_its_field(scripted: Worker) -> None:
    scripted.ask("a", "refuse this")
    while not isinstance(message := scripted.hear(), wire.Refused):
        pass
    assert message == wire.Refused("a", "the script refuses", "script", None)
    scripted.ask("b", "say on")
    assert scripted.events("b")[-1].finish == "stop", "a refusal ended the engine"


def test_a_cancelled_request_ends_and_the_others_go_on(scripted: Worker) -> None:
    scripted.ask("a", "slowly 500", max_tokens=500)
    scripted.ask("b", "slowly 5")
    scripted.say(wire.Cancel("a"))
    scripted.say(wire.Cancel("nobody"))
    ends = {}
    while len(ends) < 2:
        message = scripted.hear()
        if isinstance(message, wire.StepEvents):
            ends |= {event.id: event.finish for event in message.events if event.finish}
    assert ends == {"a": "cancelled", "b": "stop"}


def test_an_answer_that_fails_is_told_and_the_engine_goes_on(scripted: Worker) -> None:
    scripted.ask("a", "fail")
    last = scripted.events("a")[-1]
    assert (last.finish, last.error) == ("error", "the script fails")
    scripted.ask("b", "say on")
    assert scripted.events("b")[-1].finish == "stop"


@pytest.mark.parametrize("script", ["", "slowly 500"], ids=["idle", "busy"])
def test_it_ends_when_its_parent_is_gone(script: str) -> None:
    with worker(SCRIPTED) as one:
        assert isinstance(one.hear(), wire.Ready)
        if script:
            one.ask("a", script, max_tokens=500)
            while not isinstance(one.hear(), wire.StepEvents):
                pass
        one.link.close()
        assert one.process.wait(10) == 0


class Busy:
    """An engine that computes for three steps with nothing to tell, then tells two things, and fails."""

    busy = True
    steps = 0

    def add(self, request: GenerationRequest) -> None: ...
    def cancel(self, id: str) -> None: ...

    def step(self) -> list[Event]:
        self.steps += 1
        if self.steps == 6:
            raise StopIteration
        return [] if self.steps < 4 else [Event(id="a", text="x", finish="stop" if self.steps == 5 else None)]

    def stats(self) -> dict[str, float]:
        return {"steps": float(self.steps)}


def test_an_engine_that_computes_long_says_that_it_lives_and_tells_its_numbers_when_a_request_has_ended() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(StopIteration):
        run(Busy(), theirs, queue.SimpleQueue(), {}, beat_s=0.0)
    one, said = Worker.__new__(Worker), []
    one.link = ours
    with ours:
        said = [one.hear() for _ in range(7)]
    kinds = [type(message).__name__ for message in said]
    assert kinds == ["Ready", *["Heartbeat"] * 4, *["StepEvents"] * 2]
    assert [message.stats for message in said[1:]] == [{"steps": n} for n in (0.0, 1.0, 2.0, 3.0)] + [
        {},
        {"steps": 5.0},
    ]


def test_settings_that_cannot_be_are_refused_in_the_engines_words(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    with pytest.raises(ConfigError, match="block_size must be a power of two up to 64, got 3"):
        _load(folder, {"block_size": 3})


def test_a_cache_smaller_than_a_context_bounds_what_can_be_asked_for(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    for tokens, window in ((32, 32), (10_000, 256)):
        _, facts = _load(folder, {"kv_tokens": tokens, "block_size": 16, "dtype": "fp32", "threads": 1})
        assert facts["window"] == window and facts["capacity"] >= tokens


def test_ctrl_c_in_the_terminal_is_for_the_parent_to_act_on(scripted: Worker) -> None:
    scripted.process.send_signal(signal.SIGINT)
    scripted.ask("a", "say still here")
    assert "".join(event.text for event in scripted.events("a")) == "still here"


WITHOUT = """
import sys
from pathlib import Path
from creuset.server.engines.worker import _load
from creuset.types.generation import GenerationRequest, Sampling
engine, facts = _load(Path(sys.argv[1]), {"kv_tokens": 512})
engine.add(GenerationRequest(id="a", prompt=[5, 6, 7], sampling=Sampling(max_tokens=3, ignore_eos=True)))
said = 0
while engine.busy:
    said += sum(len(event.tokens) for event in engine.step())
print(said, facts["choices"]["backend"], *sorted({"torch", "transformers", "scipy"} & set(sys.modules)))
"""


@pytest.mark.skipif(not FILE.is_file(), reason="there is no native library: apt-get install g++")
def test_the_shipped_model_is_loaded_and_answers_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(find_model())], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["3", "native"], done.stderr


def test_in_a_checkout_the_engine_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`python -m creuset` finds the package in the working folder; the engine process does not look there by itself."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(TREE)
    python, alone, kind, code, *_ = worker_command(Path("m"), "{}")
    assert (alone, kind) == ("-P", "-c")
    told = code.replace("sys.exit(main(sys.argv[1:]))", "print(main.__code__.co_filename)")
    ran = subprocess.run([python, "-P", "-c", told], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(TREE / "creuset/server/engines/worker.py")
    monkeypatch.setenv("PYTHONPATH", str(TREE))
    assert worker_command(Path("m"), "{}")[2:4] == ["-m", "creuset.server.engines.worker"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH")
    assert worker_command(Path("m"), "{}")[2:4] == ["-m", "creuset.server.engines.worker"]
