"""An engine with a LoRA adapter answers as the model whose matrices have the adapter added, by PEFT's definition."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from creuset.core.errors import ArtifactError
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.attention import Packed
from creuset.model.formats.weights import load_model, parts
from creuset.testing import tiny_model_folder
from tests.engine.support import ask, run

STORY = "The cat sat on the mat. The dog ran to the river. "
MODULES = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")


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
