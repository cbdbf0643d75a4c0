"""A model's shape as the metadata of a GGUF file: the other direction of config.py. No torch here.

llama.cpp computes each architecture in one way. What a model does differently (weights of experts that do not sum to 1
in qwen3moe, a dense layer among the sparse ones) has no key: such a model is refused, with the field's name.
"""

from typing import Any

from creuset.core.errors import ArtifactError
from creuset.model.config import LatentShape, ModelConfig
from creuset.model.formats.gguf.families import LARGE_GEMMA
from creuset.model.formats.gguf.rope import llama3_divisors

# Family -> llama.cpp's architecture.
ARCHITECTURES: dict[str, str] = {
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen2": "qwen2",
    "qwen2_moe": "qwen2moe",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
    "olmo2": "olmo2",
    "olmo3": "olmo2",
    "olmoe": "olmoe",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "gpt_oss": "gpt-oss",
}
WINDOWS = ("gemma2", "gemma3", "gpt-oss", "olmo2")  # these may have layers with a window
CAPPED = ("gemma2", "gemma3")
BIASES = {"llama", "gpt-oss"}  # may have biases, or always have them
# Whether router weights of the chosen experts are made to sum to 1; None: a key says it.
NORMED: dict[str, bool | None] = {
    "llama": True, "qwen2moe": False, "qwen3moe": True, "olmoe": False, "deepseek2": None, "gpt-oss": True,
}  # fmt: skip
SOFTMAX, SIGMOID = 1, 2  # values of expert_gating_func


def architecture_of(config: ModelConfig) -> str:
    """llama.cpp's name of the model's architecture. ArtifactError where it has none that computes the same."""
    arch = ARCHITECTURES.get(config.family)
    if arch is None:
        raise ArtifactError(
            f"a model of family `{config.family}` cannot be written as GGUF",
            hint=f"these can: {', '.join(ARCHITECTURES)}",
        )
    return arch


def keys_of(config: ModelConfig) -> dict[str, Any]:
    """The keys `ARCHITECTURE.…` and their values."""
    arch = architecture_of(config)
    _refuse(config, arch)
    found: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "block_count": config.layers,
        "context_length": config.context,
        "embedding_length": config.hidden,
        "feed_forward_length": config.ffn or config.expert_ffn,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
        "rope.dimension_count": config.rotated,
        "rope.freq_base": config.rope_theta,
    }
    found |= _scaling(config, arch) | _windows(config, arch)
    if config.is_moe:
        found |= _experts(config, arch)
    if config.latent is not None:
        found |= _latent(config, config.latent)
    if config.final_cap:
        found["final_logit_softcapping"] = config.final_cap
    if config.attention_cap:
        found["attn_logit_softcapping"] = config.attention_cap
    return {f"{arch}.{name}": value for name, value in found.items()}


def extra_tensors(config: ModelConfig) -> dict[str, tuple[float, ...]]:
    """Vectors that llama.cpp reads from the file's tensors and that are no weights: divisors of rotary pairs."""
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "longrope":
        return {"rope_factors_long.weight": scaling.long_factor, "rope_factors_short.weight": scaling.short_factor}
    if scaling is not None and scaling.kind == "llama3":
        return {"rope_freqs.weight": llama3_divisors(config.rope_theta, config.rotated, scaling)}
    return {}


def _refuse(config: ModelConfig, arch: str) -> None:
    """What llama.cpp has no key for."""
    alternating = tuple(range(0, config.layers, 2))
    no_window = arch not in (*WINDOWS, "phi3") or (arch == "gpt-oss" and config.window_layers != alternating)
    large = LARGE_GEMMA.get(arch) == config.layers
    own_scale = config.query_scale is not None and config.latent is None
    odd = {
        "sliding_window": 0 < config.window < config.context and no_window,
        "attention_bias": config.attention_bias and arch not in BIASES,
        "mlp_bias": config.mlp_bias and arch not in BIASES,
        "partial_rotary_factor": config.rotary_dim and arch != "phi3",
        "query_pre_attn_scalar": own_scale != large,
        "attn_logit_softcapping": config.attention_cap and arch != "gemma2",
        "final_logit_softcapping": config.final_cap and arch not in CAPPED,
        "clip_qkv": config.clip_qkv,
        "num_nextn_predict_layers": config.next_layers,
        "rope_interleave": config.latent is not None and not config.latent.interleaved,
        "swiglu_limit": config.swiglu_limit and (config.swiglu_limit, config.swiglu_alpha) != (7.0, 1.702),
    }
    for name, value in odd.items():
        if value:
            raise ArtifactError(f"{name} of this model cannot be written as GGUF: llama.cpp's `{arch}` has no key")


