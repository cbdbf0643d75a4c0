"""Training: resumed = uninterrupted, any split of a batch = the whole batch, two ranks = one."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from creuset.cli import main
from creuset.core.artifact import read_manifest, verify
from creuset.core.errors import TrainingError
from creuset.data.shards.batches import PackedRow, PretrainSource, pack
from creuset.data.shards.files import Shards
from creuset.data.shards.mix import Mixture
from creuset.testing import tiny_config, tiny_model, tiny_shards
from creuset.train.objectives import pretrain
from creuset.train.settings import Optim, Pretrain
from creuset.train.state import TrainState
from creuset.train.step import train_step
from tests import forked

CPU = torch.device("cpu")
TREE = Path(__file__).parents[2]


def tiny_run(**changes: Any) -> Pretrain:
    settings = Pretrain(
        name="tiny",
        model=tiny_config(),
        steps=8,
        tokens_per_step=256,
        tokens_per_microbatch=256,
        context=64,
        precision="fp32",
        expert_kernel="exact",
        threads=1,
        evaluate_every=4,
        evaluate_tokens=256,
        save_every=2,
        optim=Optim(warmup_steps=2),
    )
    return replace(settings, **changes)


def recipe_for_tests() -> Pretrain:
    """Many small steps, so that a kill lands in the middle; found by name in the subprocess."""
    return tiny_run(steps=24, save_every=3, evaluate_every=12)


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [e["loss"] for e in events if e["event"] == "step"]


def fresh(settings: Pretrain) -> TrainState:
    return TrainState.begin(tiny_model(settings.model), settings, CPU)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


def test_a_run_killed_in_the_middle_and_resumed_has_the_same_losses_bit_for_bit(shards: Path, tmp_path: Path) -> None:
    def command(out: Path) -> forked.Forked:
        words = ["creuset", "train", "tests.train.test_training:recipe_for_tests", "--shards", str(shards)]
        return forked.Forked([*words, "--out", str(out), "--threads", "1"], cwd=TREE, env=os.environ)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert command(whole).wait(120).returncode == 0
    process = command(broken)
    deadline = time.monotonic() + 120
    while not list((broken / "checkpoints").glob("step-*/state.json")):
        assert process.poll() is None and time.monotonic() < deadline, "the run ended or hung before a checkpoint"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert len(losses(broken)) < 24, "the kill came too late to prove anything"
    assert command(broken).wait(120).returncode == 0
    assert losses(broken) == losses(whole)
    assert (broken / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()
    assert verify(broken / "model") == []
    assert read_manifest(broken / "model")["parents"][0]["sha256"] == read_manifest(shards)["sha256"]


@pytest.mark.parametrize("micro", [64, 128])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_the_update_does_not_depend_on_micro_batches_or_recomputation(
    shards: Path, micro: int, checkpoint: bool
) -> None:
    def weights(**changes: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor, list[float]]:
        # AdamW divides by the size of the gradient. With its small eps an element whose gradient is only rounding
        # moves by a whole learning rate, in the direction of the rounding; with a large eps it moves with its gradient.
        settings = tiny_run(balance_coef=0.1, optim=Optim(warmup_steps=2, eps=1e-3), **changes)
        state = fresh(settings)
        source = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
        reports = [
            train_step(state, source.step(tokens=256, micro=settings.tokens_per_microbatch, rank=0, world=1), pretrain)
            for _ in range(3)
        ]
        return state.optimizer.masters, state.load_LE, [r.balance for r in reports]

    one, load_one, balance_one = weights()
    many, load_many, balance_many = weights(tokens_per_microbatch=micro, checkpoint_activations=checkpoint)
    assert torch.equal(load_one, load_many), "a token was counted twice, or not at all"
    np.testing.assert_allclose(balance_one, balance_many, rtol=1e-5)
    for name, tensor in one.items():
        torch.testing.assert_close(many[name], tensor, rtol=2e-3, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")


class _Dtypes(TorchDispatchMode):
    """Notes the floating-point types of every result while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen |= {t.dtype for t in pytree.tree_leaves(out) if isinstance(t, torch.Tensor)}
        return out


@pytest.mark.parametrize(("muon", "found"), [("auto", False), ("fp32", False), ("bf16", True)])
def test_fp32_settings_compute_nothing_in_bf16_unless_muon_is_told_to(shards: Path, muon: str, found: bool) -> None:
    """What the machine is good at does not matter: only the settings decide."""
    state = fresh(tiny_run(precision="fp32", optim=Optim(muon_precision=muon)))  # type: ignore[arg-type]
    source = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
    with _Dtypes() as dtypes:
        train_step(state, source.step(tokens=256, micro=256, rank=0, world=1), pretrain)
    assert torch.float32 in dtypes.seen
    assert (torch.bfloat16 in dtypes.seen) == found


