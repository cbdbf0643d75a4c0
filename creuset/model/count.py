"""Parameters, FLOPs and bytes of a shape, by arithmetic: no torch, no weights.

Reading order: `parameters` (what there is), `forward_flops` (what a token costs), `kv_bytes` (what a token leaves).

What counts as a FLOP here: a multiplication and an addition, in matrix multiplications only (2 per weight a token
uses). Norms, activations, softmax, rotary embeddings and the optimizer are left out, as in the published figures
this is compared with; they are under 1 % in shapes of any size. The embedding lookup multiplies nothing; the output
head counts, tied or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from creuset.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of parameters by role, over all layers; `experts` holds every routed expert."""

    embedding: int
    head: int  # 0 when tied to the embedding
    attention: int  # biases and QK-norms included
    norm: int
    dense: int  # feed-forward of the layers that are not MoE
    router: int
    experts: int
    shared: int  # shared expert and its gate
    experts_used: int  # the part of `experts` that one token passes through

    @property
    def total(self) -> int:
        return (
            self.embedding
            + self.head
            + self.attention
            + self.norm
            + self.dense
            + self.router
            + self.experts
            + self.shared
        )

    @property
    def active(self) -> int:
        """Parameters one token uses, embedding and head included: the figure in names such as 235B-A22B."""
        return self.total - self.experts + self.experts_used


def parameters(config: ModelConfig) -> Parameters:
    c, moe_layers = config, sum(map(config.moe_layer, range(config.layers)))
    queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
    attention = c.hidden * (2 * queries + 2 * keys)
    if c.qkv_bias:
        attention += queries + 2 * keys
    if c.attention_bias:
        attention += c.hidden
    if c.traits.qk_norm != "none":
        attention += 2 * c.head_dim if c.traits.qk_norm == "head" else queries + keys
    if c.traits.sinks:
        attention += c.heads
    matrices = 3 if c.traits.gated else 2
    dense = matrices * c.hidden * c.ffn
    if c.mlp_bias:
        dense += (matrices - 1) * c.ffn + c.hidden
    if c.traits.activation == "xielu":
        dense += 4
    expert = 3 * c.hidden * c.expert_ffn
    shared = 3 * c.hidden * c.shared_ffn + c.hidden if c.shared_ffn else 0
    return Parameters(
        embedding=c.vocab_size * c.hidden,
        head=0 if c.tie_embeddings else c.vocab_size * c.hidden,
        attention=c.layers * attention,
        norm=((4 if c.traits.norm == "both" else 2) * c.layers + 1) * c.hidden,
        dense=(c.layers - moe_layers) * dense,
        router=moe_layers * c.experts * c.hidden,
        experts=moe_layers * c.experts * expert,
        shared=moe_layers * shared,
        experts_used=moe_layers * c.experts_per_token * expert,
    )


def matmul_weights(config: ModelConfig) -> int:
    """Weights that one token is multiplied with: no lookup, no biases, no norms; the head even when it is tied."""
    count = parameters(config)
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    projections = config.layers * config.hidden * (2 * queries + 2 * keys)
    head = config.vocab_size * config.hidden
    return projections + count.dense + count.router + count.experts_used + count.shared + head


def attention_flops(config: ModelConfig, lengths: Iterable[int]) -> int:
    """FLOPs of scores and of their sum over values, forward, for whole causal sequences of these lengths.

    Token i of a sequence sees i keys; each costs 2 x head_dim for the score and as much for the sum.
    """
    pairs = sum(n * (n + 1) // 2 for n in lengths)
    return 4 * config.layers * config.heads * config.head_dim * pairs


def forward_flops(config: ModelConfig, *, context: int) -> float:
    """FLOPs of one token's forward pass, the average over a causal sequence of `context` tokens."""
    return 2 * matmul_weights(config) + attention_flops(config, [context]) / context


def training_flops(config: ModelConfig, *, context: int) -> float:
    """FLOPs of one trained token: forward, and twice as much backward. Recomputation is not counted (it is no work done
    for the model: MFU, not HFU)."""
    return 3 * forward_flops(config, context=context)


def decode_flops(config: ModelConfig, *, context: int) -> int:
    """FLOPs of generating one token that sees `context` keys, itself included."""
    return 2 * matmul_weights(config) + 4 * config.layers * config.heads * config.head_dim * context


def kv_bytes(config: ModelConfig, *, bytes_per_value: int = 2) -> int:
    """Bytes that one token keeps in the key-value cache (2 a value: bf16)."""
    return config.layers * config.cache_heads * (config.key_width + config.value_width) * bytes_per_value
