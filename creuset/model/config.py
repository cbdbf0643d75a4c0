"""The shape of a model, and the named sizes. Arithmetic only: no torch here.

`family` names a row of model/families.py: what all its models have in common stands there (`traits`), what one model's
config.json says stands here.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from creuset.core.errors import ConfigError
from creuset.model.families import FAMILIES, Family, Traits
from creuset.model.rope_scaling import RopeScaling


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentShape:
    """Widths of multi-head latent attention (arXiv:2405.04434, section 2.1): a narrow vector makes keys and values."""

    q_rank: int  # width of the queries' own latent; 0: queries are made of the stream
    kv_rank: int  # width of the latent of keys and values
    nope: int  # part of a query and key head that is not rotated
    rope: int  # part that is; the key's is one for all heads
    value: int  # width of a value head
    interleaved: bool = True  # neighbouring dimensions are rotated together, not those half a head apart

    def __post_init__(self) -> None:
        for name in ("kv_rank", "nope", "rope", "value"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of latent attention must be positive, got {getattr(self, name)}")
        if self.q_rank < 0:
            raise ValueError(f"q_rank of latent attention must not be negative, got {self.q_rank}")


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
    shared_ffn: int = 0  # width of the shared expert
    norm_topk: bool = True  # router weights of the chosen experts are made to sum to 1
    sparse_step: int = 1  # layer i is MoE when (i + 1) % sparse_step == 0 ...
    dense_layers: tuple[int, ...] = ()  # ... and i is not listed here
    expert_groups: int = 1  # experts are in so many groups of equal size ...
    groups_per_token: int = 1  # ... and a token chooses among those of so many
    router_scale: float = 1.0  # router weights are multiplied by it
    swiglu_limit: float = 0.0  # gpt-oss's activation (model/moe.py); 0: SwiGLU
    swiglu_alpha: float = 1.702
    latent: LatentShape | None = None  # head_dim is then the rotated part, and kv_heads the number of heads
    clip_qkv: float = 0.0  # queries, keys and values are held within it; 0: as they are
    next_layers: int = 0  # 1: a layer behind the last guesses the token after the next (multi-token prediction)
    tie_embeddings: bool = True
    attention_bias: bool = False  # biases on query, key, value and output projections
    mlp_bias: bool = False
    qk_norms: bool = True  # queries and keys are normed, in a family that norms them
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    local_rope_theta: float | None = None  # base in layers with a window, without scaling; None: as everywhere
    rotary_dim: int = 0  # the first dimensions of a head that are rotated; 0: all
    window: int = 0  # tokens that a layer with a sliding window sees, the newest included; 0: there is no such layer
    window_layers: tuple[int, ...] = ()  # the layers that have it
    query_scale: float | None = None  # scores are multiplied by it; None: 1 / sqrt(head_dim)
    attention_cap: float = 0.0  # scores s become cap tanh(s / cap); 0: as they are
    final_cap: float = 0.0  # the same of the logits
    norm_eps: float = 1e-6
    context: int = 2048  # longest sequence, tokens
    init_std: float = 0.02
    balance_coef: float = 0.001  # written as router_aux_loss_coef; training has its own setting

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden", "layers", "heads", "kv_heads", "head_dim", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.family not in FAMILIES:
            raise ValueError(f"family `{self.family}` is not one of {', '.join(FAMILIES)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.next_layers not in (0, 1):
            raise ValueError(f"next_layers must be 0 or 1, got {self.next_layers}")
        self._check_attention()
        self._check_experts()
        if any(not self.moe_layer(i) for i in range(self.layers)) and self.ffn < 1:
            raise ValueError(f"some layers are dense: ffn must be positive, got {self.ffn}")

    def _check_attention(self) -> None:
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even for rotary embeddings, got {self.head_dim}")
        if self.rotary_dim % 2 or not 0 <= self.rotary_dim <= self.head_dim:
            raise ValueError(
                f"rotary_dim must be even and at most head_dim ({self.head_dim}), or 0 for all, got {self.rotary_dim}"
            )
        scaling, pairs = self.rope_scaling, self.rotated // 2
        if scaling is not None and scaling.kind == "longrope" and len(scaling.long_factor) != pairs:
            raise ValueError(
                f"rope_scaling: long_factor must have {pairs} values, one for each rotated pair, "
                f"got {len(scaling.long_factor)}"
            )
        if self.window < 0 or bool(self.window) != bool(self.window_layers):
            raise ValueError(
                f"a sliding window needs a positive window and layers that have it: window is {self.window}, "
                f"window_layers {list(self.window_layers)}"
            )
        if any(not 0 <= layer < self.layers for layer in self.window_layers):
            raise ValueError(
                f"window_layers must be layers from 0 to {self.layers - 1}, got {list(self.window_layers)}"
            )
        if self.latent is not None and (self.head_dim != self.latent.rope or self.kv_heads != self.heads):
            raise ValueError(
                f"with latent attention head_dim ({self.head_dim}) must be its rotated width ({self.latent.rope}) "
                f"and kv_heads ({self.kv_heads}) the number of heads ({self.heads})"
            )
        for name in ("attention_cap", "final_cap", "clip_qkv"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be positive, or 0 for none, got {getattr(self, name)}")

    def _check_experts(self) -> None:
        if self.is_moe:
            if not 1 <= self.experts_per_token <= self.experts:
                raise ValueError(
                    f"experts_per_token must be between 1 and experts ({self.experts}), got {self.experts_per_token}"
                )
            if self.expert_ffn < 1:
                raise ValueError(f"expert_ffn must be positive in a MoE, got {self.expert_ffn}")
        elif self.experts or self.shared_ffn:
            raise ValueError(f"{self.family} is dense: experts and shared_ffn must be 0")
        shared = self.traits.shared_expert != "none"
        if self.is_moe:
            self._check_groups()
        if self.traits.shared_expert == "gated" and self.shared_ffn < 1:
            raise ValueError(f"{self.family} has a shared expert: shared_ffn must be positive")
        if self.is_moe and self.shared_ffn and not shared:
            raise ValueError(f"{self.family} has no shared expert: shared_ffn must be 0, got {self.shared_ffn}")

    def _check_groups(self) -> None:
        if self.expert_groups < 1 or self.experts % self.expert_groups:
            raise ValueError(f"expert_groups ({self.expert_groups}) must divide experts ({self.experts})")
        if not 1 <= self.groups_per_token <= self.expert_groups:
            raise ValueError(
                f"groups_per_token must be between 1 and expert_groups ({self.expert_groups}), "
                f"got {self.groups_per_token}"
            )
        within = self.experts // self.expert_groups
        if self.expert_groups > 1 and self.traits.router_score == "sigmoid" and within < 2:
            raise ValueError(f"a group is judged by its two best experts, but groups have {within}")
        if self.groups_per_token * within < self.experts_per_token:
            raise ValueError(
                f"{self.groups_per_token} groups of {within} experts are too few for {self.experts_per_token} a token"
            )
        if self.traits.shared_expert == "plain":  # config.json says these two by one number each
            if self.shared_ffn % self.expert_ffn:
                raise ValueError(f"shared_ffn ({self.shared_ffn}) must be a multiple of expert_ffn ({self.expert_ffn})")
            if self.dense_layers != tuple(range(len(self.dense_layers))) or self.sparse_step != 1:
                raise ValueError(
                    f"dense layers of {self.family} must be the first ones, got {list(self.dense_layers)} "
                    f"and every {self.sparse_step}. layer with experts"
                )
        if bool(self.swiglu_limit) != self.traits.clamped_experts:
            raise ValueError(
                f"swiglu_limit of {self.family} must be {'positive' if self.traits.clamped_experts else 0}"
            )

    @property
    def traits(self) -> Traits:
        return FAMILIES[self.family].traits

    @property
    def is_moe(self) -> bool:
        return self.traits.moe

    @property
    def qkv_bias(self) -> bool:
        return self.traits.qkv_bias or self.attention_bias

    @property
    def rotated(self) -> int:
        """Dimensions of a head that are rotated."""
        return self.rotary_dim or self.head_dim

    @property
    def rope_border(self) -> int | None:
        """Sequences of more tokens than this are rotated otherwise from their first token on (LongRoPE)."""
        scaling = self.rope_scaling
        return scaling.original_context if scaling is not None and scaling.kind == "longrope" else None

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return self.head_dim**-0.5 if self.query_scale is None else self.query_scale

    @property
    def cache_heads(self) -> int:
        """Heads that the key-value cache keeps."""
        return self.kv_heads if self.latent is None else 1

    @property
    def key_width(self) -> int:
        """Numbers that the cache keeps as the key of one head and token."""
        return self.head_dim if self.latent is None else self.latent.kv_rank + self.latent.rope

    @property
    def value_width(self) -> int:
        """The same of the value. 0: the key is the value as well."""
        return self.head_dim if self.latent is None else 0

    def moe_layer(self, index: int) -> bool:
        return self.is_moe and index not in self.dense_layers and (index + 1) % self.sparse_step == 0

    def window_of(self, layer: int) -> int:
        """Tokens that `layer` sees, 0 for all."""
        return self.window if layer in self.window_layers else 0

    def is_local(self, layer: int) -> bool:
        """Whether `layer` has rotary embeddings of its own kind, those of layers with a window."""
        return self.local_rope_theta is not None and layer in self.window_layers


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