def _rank(rank: int, world: int, folder: str, shards: str) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    try:
        state = fresh(tiny_run(tokens_per_microbatch=64))
        source = PretrainSource(Shards.open(Path(shards)), weights={"en": 1.0}, context=64, seed=1)
        for _ in range(2):
            train_step(state, source.step(tokens=256, micro=64, rank=rank, world=world), pretrain)
        if rank == 0:
            torch.save((state.optimizer.masters, state.load_LE, source.cursor()), f"{folder}/two.pt")
    finally:
        torch.distributed.destroy_process_group()


def test_two_ranks_are_one_big_batch(shards: Path, tmp_path: Path) -> None:
    ranks = [forked.FORKS.Process(target=_rank, args=(rank, 2, str(tmp_path), str(shards))) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    masters, load_LE, cursor = torch.load(tmp_path / "two.pt")
    state = fresh(tiny_run(tokens_per_microbatch=64))
    source = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
    for _ in range(2):
        train_step(state, source.step(tokens=256, micro=64, rank=0, world=1), pretrain)
    assert source.cursor() == cursor
    assert torch.equal(state.load_LE, load_LE)
    for name, tensor in state.optimizer.masters.items():
        torch.testing.assert_close(masters[name], tensor, rtol=2e-3, atol=2e-5)


def test_a_step_that_is_not_finite_leaves_the_weights_alone_and_five_in_a_row_stop_the_run(
    shards: Path, tmp_path: Path
) -> None:
    state = fresh(tiny_run())
    with torch.no_grad():
        state.optimizer.masters["model.norm.weight"][0] = float("nan")
    state.refresh_weights()
    before = {n: m.clone() for n, m in state.optimizer.masters.items()}
    source = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
    report = train_step(state, source.step(tokens=256, micro=256, rank=0, world=1), pretrain)
    assert not report.updated and state.bad_steps == 1
    assert all(torch.equal(m, before[n]) or n == "model.norm.weight" for n, m in state.optimizer.masters.items())

    from creuset.core.record import Recorder
    from creuset.train.loop import train

    with pytest.raises(TrainingError, match="5 steps in a row were not finite"):
        train(state, source, pretrain, tmp_path, Recorder.start(), run="r")


def test_every_token_of_a_document_is_predicted_once_and_none_from_another_document() -> None:
    ids = np.array([5, 6, 0, 7, 0, 8, 9, 3, 0])  # 0 ends documents
    inputs, targets = ids[:-1], ids[1:]
    batch = pack([PackedRow(inputs, targets, np.ones(8, np.float32), np.array([0, 2, 4]))])
    assert batch.lengths == [2, 2, 4] and batch.positions_T.tolist() == [0, 1, 0, 1, 0, 1, 2, 3]


def test_the_mixture_gives_each_source_its_share_at_every_moment_and_goes_on_from_its_cursor() -> None:
    weights = {"a": 0.7, "b": 0.2, "c": 0.1}
    mixture = Mixture({"a": 5, "b": 3, "c": 2}, weights, seed=3)
    rows = []
    for n in range(1, 200):
        rows.append(mixture.next())
        assert all(abs(mixture.taken[s] - w * n) < 1 for s, w in weights.items())
        if n == 77:
            cursor = mixture.cursor
    again = Mixture({"a": 5, "b": 3, "c": 2}, weights, seed=3)
    again.seek(cursor)
    assert [again.next() for _ in range(199 - 77)] == rows[77:]
    first_epoch = [r.index for r in rows if r.source == "a" and r.epoch == 0]
    assert sorted(first_epoch) == list(range(5)), "an epoch reads each row once"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "optim.warmup_step=5"], 2, "did you mean `warmup_steps`?"),
        (["--set", "tokens_per_microbatch=100"], 2, "tokens_per_microbatch (100) must be a multiple of context (512)"),
        (["--set", "precision=bf61"], 2, "choose one of auto, bf16, fp32"),
        ([], 2, "--shards is needed to train"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "nano", *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_run_folder_of_other_settings_is_refused_naming_the_difference(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "tests.train.test_training:tiny_run", "--shards", str(shards), "--out", str(tmp_path / "run")]
    assert main([*base, "--minutes", "0.0001"]) == 0
    assert main([*base, "--set", "seed=5"]) == 2
    assert "settings.seed was 17, now 5" in capsys.readouterr().err
