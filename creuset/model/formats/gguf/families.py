"""What single architectures of llama.cpp say of themselves in a GGUF file, in the words of their config.json.

A function for each family gets the keys, and what config.py has found for all architectures. It returns what is to be
added or said otherwise.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile

# llama.cpp's architecture -> model_type. Mixtral is `llama` with experts.
MODEL_TYPES: dict[str, str] = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen2moe": "qwen2_moe",
    "qwen3": "qwen3",
    "qwen3moe": "qwen3_moe",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "phi3": "phi3",
    "olmo2": "olmo2",
    "olmoe": "olmoe",
    "deepseek2": "deepseek_v3",
    "gpt-oss": "gpt_oss",
}


def architecture(file: GgufFile) -> str:
    """llama.cpp's name of the architecture, when it is one that runs here. ArtifactError else."""
    found = file.metadata.get("general.architecture")
    kind = file.metadata.get("general.type", "model")
    if kind != "model":
        raise ArtifactError(f"`{file.path}`: general.type is `{kind}`, not `model`: it cannot answer by itself")
    if found not in MODEL_TYPES:
        raise ArtifactError(
            f"`{file.path}`: general.architecture `{found}` is not one that runs here",
            hint=f"these run: {', '.join(MODEL_TYPES)}",
        )
    return str(found)


class ArchKeys:
    """The metadata of one architecture, by the second half of its keys."""

    def __init__(self, file: GgufFile) -> None:
        self.file, self.arch = file, architecture(file)

    def get(self, name: str, default: Any = None) -> Any:
        return self.file.metadata.get(f"{self.arch}.{name}", default)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number that is the same in every layer."""
        value = self.get(name, default)
        if isinstance(value, list) and value and all(v == value[0] for v in value):
            value = value[0]
        if type(value) is not int:
            raise ArtifactError(f"`{self.file.path}`: {self.arch}.{name} must be one whole number, got {_short(value)}")
        return value

    def has(self, tensor: str) -> bool:
        return tensor in self.file.tensors


def model_type_of(keys: ArchKeys) -> str:
    """Hugging Face's name of the family."""
    if keys.arch == "llama" and keys.number("expert_count", 0):
        return "mixtral"
    if keys.arch == "olmo2" and keys.get("attention.sliding_window"):
        return "olmo3"
    if keys.arch == "deepseek2" and keys.number("expert_gating_func", SOFTMAX) == SOFTMAX:
        return "deepseek_v2"
    return MODEL_TYPES[keys.arch]


SOFTMAX, SIGMOID = 1, 2  # values of expert_gating_func


