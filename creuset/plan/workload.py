"""What the planner needs to know of a shape: numbers of parameters, work per token, bytes kept per token.

Our shapes come from `model.count`. Two published ones that our families do not cover are counted here by the same
rules, so that the planner can be held to the hours their makers published.
"""

from collections.abc import Callable
from dataclasses import dataclass

from creuset.model.config import ModelConfig
from creuset.model.count import forward_flops, kv_bytes, parameters


@dataclass(frozen=True, slots=True)
class Workload:
    total: int  # parameters
    active: int  # parameters one token uses
    forward: Callable[[int], float]  # context -> FLOPs of one token's forward pass
    kv_bytes: int  # a token, in bf16
    block_values: int  # values one token holds inside one layer (rough; for activation memory)
    hidden: int
    layers: int
    vocab_size: int

    def training_flops(self, *, tokens: float, context: int) -> float:
        return 3 * self.forward(context) * tokens

    def rule_of_thumb(self, tokens: float) -> float:
        """6 x active parameters x tokens: the rule by which law and most reports count."""
        return 6 * self.active * tokens


def of_config(config: ModelConfig) -> Workload:
    count = parameters(config)
    wide = max(config.experts_per_token * config.expert_ffn + config.shared_ffn if config.is_moe else 0, config.ffn)
    heads = 2 * (config.heads + config.kv_heads) * config.head_dim
    if (latent := config.latent) is not None:  # in training each head has keys and values of its own
        heads = 2 * config.heads * (latent.nope + latent.rope + latent.value)
    return Workload(
        total=count.total,
        active=count.active,
        forward=lambda context: forward_flops(config, context=context),
        kv_bytes=kv_bytes(config),
        # Two norms' outputs, attention's input and output, q, k, v; gate, up and their product.
        block_values=6 * config.hidden + heads + 3 * wide,
        hidden=config.hidden,
        layers=config.layers,
        vocab_size=config.vocab_size,
    )


def llama_405b() -> Workload:
    """Llama-3.1-405B (arXiv:2407.21783, table 3): dense, no biases. Counted as qwen3, whose QK-norms add 32k."""
    return of_config(
        ModelConfig(
            family="qwen3",
            vocab_size=128_256,
            hidden=16_384,
            layers=126,
            heads=128,
            kv_heads=8,
            head_dim=128,
            ffn=53_248,
            tie_embeddings=False,
        )
    )


def deepseek_v3() -> Workload:
    """DeepSeek-V3 (arXiv:2412.19437, section 4.2), without its multi-token-prediction module."""
    hidden, layers, dense_layers, vocab = 7168, 61, 3, 129_280
    heads, q_rank, kv_rank, nope, rope, value = 128, 1536, 512, 128, 64, 128
    routed, chosen, shared, expert_ffn, dense_ffn = 256, 8, 1, 2048, 18_432
    moe_layers = layers - dense_layers
    attention = (
        hidden * q_rank
        + q_rank * heads * (nope + rope)
        + hidden * (kv_rank + rope)
        + kv_rank * heads * (nope + value)
        + heads * value * hidden
    )
    expert = 3 * hidden * expert_ffn
    router_and_shared = routed * hidden + shared * expert
    always = layers * attention + dense_layers * 3 * hidden * dense_ffn + moe_layers * router_and_shared
    total = always + moe_layers * routed * expert + 2 * vocab * hidden
    active = always + moe_layers * chosen * expert + 2 * vocab * hidden
    per_key = 2 * layers * heads * (nope + rope + value)
    return Workload(
        total=total,
        active=active,
        forward=lambda context: 2 * (active - vocab * hidden) + per_key * (context + 1) / 2,
        kv_bytes=2 * layers * (kv_rank + rope),
        block_values=6 * hidden + 2 * heads * (nope + rope) + 3 * (chosen + shared) * expert_ffn,
        hidden=hidden,
        layers=layers,
        vocab_size=vocab,
    )


REFERENCE: dict[str, Callable[[], Workload]] = {"deepseek_v3": deepseek_v3, "llama_405b": llama_405b}
