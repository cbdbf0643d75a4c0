"""An engine with a LoRA adapter answers as the model whose matrices have the adapter added, by PEFT's definition."""

import json
import math
from dataclasses import is_dataclass
from dataclasses import replace as _changed

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from creuset.core.errors import ArtifactError, ConfigError, RequestError
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.attention import Packed
from creuset.model.formats.weights import ModelWeights, load_model, parts
from creuset.testing import tiny_model_folder
from tests.engine.support import ask, run

STORY = "The cat sat on the mat. The dog ran to the river. "
MODULES = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")


def replace(one, **changes):
    return _changed(one, **changes) if is_dataclass(one) else msgspec.structs.replace(one, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "model", "qwen3")


def adapter(path, folder, *, rank=4, modules=MODULES, spare=(), **changes):
    """An adapter as PEFT saves it, of random numbers; returns its matrices by module."""
    path.mkdir()
    shapes = {name: value.shape for name, value in parts(load_model(folder)).items()}
    random, found = torch.Generator().manual_seed(4), {}
    ranks = changes.get("rank_pattern", {})
    for layer in range(2):
        for module in modules:
            out, inner = shapes[f"model.layers.{layer}.{module}.weight"]
            own = ranks.get(module.rpartition(".")[2], rank)
            a, b = (torch.randn(size, generator=random) * 0.3 for size in ((own, inner), (out, own)))
            found[f"model.layers.{layer}.{module}"] = a, b
    tensors = {
        f"base_model.model.{module}.lora_{part}.weight": value
        for module, both in found.items()
        for part, value in zip("AB", both, strict=True)
    }
    save_file(tensors | dict(spare), path / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 8,
        "bias": "none",
        "target_modules": list(modules),
    } | changes
    (path / "adapter_config.json").write_text(json.dumps(settings))
    return found


