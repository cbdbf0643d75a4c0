"""What is looked at beside the loss: gradients by part, spikes, means of weights, samples, runs compared, sweeps."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.cli import main
from creuset.cli.training.sweep import combinations
from creuset.core.artifact import read_manifest, verify
from creuset.core.errors import ArtifactError, ConfigError
from creuset.data.shards.files import Shards
from creuset.model.attention import Packed
from creuset.model.formats.weights import load_model
from creuset.testing import tiny_model, tiny_shards
from creuset.text.tokenizer import Tokenizer
from creuset.train.evaluate import bits_per_byte
from creuset.train.pages.compare import differences, flat, summaries
from creuset.train.run import resume, train
from creuset.train.watch.health import SPIKE, SpikeWatch, by_part, largest, part_of, tensor_norms
from creuset.train.watch.samples import sample
from creuset.train.watch.sinks import numbers, sinks
from tests.train.test_training import tiny_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def watched(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("watched") / "run"
    settings = replace(tiny_run(), ema=0.5, samples=("The", "Il"), sample_tokens=4)
    assert train(settings, shards=shards, out=out).finished
    return out


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    return [e for e in map(json.loads, (out / "events.jsonl").read_text().splitlines()) if e["event"] == kind]


def test_the_norms_of_the_parts_make_the_norm_of_all(watched: Path) -> None:
    steps = events(watched, "step")
    assert steps
    for step in steps:
        assert sum(norm**2 for norm in step["parts"].values()) == pytest.approx(step["norm"] ** 2, rel=1e-4)
        assert set(step["parts"]) >= {"embedding", "attention", "experts", "router", "norms"}
        assert "other" not in step["parts"] and 0 < step["hidden"] < 100


def test_each_weight_of_a_model_belongs_to_a_part_that_people_know() -> None:
    model = tiny_model()
    assert {part_of(name) for name, _ in model.named_parameters()} <= {
        "embedding", "head", "router", "experts", "attention", "norms", "dense", "shared",
    }  # fmt: skip
    names = {"model.layers.0.mlp.gate.weight": "router", "model.layers.0.mlp.experts.gate_up": "experts",
             "model.layers.1.self_attn.q_norm.weight": "norms", "model.layers.1.self_attn.q_proj.weight": "attention",
             "model.layers.0.mlp.gate_proj.weight": "dense", "lm_head.weight": "head"}  # fmt: skip
    assert {name: part_of(name) for name in names} == names


def test_a_spike_is_told_with_the_tensors_that_carry_it() -> None:
    watch = SpikeWatch()
    assert [watch.add(1.0) for _ in range(20)] == [None] * 20
    assert watch.add(SPIKE) is None and watch.add(2 * SPIKE) == pytest.approx(2 * SPIKE)
    assert SpikeWatch().add(1e9) is None, "there is nothing to compare the first step with"
    norms = tensor_norms({"a": torch.tensor([3.0]), "b": torch.tensor([0.0, 4.0]), "c": torch.tensor([0.0])})
    assert norms == {"a": 3.0, "b": 4.0, "c": 0.0}
    assert largest(norms, 2) == [("b", pytest.approx(16 / 25)), ("a", pytest.approx(9 / 25))]
    assert largest({"a": float("nan"), "b": 1.0}) == [("a", 1.0)], "what is not finite is named"
    assert by_part({"model.embed_tokens.weight": 3.0, "lm_head.weight": 4.0}) == {"embedding": 3.0, "head": 4.0}


def test_the_mean_of_the_weights_is_the_recursion_and_is_published_with_its_own_score(
    watched: Path, shards: Path, tmp_path: Path
) -> None:
    settings = replace(tiny_run(), ema=0.5, save_every=1, keep=100)
    assert train(settings, shards=shards, out=tmp_path / "run").finished
    from safetensors.torch import load_file

    name = "model.embed_tokens.weight"
    states = [load_file(path / "state.safetensors") for path in sorted((tmp_path / "run/checkpoints").glob("step-*"))]
    for before, after in pairwise(states):
        wanted = 0.5 * before[f"mean/{name}"] + 0.5 * after[f"master/{name}"]
        torch.testing.assert_close(after[f"mean/{name}"], wanted)
    mean, last = load_model(tmp_path / "run/model-ema", dtype=torch.float32), states[-1]
    torch.testing.assert_close(mean.model.embed_tokens.weight, last[f"mean/{name}"])
    assert not verify(watched / "model-ema") and not verify(watched / "model")
    said = read_manifest(tmp_path / "run/model-ema")["facts"]
    opened = Shards.open(shards)
    with torch.inference_mode():
        for source, bits in said["bits_per_byte"].items():
            scored = bits_per_byte(mean, opened, source, context=settings.context, max_tokens=None).bits_per_byte
            assert scored == pytest.approx(bits, rel=1e-6)
    assert (
        said["ema"] == 0.5 and said["bits_per_byte"] != read_manifest(tmp_path / "run/model")["facts"]["bits_per_byte"]
    )


def test_the_mean_goes_through_a_pause(watched: Path, shards: Path, tmp_path: Path) -> None:
    settings = replace(tiny_run(), ema=0.5, samples=("The", "Il"), sample_tokens=4)
    assert not train(settings, shards=shards, out=tmp_path / "run", stop_after_s=0.0).finished
    assert resume(tmp_path / "run").finished
    one, other = (load_model(out / "model-ema", dtype=torch.float32) for out in (watched, tmp_path / "run"))
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_samples_are_the_greedy_text_of_the_weights(watched: Path, shards: Path) -> None:
    written = events(watched, "samples")[-1]["samples"]
    model, tokenizer = load_model(watched / "model", dtype=torch.float32), Tokenizer.load(shards)
    assert [one["prompt"] for one in written] == ["The", "Il"]
    assert written == sample(model, tokenizer, ("The", "Il"), tokens=4)
    ids = tokenizer.encode("The")
    for _ in range(4):  # one step at a time, by the whole model
        with torch.inference_mode():
            hidden = model(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))
        head = model.model.embed_tokens.weight if model.lm_head is None else model.lm_head.weight
        ids.append(int((hidden[-1] @ head.T.detach()).argmax()))
    assert written[0]["text"] == tokenizer.decode(ids[-4:])
    page = (watched / "loss.html").read_text()
    assert "What the model writes at step" in page and "Gradient norm by part of the model" in page


def test_runs_are_compared_by_what_they_did_and_where_they_differ(
    watched: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert not train(tiny_run(), shards=shards, out=other, stop_after_s=0.0).finished
    runs = summaries([watched, other])
    assert [run.name for run in runs] == ["run", "other"] and [run.finished for run in runs] == [True, False]
    steps = events(watched, "step")
    assert runs[0].loss == pytest.approx(sum(e["loss"] for e in steps[-20:]) / len(steps[-20:]))
    assert runs[0].tokens == steps[-1]["seen"] and runs[1].steps == 1
    assert differences(runs)["ema"] == [0.5, 0.0] and "steps" not in differences(runs)
    assert main(["runs", str(watched), str(other), "--page", str(tmp_path / "page.html")]) == 0
    said = capsys.readouterr().out
    assert "ema: run 0.5, other 0.0" in said and "not finished" in said
    page = (tmp_path / "page.html").read_text()
    assert "Runs compared" in page and "Entra\u00eenements compar\u00e9s" in page and page.count("<svg") >= 2
    with pytest.raises(ArtifactError, match="is not the folder of a run"):
        summaries([tmp_path])
    assert flat({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}


def test_a_sweep_runs_each_combination_and_goes_on_where_it_stopped(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.py"
    recipe.write_text("from tests.train.test_training import tiny_run\n\ndef pretrain():\n    return tiny_run()\n")
    words = ["sweep", str(recipe), "--shards", str(shards), "--out", str(tmp_path / "out"), "--set", "steps=2",
             "--vary", "optim.lr=0.001,0.003", "--json"]  # fmt: skip
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in said["runs"]] == ["lr-0.001", "lr-0.003"]
    assert said["differences"] == {"optim.lr": [0.001, 0.003]} and all(run["finished"] for run in said["runs"])
    assert (tmp_path / "out/compare.html").is_file()
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").glob("*/model/*")}
    assert main(words) == 0, "finished runs are not done again"
    assert before == {f: f.stat().st_mtime_ns for f in (tmp_path / "out").glob("*/model/*")}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["sweep", "nano"], "nothing is varied"),
        (["sweep", "nano", "--vary", "optim.lr"], "`--vary optim.lr` names no values"),
        (["sweep", "nano", "--vary", "optim.lr=1,1"], "names a value twice"),
        (["sweep", "nano", "--vary", "optim.rate=1"], "optim.rate"),
        (["sweep", "nano", "--vary", "optim.lr=-1", "--dry-run"], "lr must be"),
        (["sweep", "nano:sft", "--vary", "steps=1"], "wants a Pretrain one"),
        (["train", "nowhere.py", "--dry-run"], "`nowhere.py` is not a recipe: there is no such file"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_trained(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert words in capsys.readouterr().err


def test_combinations_have_names_and_assignments() -> None:
    assert combinations(["a.x=1,2", "b=3"]) == {"x-1_b-3": ["a.x=1", "b=3"], "x-2_b-3": ["a.x=2", "b=3"]}
    with pytest.raises(ConfigError, match="would have one name"):
        combinations(["a.x=1/2,1-2"])


def test_numbers_go_to_other_places_by_names_with_slashes(tmp_path: Path) -> None:
    assert numbers({"loss": 1, "updated": True, "parts": {"head": 2.0}, "name": "x"}, "train") == {
        "train/loss": 1.0, "train/parts/head": 2.0,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="`mlflow` is no place for events"):
        sinks(("mlflow",), tmp_path, "run", {})


def test_tensorboard_gets_the_numbers_of_each_step(shards: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train(replace(tiny_run(), steps=3), shards=shards, out=tmp_path / "run", log=("tensorboard",)).finished
    read = EventAccumulator(str(tmp_path / "run/tensorboard"))
    read.Reload()
    losses = [(one.step, one.value) for one in read.Scalars("train/loss")]
    assert losses == [(e["step"], pytest.approx(e["loss"])) for e in events(tmp_path / "run", "step")]


def test_a_place_whose_package_is_missing_is_refused_by_name(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="--log wandb needs the package wandb"):
        train(tiny_run(), shards=shards, out=tmp_path / "run", log=("wandb",))
