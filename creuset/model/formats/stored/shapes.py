"""Names and shapes of all parameters of a model, from its config alone: what a file must have. No torch here.

The order is that of model/transformer.py's `named_parameters`; a test compares both for every family.
"""

from collections.abc import Iterator

import numpy as np

from creuset.model.config import LatentShape, ModelConfig
from creuset.model.formats.stored.numbers import Array
from creuset.model.formats.stored.parts import apart

Shape = tuple[int, ...]


def parameter_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Under our own names: the experts of a layer are stacked."""
    return dict(_parameters(config))


def weight_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Under Hugging Face's names, each expert by itself."""
    found: dict[str, Shape] = {}
    for name, shape in _parameters(config):
        nothing: Array = np.broadcast_to(np.float32(0), shape)
        found |= {part: view.shape for part, view in apart(name, nothing)}
    return found


def _parameters(config: ModelConfig) -> Iterator[tuple[str, Shape]]:
    yield "model.embed_tokens.weight", (config.vocab_size, config.hidden)
    for layer in range(config.layers + config.next_layers):
        for name, shape in _block(layer, config):
            yield f"model.layers.{layer}.{name}", shape
    yield "model.norm.weight", (config.hidden,)
    if not config.tie_embeddings:
        yield "lm_head.weight", (config.vocab_size, config.hidden)


def _block(layer: int, config: ModelConfig) -> Iterator[tuple[str, Shape]]:
    placement, width = config.traits.norm, (config.hidden,)
    if placement != "post":
        yield "input_layernorm.weight", width
    attention = _attention(config) if config.latent is None else _latent(config, config.latent)
    yield from ((f"self_attn.{name}", shape) for name, shape in attention)
    yield "post_attention_layernorm.weight", width
    if placement == "both":
        yield "pre_feedforward_layernorm.weight", width
    inner = _experts(config) if config.moe_layer(layer) else _dense(config)
    yield from ((f"mlp.{name}", shape) for name, shape in inner)
    if placement != "pre":
        yield "post_feedforward_layernorm.weight", width
    if layer >= config.layers:
        yield "enorm.weight", width
        yield "hnorm.weight", width
        yield "eh_proj.weight", (config.hidden, 2 * config.hidden)
        yield "shared_head.norm.weight", width


def _linear(name: str, outs: int, ins: int, *, bias: bool = False) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outs, ins)
    if bias:
        yield f"{name}.bias", (outs,)


def _attention(config: ModelConfig) -> Iterator[tuple[str, Shape]]:
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    if config.traits.sinks:
        yield "sinks", (config.heads,)
    yield from _linear("q_proj", queries, config.hidden, bias=config.qkv_bias)
    yield from _linear("k_proj", keys, config.hidden, bias=config.qkv_bias)
    yield from _linear("v_proj", keys, config.hidden, bias=config.qkv_bias)
    yield from _linear("o_proj", config.hidden, queries, bias=config.attention_bias and config.traits.output_bias)
    if config.traits.qk_norm != "none" and config.qk_norms:
        head = config.traits.qk_norm == "head"
        yield "q_norm.weight", (config.head_dim if head else queries,)
        yield "k_norm.weight", (config.head_dim if head else keys,)


def _latent(config: ModelConfig, shape: LatentShape) -> Iterator[tuple[str, Shape]]:
    queries, bias = config.heads * (shape.nope + shape.rope), config.attention_bias
    if shape.q_rank:
        yield from _linear("q_a_proj", shape.q_rank, config.hidden, bias=bias)
        yield "q_a_layernorm.weight", (shape.q_rank,)
        yield from _linear("q_b_proj", queries, shape.q_rank)
    else:
        yield from _linear("q_proj", queries, config.hidden)
    yield from _linear("kv_a_proj_with_mqa", shape.kv_rank + shape.rope, config.hidden, bias=bias)
    yield "kv_a_layernorm.weight", (shape.kv_rank,)
    yield from _linear("kv_b_proj", config.heads * (shape.nope + shape.value), shape.kv_rank)
    yield from _linear("o_proj", config.hidden, config.heads * shape.value, bias=bias)


def _mlp(config: ModelConfig, inner: int, *, gated: bool = True, bias: bool = False) -> Iterator[tuple[str, Shape]]:
    if gated:
        yield from _linear("gate_proj", inner, config.hidden, bias=bias)
    yield from _linear("up_proj", inner, config.hidden, bias=bias)
    yield from _linear("down_proj", config.hidden, inner, bias=bias)


def _dense(config: ModelConfig) -> Iterator[tuple[str, Shape]]:
    yield from _mlp(config, config.ffn, gated=config.traits.gated, bias=config.mlp_bias)
    if config.traits.activation == "xielu":
        yield from (("act_fn.alpha_p", (1,)), ("act_fn.alpha_n", (1,)), ("act_fn.beta", ()), ("act_fn.eps", ()))


def _experts(config: ModelConfig) -> Iterator[tuple[str, Shape]]:
    traits, experts, inner = config.traits, config.experts, config.expert_ffn
    yield from _linear("gate", experts, config.hidden, bias=traits.clamped_experts)
    if traits.correction_bias:
        yield "gate.e_score_correction_bias", (experts,)
    yield "experts.gate_up", (experts, 2 * inner, config.hidden)
    yield "experts.down", (experts, config.hidden, inner)
    if traits.clamped_experts:
        yield "experts.gate_up_bias", (experts, 2 * inner)
        yield "experts.down_bias", (experts, config.hidden)
    if config.shared_ffn:
        yield from ((f"shared_expert.{name}", shape) for name, shape in _mlp(config, config.shared_ffn))
    if traits.shared_expert == "gated":
        yield "shared_expert_gate.weight", (1, config.hidden)
