"""Parameters, FLOPs and bytes of a shape, by arithmetic: no torch, no weights.

Reading order: `parameters` (what there is), `forward_flops` (what a token costs), `kv_bytes` (what a token leaves).

What counts as a FLOP here: a multiplication and an addition, in matrix multiplications only (2 per weight a token
uses). Norms, activations, softmax, rotary embeddings and the optimizer are left out, as in the published figures
this is compared with; they are under 1 % in shapes of any size. The embedding lookup multiplies nothing; the output
head counts, tied or not.
"""

import functools
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
    guess: int = 0  # the layer that guesses the token after the next: no part of the answer, so not `active`

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
            + self.guess
        )

    @property
    def active(self) -> int:
        """Parameters one token uses, embedding and head included: the figure in names such as 235B-A22B."""
        return self.total - self.guess - self.experts + self.experts_used


@functools.lru_cache(maxsize=256)
def moe_layers(config: ModelConfig) -> int:
    """Layers that have experts."""
    return sum(map(config.moe_layer, range(config.layers)))


@functools.lru_cache(maxsize=256)
def parameters(config: ModelConfig) -> Parameters:
    c, with_experts = config, moe_layers(config)
    matrices = 3 if c.traits.gated else 2
    dense = matrices * c.hidden * c.ffn
    if c.mlp_bias:
        dense += (matrices - 1) * c.ffn + c.hidden
    if c.traits.activation == "xielu":
        dense += 4
    expert, router = 3 * c.hidden * c.expert_ffn, c.experts * c.hidden
    if c.traits.clamped_experts:  # with biases
        expert, router = expert + 2 * c.expert_ffn + c.hidden, router + c.experts
    if c.traits.correction_bias:
        router += c.experts
    attention = projections(c) + _beside_projections(c)
    shared = 3 * c.hidden * c.shared_ffn + (c.hidden if c.traits.shared_expert == "gated" else 0)
    return Parameters(
        embedding=c.vocab_size * c.hidden,
        head=0 if c.tie_embeddings else c.vocab_size * c.hidden,
        attention=c.layers * attention,
        norm=((4 if c.traits.norm == "both" else 2) * c.layers + 1) * c.hidden,
        dense=(c.layers - with_experts) * dense,
        router=with_experts * router,
        experts=with_experts * c.experts * expert,
        shared=with_experts * shared,
        experts_used=with_experts * c.experts_per_token * expert,
        guess=c.next_layers * (attention + router + c.experts * expert + shared + 2 * c.hidden**2 + 5 * c.hidden),
    )


def projections(config: ModelConfig) -> int:
    """Weights of one layer's attention that a token is multiplied with."""
    c, latent = config, config.latent
    if latent is None:
        return c.hidden * c.head_dim * (2 * c.heads + 2 * c.kv_heads)
    queries = c.heads * (latent.nope + latent.rope)
    down = c.hidden * (latent.kv_rank + latent.rope) + (c.hidden * latent.q_rank if latent.q_rank else 0)
    up = (latent.q_rank or c.hidden) * queries + latent.kv_rank * c.heads * (latent.nope + latent.value)
    return down + up + c.heads * latent.value * c.hidden


def _beside_projections(config: ModelConfig) -> int:
    """Biases, norms and sinks of one layer's attention."""
    c, latent = config, config.latent
    if latent is not None:
        biases = latent.q_rank + latent.kv_rank + latent.rope + c.hidden if c.attention_bias else 0
        return biases + latent.q_rank + latent.kv_rank
    queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
    count = queries + 2 * keys if c.qkv_bias else 0
    if c.attention_bias and c.traits.output_bias:
        count += c.hidden
    if c.traits.qk_norm != "none" and c.qk_norms:
        count += 2 * c.head_dim if c.traits.qk_norm == "head" else queries + keys
    return count + (c.heads if c.traits.sinks else 0)


def matmul_weights(config: ModelConfig) -> int:
    """Weights that one token is multiplied with: no lookup, no biases, no norms; the head even when it is tied."""
    c, layers = config, range(config.layers)
    routed = 3 * c.hidden * (c.experts_per_token * c.expert_ffn + c.shared_ffn) + c.experts * c.hidden
    if c.traits.shared_expert == "gated":
        routed += c.hidden
    dense = (3 if c.traits.gated else 2) * c.hidden * c.ffn
    blocks = sum(projections(c) + (routed if c.moe_layer(layer) else dense) for layer in layers)
    return blocks + c.vocab_size * c.hidden


def _pair_flops(config: ModelConfig) -> int:
    """FLOPs of one key that one token sees in one layer: its score and its value's part of the sum, all heads."""
    key = value = config.head_dim
    if config.latent is not None:
        key, value = config.latent.nope + config.latent.rope, config.latent.value
    return 2 * config.heads * (key + value)


def _seen(config: ModelConfig, tokens: int) -> int:
    """Keys that the token seen last sees, over all layers, when `tokens` are there."""
    local = len(config.window_layers)
    return (config.layers - local) * tokens + local * min(tokens, config.window)


def _pairs(config: ModelConfig, tokens: int) -> int:
    """The same of all tokens of a causal sequence."""
    local, inside = len(config.window_layers), min(tokens, config.window)
    full = tokens * (tokens + 1) // 2
    return (config.layers - local) * full + local * (inside * (inside + 1) // 2 + (tokens - inside) * inside)


def attention_flops(config: ModelConfig, lengths: Iterable[int]) -> int:
    """FLOPs of scores and of their sum over values, forward, for whole causal sequences of these lengths.

    Token i of a sequence sees i keys, or as many as the layer's window; each costs twice the key's width for the score
    and twice the value's for the sum.
    """
    return _pair_flops(config) * sum(_pairs(config, n) for n in lengths)


def forward_flops(config: ModelConfig, *, context: int) -> float:
    """FLOPs of one token's forward pass, the average over a causal sequence of `context` tokens."""
    return 2 * matmul_weights(config) + attention_flops(config, [context]) / context


def training_flops(config: ModelConfig, *, context: int) -> float:
    """FLOPs of one trained token: forward, and twice as much backward. Recomputation is not counted (it is no work done
    for the model: MFU, not HFU)."""
    return 3 * forward_flops(config, context=context)


def decode_flops(config: ModelConfig, *, context: int) -> int:
    """FLOPs of generating one token that sees `context` keys, itself included."""
    pair = _pair_flops(config)
    if config.latent is not None:  # read as they are kept, not as heads' own keys and values
        pair = 2 * config.heads * (config.key_width + config.latent.kv_rank)
    return 2 * matmul_weights(config) + pair * _seen(config, context)


def kv_bytes(config: ModelConfig, *, bytes_per_value: int = 2) -> int:
    """Bytes that one token keeps in the key-value cache (2 a value: bf16)."""
    return (
        (config.layers + config.next_layers)
        * config.cache_heads
        * (config.key_width + config.value_width)
        * bytes_per_value
    )