def merged(folder, matrices, scale_of):
    """The definition: W + s B A, in fp32."""
    model = load_model(folder)
    weights = parts(model)
    with torch.no_grad():
        for module, (a, b) in matrices.items():
            weights[f"{module}.weight"] += scale_of(module) * (b @ a)
    return model


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize(
    ("changes", "scale_of"),
    [
        ({}, lambda module: 8 / 4),
        ({"use_rslora": True}, lambda module: 8 / math.sqrt(4)),
        ({"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
         lambda module: 8 / 2 if "q_proj" in module else 3 / 4 if "v_proj" in module else 8 / 4),
    ],
    ids=["plain", "rslora", "patterns"],
)  # fmt: skip
def test_answers_are_those_of_merged_weights(folder, tmp_path, changes, scale_of, backend):
    matrices = adapter(tmp_path / "one", folder, **changes)
    settings = EngineSettings(dtype="fp32", threads=1, seed=1, backend=backend, kv_tokens=512)
    plain = Engine.load(folder, settings=settings)
    settings = EngineSettings(
        dtype="fp32", threads=1, seed=1, backend=backend, kv_tokens=512, lora=str(tmp_path / "one")
    )
    one, asked = Engine.load(folder, settings=settings), ask("a", STORY, 10, temperature=0.0, logprobs=0)
    answer = run(one, asked)["a"]
    assert answer.tokens != run(plain, asked)["a"].tokens
    ids = torch.tensor([*asked.prompt, *answer.tokens])
    model = merged(folder, matrices, scale_of)
    with torch.no_grad():
        scores = model.logits(model(ids, torch.arange(len(ids)), Packed([len(ids)]))).log_softmax(-1)
    begin = len(asked.prompt)
    expected = [scores[at - 1, ids[at]].item() for at in range(begin, len(ids))]
    assert [entry.logprob for entry in answer.logprobs] == pytest.approx(expected, abs=1e-4)
    assert [int(scores[at - 1].argmax()) for at in range(begin, len(ids))] == list(answer.tokens)


NATIVE = EngineSettings(dtype="fp32", threads=1, seed=1, kv_tokens=1024, backend="native")


def asked_of(adapter: int, id: str, text: str = STORY, count: int = 10):
    return replace(ask(id, text, count, temperature=0.0, logprobs=0), adapter=adapter)


def scores_of(model, prompt, answer):
    """(ln p of each token of the answer, the likeliest token in its place), by torch in fp32."""
    ids = torch.tensor([*prompt, *answer])
    with torch.no_grad():
        scores = model.logits(model(ids, torch.arange(len(ids)), Packed([len(ids)]))).log_softmax(-1)
    at = range(len(prompt), len(ids))
    return [scores[i - 1, ids[i]].item() for i in at], [int(scores[i - 1].argmax()) for i in at]


def test_several_adapters_answer_in_one_batch_each_as_its_merged_weights(folder, tmp_path):
    all_of = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.up_proj")
    folders = [tmp_path / "one", tmp_path / "two"]
    models = [load_model(folder), merged(folder, adapter(folders[0], folder), lambda module: 2.0)]
    models.append(merged(folder, adapter(folders[1], folder, rank=3, modules=all_of), lambda module: 8 / 3))
    engine = Engine.load(folder, settings=replace(NATIVE, adapters=tuple(map(str, folders))))
    requests = [asked_of(number, f"{number}{text[:3]}", text) for number in (0, 1, 2) for text in (STORY, "Le chat ")]
    answers = run(engine, *requests)
    for request in requests:
        answer = answers[request.id]
        expected, likeliest = scores_of(models[request.adapter], request.prompt, answer.tokens)
        assert [entry.logprob for entry in answer.logprobs] == pytest.approx(expected, abs=1e-4)
        assert likeliest == list(answer.tokens)
    alone = Engine.load(folder, settings=replace(NATIVE, adapters=tuple(map(str, folders))))
    for request in requests:  # a row does not depend on who is beside it, nor on whose prefix is in the cache
        assert run(alone, request)[request.id].logprobs == answers[request.id].logprobs
    longer = [asked_of(number, f"again{number}", STORY + STORY) for number in (1, 2, 1)]
    assert len({tuple(run(alone, one)[one.id].tokens) for one in longer[:2]}) == 2
    with pytest.raises(RequestError, match="request `x` wants adapter 3, and the engine has 2"):
        engine.add(asked_of(3, "x"))


def test_an_adapter_stays_when_the_weights_are_replaced(folder, tmp_path):
    adapter(tmp_path / "one", folder)
    engine = Engine.load(folder, settings=replace(NATIVE, adapters=(str(tmp_path / "one"),)))
    before = run(engine, asked_of(1, "a"))["a"]
    engine.hand_over(ModelWeights(load_model(folder)), version="2")
    assert run(engine, asked_of(1, "b"))["b"].logprobs == before.logprobs


@pytest.mark.parametrize("quant", ["q8", "q4"])
def test_it_is_added_to_packed_weights_too(folder, tmp_path, quant):
    adapter(tmp_path / "one", folder)
    settings = EngineSettings(threads=1, seed=1, kv_tokens=512, backend="native", quant=quant)
    with_it = Engine.load(folder, settings=replace(settings, adapters=(str(tmp_path / "one"),)))
    plain = Engine.load(folder, settings=settings)
    none, one = run(with_it, asked_of(0, "a"))["a"], run(with_it, asked_of(1, "b"))["b"]
    assert none.logprobs == run(plain, asked_of(0, "a"))["a"].logprobs and one.tokens != none.tokens


def test_what_cannot_be_added_beside_others_is_refused_by_name(folder, tmp_path):
    experts = tiny_model_folder(tmp_path / "moe")
    adapter(tmp_path / "expert", experts, modules=("mlp.experts.0.up_proj",))
    with pytest.raises(
        ConfigError, match=r"changes `model.layers.0.mlp.experts.0.up_proj`, which the native core adds"
    ):
        Engine.load(experts, settings=replace(NATIVE, adapters=(str(tmp_path / "expert"),)))
    adapter(tmp_path / "one", folder)
    with pytest.raises(ConfigError, match="torch computes an adapter in a copy of the model only"):
        Engine.load(folder, settings=replace(NATIVE, backend="torch", adapters=(str(tmp_path / "one"),)))
    bad = {f"model.layers.9.self_attn.k_proj.lora_{part}.weight": torch.ones(4, 4) for part in "AB"}
    adapter(tmp_path / "bad", folder, spare=bad)
    with pytest.raises(ArtifactError, match=r"changes `model.layers.9.self_attn.k_proj`, and the model has no such"):
        Engine.load(folder, settings=replace(NATIVE, adapters=(str(tmp_path / "bad"),)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "LOHA"}, '`peft_type` is "LOHA"'),
        ({"use_dora": True}, "`use_dora` is true"),
        ({"bias": "all"}, '`bias` is "all"'),
        ({"modules_to_save": ["lm_head"]}, r'`modules_to_save` is \["lm_head"\]'),
        ({"r": 0}, "`r` must be a positive number, got 0"),
        ({"spare": {"base_model.model.model.layers.9.x.lora_A.weight": torch.ones(4, 4)}}, "has lora_A alone"),
        ({"spare": {"base_model.model.model.norm.weight": torch.ones(4)}}, "is neither lora_A nor lora_B of a matrix"),
        ({"spare": {f"model.layers.9.q.lora_{part}.weight": torch.ones(4, 4) for part in "AB"}},
         r"changes `model.layers.9.q`, and the model has no such matrix"),
        ({"spare": {f"model.layers.0.self_attn.k_proj.lora_{part}.weight": torch.ones(4, 4) for part in "AB"}},
         r"`model.layers.0.self_attn.k_proj` is \(\d+, 32\) in the model, and the adapter's is \(4, 4\) times"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_refused_by_its_name(folder, tmp_path, changes, words):
    adapter(tmp_path / "bad", folder, **changes)
    with pytest.raises(ArtifactError, match=words):
        Engine.load(folder, settings=EngineSettings(dtype="fp32", lora=str(tmp_path / "bad"), kv_tokens=512))


def test_a_folder_that_is_no_adapter_is_refused(folder, tmp_path):
    with pytest.raises(ArtifactError, match=r"is no adapter: adapter_config.json cannot be read"):
        Engine.load(folder, settings=EngineSettings(dtype="fp32", lora=str(tmp_path), kv_tokens=512))