def _windows(config: ModelConfig, arch: str) -> dict[str, Any]:
    if arch == "phi3":
        return {"attention.sliding_window": config.window}
    found: dict[str, Any] = {}
    if arch in WINDOWS and config.window:
        found["attention.sliding_window"] = config.window
        if arch != "gpt-oss":
            found["attention.sliding_window_pattern"] = [config.window_of(i) > 0 for i in range(config.layers)]
    if config.local_rope_theta is not None:
        found["rope.freq_base_swa"] = config.local_rope_theta
    return found


def _scaling(config: ModelConfig, arch: str) -> dict[str, Any]:
    scaling = config.rope_scaling
    if scaling is None or scaling.kind == "dynamic" or (scaling.kind == "llama3" and arch == "llama"):
        return {}  # `dynamic` changes nothing within the context that the file states
    if scaling.kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": scaling.factor}
    if scaling.kind == "longrope" and arch == "phi3":
        return {
            "rope.scaling.type": "longrope",
            "rope.scaling.original_context_length": scaling.original_context,
            "rope.scaling.attn_factor": float(scaling.attention_factor or 1.0),
        }
    if scaling.kind != "yarn":
        raise ArtifactError(f"rotary scaling `{scaling.kind}` cannot be written as GGUF for llama.cpp's `{arch}`")
    if scaling.attention_factor is not None and not scaling.mscale_all_dim:
        raise ArtifactError("rope_scaling: attention_factor cannot be written as GGUF: llama.cpp computes its own")
    if scaling.truncate == (arch == "gpt-oss"):
        raise ArtifactError(
            f"rope_scaling: truncate = {str(scaling.truncate).lower()} cannot be written as GGUF for `{arch}`"
        )
    more = {"rope.scaling.yarn_log_multiplier": 0.1 * scaling.mscale_all_dim} if scaling.mscale_all_dim else {}
    return more | {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": scaling.factor,
        "rope.scaling.original_context_length": scaling.original_context,
        "rope.scaling.yarn_beta_fast": scaling.beta_fast,
        "rope.scaling.yarn_beta_slow": scaling.beta_slow,
    }


def _experts(config: ModelConfig, arch: str) -> dict[str, Any]:
    leading = config.dense_layers == tuple(range(len(config.dense_layers))) and arch == "deepseek2"
    if (config.dense_layers and not leading) or config.sparse_step != 1:
        raise ArtifactError(
            f"mlp_only_layers and decoder_sparse_step cannot be written as GGUF: in llama.cpp's `{arch}` "
            "every layer has experts"
        )
    if NORMED[arch] not in (None, config.norm_topk):
        raise ArtifactError(
            f"norm_topk_prob = {str(config.norm_topk).lower()} cannot be written as GGUF: llama.cpp computes `{arch}` "
            f"with {str(NORMED[arch]).lower()}"
        )
    found: dict[str, Any] = {"expert_count": config.experts, "expert_used_count": config.experts_per_token}
    if config.family not in ("mixtral", "olmoe"):
        found["expert_feed_forward_length"] = config.expert_ffn
    if arch == "qwen2moe":
        found["expert_shared_feed_forward_length"] = config.shared_ffn
    if arch == "deepseek2":
        found |= {
            "leading_dense_block_count": len(config.dense_layers),
            "expert_shared_count": config.shared_ffn // config.expert_ffn,
            "expert_weights_scale": config.router_scale,
            "expert_weights_norm": config.norm_topk,
            "expert_gating_func": SIGMOID if config.traits.router_score == "sigmoid" else SOFTMAX,
            "expert_group_count": config.expert_groups,
            "expert_group_used_count": config.groups_per_token,
        }
    return found


def _latent(config: ModelConfig, shape: LatentShape) -> dict[str, Any]:
    """llama.cpp sees one key and value head for all: the latent."""
    found: dict[str, Any] = {
        "attention.head_count_kv": 1,
        "attention.kv_lora_rank": shape.kv_rank,
        "attention.key_length": shape.kv_rank + shape.rope,
        "attention.value_length": shape.kv_rank,
        "attention.key_length_mla": shape.nope + shape.rope,
        "attention.value_length_mla": shape.value,
        "rope.dimension_count": shape.rope,
    }
    return found | ({"attention.q_lora_rank": shape.q_rank} if shape.q_rank else {})
