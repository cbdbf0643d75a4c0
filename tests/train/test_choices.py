"""What a machine chooses: by timing real steps, once, kept with the run, obeyed or refused by name."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.core import device as devices
from creuset.core.artifact import read_manifest
from creuset.core.errors import ConfigError
from creuset.data.shards.batches import PretrainSource
from creuset.data.shards.files import Shards
from creuset.testing import tiny_config, tiny_model, tiny_shards
from creuset.train import folder
from creuset.train.choices import StepTimer, choose, cores_here, left_open, possible, unavailable, value
from creuset.train.objectives import pretrain
from creuset.train.run import _peak as peak_flops
from creuset.train.run import resume, train
from creuset.train.settings import Finetune, Optim, Pretrain, Training
from creuset.train.state import TrainState
from tests.train.test_training import losses, tiny_run

CPU = torch.device("cpu")
OPEN = {"device": "auto", "kernels": "auto", "precision": "auto", "expert_kernel": "auto", "threads": 0}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has bf16 products, and four threads."""
    monkeypatch.setattr(devices, "has_bf16", lambda _: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)


def chosen(settings: Pretrain, seconds: dict[str, float]) -> dict[str, Any]:
    """What is chosen on a machine where a step takes 1 s, times the factor of each way in `seconds`."""
    asked = []

    def timer(tried: Pretrain) -> float:
        assert not left_open(tried), "a step was timed with something left open"
        asked.append(tried)
        ways = [f"{tried.precision}", f"{tried.precision} {tried.expert_kernel}", f"{tried.threads} threads"]
        ways.append(f"muon {tried.optim.muon_precision}")
        taken = 1.0
        for way in ways:
            taken *= seconds.get(way, 1.0)
        return taken

    found, timed = choose(settings, settings.model, timer, device=CPU)
    assert not left_open(found)
    assert len(timed) == len(asked), "something was timed twice, or its time is not kept"
    names = ("device", "precision", "expert_kernel", "threads", "optim.muon_precision")
    return {name: value(found, name) for name in names}


@pytest.mark.parametrize(("seconds", "differs"), [
    ({}, {}),
    ({"bf16": 0.95}, {}),  # less than 10 % faster: the plain way
    ({"bf16": 0.5}, {"precision": "bf16"}),
    ({"bf16": 2.0, "bf16 padded": 0.2}, {"precision": "bf16", "expert_kernel": "padded"}),  # only together
    ({"fp32 padded": 0.8}, {"expert_kernel": "padded"}),
    ({"1 threads": 0.5}, {"threads": 1}),  # neighbours use the other cores
    ({"bf16": 0.5, "muon bf16": 0.8}, {"precision": "bf16", "optim.muon_precision": "bf16"}),
    ({"muon bf16": 0.1}, {}),  # an fp32 model has an fp32 Muon, however fast bf16 would be
])  # fmt: skip
def test_the_fastest_way_to_take_a_step_is_chosen_and_the_plain_one_when_in_doubt(
    native: None, seconds: dict[str, float], differs: dict[str, Any]
) -> None:
    plain = {
        "device": "cpu", "precision": "fp32", "expert_kernel": "exact", "threads": 4, "optim.muon_precision": "fp32",
    }  # fmt: skip
    assert chosen(tiny_run(**OPEN), seconds) == plain | differs


def test_what_the_settings_say_is_never_timed_and_never_changed(native: None) -> None:
    def timer(tried: Pretrain) -> float:
        raise AssertionError("nothing is left open")

    settings = tiny_run(
        device="cpu",
        kernels="torch",
        precision="bf16",
        expert_kernel="exact",
        threads=3,
        optim=Optim(muon_precision="bf16"),
    )
    assert choose(settings, settings.model, timer, device=CPU) == (settings, [])
    only = chosen(replace(settings, threads=0), {"bf16": 9.0, "1 threads": 0.5})
    assert (only["precision"], only["threads"]) == ("bf16", 1)


def test_emulated_bf16_is_not_even_timed_and_a_dense_model_has_no_experts_to_choose_for(
    native: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: False)
    assert chosen(tiny_run(**OPEN), {"bf16": 0.1})["precision"] == "fp32"
    dense = tiny_run(**OPEN, model=tiny_config("qwen3"))
    assert chosen(dense, {"fp32 padded": 0.1})["expert_kernel"] == "exact"


