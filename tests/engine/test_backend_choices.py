"""What a machine chooses: by a stopwatch, once, obeyed where it is named, and told."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from creuset.core import device as devices
from creuset.engine.backend.torch import runner as backend
from creuset.engine.backend.torch.runner import FASTEST, MARGIN, TorchRunner, choose, seconds_of_a_request
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.formats.weights import FolderWeights, ModelWeights
from creuset.testing import tiny_config, tiny_model, tiny_model_folder
from tests.engine.support import ask, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("choices") / "tiny")


class Stopwatch:
    """Seconds of a request, by dtype and threads; "bf16 asked" is bf16 with the kernels that it may really use."""

    def __init__(self, **seconds):
        self.seconds, self.asked = seconds, []

    def __call__(self, runner):
        exact = runner.dtype == "bf16" and runner.model.rules != FASTEST
        name = f"{runner.dtype}{'_exact' if exact else ''}{'' if runner.threads == 1 else '_many'}"
        self.asked.append(name)
        return self.seconds[name]


@pytest.fixture
def native(monkeypatch):
    """A processor that computes in bf16, whatever this one does."""
    monkeypatch.setattr(devices, "has_bf16", lambda _: True)
    # Kernels are asked elsewhere; here a runner of the exact kind only has to differ from one that is not asked.
    monkeypatch.setattr(backend.InferenceModel, "__init__", _without_asking(backend.InferenceModel.__init__))


def _without_asking(init):
    def built(self, model, *, device="cpu", rules=None):
        init(self, model, device=device, rules=rules or replace(FASTEST, quantum=2))

    return built


@pytest.mark.parametrize(
    ("seconds", "dtype", "asked"),
    [
        ({"bf16": 1.0, "fp32": 2.0, "bf16_exact": 1.1}, "bf16", ["bf16", "fp32", "bf16_exact"]),
        ({"bf16": 1.0, "fp32": MARGIN}, "fp32", ["bf16", "fp32"]),  # not clearly faster
        ({"bf16": 3.0, "fp32": 2.0}, "fp32", ["bf16", "fp32"]),
        ({"bf16": 1.0, "fp32": 2.0, "bf16_exact": 1.9}, "fp32", ["bf16", "fp32", "bf16_exact"]),
    ],
)
def test_bf16_is_taken_only_where_this_model_is_clearly_faster_in_it(folder, native, seconds, dtype, asked):
    watch = Stopwatch(**seconds)
    found = choose(FolderWeights(folder), max_batch_tokens=64, seconds=watch)
    assert found.dtype == found.choices["dtype"] == dtype and watch.asked == asked
    assert found.model.rules != FASTEST, "what answers was asked for its kernels"
    assert [row["dtype"] for row in found.choices["timed"]] == [name.partition("_")[0] for name in asked]
    assert [row["seconds"] for row in found.choices["timed"]] == [seconds[name] for name in asked]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_what_is_named_is_obeyed_and_nothing_is_timed(folder, native, dtype):
    watch = Stopwatch()
    found = choose(FolderWeights(folder), dtype=dtype, threads=1, max_batch_tokens=64, seconds=watch)
    assert found.dtype == dtype and found.threads == 1 and watch.asked == [] == found.choices["timed"]
    assert found.kv_bytes_per_token == 2 * 2 * 2 * 8 * (4 if dtype == "fp32" else 2)


def test_without_bf16_nothing_is_timed(folder, monkeypatch):
    monkeypatch.setattr(devices, "has_bf16", lambda _: False)
    watch = Stopwatch()
    assert choose(FolderWeights(folder), max_batch_tokens=64, seconds=watch).dtype == "fp32" and not watch.asked


def test_a_model_in_memory_is_taken_over_in_fp32(native):
    watch = Stopwatch()
    assert choose(ModelWeights(tiny_model()), max_batch_tokens=64, seconds=watch).dtype == "fp32" and not watch.asked


@pytest.mark.parametrize(("alone", "threads"), [(0.5, 1), (0.8, 2), (1.0, 2), (2.0, 2)])
def test_a_large_model_uses_all_threads_unless_one_is_clearly_faster(folder, monkeypatch, alone, threads):
    monkeypatch.setattr(backend, "default_threads", lambda *_: 2)
    monkeypatch.setattr(backend, "more_threads_help", lambda _: True)
    watch = Stopwatch(fp32_many=1.0, fp32=alone)
    found = choose(FolderWeights(folder), dtype="fp32", max_batch_tokens=64, seconds=watch)
    assert found.threads == threads and watch.asked == ["fp32", "fp32_many"]
    named = choose(FolderWeights(folder), dtype="fp32", threads=2, max_batch_tokens=64, seconds=Stopwatch())
    assert named.threads == 2


def test_on_a_busy_machine_more_threads_are_not_even_tried(folder, monkeypatch):
    monkeypatch.setattr(backend, "default_threads", lambda *_: 2)
    monkeypatch.setattr(backend, "more_threads_help", lambda _: False)
    found = choose(FolderWeights(folder), dtype="fp32", max_batch_tokens=64, seconds=Stopwatch())
    assert found.threads == 1 and found.timed == []


def test_more_threads_help_where_a_product_is_a_tenth_faster():
    now, steps = [0.0], iter([0.0, 0.8] * 15 + [0.0, 1.0] * 15 + [0.0, 0.95] * 15 + [0.0, 1.0] * 15)

    def clock():
        now[0] += next(steps)
        return now[0]

    assert backend.more_threads_help(2, clock=clock) and not backend.more_threads_help(2, clock=clock)


def test_the_memory_never_holds_two_copies_of_the_weights(folder, native, monkeypatch):
    """Each runner is gone before the next one is built, but for the one in fp32 while nothing else is there."""
    alive, most = set(), []
    before = TorchRunner.__init__

    def counted(self, *args, **kwargs):
        before(self, *args, **kwargs)
        alive.add(id(self))
        most.append(len(alive))

    monkeypatch.setattr(TorchRunner, "__init__", counted)
    monkeypatch.setattr(TorchRunner, "__del__", lambda self: alive.discard(id(self)), raising=False)
    choose(FolderWeights(folder), max_batch_tokens=64, seconds=Stopwatch(bf16=1.0, fp32=9.0, bf16_exact=8.0))
    assert most == [1, 1, 1, 1]


def test_a_request_is_read_in_one_step_and_written_token_by_token(folder):
    runner, steps, ticks = TorchRunner(FolderWeights(folder), dtype="fp32", threads=1), [], iter(range(1000))
    forward = runner.forward

    def counted(batch):
        steps.append((batch.spans[0].first, len(batch.tokens)))
        forward(batch)

    runner.forward = counted
    assert seconds_of_a_request(runner, 100, clock=lambda: next(ticks)) == 1 + backend.TRIAL_ANSWER
    assert steps == [(0, 100)] * 2 + [(100, 1)] * 2, "a second of each is enough"


def test_what_was_chosen_is_told_in_plain_json_and_changes_no_answer(folder):
    named = Engine.load(folder, settings=EngineSettings(dtype="fp32", threads=1, seed=1, backend="torch"))
    auto = Engine.load(folder, settings=EngineSettings(seed=1, backend="torch"))
    assert json.loads(json.dumps(auto.choices)) == auto.choices
    told = {"backend", "device", "dtype", "threads", "kernels", "timed", "context", "kv_cache", "speculation"}
    assert set(auto.choices) == told
    assert auto.choices["kernels"] == asdict(auto._runner.model.rules)
    if auto.choices["dtype"] == "fp32":  # a model this small never pays for bf16's conversions
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
                assert tensor.codes.dtype == torch.int8
                assert tensor.scales.shape == (tensor.codes.shape[0], tensor.codes.shape[1] // plan.group)
    assert any(tensor.scales is not None for tensor in stored.values())
    in_memory = {t.name: t.codes for t in ModelWeights(tiny_model(tiny_config())).tensors()}
    assert set(in_memory) == set(expected)
