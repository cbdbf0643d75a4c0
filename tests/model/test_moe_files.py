"""Files of families with experts: names, stacks, 8 and 4 bits, what is kept in fp32, and the refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError
from creuset.model.attention import Packed
from creuset.model.formats.hf_config import from_hf, to_hf
from creuset.model.formats.stored.scaled import fp8_values, mxfp4_values
from creuset.model.formats.weights import load_model, save_model
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_model

FAMILIES = ["mixtral", "olmoe", "deepseek_v2", "deepseek_v3", "glm4_moe", "gpt_oss"]
BIAS = "e_score_correction_bias"


def model_of(family: str, **changes: Any) -> Transformer:
    model = tiny_model(tiny_config(family, **changes))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("bias", "sinks")):
                value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    return model


def logits(model: Transformer) -> torch.Tensor:
    ids = torch.arange(40) * 7 % 512
    with torch.inference_mode():
        return model.logits(model(ids, torch.arange(40), Packed([40])))


def edit(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        load_model(folder)
    return str(refused.value)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shard_bytes", [10**9, 20_000])
def test_what_is_saved_is_what_is_loaded(family: str, shard_bytes: int, tmp_path: Path) -> None:
    model = model_of(family, tie_embeddings=shard_bytes > 10**6)
    save_model(model, tmp_path, dtype="fp32", shard_bytes=shard_bytes)
    again = load_model(tmp_path)
    assert again.config == model.config
    for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_loads_what_we_save(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = model_of(family)
    save_model(model, tmp_path, dtype="fp32")
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True, dtype=torch.float32)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    with torch.no_grad():
        wanted = theirs(torch.arange(40)[None] * 7 % 512).logits[0]
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3"])
def test_stacks_of_experts_are_read_too(family: str, tmp_path: Path) -> None:
    """As transformers 5 holds them in memory, and writes them when it is told to keep its own names."""
    model = model_of(family)
    save_model(model, tmp_path, dtype="fp32")
    held = {name: value.clone() for name, value in load_file(tmp_path / "model.safetensors").items()}
    stacks = {name: value for name, value in held.items() if ".experts." not in name}
    for name, value in model.named_parameters():
        if name.endswith(("experts.gate_up", "experts.down")):
            stacks[name + "_proj"] = value.detach().clone()
    save_file(stacks, tmp_path / "model.safetensors")
    assert torch.equal(logits(load_model(tmp_path)), logits(model))
    edit(tmp_path, lambda t: t.update({"model.layers.1.mlp.experts.down_proj": torch.zeros(4, 32, 31)}))
    assert "tensor `model.layers.1.mlp.experts.down_proj` has shape [4, 32, 31]" in refusal(tmp_path)
    edit(tmp_path, lambda t: t.pop("model.layers.1.mlp.experts.down_proj"))
    assert "is missing" in refusal(tmp_path)


def test_the_correction_bias_stays_fp32_in_memory_and_in_files(tmp_path: Path) -> None:
    model = model_of("deepseek_v3")
    bias = model.get_parameter(f"model.layers.1.mlp.gate.{BIAS}").detach().clone()
    assert not torch.equal(bias.bfloat16().float(), bias)
    save_model(model, tmp_path, dtype="bf16")
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        half = load_model(tmp_path, dtype=dtype)
        assert torch.equal(half.get_parameter(f"model.layers.1.mlp.gate.{BIAS}"), bias)
        assert half.model.norm.weight.dtype == dtype
        assert torch.equal(half.to(torch.float16).get_parameter(f"model.layers.1.mlp.gate.{BIAS}"), bias)


def to_mxfp4(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Some codes and scales of the shapes that `value` (E, rows, inputs) needs."""
    generator = torch.Generator().manual_seed(value.numel())
    groups = (*value.shape[:2], value.shape[2] // 32)
    blocks = torch.randint(0, 256, (*groups, 16), dtype=torch.uint8, generator=generator)
    return blocks, torch.randint(122, 126, groups, dtype=torch.uint8, generator=generator)


def mxfp4_folder(folder: Path) -> Transformer:
    """gpt-oss as it is published; the model it stands for."""
    model = model_of("gpt_oss", hidden=64, expert_ffn=32)
    packed: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith((".gate_up", ".down")):
                blocks, scales = to_mxfp4(value)
                packed |= {f"{name}_proj_blocks": blocks, f"{name}_proj_scales": scales}
                numbers = torch.from_numpy(mxfp4_values(blocks.numpy(), scales.numpy()))
                # In the file gate and up stand in turn.
                both = name.endswith("gate_up")
                value.copy_(torch.cat((numbers[:, 0::2], numbers[:, 1::2]), 1) if both else numbers)
    save_model(model, folder, dtype="fp32")

    def pack(tensors: dict[str, torch.Tensor]) -> None:
        for name in packed:
            tensors.pop(name.removesuffix("_blocks").removesuffix("_scales"), None)
        tensors.update(packed)

    edit(folder, pack)
    file = folder / "config.json"
    found = json.loads(file.read_text()) | {"quantization_config": {"quant_method": "mxfp4"}}
    file.write_text(json.dumps(found))
    return model


def test_mxfp4_is_dequantized_as_transformers_does() -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks, scales = to_mxfp4(torch.empty(3, 8, 64))
    wanted = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).transpose(1, 2)
    assert np.array_equal(mxfp4_values(blocks.numpy(), scales.numpy()), wanted.numpy())
    scales[0, 0, 0] = 255
    assert np.isnan(mxfp4_values(blocks.numpy(), scales.numpy())[0, 0, :32]).all()


