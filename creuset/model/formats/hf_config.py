"""Hugging Face's config.json <-> ModelConfig. No torch here.

What the four families cannot express (another architecture, sliding windows, other rotary
scalings) is refused by its name, never ignored.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf
from creuset.model.config import Family, ModelConfig, Yarn
from creuset.model.formats.gguf_config import config_json

ARCHITECTURES: dict[Family, str] = {
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}


def config_of(folder: Path) -> ModelConfig:
    """Shape of the model in `folder`, from its config.json, or of a GGUF file, from its metadata."""
    if is_gguf(folder):
        return from_hf(config_json(GgufFile(folder)))
    file = folder / "config.json"
    if not file.is_file():
        reason = "it has no config.json" if folder.is_dir() else "there is no such folder"
        raise ArtifactError(f"`{folder}` is not a model: {reason}")
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"`{file}` is not a JSON object")
    return from_hf(found)


def to_hf(config: ModelConfig, *, dtype: str = "bfloat16") -> dict[str, Any]:
    """config.json that transformers 4 and 5, vLLM and llama.cpp's converter read."""
    out: dict[str, Any] = {
        "architectures": [ARCHITECTURES[config.family]],
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn or config.expert_ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "initializer_range": config.init_std,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "rope_theta": config.rope_theta,
        "rope_scaling": _yarn_to_hf(config.yarn) if config.yarn else None,
        "use_cache": True,
        "torch_dtype": dtype,
    }
    if config.is_moe:
        out |= {
            "num_experts": config.experts,
            "num_experts_per_tok": config.experts_per_token,
            "moe_intermediate_size": config.expert_ffn,
            "norm_topk_prob": config.norm_topk,
            "decoder_sparse_step": config.sparse_step,
            "mlp_only_layers": list(config.dense_layers),
            "router_aux_loss_coef": config.balance_coef,
            "output_router_logits": False,
        }
    if not config.qkv_bias:
        out["attention_bias"] = False
    if config.family == "qwen2_moe":
        out |= {"shared_expert_intermediate_size": config.shared_ffn, "qkv_bias": True}
    return out


def from_hf(found: dict[str, Any]) -> ModelConfig:
    family: Any = found.get("model_type")
    if family not in get_args(Family):
        raise ArtifactError(
            f"config.json: model_type `{family}` is not a shape we run", hint=f"shapes: {', '.join(get_args(Family))}"
        )
    heads, hidden = _int(found, "num_attention_heads"), _int(found, "hidden_size")
    theta, yarn = _rope(found)
    moe: dict[str, Any] = {}
    if family in ("qwen2_moe", "qwen3_moe"):
        moe = {
            "experts": _int(found, "num_experts", "num_local_experts"),
            "experts_per_token": _int(found, "num_experts_per_tok"),
            "expert_ffn": _int(found, "moe_intermediate_size"),
            "norm_topk": bool(found.get("norm_topk_prob", False)),
            "sparse_step": int(found.get("decoder_sparse_step", 1)),
            "dense_layers": tuple(found.get("mlp_only_layers") or ()),
            "balance_coef": float(found.get("router_aux_loss_coef", 0.001)),
        }
    if family == "qwen2_moe":
        moe["shared_ffn"] = _int(found, "shared_expert_intermediate_size")
    _refuse_what_we_do_not_compute(found, family)
    try:
        return _without_unused_ffn(
            ModelConfig(
                family=family,
                vocab_size=_int(found, "vocab_size"),
                hidden=hidden,
                layers=_int(found, "num_hidden_layers"),
                heads=heads,
                kv_heads=int(found.get("num_key_value_heads") or heads),
                head_dim=int(found.get("head_dim") or (128 if family == "qwen3" else hidden // heads)),
                ffn=_int(found, "intermediate_size"),
                tie_embeddings=bool(found.get("tie_word_embeddings", False)),
                rope_theta=theta,
                yarn=yarn,
                norm_eps=float(found.get("rms_norm_eps", 1e-6)),
                context=_int(found, "max_position_embeddings"),
                init_std=float(found.get("initializer_range", 0.02)),
                **moe,
            )
        )
    except ValueError as error:
        raise ArtifactError(f"config.json: {error}") from error


def _without_unused_ffn(config: ModelConfig) -> ModelConfig:
    dense = any(not config.moe_layer(i) for i in range(config.layers))
    return config if dense else replace(config, ffn=0)


def _int(found: dict[str, Any], *names: str) -> int:
    for name in names:
        if isinstance(value := found.get(name), int):
            return value
    raise ArtifactError(f"config.json: `{names[0]}` is missing or not a whole number, got {found.get(names[0])!r}")


def _refuse_what_we_do_not_compute(found: dict[str, Any], family: str) -> None:
    bias = family in ("qwen2", "qwen2_moe")
    wanted = {"hidden_act": "silu", "use_sliding_window": False, "attention_bias": bias, "qkv_bias": bias}
    for name, only in wanted.items():
        if found.get(name, only) != only:
            raise ArtifactError(f"config.json: {name} = {found[name]!r} is not supported in {family}, only {only!r}")
    if other := set(found.get("layer_types") or ()) - {"full_attention"}:
        raise ArtifactError(f"config.json: layer_types has `{min(other)}`; only `full_attention` is supported")
    if "quantization_config" in found:
        method = (found["quantization_config"] or {}).get("quant_method")
        raise ArtifactError(f"config.json: weights quantized by `{method}` are not supported")


def _rope(found: dict[str, Any]) -> tuple[float, Yarn | None]:
    """Base and YaRN, from transformers 5's `rope_parameters` or the older `rope_theta` and `rope_scaling`."""
    rope: dict[str, Any] = found.get("rope_parameters") or found.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or found.get("rope_theta") or 10_000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind not in ("default", "yarn"):
        raise ArtifactError(f"config.json: rotary scaling `{kind}` is not supported, only `yarn`")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise ArtifactError("config.json: partial_rotary_factor must be 1: whole heads are rotated")
    if kind == "default":
        return theta, None
    for name in ("mscale", "mscale_all_dim"):
        if rope.get(name):
            raise ArtifactError(f"config.json: rope_scaling has `{name}`, which is not supported")
    if rope.get("truncate", True) is not True:
        raise ArtifactError("config.json: rope_scaling with `truncate` false is not supported")
    if not isinstance(rope.get("factor"), int | float):
        raise ArtifactError("config.json: rope_scaling `yarn` has no `factor`")
    factor = rope.get("attention_factor")
    return theta, Yarn(
        factor=float(rope["factor"]),
        original_context=int(rope.get("original_max_position_embeddings") or found["max_position_embeddings"]),
        beta_fast=float(rope.get("beta_fast") or 32.0),
        beta_slow=float(rope.get("beta_slow") or 1.0),
        attention_factor=None if factor is None else float(factor),
    )


def _yarn_to_hf(yarn: Yarn) -> dict[str, Any]:
    out = {
        "rope_type": "yarn",
        "type": "yarn",
        "factor": yarn.factor,
        "original_max_position_embeddings": yarn.original_context,
        "beta_fast": yarn.beta_fast,
        "beta_slow": yarn.beta_slow,
    }
    return out if yarn.attention_factor is None else out | {"attention_factor": yarn.attention_factor}
