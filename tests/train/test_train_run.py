"""Training called from Python: what is refused and how, what a diverging run leaves, where a run may begin."""

import json
import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.cli import main
from creuset.core.artifact import ancestors, new_artifact, read_manifest, verify
from creuset.core.errors import ArtifactError, ConfigError, DataError, TrainingError
from creuset.core.record import Recorder
from creuset.data.shards.batches import PretrainSource
from creuset.data.shards.files import Shards
from creuset.model.formats.weights import load_model
from creuset.testing import TINY_TEXTS, tiny_model_folder, tiny_shards
from creuset.train.evaluate import bits_per_byte
from creuset.train.finetune import finetune
from creuset.train.loop import train as loop
from creuset.train.objectives import pretrain
from creuset.train.pages.report import percent, write_page
from creuset.train.run import resume, train
from creuset.train.settings import Finetune, Optim
from creuset.train.watch.divergence import WINDOW, LossWatch
from tests.train.test_training import fresh, losses, tiny_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture
def own(shards: Path, tmp_path: Path) -> Path:
    """A copy of the shards to damage."""
    shutil.copytree(shards, tmp_path / "shards")
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert train(tiny_run(), shards=shards, out=out).finished
    return out


def test_python_and_the_command_line_do_the_same(shards: Path, finished: Path, tmp_path: Path) -> None:
    words = ["train", "tests.train.test_training:tiny_run", "--shards", str(shards), "--out", str(tmp_path / "run")]
    assert main([*words, "--minutes", "0.0001"]) == 0
    assert resume(tmp_path / "run").finished, "what one began, the other goes on with"
    assert losses(tmp_path / "run") == losses(finished)
    one, other = (read_manifest(out / "model") for out in (tmp_path / "run", finished))
    assert one["settings"] == other["settings"] and one["facts"] == other["facts"]
    with pytest.raises(ArtifactError, match=r"is not the folder of a run: it has no settings\.json"):
        resume(tmp_path)


def test_a_finished_run_is_left_alone_and_refused_with_other_settings(
    shards: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "model/manifest.json").read_bytes()
    again = train(tiny_run(), shards=shards, out=finished)
    assert again.finished and again.step == 8 and again.model == finished / "model"
    assert again.bits_per_byte == read_manifest(finished / "model")["facts"]["bits_per_byte"]
    assert "is finished: nothing to do" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"is a run with other settings: settings\.seed was 17, now 5"):
        train(tiny_run(seed=5), shards=shards, out=finished)
    other = tiny_shards(tmp_path / "other", {"en": TINY_TEXTS[:2] * 30})
    with pytest.raises(ConfigError, match=r"is a run with other settings: inputs\."):
        train(tiny_run(), shards=other, out=finished)
    shutil.copytree(finished, tmp_path / "nameless")
    (tmp_path / "nameless/settings.json").unlink()
    with pytest.raises(ArtifactError, match=r"holds the finished model .* and no settings\.json"):
        train(tiny_run(seed=5), shards=shards, out=tmp_path / "nameless")
    assert (finished / "model/manifest.json").read_bytes() == before


