"""The shape of a model, and the named sizes. Arithmetic only: no torch here.

Four families, each a shape that Hugging Face, vLLM and llama.cpp can load:

    qwen2      dense, QKV bias                                   (Qwen2.5)
    qwen3      dense, QK-norm, no bias                           (Qwen3)
    qwen2_moe  QKV bias, routed experts + gated shared expert    (Qwen2.5's MoE models)
    qwen3_moe  QK-norm, no bias, routed experts only             (Qwen3's MoE models)
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from creuset.core.errors import ConfigError

Family = Literal["qwen2", "qwen3", "qwen2_moe", "qwen3_moe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Yarn:
    """Context extension by YaRN (arXiv:2309.00071), as `rope_scaling` of Hugging Face configs."""

    factor: float
    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None  # None: 0.1 ln(factor) + 1

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    family: Family
    vocab_size: int
    hidden: int  # model width
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int = 0  # width of dense feed-forward layers; 0 when every layer is MoE
    experts: int = 0  # routed experts a layer
    experts_per_token: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0  # width of the gated shared expert (qwen2_moe only)
    norm_topk: bool = True  # router weights of the chosen experts are made to sum to 1
    sparse_step: int = 1  # layer i is MoE when (i + 1) % sparse_step == 0 ...
    dense_layers: tuple[int, ...] = ()  # ... and i is not listed here
    tie_embeddings: bool = True
    rope_theta: float = 10_000.0
    yarn: Yarn | None = None
    norm_eps: float = 1e-6
    context: int = 2048  # longest sequence, tokens
    init_std: float = 0.02
    balance_coef: float = 0.001  # written as router_aux_loss_coef; training has its own setting

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden", "layers", "heads", "kv_heads", "head_dim", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for rotary embeddings, got {self.head_dim}")
        if self.is_moe:
            if not 1 <= self.experts_per_token <= self.experts:
                raise ValueError(
                    f"experts_per_token must be between 1 and experts ({self.experts}), got {self.experts_per_token}"
                )
            if self.expert_ffn < 1:
                raise ValueError(f"expert_ffn must be positive in a MoE, got {self.expert_ffn}")
        elif self.experts or self.shared_ffn:
            raise ValueError(f"{self.family} is dense: experts and shared_ffn must be 0")
        if self.family == "qwen2_moe" and self.shared_ffn < 1:
            raise ValueError("qwen2_moe has a shared expert: shared_ffn must be positive")
        if self.family == "qwen3_moe" and self.shared_ffn:
            raise ValueError(f"qwen3_moe has no shared expert: shared_ffn must be 0, got {self.shared_ffn}")
        if any(not self.moe_layer(i) for i in range(self.layers)) and self.ffn < 1:
            raise ValueError(f"some layers are dense: ffn must be positive, got {self.ffn}")

    @property
    def is_moe(self) -> bool:
        return self.family in ("qwen2_moe", "qwen3_moe")

    @property
    def qkv_bias(self) -> bool:
        return self.family in ("qwen2", "qwen2_moe")

    @property
    def qk_norm(self) -> bool:
        return self.family in ("qwen3", "qwen3_moe")

    def moe_layer(self, index: int) -> bool:
        return self.is_moe and index not in self.dense_layers and (index + 1) % self.sparse_step == 0


def nano() -> ModelConfig:
    """Two CPU cores, minutes: proves the path, not the model."""
    return ModelConfig(
        family="qwen3_moe",
        vocab_size=4096,
        hidden=128,
        layers=4,
        heads=4,
        kv_heads=2,
        head_dim=32,
        experts=8,
        experts_per_token=2,
        expert_ffn=128,
        context=1024,
        rope_theta=10_000.0,
    )


def mini() -> ModelConfig:
    """What we ship: a fine-grained MoE small enough to be trained on two CPU cores (docs/adr/0005)."""
    return ModelConfig(
        family="qwen3_moe",
        vocab_size=4096,
        hidden=192,
        layers=4,
        heads=6,
        kv_heads=2,
        head_dim=32,
        experts=16,
        experts_per_token=2,
        expert_ffn=128,
        context=2048,
        rope_theta=10_000.0,
    )


def small() -> ModelConfig:
    """One GPU, one hour."""
    return ModelConfig(
        family="qwen3_moe",
        vocab_size=32_768,
        hidden=768,
        layers=12,
        heads=12,
        kv_heads=4,
        head_dim=64,
        experts=32,
        experts_per_token=4,
        expert_ffn=384,
        context=4096,
        rope_theta=10_000.0,
    )


def plus() -> ModelConfig:
    """271B parameters, 37B active: the public sibling of Qwen2.5-Max, in a shape that is our assumption."""
    return ModelConfig(
        family="qwen2_moe",
        vocab_size=152_064,
        hidden=6144,
        layers=46,
        heads=48,
        kv_heads=4,
        head_dim=128,
        experts=128,
        experts_per_token=8,
        expert_ffn=2304,
        shared_ffn=8 * 2304,
        tie_embeddings=False,
        context=32_768,
        rope_theta=1_000_000.0,
    )


def max() -> ModelConfig:
    """The shape of `plus`: nothing better is public."""
    return plus()


@dataclass(frozen=True, slots=True)
class NamedSize:
    """A shape with a name, and what is to be known about it."""

    build: Callable[[], ModelConfig]
    note: str


SIZES = {
    "nano": NamedSize(nano, "two CPU cores, minutes: proves the path"),
    "mini": NamedSize(mini, "the model we ship"),
    "small": NamedSize(small, "one GPU, one hour"),
    "plus": NamedSize(
        plus,
        "published for Qwen2.5-Plus: 271B parameters, 37B active (Qwen3 report, arXiv:2505.09388, table 3), QKV bias, "
        "fine-grained routed and shared experts (arXiv:2412.15115). Layers, widths and numbers of experts were never "
        "published: these are our assumption, chosen so that both counts come within 1 %",
    ),
    "max": NamedSize(
        max,
        "our assumption: Alibaba never published the parameters, experts, layers or compute of Qwen2.5-Max, only that "
        "it is a large MoE trained on over 20 trillion tokens; this is the shape of `plus`, its public sibling",
    ),
}


def named(name: str) -> ModelConfig:
    """The shape called `name`."""
    if name not in SIZES:
        near = difflib.get_close_matches(name, SIZES, n=1)
        raise ConfigError(
            f"`{name}` is not a named size",
            hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(SIZES)}",
        )
    return SIZES[name].build()
