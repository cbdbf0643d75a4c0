"""Hugging Face's config.json <-> ModelConfig, for the families of model/families.py. No torch here.

What a family cannot express and every field that is not understood is refused by its name, never ignored.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf
from creuset.model.config import ModelConfig
from creuset.model.families import FAMILIES, Family, family_of
from creuset.model.formats.gguf.config import config_json
from creuset.model.formats.hf_experts import read_experts, read_latent, write_experts
from creuset.model.formats.hf_fields import ConfigFields
from creuset.model.formats.hf_rope import FULL, SLIDING, read_rope, write_rope
from creuset.model.formats.refused import refuse_adapter
from creuset.model.formats.tensors import header

MULTIMODAL = ("gemma3", "mistral3")  # of these the language model runs
ACTIVATIONS = {"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh", "xielu": "xielu"}


def config_of(folder: Path) -> ModelConfig:
    """Shape of the model in `folder`, from its config.json, or of a GGUF file, from its metadata."""
    if is_gguf(folder):
        return from_hf(config_json(GgufFile(folder)))
    file = folder / "config.json"
    if not file.is_file():
        refuse_adapter(folder)
        reason = "it has no config.json" if folder.is_dir() else "there is no such folder"
        raise ArtifactError(f"`{folder}` is not a model: {reason}")
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"`{file}` is not a JSON object")
    config = from_hf(found)
    return replace(config, tie_embeddings=True) if _has_no_head(folder, config) else config


def _has_no_head(folder: Path, config: ModelConfig) -> bool:
    """Whether it is a model for embeddings that was saved without its head: the embedding stands for it."""
    if config.tie_embeddings or not (folder / "modules.json").is_file():
        return False
    return not any("lm_head.weight" in header(file) for file in folder.glob("*.safetensors"))


def from_hf(found: dict[str, Any]) -> ModelConfig:
    if found.get("model_type") in MULTIMODAL:
        found = _text_part(found)
    family = _family(found)
    row = FAMILIES[family]
    fields = ConfigFields(found, row.defaults)
    fields.get("quantization_config")  # how weights are stored is read with them (model/formats/published.py)
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    layers, context = fields.integer("num_hidden_layers"), fields.integer("max_position_embeddings")
    latent = row.traits.latent
    head_dim = fields.integer("qk_rope_head_dim") if latent else fields.integer("head_dim", default=hidden // heads)
    rope = read_rope(fields, context=context, local=row.defaults.get("rope_local_base_freq"))
    rotary = int(head_dim * rope.partial)
    shape: dict[str, Any] = read_experts(fields, family) if row.traits.moe else {}
    shape |= _windows(fields, family, layers)
    if latent:
        shape |= read_latent(fields, rope.scaling)
    if family.startswith("gemma"):
        shape |= _gemma(fields, head_dim)
    _refuse_what_the_family_has_not(fields, family)
    try:
        config = _without_unused_ffn(
            ModelConfig(
                family=family,
                vocab_size=fields.integer("vocab_size"),
                hidden=hidden,
                layers=layers,
                heads=heads,
                kv_heads=fields.integer("num_key_value_heads", default=heads),
                head_dim=head_dim,
                ffn=fields.integer("intermediate_size"),
                tie_embeddings=fields.flag("tie_word_embeddings"),
                attention_bias=_bias(fields, family, "attention_bias"),
                mlp_bias=_bias(fields, family, "mlp_bias"),
                rope_theta=rope.theta,
                rope_scaling=rope.scaling,
                local_rope_theta=rope.local_theta,
                rotary_dim=rotary if rotary != head_dim else 0,
                norm_eps=fields.number("rms_norm_eps", 1e-6),
                context=context,
                init_std=fields.number("initializer_range", 0.02),
                **shape,
            )
        )
    except ValueError as error:
        raise ArtifactError(f"config.json: {error}") from error
    fields.refuse_the_rest(family)
    return config


def _text_part(found: dict[str, Any]) -> dict[str, Any]:
    """What a folder that also reads images says of its language model."""
    text = found.get("text_config")
    if not isinstance(text, dict):
        raise ArtifactError(f"config.json: text_config of `{found['model_type']}` is missing or no object")
    outer = {name: found[name] for name in ("tie_word_embeddings", "quantization_config") if name in found}
    return {name: value for name, value in text.items() if name != "architectures"} | outer


def _family(found: dict[str, Any]) -> Family:
    kind, known = found.get("model_type"), ", ".join(sorted(row.model_type or name for name, row in FAMILIES.items()))
    family = family_of(kind)
    if family is None:
        named = f" ({', '.join(map(str, found['architectures']))})" if found.get("architectures") else ""
        raise ArtifactError(
            f"config.json: model_type `{kind}`{named} is not a family that runs here", hint=f"families: {known}"
        )
    classes, wanted = found.get("architectures") or [], FAMILIES[family].architecture
    bare = wanted.replace("ForCausalLM", "Model")  # a model that was saved without its head
    if classes and not {wanted, bare} & set(classes):
        raise ArtifactError(f"config.json: architecture `{classes[0]}` does not run here, only `{wanted}` of {family}")
    if quantized := found.get("quantization_config"):
        method = quantized.get("quant_method") if isinstance(quantized, dict) else quantized
        if method not in ("fp8", "mxfp4"):
            raise ArtifactError(
                f"config.json: weights quantized by `{method}` are not supported",
                hint="take the model's own folder in bf16 or fp16, or a GGUF file of it",
            )
    return family


def _bias(fields: ConfigFields, family: Family, name: str) -> bool:
    """Whether the projections have biases, in families that leave it to the model."""
    optional = {
        "attention_bias": (
            "llama",
            "qwen3",
            "qwen3_moe",
            "gemma2",
            "gemma3_text",
            "olmo2",
            "olmo3",
            "apertus",
            "mixtral",
            "olmoe",
            "deepseek_v2",
            "deepseek_v3",
            "glm4_moe",
            "gpt_oss",
        )
    }
    if family in optional.get(name, ("llama",)):
        return fields.flag(name)
    return False


def _refuse_what_the_family_has_not(fields: ConfigFields, family: Family) -> None:
    traits = FAMILIES[family].traits
    fields.only(
        "hidden_activation" if family.startswith("gemma") else "hidden_act", ACTIVATIONS[traits.activation], family
    )
    if family.startswith("gemma"):
        fields.get("hidden_act")  # Gemma's configs have it as well, and it is not used
    for name in ("attention_bias", "qkv_bias"):
        if traits.qkv_bias:
            fields.only(name, True, family)
    fields.only("qk_norm", traits.qk_norm != "none", family)


def _windows(fields: ConfigFields, family: Family, layers: int) -> dict[str, Any]:
    """Which layers have a sliding window: `layer_types` says it layer by layer, else the family's rule does."""
    kind, pattern = FAMILIES[family].windows, FAMILIES[family].pattern
    size, first = 0 if kind == "none" else fields.get("sliding_window", 0), 0
    if kind in ("upper", "off"):
        first = fields.integer("max_window_layers", default=0)
        if kind == "off":
            fields.only("use_sliding_window", False, family)
        if not fields.flag("use_sliding_window"):
            size = 0
    if kind == "pattern":
        pattern = fields.integer("sliding_window_pattern", default=pattern)
    if (types := fields.get("layer_types")) is not None:
        chosen = _sliding(types, layers)
        if chosen and (not size or kind not in ("upper", "pattern")):
            raise ArtifactError(
                f"config.json: layer_types has `{SLIDING}`, which {family} does not have without a window"
            )
    elif kind == "pattern":
        chosen = tuple(i for i in range(layers) if (i + 1) % pattern)
    else:
        chosen = tuple(range(first, layers))
    return {"window": int(size), "window_layers": chosen} if size and chosen else {}