def test_a_timed_step_is_a_real_one_by_the_clock_and_leaves_no_trace(shards: Path) -> None:
    settings = tiny_run(expert_kernel="padded", device="cpu", optim=Optim(muon_precision="fp32"))
    model, source = tiny_model(settings.model), PretrainSource(
        Shards.open(shards), weights={"en": 1.0}, context=64, seed=1
    )  # fmt: skip
    before, threads = {n: p.clone() for n, p in model.named_parameters()}, torch.get_num_threads()
    # Begin and end of four steps: 9, 2, 4 and 3 seconds. The first one is not measured.
    ticks: Iterator[float] = iter([0.0, 9.0, 10.0, 12.0, 20.0, 24.0, 30.0, 33.0, 100.0, 200.0])
    batches = source.step(tokens=256, micro=256, rank=0, world=1)
    timer = StepTimer(model, batches, pretrain, CPU, clock=lambda: next(ticks))
    assert timer(settings) == 3.0
    assert timer(replace(settings, precision="bf16")) == 100.0, "a hopeless way was timed further"
    assert all(torch.equal(p, before[n]) and p.dtype == torch.float32 for n, p in model.named_parameters())
    assert torch.get_num_threads() == threads


def test_the_kernel_and_the_precisions_of_the_settings_are_those_of_the_model() -> None:
    state = TrainState.begin(
        tiny_model(), tiny_run(precision="bf16", expert_kernel="padded", optim=Optim(muon_precision="fp32")), CPU
    )
    assert {p.dtype for p in state.model.parameters()} == {torch.bfloat16}
    assert state.optimizer.muon_dtype == torch.float32
    assert all(block.mlp.experts.kernel == "padded" for block in state.model.model.layers)
    with pytest.raises(ConfigError, match="precision is `auto`, which nobody chose yet"):
        TrainState.begin(tiny_model(), tiny_run(precision="auto"), CPU)


@pytest.mark.parametrize(("values", "words"), [
    ({"threads": 9999}, r"threads 9999 \(here are \d+ cores\)"),
    ({"device": "cuda"}, r"device cuda \(here is cpu only\)"),
    ({"precision": "bf16"}, r"precision bf16 \(this cpu has no bf16 products\)"),
    ({"optim.muon_precision": "bf16"}, r"optim\.muon_precision bf16"),
    ({"kernels": "native"}, r"kernels native \(the native library is not here, or the device is no CPU\)"),
    ({"expert_kernel": "grouped"}, r"expert_kernel grouped \(it needs a GPU\)"),
])  # fmt: skip
def test_what_cannot_be_had_is_named(values: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: False)
    monkeypatch.setenv("CREUSET_NATIVE", "0")
    (problem,) = unavailable(values, tiny_config(), CPU)
    assert re.search(words, problem)
    fine = {"device": "cpu", "precision": "fp32", "expert_kernel": "padded", "threads": 1}
    assert unavailable(fine, tiny_config(), CPU) == []


