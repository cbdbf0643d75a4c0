"""A run that is asked to stop ends its step, saves, says so, and goes on later as if it had never stopped."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from creuset.core.record import Recorder
from creuset.data.shards.batches import Batch, PretrainSource
from creuset.data.shards.files import Shards
from creuset.testing import tiny_shards
from creuset.train import checkpoint
from creuset.train.loop import Outcome, resume, train
from creuset.train.objectives import pretrain
from creuset.train.settings import Pretrain
from creuset.train.state import TrainState
from tests import forked
from tests.train.test_training import TREE, fresh, losses, tiny_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(autouse=True)
def a_signal_that_nobody_takes_fails_the_test() -> Iterator[None]:
    """Without this it would end the whole test run."""

    def fail(*_: object) -> None:
        raise AssertionError("the run did not take the signal")

    before = {number: signal.signal(number, fail) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupted:
    """A batch source that sends this process a signal while it reads the batch of one step."""

    def __init__(self, source: PretrainSource, *, at: int, number: signal.Signals) -> None:
        self.source, self.at, self.number, self.steps = source, at, number, 0

    def step(self, *, tokens: int, micro: int, rank: int, world: int) -> list[Batch]:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), self.number)
        return self.source.step(tokens=tokens, micro=micro, rank=rank, world=world)

    def cursor(self) -> dict[str, Any]:
        return self.source.cursor()

    def seek(self, cursor: Mapping[str, Any]) -> None:
        self.source.seek(cursor)

    def read(self) -> dict[str, int]:
        return self.source.read()


def source(shards: Path) -> PretrainSource:
    return PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)


def go(settings: Pretrain, batches: Any, folder: Path) -> tuple[Outcome, TrainState]:
    folder.mkdir(exist_ok=True)
    state, recorder = fresh(settings), Recorder.start()
    resume(state, batches, recorder, folder, run="r")
    return train(state, batches, pretrain, folder, recorder, run="r"), state


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_pauses_after_its_step_with_a_checkpoint_and_the_run_goes_on_from_there(
    shards: Path, tmp_path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_run(steps=6, save_every=100)  # no checkpoint but the one that the signal asks for
    whole, state = go(settings, source(shards), tmp_path / "whole")
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    paused, _ = go(settings, Interrupted(source(shards), at=3, number=number), tmp_path / "broken")
    assert (paused.finished, paused.step) == (False, 3)
    assert "paused at step 3: the same command goes on from here" in capsys.readouterr().err
    assert [path.name for path in checkpoint.saved(tmp_path / "broken" / "checkpoints")] == ["step-0000003"]
    assert {n: signal.getsignal(n) for n in before} == before, "the run kept the process's signals"
    ended, later = go(settings, source(shards), tmp_path / "broken")
    assert (ended.finished, ended.step) == (whole.finished, whole.step) == (True, 6)
    assert "resumed at step 3" in capsys.readouterr().err
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    for name, tensor in state.tensors().items():
        assert later.tensors()[name].equal(tensor), name


def test_a_signal_in_the_last_step_is_no_pause(shards: Path, tmp_path: Path) -> None:
    settings = tiny_run(steps=2)
    ended, _ = go(settings, Interrupted(source(shards), at=2, number=signal.SIGTERM), tmp_path / "run")
    assert (ended.finished, ended.step) == (True, 2)


def test_minutes_pause_by_the_clock_that_is_given(shards: Path, tmp_path: Path) -> None:
    folder, state, ticks = tmp_path / "run", fresh(tiny_run(steps=6)), iter(range(10_000))
    folder.mkdir()
    recorder = Recorder.start()
    paused = train(
        state, source(shards), pretrain, folder, recorder, run="r", stop_after_s=6, clock=lambda: float(next(ticks))
    )
    assert not paused.finished and 0 < paused.step < 6
    assert checkpoint.saved(folder / "checkpoints")[-1].name == f"step-{paused.step:07d}"


def long_recipe() -> Pretrain:
    """Too long to end before the signal; found by name in the subprocess."""
    return tiny_run(steps=100_000, evaluate_every=0, save_every=2)


def test_the_command_that_gets_sigterm_exits_with_0_and_its_last_checkpoint_is_its_last_step(
    shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = ["creuset", "train", "tests.train.test_pause:long_recipe", "--shards", str(shards)]
    process = forked.Forked([*command, "--out", str(out), "--threads", "1", "--json"], cwd=TREE, env=os.environ)
    deadline = time.monotonic() + 120
    while not list((out / "checkpoints").glob("step-*/state.json")):
        assert process.poll() is None and time.monotonic() < deadline, "the run ended or hung before a checkpoint"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    ended = process.wait(120)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["finished"], report["model"]) == (False, None) and report["step"] == len(losses(out))
    assert checkpoint.saved(out / "checkpoints")[-1].name == f"step-{report['step']:07d}"
    assert not (out / "model").exists(), "a paused run published a model"