def _qwen_moe(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {
        "num_experts": keys.number("expert_count"),
        "num_experts_per_tok": keys.number("expert_used_count"),
        "moe_intermediate_size": keys.number("expert_feed_forward_length"),
        # llama.cpp knows no other form of these two than Qwen's own models have.
        "norm_topk_prob": keys.arch == "qwen3moe",
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    }
    if keys.arch == "qwen2moe":
        more |= {"shared_expert_intermediate_size": keys.number("expert_shared_feed_forward_length"), "qkv_bias": True}
    return more


def _mixtral(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "num_local_experts": keys.number("expert_count"),
        "num_experts_per_tok": keys.number("expert_used_count"),
        "sliding_window": None,
        "mlp_bias": None,
    }


def _olmoe(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "num_experts": keys.number("expert_count"),
        "num_experts_per_tok": keys.number("expert_used_count"),
        "norm_topk_prob": False,
    }


def _deepseek(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    """Old files have the widths of heads as they are, newer ones those of the latent, and the heads' under `_mla`."""
    rope = keys.number("rope.dimension_count")
    groups = keys.number("expert_group_count", 1)
    softmax = keys.number("expert_gating_func", SOFTMAX) == SOFTMAX
    more: dict[str, Any] = {
        "head_dim": rope,
        "num_key_value_heads": found["num_attention_heads"],
        "q_lora_rank": keys.get("attention.q_lora_rank"),
        "kv_lora_rank": keys.number("attention.kv_lora_rank"),
        "qk_nope_head_dim": keys.number("attention.key_length_mla", keys.get("attention.key_length")) - rope,
        "qk_rope_head_dim": rope,
        "v_head_dim": keys.number("attention.value_length_mla", keys.get("attention.value_length")),
        "rope_interleave": True,
        "n_routed_experts": keys.number("expert_count"),
        "num_experts_per_tok": keys.number("expert_used_count"),
        "moe_intermediate_size": keys.number("expert_feed_forward_length"),
        "n_shared_experts": keys.number("expert_shared_count", 0),
        "first_k_dense_replace": keys.number("leading_dense_block_count", 0),
        "routed_scaling_factor": shortest(float(keys.get("expert_weights_scale", 1.0))),
        "norm_topk_prob": bool(keys.get("expert_weights_norm", False)),
        "n_group": groups,
        "topk_group": keys.number("expert_group_used_count", 1),
        "topk_method": ("group_limited_greedy" if groups > 1 else "greedy") if softmax else "noaux_tc",
        "scoring_func": "softmax" if softmax else "sigmoid",
    }
    scaling, times = found["rope_scaling"], keys.get("rope.scaling.yarn_log_multiplier")
    if scaling is not None and times:
        # llama.cpp keeps a tenth of `mscale_all_dim`; published models have the same `mscale`.
        scale = shortest(float(np.float32(times) / np.float32(0.1)))
        more["rope_scaling"] = scaling | {"mscale": scale, "mscale_all_dim": scale}
    return more


def _gpt_oss(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {
        "num_local_experts": keys.number("expert_count"),
        "num_experts_per_tok": keys.number("expert_used_count"),
        "intermediate_size": keys.number("expert_feed_forward_length"),
        "sliding_window": keys.number("attention.sliding_window"),
        "attention_bias": True,
    }
    # Not truncated: the model's own way, which no key says.
    scaling = found["rope_scaling"]
    return more | {"rope_scaling": scaling | {"truncate": False} if scaling else {"rope_type": "default"}}


def _gemma(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    layers, heads = found["num_hidden_layers"], found["num_attention_heads"]
    # llama.cpp knows the 27B models by their layers: their queries have a scale of their own.
    large = layers == LARGE_GEMMA[keys.arch]
    more: dict[str, Any] = {
        "hidden_act": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": found["hidden_size"] // heads if large else found["head_dim"],
        "final_logit_softcapping": keys.get("final_logit_softcapping"),
        "attn_logit_softcapping": keys.get("attn_logit_softcapping"),
        "sliding_window": keys.get("attention.sliding_window") or (4096 if keys.arch == "gemma2" else 0),
    }
    if keys.arch == "gemma3":
        more["rope_local_base_freq"] = shortest(float(keys.get("rope.freq_base_swa", 10_000.0)))
    return more | _layer_types(keys, found, {"gemma2": 2, "gemma3": 6}[keys.arch], more["sliding_window"])


LARGE_GEMMA = {"gemma2": 46, "gemma3": 62}  # layers of the 27B models


def _layer_types(keys: ArchKeys, found: dict[str, Any], every: int, window: int) -> dict[str, Any]:
    """Which layers have a window: each by itself, or all but every n-th one."""
    pattern, layers = keys.get("attention.sliding_window_pattern", every), found["num_hidden_layers"]
    if isinstance(pattern, list):
        sliding = [bool(one) for one in pattern]
    else:
        sliding = [bool((i + 1) % pattern) for i in range(layers)]
    if not window:
        sliding = [False] * layers
    return {"layer_types": ["sliding_attention" if one else "full_attention" for one in sliding]}


def _olmo3(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    window = keys.number("attention.sliding_window")
    local = shortest(float(keys.get("rope.freq_base_swa", found["rope_theta"])))
    return {"sliding_window": window, "rope_local_base_freq": local, **_layer_types(keys, found, 4, window)}


def _phi3(keys: ArchKeys, found: dict[str, Any]) -> dict[str, Any]:
    rotated, width = keys.number("rope.dimension_count", found["head_dim"]), found["head_dim"]
    original = keys.number("rope.scaling.original_context_length", found["max_position_embeddings"])
    more: dict[str, Any] = {
        "sliding_window": keys.get("attention.sliding_window") or None,
        "original_max_position_embeddings": original,
    }
    if rotated != width:
        more["partial_rotary_factor"] = rotated / width
    if keys.has("rope_factors_long.weight"):
        lists = {
            name: [shortest(v) for v in keys.file.raw(f"rope_factors_{name}.weight").view("<f4").tolist()]
            for name in ("short", "long")
        }
        more["rope_scaling"] = {
            "rope_type": "longrope",
            "short_factor": lists["short"],
            "long_factor": lists["long"],
            "original_max_position_embeddings": original,
        }
        if (factor := keys.get("rope.scaling.attn_factor")) is not None:
            more["rope_scaling"]["attention_factor"] = shortest(factor)
    return more


MORE: dict[str, Callable[[ArchKeys, dict[str, Any]], dict[str, Any]]] = {
    "qwen2_moe": _qwen_moe,
    "qwen3_moe": _qwen_moe,
    "mixtral": _mixtral,
    "olmoe": _olmoe,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "gpt_oss": _gpt_oss,
    "gemma2": _gemma,
    "gemma3_text": _gemma,
    "olmo3": _olmo3,
    "phi3": _phi3,
}


def shortest(value: Any) -> Any:
    """A float32 by its shortest decimal: 1e-05 and not 9.999999747378752e-06."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}…"