def test_a_choice_is_kept_in_settings_record_and_manifest_and_obeyed_at_resume(shards: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "run", tiny_run(**OPEN, steps=4)
    assert not train(settings, shards=shards, out=out, stop_after_s=0.0).finished
    run = folder.read(out)
    assert run is not None
    assert set(run.chosen) == {*OPEN, "optim.muon_precision"}
    assert run.choices[0]["step"] == 0 and run.choices[0]["timed"], "what was timed is not kept"
    # Whatever a stopwatch would say now: the run goes on as its folder says.
    other = {"exact": "padded", "padded": "exact"}[run.chosen["expert_kernel"]]
    text = (out / folder.FILE).read_text()
    (out / folder.FILE).write_text(text.replace(f'"expert_kernel": "{run.chosen["expert_kernel"]}"',
                                                f'"expert_kernel": "{other}"'))  # fmt: skip
    ended = train(settings, shards=shards, out=out)
    assert ended.finished and ended.model == out / "model"
    manifest, record = read_manifest(out / "model"), json.loads((out / "model/record.json").read_text())
    wanted = run.chosen | {"expert_kernel": other}
    assert {name: manifest["settings"][name] for name in OPEN} == {name: wanted[name] for name in OPEN}
    assert manifest["settings"]["optim"]["muon_precision"] == wanted["optim.muon_precision"]
    assert record["choices"][0]["values"]["expert_kernel"] == other and len(record["choices"]) == 1


def test_choosing_changes_nothing_but_the_choice(shards: Path, tmp_path: Path) -> None:
    """A run that chose equals the run that was told so: no batch was used up, no weight was moved."""
    auto = train(tiny_run(expert_kernel="auto"), shards=shards, out=tmp_path / "auto")
    assert auto.model is not None
    settings = read_manifest(auto.model)["settings"]
    told = tiny_run(expert_kernel=settings["expert_kernel"], threads=settings["threads"])
    train(told, shards=shards, out=tmp_path / "told")
    assert losses(tmp_path / "auto") == losses(tmp_path / "told")


def test_a_grouped_kernel_that_cannot_be_had_is_refused_before_anything_is_computed(
    shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="expert_kernel is grouped, which torch has on a GPU and in bf16 only: here"):
        train(tiny_run(expert_kernel="grouped", device="cpu"), shards=shards, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_choice_that_cannot_be_had_stops_the_resume_until_it_is_told_to_choose_again(
    shards: Path, tmp_path: Path
) -> None:
    out, settings = tmp_path / "run", tiny_run(threads=0, steps=4)
    train(settings, shards=shards, out=out, stop_after_s=0.0)
    run = folder.read(out)
    assert run is not None
    more = cores_here() + 1  # as if begun on a larger machine; one core only, should the run not be stopped
    run.choices[-1]["values"]["threads"] = run.settings["threads"] = more
    run.write(out)
    words = rf"does not have: threads {more} \(here are {more - 1} cores\)"
    with pytest.raises(ConfigError, match=words) as refused:
        train(settings, shards=shards, out=out)
    assert "--choose-again" in refused.value.hint
    with pytest.raises(ConfigError, match=words):
        resume(out)
    assert not (out / "model").exists()
    assert resume(out, choose_again=True).finished
    record = json.loads((out / "model/record.json").read_text())
    assert [c["values"]["threads"] == more for c in record["choices"]] == [True, False]
    assert [c["step"] for c in record["choices"]] == [0, 1], "from which step on a choice holds is not said"
    assert len(losses(out)) == 4


def test_another_processor_is_told_and_no_reason_to_stop(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, settings = tmp_path / "run", tiny_run(steps=4)
    train(settings, shards=shards, out=out, stop_after_s=0.0)
    run = folder.read(out)
    assert run is not None
    run.choices[-1]["cpu"] = "Difference Engine"
    run.write(out)
    assert train(settings, shards=shards, out=out).finished
    assert "the run was begun on Difference Engine: the last bits may differ" in capsys.readouterr().err


def test_a_value_that_differs_from_the_choice_is_another_run(shards: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "run", tiny_run(threads=0, steps=4)
    train(settings, shards=shards, out=out, stop_after_s=0.0)
    known = folder.read(out)
    assert known is not None
    with pytest.raises(ConfigError, match=rf"settings.threads was {known.chosen['threads']}, now 77"):
        train(replace(settings, threads=77), shards=shards, out=out)


def test_as_many_threads_as_there_are_cores_can_be_had() -> None:
    assert unavailable({"threads": cores_here()}, tiny_config(), torch.device("cpu")) == []


def test_a_run_computes_with_the_threads_of_its_settings_and_gives_them_back(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked, set_threads = torch.get_num_threads(), list[int](), torch.set_num_threads
    try:
        torch.set_num_threads(2)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: (asked.append(count), set_threads(count))[1])
        train(tiny_run(steps=1, threads=1), shards=shards, out=tmp_path / "run")
        assert asked == [1, 2] and torch.get_num_threads() == 2
    finally:
        set_threads(before)


def test_the_peak_of_emulated_bf16_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bf16 does a hundredth of its fp32 speed: nothing to divide by."""
    monkeypatch.setattr(devices, "has_bf16", lambda device: False)
    asked: list[torch.dtype] = []
    monkeypatch.setattr(devices, "matmul_rates", lambda device, dtype, size: asked.append(dtype) or [1e9] * 3)
    monkeypatch.setattr(devices, "agreed_peak", max)
    assert peak_flops(torch.device("cpu"), torch.bfloat16) is None and asked == []
    assert peak_flops(torch.device("cpu"), torch.float32) == 1e9 and asked == [torch.float32]


@pytest.mark.parametrize("kind", [Pretrain, Finetune])
def test_every_kind_of_training_refuses_what_training_refuses(kind: type[Training]) -> None:
    good = {"name": "x", "steps": 1, "tokens_per_step": 64, "tokens_per_microbatch": 64, "context": 64}
    more = {"model": tiny_config()} if kind is Pretrain else {}
    assert kind(**(good | more))  # type: ignore[arg-type]
    for change, words in (
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"tokens_per_microbatch": 65}, r"tokens_per_microbatch \(65\) must be a multiple of context \(64\)"),
        ({"tokens_per_step": 65}, r"tokens_per_step \(65\) must be a multiple of context \(64\)"),
    ):
        with pytest.raises(ValueError, match=words):
            kind(**(good | more | change))  # type: ignore[arg-type]


def test_a_cpu_is_offered_no_kernel_of_a_gpu() -> None:
    settings = tiny_run(expert_kernel="auto")
    assert possible("expert_kernel", settings, tiny_config(), torch.device("cpu")) == ["exact", "padded"]
    assert possible("expert_kernel", settings, tiny_config("qwen3"), torch.device("cpu")) == ["exact"]