def test_gpt_oss_is_read_as_it_is_published(tmp_path: Path) -> None:
    model = mxfp4_folder(tmp_path)
    assert torch.equal(logits(load_model(tmp_path)), logits(model))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("model.layers.0.mlp.experts.down_proj_scales"), "down_proj_scales` is missing"),
        (
            lambda t: t.update({"model.layers.0.mlp.experts.down_proj_scales": torch.zeros(4, 64, 2).byte()}),
            "down_proj_scales` is uint8 of shape [4, 64, 2], config.json says uint8 of shape [4, 64, 1]",
        ),
        (
            lambda t: t["model.layers.0.mlp.experts.down_proj_scales"].fill_(255),
            "down_proj_blocks` has values that are not finite",
        ),
    ],
)
def test_damaged_mxfp4_is_refused_by_the_name_of_the_tensor(change: Any, words: str, tmp_path: Path) -> None:
    mxfp4_folder(tmp_path)
    edit(tmp_path, change)
    assert words in refusal(tmp_path)


def fp8(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(fp8_values(codes.view(torch.uint8).numpy(), scales.numpy(), (16, 12)))


def fp8_folder(folder: Path) -> Transformer:
    """DeepSeek-V3 as it is published: matrices in 8 bits with a scale for each block; the model it stands for."""
    model = model_of("deepseek_v3")
    generator = torch.Generator().manual_seed(0)
    save_model(model, folder, dtype="fp32")
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        rows, columns = tensors[name].shape
        scales = torch.rand(-(-rows // 16), -(-columns // 12), generator=generator) + 0.5
        codes = tensors[name].to(torch.float8_e4m3fn)
        tensors[name], tensors[f"{name}_scale_inv"] = codes, scales
        by_hand = (
            torch.tensor(
                [[codes[i, j].float() * scales[i // 16, j // 12] for j in range(columns)] for i in range(rows)]
            )
            if rows * columns < 800
            else fp8(codes, scales)
        )
        assert torch.equal(fp8(codes, scales), by_hand)
    save_file(tensors, folder / "model.safetensors")
    file = folder / "config.json"
    method = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [16, 12], "activation_scheme": "dynamic"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": method}))
    return model


def test_deepseeks_8_bits_are_read(tmp_path: Path) -> None:
    model = fp8_folder(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    again = load_model(tmp_path)
    name = "model.layers.1.self_attn.kv_b_proj.weight"
    values = fp8(held[name], held[f"{name}_scale_inv"])
    assert torch.equal(again.get_parameter(name), values)
    name = "model.layers.1.mlp.experts.2.up_proj.weight"
    values = fp8(held[name], held[f"{name}_scale_inv"])
    assert torch.equal(again.get_parameter("model.layers.1.mlp.experts.gate_up")[2, 32:], values)
    assert again.config == model.config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("lm_head.weight_scale_inv", t.pop("model.layers.0.mlp.up_proj.weight_scale_inv")),
         "its scales `model.layers.0.mlp.up_proj.weight_scale_inv` are missing"),
        (lambda t: t.update({"model.layers.0.mlp.up_proj.weight_scale_inv": torch.ones(3, 2)}),
         "`model.layers.0.mlp.up_proj.weight_scale_inv` has shape [3, 2], not [3, 3]"),
        (lambda t: t["model.layers.0.mlp.up_proj.weight_scale_inv"].fill_(float("nan")),
         "`model.layers.0.mlp.up_proj.weight` has values that are not finite"),
    ],
)  # fmt: skip
def test_damaged_8_bits_are_refused_by_the_name_of_the_tensor(change: Any, words: str, tmp_path: Path) -> None:
    fp8_folder(tmp_path)
    edit(tmp_path, change)
    assert words in refusal(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shape_survives_config_json(family: str) -> None:
    config = tiny_config(family)  # type: ignore[arg-type]
    assert from_hf(json.loads(json.dumps(to_hf(config)))) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shared_ffn": 48}, r"shared_ffn \(48\) must be a multiple of expert_ffn \(32\)"),
        ({"dense_layers": (1,)}, r"dense layers of deepseek_v3 must be the first ones, got \[1\]"),
        ({"sparse_step": 2}, r"every 2. layer with experts"),
        ({"next_layers": 2}, r"next_layers must be 0 or 1, got 2"),
    ],
)
def test_a_shape_that_config_json_cannot_say_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tiny_config("deepseek_v3", **changes)


@pytest.mark.parametrize(
    ("family", "change", "words"),
    [
        ("deepseek_v3", {"topk_method": "greedy"}, "topk_method = 'greedy' is not supported in deepseek_v3"),
        ("deepseek_v3", {"scoring_func": "softmax"}, "scoring_func = 'softmax' is not supported"),
        ("deepseek_v3", {"moe_layer_freq": 2}, "moe_layer_freq = 2"),
        ("deepseek_v3", {"n_group": 3}, "expert_groups (3) must divide experts (4)"),
        ("deepseek_v3", {"topk_group": 3}, "groups_per_token must be between 1 and expert_groups (2), got 3"),
        ("deepseek_v3", {"num_experts_per_tok": 3}, "1 groups of 2 experts are too few for 3 a token"),
        ("deepseek_v3", {"n_group": 4, "topk_group": 2}, "its two best experts, but groups have 1"),
        ("deepseek_v3", {"kv_lora_rank": None}, "kv_lora_rank"),
        ("deepseek_v3", {"v_head_dim": 0}, "value of latent attention must be positive, got 0"),
        ("deepseek_v3", {"num_key_value_heads": 2}, "kv_heads (2) the number of heads (4)"),
        ("deepseek_v3", {"head_dim": 64}, "head_dim is 64, but the widths of the heads say 8"),
        ("deepseek_v2", {"norm_topk_prob": True}, "norm_topk_prob = True is not supported in deepseek_v2"),
        ("deepseek_v2", {"topk_method": "noaux_tc"}, "topk_method = 'noaux_tc'"),
        ("mixtral", {"num_local_experts": 1}, "experts_per_token must be between 1 and experts (1), got 2"),
        ("glm4_moe", {"use_qk_norm": "yes"}, "`use_qk_norm` is neither true nor false"),
        ("gpt_oss", {"hidden_act": "gelu"}, "gelu"),
        ("gpt_oss", {"swiglu_limit": 0.0}, "swiglu_limit of gpt_oss must be positive"),
        ("gpt_oss", {"quantization_config": {"quant_method": "awq"}}, "awq"),
    ],
)
def test_what_we_would_compute_wrongly_is_refused_by_name(family: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArtifactError) as refused:
        from_hf(to_hf(tiny_config(family)) | change)  # type: ignore[arg-type]
    assert words in str(refused.value)
