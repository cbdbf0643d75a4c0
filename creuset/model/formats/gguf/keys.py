"""A model's shape as the metadata of a GGUF file: the other direction of config.py. No torch here.

llama.cpp computes each architecture in one way. What a model does differently (weights of experts that do not sum to 1
in qwen3moe, a dense layer among the sparse ones) has no key: such a model is refused, with the field's name.
"""

from typing import Any

from creuset.core.errors import ArtifactError
from creuset.model.config import ModelConfig
from creuset.model.formats.gguf.rope import llama3_divisors

# Family -> llama.cpp's architecture.
ARCHITECTURES: dict[str, str] = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen2_moe": "qwen2moe",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe",
}
# What llama.cpp reads of a model beyond the shape that all have, by architecture.
WINDOWS: dict[str, str] = {}
BIASES = {"llama"}  # these may have biases, or not


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
    found |= _scaling(config, arch)
    if config.is_moe:
        found |= _experts(config, arch)
    return {f"{arch}.{name}": value for name, value in found.items()}


def extra_tensors(config: ModelConfig) -> dict[str, tuple[float, ...]]:
    """Vectors that llama.cpp reads from the file's tensors and that are no weights: divisors of rotary pairs."""
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "llama3":
        return {"rope_freqs.weight": llama3_divisors(config.rope_theta, config.rotated, scaling)}
    return {}


def _refuse(config: ModelConfig, arch: str) -> None:
    odd = {
        "sliding_window": config.window if arch not in WINDOWS and config.window < config.context else 0,
        "attention_bias": config.attention_bias and arch not in BIASES,
        "mlp_bias": config.mlp_bias and arch not in BIASES,
        "partial_rotary_factor": config.rotary_dim and arch not in WINDOWS,
    }
    for name, value in odd.items():
        if value:
            raise ArtifactError(f"{name} = {value} cannot be written as GGUF: llama.cpp's `{arch}` has no such thing")


def _scaling(config: ModelConfig, arch: str) -> dict[str, Any]:
    scaling = config.rope_scaling
    if scaling is None or (scaling.kind == "llama3" and arch == "llama"):
        return {}
    if scaling.kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": scaling.factor}
    if scaling.kind == "yarn":
        if scaling.attention_factor is not None:
            raise ArtifactError("rope_scaling: attention_factor cannot be written as GGUF: llama.cpp computes its own")
        if not scaling.truncate:
            raise ArtifactError("rope_scaling: truncate = false cannot be written as GGUF: llama.cpp truncates")
        return {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": scaling.factor,
            "rope.scaling.original_context_length": scaling.original_context,
            "rope.scaling.yarn_beta_fast": scaling.beta_fast,
            "rope.scaling.yarn_beta_slow": scaling.beta_slow,
        }
    raise ArtifactError(f"rotary scaling `{scaling.kind}` cannot be written as GGUF for llama.cpp's `{arch}`")


def _experts(config: ModelConfig, arch: str) -> dict[str, Any]:
    if config.dense_layers or config.sparse_step != 1:
        raise ArtifactError(
            f"mlp_only_layers and decoder_sparse_step cannot be written as GGUF: in llama.cpp's `{arch}` "
            "every layer has experts"
        )
    norm = arch == "qwen3moe"
    if config.norm_topk != norm:
        raise ArtifactError(
            f"norm_topk_prob = {str(config.norm_topk).lower()} cannot be written as GGUF: llama.cpp computes `{arch}` "
            f"with {str(norm).lower()}"
        )
    found = {
        "expert_count": config.experts,
        "expert_used_count": config.experts_per_token,
        "expert_feed_forward_length": config.expert_ffn,
    }
    return found | ({"expert_shared_feed_forward_length": config.shared_ffn} if config.shared_ffn else {})