def _sliding(types: Any, layers: int) -> tuple[int, ...]:
    """The layers of `layer_types` that have a window."""
    if not isinstance(types, list) or len(types) != layers or (other := set(types) - {FULL, SLIDING}):
        got = f"`{min(map(str, other))}`" if isinstance(types, list) and len(types) == layers else repr(types)
        raise ArtifactError(f"config.json: layer_types must be {layers} of `{FULL}` and `{SLIDING}`, got {got}")
    return tuple(i for i, kind in enumerate(types) if kind == SLIDING)


def _gemma(fields: ConfigFields, head_dim: int) -> dict[str, Any]:
    fields.only("use_bidirectional_attention", False, "gemma")
    scalar = fields.number("query_pre_attn_scalar")
    return {
        "query_scale": None if scalar == head_dim else scalar**-0.5,
        "attention_cap": fields.number("attn_logit_softcapping", 0.0),
        "final_cap": fields.number("final_logit_softcapping", 0.0),
    }


def _without_unused_ffn(config: ModelConfig) -> ModelConfig:
    dense = any(not config.moe_layer(i) for i in range(config.layers))
    return config if dense else replace(config, ffn=0)


def to_hf(config: ModelConfig, *, dtype: str = "bfloat16") -> dict[str, Any]:
    """config.json that transformers 4 and 5, vLLM and llama.cpp's converter read."""
    row = FAMILIES[config.family]
    out: dict[str, Any] = {
        "architectures": [row.architecture],
        "model_type": row.model_type or config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn or config.expert_ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": ACTIVATIONS[row.traits.activation],
        "max_position_embeddings": config.context,
        "initializer_range": config.init_std,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_dropout": 0.0,
        "use_cache": True,
        "torch_dtype": dtype,
    }
    out |= write_rope(config) | _windows_to_hf(config)
    if config.is_moe:
        out |= write_experts(config)
    if not row.traits.qkv_bias:
        out["attention_bias"] = config.attention_bias
    if config.mlp_bias:
        out["mlp_bias"] = True
    if not config.family.startswith("qwen"):
        # Their classes have ids of their own tokenizers as defaults, which may lie outside of this vocabulary.
        out |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if config.family.startswith("gemma"):
        scalar = round(config.scale**-2, 6)
        out |= {
            "hidden_activation": ACTIVATIONS[row.traits.activation],
            "query_pre_attn_scalar": int(scalar) if scalar.is_integer() else scalar,
            "attn_logit_softcapping": config.attention_cap or None,
            "final_logit_softcapping": config.final_cap or None,
        }
    return out


def _windows_to_hf(config: ModelConfig) -> dict[str, Any]:
    kind = FAMILIES[config.family].windows
    if kind in ("none", "off"):
        return {"use_sliding_window": False} if kind == "off" else {}
    if kind == "all":
        return {"sliding_window": config.window or None}
    types = [SLIDING if layer in config.window_layers else FULL for layer in range(config.layers)]
    out: dict[str, Any] = {"sliding_window": config.window or None}
    if kind == "upper":
        first = min(config.window_layers, default=config.layers)
        out |= {"use_sliding_window": bool(config.window), "max_window_layers": first}
    return out | ({"layer_types": types} if config.window or kind == "pattern" else {})
