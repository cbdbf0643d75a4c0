"""Which backend computes and how: obeyed where it is named, and told."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from creuset.core import device as devices
from creuset.core.errors import ConfigError
from creuset.core.native.library import library
from creuset.engine.backend import choose as backends
from creuset.engine.backend.torch.runner import choose
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.formats.weights import FolderWeights, ModelWeights
from creuset.testing import tiny_config, tiny_model, tiny_model_folder
from tests.engine.support import BACKENDS, ask, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("choices") / "tiny")


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_what_is_named_is_obeyed(folder, dtype):
    found = choose(FolderWeights(folder), dtype=dtype, threads=1, max_batch_tokens=64)
    assert found.dtype == dtype and found.threads == 1
    assert found.kv_bytes_per_token == 2 * 2 * 2 * 8 * (4 if dtype == "fp32" else 2)


@pytest.mark.parametrize("has_bf16", [True, False])
def test_torch_computes_in_fp32_on_a_cpu(folder, monkeypatch, has_bf16):
    monkeypatch.setattr(devices, "has_bf16", lambda _: has_bf16)
    assert choose(FolderWeights(folder), max_batch_tokens=64).dtype == "fp32"


@pytest.mark.skipif("native" not in BACKENDS, reason="there is no native library: apt-get install g++")
def test_the_native_core_computes_where_it_can_be_had_and_torch_says_why_it_computes(folder, monkeypatch):
    def chosen(**words):
        return backends.choose(FolderWeights(folder), max_batch_tokens=64, **words).choices

    monkeypatch.delenv("CREUSET_ISA", raising=False)
    assert chosen()["backend"] == chosen(backend="native")["backend"] == "native"
    found = library()
    before = found.isa
    try:
        found.force("scalar")
        assert "none of the instructions" in chosen()["not_native"]
        assert chosen(backend="native")["kernels"]["isa"] == "scalar"
    finally:
        found.force(before)
    asked = chosen(backend="torch")
    assert asked["backend"] == "torch" and "not_native" not in asked
    with monkeypatch.context() as forced:
        forced.setenv("CREUSET_ISA", "nonsense")
        for backend in ("auto", "native", "torch"):
            with pytest.raises(ConfigError, match="CREUSET_ISA=nonsense is not a level of processors"):
                chosen(backend=backend)
    monkeypatch.setenv("CREUSET_NATIVE", "0")
    fallen = chosen()
    assert fallen["backend"] == "torch"
    assert fallen["not_native"] == "CREUSET_NATIVE is 0: the native library is not used"
    with pytest.raises(ConfigError, match="the backend `native` cannot be had: CREUSET_NATIVE is 0"):
        chosen(backend="native")
    with pytest.raises(ConfigError, match="the native core computes on the CPU only, not on cuda:0"):
        chosen(backend="native", device="cuda:0")


@pytest.mark.skipif("native" not in BACKENDS, reason="there is no native library: apt-get install g++")
def test_a_model_in_memory_and_fp32_are_computed_in_fp32_and_codes_stay_codes(folder, tmp_path):
    from creuset.model.quant import QuantPlan, quantize_folder

    def kinds(source, **words):
        return set(backends.choose(source, max_batch_tokens=64, **words).choices["kernels"]["weights"])

    quantize_folder(folder, tmp_path / "q", QuantPlan(group=32, experts=4))
    assert kinds(ModelWeights(tiny_model())) == {"f32"}
    assert kinds(FolderWeights(tmp_path / "q"), dtype="fp32") == {"f32"}
    assert kinds(FolderWeights(tmp_path / "q")) == {"f32", "q8", "q4"}, "the router stays as it is"
    assert kinds(FolderWeights(folder), dtype="bf16") == {"f32", "bf16"}


def test_what_was_chosen_is_told_in_plain_json_and_changes_no_answer(folder):
    named = Engine.load(folder, settings=EngineSettings(dtype="fp32", threads=1, seed=1, backend="torch"))
    auto = Engine.load(folder, settings=EngineSettings(seed=1, backend="torch"))
    assert json.loads(json.dumps(auto.choices)) == auto.choices
    told = {"backend", "device", "dtype", "threads", "kernels", "context", "kv_cache", "speculation"}
    assert set(auto.choices) == told
    assert auto.choices["kernels"] == asdict(auto._runner.model.rules)
    assert run(auto, ask("a", "The cat", temperature=0.0)) == run(named, ask("a", "The cat", temperature=0.0))


def test_likelihoods_are_the_same_through_the_backend(folder):
    from creuset.model.formats.weights import load_model
    from creuset.model.score import Reading, log_likelihoods

    readings = [Reading(torch.arange(3, 40).numpy(), 5), Reading(torch.arange(50, 61).numpy())]
    engine = Engine.load(folder, settings=EngineSettings(dtype="fp32", seed=1))
    ours = {index: values for index, values, _ in engine.score(readings)}
    model = {index: values for index, values, _ in log_likelihoods(load_model(folder), readings)}
    assert set(ours) == {0, 1}
    for index, values in model.items():
        assert ours[index] == pytest.approx(values, abs=1e-4) and len(values) == len(readings[index].ids) - 1 - (
            readings[index].scored
        )


def test_weights_come_as_they_are_stored_and_stand_for_the_same_numbers(folder, tmp_path):
    from creuset.model.formats.weights import load_model, parts
    from creuset.model.quant import QuantPlan, quantize_folder

    plan = QuantPlan(group=8)
    quantize_folder(folder, tmp_path / "q", plan)
    for path in (folder, tmp_path / "q"):
        expected, stored = parts(load_model(path)), {t.name: t for t in FolderWeights(path).tensors()}
        assert set(stored) == set(expected)
        for name, tensor in stored.items():
            assert torch.equal(tensor.values(torch.float32), expected[name]), name
            if tensor.scales is not None:
                assert tensor.codes.dtype == np.int8
                assert tensor.scales.shape == (tensor.codes.shape[0], tensor.codes.shape[1] // plan.group)
    assert any(tensor.scales is not None for tensor in stored.values())
    in_memory = {t.name: t.codes for t in ModelWeights(tiny_model(tiny_config())).tensors()}
    assert set(in_memory) == set(expected)