def test_a_settings_file_that_is_no_json_is_named(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"stage": "pre')
    with pytest.raises(ArtifactError, match=r"settings\.json` is damaged"):
        train(tiny_run(), shards=shards, out=tmp_path)


# Shards.


def test_a_shard_with_one_wrong_bit_or_cut_short_is_refused_before_the_run_begins(own: Path, tmp_path: Path) -> None:
    file = own / "train/en.bin"
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ArtifactError, match=r"`.*shards` is damaged: shards/train/en\.bin has sha256"):
        train(tiny_run(), shards=own, out=tmp_path / "run")
    file.write_bytes(whole[:-2])
    with pytest.raises(ArtifactError, match=rf"en\.bin` is damaged: it has {len(whole) - 2} bytes"):
        train(tiny_run(), shards=own, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_id_outside_the_vocabulary_is_named_with_its_file_and_place(own: Path) -> None:
    for split, place in (("train", 70), ("heldout", 3)):
        ids = np.memmap(own / split / "en.bin", dtype="<u2", mode="r+")
        ids[place] = 600
        ids.flush()
    opened = Shards.open(own)
    source = PretrainSource(opened, weights={"en": 1.0}, context=64, seed=1)
    with pytest.raises(DataError, match=r"train/en\.bin` is damaged: token 70 has the id 600, the vocabulary 512 ids"):
        for _ in range(source.mixture.rows["en"]):
            source.step(tokens=64, micro=64, rank=0, world=1)
    with pytest.raises(DataError, match=r"heldout/en\.bin` is damaged: token 3 has the id 600"):
        bits_per_byte(load_model(tiny_model_folder(own / "model")), opened, "en", context=64)


# Divergence.


def test_the_watch_compares_the_mean_of_twenty_steps_with_the_lowest_one() -> None:
    watch, seen = LossWatch(), deque[float](maxlen=WINDOW)
    draw, lowest = np.random.default_rng(5), None
    for step in range(200):
        loss = float(4 - 0.01 * step + draw.normal() if step < 120 else 3 + 0.05 * (step - 120))
        seen.append(loss)
        rise = watch.add(loss)
        if len(seen) < WINDOW:
            assert rise == 0.0
            continue
        mean = sum(seen) / WINDOW
        lowest = mean if lowest is None else min(lowest, mean)
        assert rise == pytest.approx(mean - lowest)
        if step == 150:  # what a checkpoint keeps is enough to go on
            watch = LossWatch.restored(json.loads(json.dumps(watch.state())))
    assert rise > 1.5


def test_a_run_that_diverges_stops_with_a_message_publishes_nothing_and_does_so_again(
    shards: Path, tmp_path: Path
) -> None:
    """A rate that is far too high, after some steps at a good one."""
    wild = Optim(lr=5.0, matrix_lr=5.0, matrices="adamw", warmup_steps=60, clip_norm=0.0)
    settings = tiny_run(steps=60, evaluate_every=0, save_every=10, optim=wild)
    words = r"the run diverged: at step \d+ the mean loss of 20 steps is [\d.]+ nats above its lowest \([\d.]+\), "
    for _ in range(2):  # the same command again goes on from the last checkpoint and comes to the same end
        with pytest.raises(TrainingError, match=words + r"max_rise is 1\.5") as stopped:
            train(settings, shards=shards, out=tmp_path / "run")
    assert "lower learning rate" in stopped.value.hint
    assert not (tmp_path / "run/model").exists()
    assert len(losses(tmp_path / "run")) < 60
    allowed = train(replace(settings, max_rise=0.0), shards=shards, out=tmp_path / "allowed")
    assert allowed.finished, "0 lets the loss rise"


def test_steps_that_are_not_finite_now_and_then_stop_the_run_in_the_end(shards: Path, tmp_path: Path) -> None:
    """Never two in a row: a run must not live for ever on every other step."""

    class EveryOther(PretrainSource):
        taken = 0

        def step(self, **how: Any) -> Any:
            self.taken += 1
            state.model.model.norm.weight.data.fill_(float("nan") if self.taken % 2 else 1.0)
            return super().step(**how)

    settings = tiny_run(steps=40, max_bad_total=4)
    state = fresh(settings)
    source = EveryOther(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
    with pytest.raises(TrainingError, match=r"4 of 7 steps were not finite, the last is step 7"):
        loop(state, source, pretrain, tmp_path, Recorder.start(), run="r")


# Beginning from a model.


@pytest.fixture
def model(shards: Path, tmp_path: Path) -> Path:
    """A model artifact of another shape than `tiny_run`'s, with the tokenizer of the shards."""
    plain, path = tiny_model_folder(tmp_path / "plain", hidden=48, seed=9), tmp_path / "begun"
    with new_artifact(path, kind="model", parents=[shards]) as scratch:
        for file in plain.iterdir():
            (scratch / file.name).write_bytes(file.read_bytes())
        (scratch / "record.json").write_text(json.dumps({"stage": "earlier"}))
    return path


def test_training_goes_on_from_the_weights_of_a_model_that_becomes_its_parent(
    shards: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a rate of nearly 0 the weights that come out are those that went in; a fresh optimizer took the steps."""
    out = tmp_path / "run"
    words = ["train", "tests.train.test_training:tiny_run", "--shards", str(shards), "--out", str(out),
             "--from", str(model), "--set", "optim.lr=1e-12", "--set", "optim.matrix_lr=1e-12"]  # fmt: skip
    assert main(words) == 0
    assert "the model to begin from gives the shape, not the recipe: 2 layers of 48" in capsys.readouterr().err
    before, after = (dict(load_model(path).named_parameters()) for path in (model, out / "model"))
    assert all(torch.allclose(after[n], p, atol=1e-9) for n, p in before.items())
    manifest, record = read_manifest(out / "model"), json.loads((out / "model/record.json").read_text())
    parents = {p["sha256"] for p in manifest["parents"]}
    assert parents == {read_manifest(shards)["sha256"], read_manifest(model)["sha256"]}
    assert manifest["facts"]["start"] == {"name": "begun", "sha256": read_manifest(model)["sha256"]}
    assert set(record["read"]) == {"en", "fr"} and sum(record["read"].values()) == record["tokens"] > 0
    assert record["before"] == [{"stage": "earlier"}] and record["inputs"]["begun"] == read_manifest(model)["sha256"]
    assert verify(out / "model") == [] and len(ancestors(out / "model")) >= 3
    assert resume(out).finished
    with pytest.raises(ConfigError, match=r"is a run with other settings: inputs\.begun was"):
        train(tiny_run(), shards=shards, out=out)


def test_a_plain_folder_may_begin_a_run_and_is_named_by_its_hash(shards: Path, tmp_path: Path) -> None:
    plain = tiny_model_folder(tmp_path / "plain")
    train(tiny_run(steps=2), shards=shards, start=plain, out=tmp_path / "run")
    facts = read_manifest(tmp_path / "run/model")["facts"]
    assert facts["start"]["name"] == "plain" and len(facts["start"]["sha256"]) == 64
    (plain / "generation_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"inputs\.plain was"):
        train(tiny_run(steps=2), shards=shards, start=plain, out=tmp_path / "run")


def test_a_model_of_another_tokenizer_or_a_damaged_one_begins_nothing(
    shards: Path, model: Path, tmp_path: Path
) -> None:
    other = tiny_shards(tmp_path / "other", {"en": [text[::-1] for text in TINY_TEXTS] * 20}, vocab_size=600)
    with pytest.raises(ConfigError, match=r"was made by another tokenizer \(600 ids, \w{12}\) than the one of .*begun"):
        train(tiny_run(), shards=other, start=model, out=tmp_path / "run")
    # As many ids, one merge learned in another order: only the identity tells them apart.
    spec = json.loads((model / "tokenizer.json").read_text())
    merges = spec["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    shutil.copytree(model, tmp_path / "swapped")
    (tmp_path / "swapped/manifest.json").unlink()
    (tmp_path / "swapped/tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(ConfigError, match=r"made by another tokenizer \(512 ids"):
        train(tiny_run(), shards=shards, start=tmp_path / "swapped", out=tmp_path / "run")
    with (model / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    with pytest.raises(ArtifactError, match=r"`.*begun` is damaged: begun/model\.safetensors has sha256"):
        train(tiny_run(), shards=shards, start=model, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"does not fit: context \(64\) is longer than the model's \(32\)"):
        train(tiny_run(), shards=shards, start=tiny_model_folder(tmp_path / "short", context=32), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fine_tuning_from_python_is_resumed_from_its_folder_alone(model: Path, tmp_path: Path) -> None:
    talk = tmp_path / "talk.jsonl"
    line = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
    talk.write_text((json.dumps(line) + "\n") * 40)
    settings = Finetune(
        name="talk", steps=4, tokens_per_step=256, tokens_per_microbatch=256, context=64, precision="fp32",
        expert_kernel="padded", threads=1, evaluate_every=0, save_every=2, optim=Optim(warmup_steps=1),
    )  # fmt: skip
    for out in ("whole", "broken"):
        stop = 0.0 if out == "broken" else None
        finetune(settings, model=model, dialogues=[talk], out=tmp_path / out, stop_after_s=stop)
    assert resume(tmp_path / "broken").finished
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert read_manifest(tmp_path / "broken/model")["parents"][0]["sha256"] == read_manifest(model)["sha256"]


# The share of the peak.


@pytest.mark.parametrize(("peak", "known"), [(None, False), (1.0, False), (1e15, True)])
def test_a_share_of_the_peak_above_one_is_never_said(
    shards: Path, tmp_path: Path, peak: float | None, known: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=64, seed=1)
    loop(fresh(tiny_run(steps=3)), source, pretrain, tmp_path, Recorder.start(), run="r", peak_flops=peak)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    shares = [e["mfu"] for e in events]
    said = capsys.readouterr().err
    if known:
        assert all(0 < share < 1 for share in shares) and "MFU unknown" not in said
    else:
        assert shares == [None] * 3 and "MFU unknown" in said
    assert said.count("was faster than the peak that was measured") == (peak == 1.0)
    page = write_page(tmp_path, "tiny").read_text()
    assert ("MFU unknown" in page) != known
    assert percent(None) == "unknown" and percent(0.316) == "32 %"


def test_a_setting_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 0, got -1"):
        tiny_run(threads=-1)
    with pytest.raises(ValueError, match=r"max_rise must be at least 0, got -0\.5"):
        tiny_run(max_rise=-0.5)
