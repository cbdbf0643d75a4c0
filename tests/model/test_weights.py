"""A damaged or foreign folder is refused, by the name of what is wrong."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError
from creuset.model.config import mini, nano, small
from creuset.model.formats.hf_config import config_of, from_hf, to_hf
from creuset.model.formats.weights import load_model, parts, save_model
from creuset.model.rope_scaling import RopeScaling
from creuset.testing import tiny_config, tiny_model

FAMILIES = ["qwen2", "qwen3", "qwen2_moe", "qwen3_moe"]
GATE = "model.layers.1.mlp.experts.2.gate_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tiny_model(tiny_config("qwen3_moe")), tmp_path, dtype="fp32")
    return tmp_path


def edit(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        load_model(folder)
    return str(refused.value)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shard_bytes", [10**9, 20_000])
def test_what_is_saved_is_what_is_loaded(family: str, shard_bytes: int, tmp_path: Path) -> None:
    model = tiny_model(tiny_config(family))  # type: ignore[arg-type]
    save_model(model, tmp_path, dtype="fp32", shard_bytes=shard_bytes)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard_bytes == 20_000)
    again = load_model(tmp_path)
    assert again.config == model.config and not again.training
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_bf16_halves_the_file_and_loads_into_either_dtype(tmp_path: Path) -> None:
    model = tiny_model()
    save_model(model, tmp_path)
    for dtype in (torch.bfloat16, torch.float32):
        loaded = load_model(tmp_path, dtype=dtype)
        for before, after in zip(model.parameters(), loaded.parameters(), strict=True):
            assert after.dtype == dtype and torch.equal(after.bfloat16(), before.bfloat16())


def test_every_weight_has_one_place_in_the_file() -> None:
    model = tiny_model(tiny_config("qwen2_moe", layers=4, sparse_step=2, ffn=48, tie_embeddings=False))
    views = parts(model)
    assert sum(v.numel() for v in views.values()) == sum(p.numel() for p in model.parameters())
    for i, view in enumerate(views.values()):
        view.fill_(i)
    assert {float(v.flatten()[0]) for v in views.values()} == set(range(len(views)))


@pytest.mark.parametrize("config", [nano(), mini(), small(), *(tiny_config(f) for f in FAMILIES)])  # type: ignore[arg-type]
def test_a_shape_survives_config_json(config: Any) -> None:
    assert from_hf(json.loads(json.dumps(to_hf(config)))) == config


def test_yarn_is_read_in_the_old_spelling_and_the_new() -> None:
    config = tiny_config(rope_scaling=RopeScaling(kind="yarn", factor=4.0, original_context=64), rope_theta=5e5)
    old = to_hf(config)
    new = {k: v for k, v in old.items() if k not in ("rope_theta", "rope_scaling")}
    new["rope_parameters"] = {**old["rope_scaling"], "rope_theta": 5e5}
    oldest = old | {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}}
    assert from_hf(old) == from_hf(new) == from_hf(oldest) == config


def test_a_missing_tensor_is_named(folder: Path) -> None:
    edit(folder, lambda t: t.pop(GATE))
    assert f"tensor `{GATE}` is missing" in refusal(folder)


def test_an_unexpected_tensor_is_named(folder: Path) -> None:
    edit(folder, lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}))
    assert "tensor `model.layers.0.self_attn.q_proj.bias` is not part of the model" in refusal(folder)


def test_a_tensor_of_another_shape_is_named(folder: Path) -> None:
    edit(folder, lambda t: t.update({GATE: torch.zeros(32, 31)}))
    message = refusal(folder)
    assert f"tensor `{GATE}` has shape [32, 31]" in message and "[32, 32]" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tensor_with_a_value_that_is_no_number_is_named(folder: Path, value: float) -> None:
    edit(folder, lambda t: t[GATE].view(-1)[5].fill_(value))
    assert f"tensor `{GATE}` has values that are not finite" in refusal(folder)


def test_a_tensor_of_whole_numbers_is_named(folder: Path) -> None:
    edit(folder, lambda t: t.update({GATE: t[GATE].to(torch.int8)}))
    assert f"tensor `{GATE}` is int8" in refusal(folder)


def test_a_cut_file_names_the_first_tensor_it_lacks(folder: Path) -> None:
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    message = refusal(folder)
    assert "is cut: tensor `model." in message and str(len(whole) - 1) in message
    file.write_bytes(whole[:100])
    assert "its header is cut" in refusal(folder)
    file.write_bytes(b"")
    assert "is not a safetensors file" in refusal(folder)


def test_a_header_that_lies_about_places_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"data_offsets":[', b'"data_offsetz":[', 1))
    assert "is damaged: tensor `model." in refusal(folder)


def test_a_foreign_architecture_is_refused_by_its_name(folder: Path) -> None:
    edit_config(folder, model_type="mamba2", architectures=["Mamba2ForCausalLM"])
    assert "model_type `mamba2` (Mamba2ForCausalLM) is not a family that runs here" in refusal(folder)
    edit_config(folder, model_type="qwen3_moe", architectures=["Qwen3MoeForSequenceClassification"])
    assert "architecture `Qwen3MoeForSequenceClassification` does not run here" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"attention_bias": True}, "layers.0.self_attn.k_proj.bias` (and 7 more) is missing"),
        ({"qkv_bias": 1.5}, "qkv_bias = 1.5"),
        ({"rope_scaling": {"rope_type": "spiral", "factor": 8.0}}, "`spiral`"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "`low_freq_factor` is missing"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "ntk_alpha": 3}}, "ntk_alpha = 3 is not known"),
        ({"residual_multiplier": 0.5}, "residual_multiplier = 0.5 is not known for qwen3_moe"),
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": "two"}}, "factor"),
        ({"hidden_size": None}, "hidden_size"),
        ({"num_key_value_heads": 3}, "kv_heads (3)"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "sliding_attention"),
    ],
)
def test_what_we_would_compute_wrongly_is_refused_by_name(folder: Path, change: dict[str, Any], words: str) -> None:
    edit_config(folder, **change)
    assert words in refusal(folder)


def test_a_tied_head_must_be_the_embedding(folder: Path) -> None:
    edit(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    load_model(folder)
    edit(folder, lambda t: t["lm_head.weight"].view(-1)[0].add_(1))
    assert "`lm_head.weight` differs" in refusal(folder)


def test_a_folder_without_config_or_weights_says_so(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "has no weights" in refusal(folder)
    (folder / "config.json").write_text("{")
    assert "is not JSON" in refusal(folder)
    (folder / "config.json").unlink()
    assert "has no config.json" in refusal(folder)
    with pytest.raises(ArtifactError, match="no such folder"):
        config_of(tmp_path / "nowhere")


def test_an_index_may_only_name_shards_beside_it(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path, dtype="fp32", shard_bytes=20_000)
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.rename(tmp_path / "elsewhere.bin")
    assert f"lacks the shard `{shard.name}`" in refusal(tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], "../elsewhere.bin")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks the shard `../elsewhere.bin`" in refusal(tmp_path)


def test_a_written_file_has_the_mode_that_the_users_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_model(tiny_model(), tmp_path / "m")
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "m").iterdir()} == dict.fromkeys(
        ["config.json", "generation_config.json", "model.safetensors"], 0o640
    )
