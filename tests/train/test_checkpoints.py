"""Checkpoints that are damaged, foreign or do not fit on the disk: named, set aside, and nothing else is lost."""

import contextlib
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError, DiskFull
from creuset.testing import tiny_shards
from creuset.train import checkpoint
from creuset.train.run import resume, train
from creuset.train.state import TrainState
from tests.train.test_training import fresh, losses, tiny_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps that nothing happened to, with a checkpoint every two steps."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train(tiny_run(keep=9), shards=shards, out=out).finished
    return out


@pytest.fixture
def paused(whole: Path, tmp_path: Path) -> Path:
    """The same run as it was before its last checkpoint and its model."""
    out = tmp_path / "paused"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "model")
    shutil.rmtree(out / "checkpoints/step-0000008")
    return out


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("state.safetensors", flip, "step-0000006/state.safetensors has sha256"),
    ("state.safetensors", cut, "step-0000006/state.safetensors has sha256"),
    ("state.safetensors", Path.unlink, "step-0000006/state.safetensors is missing"),
    ("state.json", flip, "step-0000006/state.json has sha256"),
    ("manifest.json", Path.unlink, "it has no manifest.json"),
]


def test_a_checkpoint_says_whose_it_is_and_has_the_hash_of_each_file(whole: Path) -> None:
    names = [path.name for path in checkpoint.saved(whole / "checkpoints")]
    assert names == [f"step-{n:07d}" for n in (2, 4, 6, 8)]
    manifest = read_manifest(whole / "checkpoints/step-0000004")
    assert manifest["facts"] == {"run": json.loads((whole / "settings.json").read_text())["id"], "step": 4}
    assert set(manifest["files"]) == {"state.safetensors", "state.json"}


@pytest.mark.parametrize(("name", "damage", "words"), DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_taken(
    name: str, damage: Callable[[Path], None], words: str, whole: Path, paused: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    damage(paused / "checkpoints/step-0000006" / name)
    assert resume(paused).finished
    said = capsys.readouterr().err
    assert words in said and "set aside as `step-0000006.refused`" in said and "resumed at step 4" in said
    assert losses(paused) == losses(whole)
    weights = "model/model.safetensors"
    assert (paused / weights).read_bytes() == (whole / weights).read_bytes()
    assert (paused / "checkpoints/step-0000006.refused").is_dir(), "the refused one was thrown away"


def test_a_checkpoint_of_another_run_is_refused_by_name_and_does_not_crowd_out_ours(
    whole: Path, paused: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stranger has the same shape and a later step: nothing but its identity gives it away."""
    assert not train(tiny_run(seed=3), shards=shards, out=tmp_path / "other", stop_after_s=0.0).finished
    shutil.copytree(tmp_path / "other/checkpoints/step-0000001", paused / "checkpoints/step-0000007")
    theirs, ours = (json.loads((d / "settings.json").read_text())["id"] for d in (tmp_path / "other", paused))
    assert resume(paused).finished
    said = capsys.readouterr().err
    assert f"checkpoint `step-0000007` belongs to the run {theirs}, not to this one ({ours})" in said
    assert losses(paused) == losses(whole)


def test_without_one_good_checkpoint_nothing_is_begun_anew_in_silence(paused: Path) -> None:
    for path in checkpoint.saved(paused / "checkpoints"):
        flip(path / "state.json")
    before = losses(paused)
    with pytest.raises(ArtifactError, match=r"none of the 3 checkpoints of `.*` can be used"):
        resume(paused)
    assert losses(paused) == before and not (paused / "model").exists()


def test_everything_that_a_state_counts_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    state, again = fresh(tiny_run()), fresh(tiny_run())
    for loss in range(30):
        state.watch.add(float(loss % 7))
    state.step, state.bad_steps, state.bad_total, state.cursor = 30, 2, 5, {"taken": {"en": 9}}
    record = checkpoint.restore(again, checkpoint.save(state, tmp_path, run="r", record={"work": 1}, keep=2))
    assert again.scalars() == state.scalars() and record == {"work": 1}
    assert again.watch.add(9.0) == state.watch.add(9.0) > 0, "the watch over the loss begins anew at each resume"


def test_a_tensor_that_a_checkpoint_does_not_hold_is_named(tmp_path: Path) -> None:
    path = checkpoint.save(fresh(tiny_run()), tmp_path, run="r", record={}, keep=2)
    state = TrainState.begin(fresh(tiny_run()).model, tiny_run(), torch.device("cpu"))
    state.optimizer.masters["model.other.weight"] = torch.zeros(2)
    with pytest.raises(ArtifactError, match=r"checkpoint `step-0000000` does not hold `master/model\.other\.weight`"):
        checkpoint.restore(state, path)


@contextlib.contextmanager
def files_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk does to a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [100, 20_000])
def test_a_full_disk_is_one_error_that_names_the_file_and_the_last_checkpoint_stays(
    room: int, whole: Path, paused: Path
) -> None:
    kept = [path.name for path in checkpoint.saved(paused / "checkpoints")]
    # 20,000 bytes take the events and not the weights; 100 not even an event.
    with files_of(max(room, 0)), pytest.raises(DiskFull, match=r"cannot be written: File too large") as error:
        resume(paused)
    assert str(paused.name) in str(error.value), "the file is not named"
    assert [path.name for path in checkpoint.saved(paused / "checkpoints")] == kept
    assert not list((paused / "checkpoints").glob("*.partial")), "what was half written takes the room that is needed"
    assert resume(paused).finished
    assert losses(paused) == losses(whole)


def test_a_run_that_was_killed_before_its_first_checkpoint_says_each_step_once(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert not train(tiny_run(), shards=shards, out=out, stop_after_s=0.0).finished
    shutil.rmtree(out / "checkpoints")
    assert len(losses(out)) == 1
    assert train(tiny_run(), shards=shards, out=out).finished
    assert len(losses(out)) == 8
