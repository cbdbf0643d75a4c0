"""Counts by arithmetic against the modules themselves, and against what others publish."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from creuset.core.errors import ConfigError
from creuset.model.attention import Packed
from creuset.model.config import SIZES, ModelConfig, named
from creuset.model.count import (
    attention_flops,
    decode_flops,
    forward_flops,
    kv_bytes,
    matmul_weights,
    parameters,
    training_flops,
)
from creuset.model.transformer import Transformer

DENSE = {
    "vocab_size": 96,
    "hidden": 32,
    "layers": 4,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 16,
    "ffn": 48,
    "context": 64,
}
MOE = {**DENSE, "experts": 6, "experts_per_token": 2, "expert_ffn": 24}
SHAPES = {
    "qwen2": ModelConfig(family="qwen2", **DENSE),
    "qwen2 untied": ModelConfig(family="qwen2", **DENSE, tie_embeddings=False),
    "qwen3": ModelConfig(family="qwen3", **DENSE),
    "qwen2_moe": ModelConfig(family="qwen2_moe", **MOE, shared_ffn=40),
    "qwen2_moe with dense layers": ModelConfig(family="qwen2_moe", **MOE, shared_ffn=40, dense_layers=(0,)),
    "qwen3_moe": ModelConfig(family="qwen3_moe", **MOE),
    "qwen3_moe every second layer": ModelConfig(family="qwen3_moe", **MOE, sparse_step=2, tie_embeddings=False),
    **{name: size.build() for name, size in SIZES.items()},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_parameters_equal_those_of_the_module(shape):
    with torch.device("meta"):
        model = Transformer(shape)
    count = parameters(shape)
    held = {name: p.numel() for name, p in model.named_parameters()}
    assert count.total == sum(held.values())
    assert count.experts == sum(n for name, n in held.items() if ".experts." in name)
    assert count.router == sum(n for name, n in held.items() if name.endswith("mlp.gate.weight"))
    assert count.shared == sum(n for name, n in held.items() if ".shared_expert" in name)


TINY = {name: shape for name, shape in SHAPES.items() if name not in SIZES}


@pytest.mark.parametrize("shape", TINY.values(), ids=TINY)
def test_matrix_multiplications_equal_those_that_torch_counts(shape):
    lengths, heads = [5, 3], shape.heads * shape.head_dim
    model = Transformer(shape)
    model.init_weights(torch.Generator().manual_seed(0))
    # Experts are counted one slice after another, so the sum does not depend on who was chosen.
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        positions = torch.cat([torch.arange(n) for n in lengths])
        model.logits(model(torch.randint(0, 96, (8,)), positions, Packed(lengths)))
    by_name = {str(op): n for op, n in counter.get_flop_counts()["Global"].items()}
    ours = 2 * sum(lengths) * matmul_weights(shape)
    scores = sum(n for op, n in by_name.items() if "attention" in op or "bmm" in op)
    assert sum(by_name.values()) - scores == ours
    # A kernel that masks computes the whole square; the definition counts the causal half.
    square = 4 * shape.layers * heads * sum(n * n for n in lengths)
    assert scores in (0, square) and attention_flops(shape, lengths) < square


@pytest.mark.parametrize("windowed", [(), (0,), (0, 1)])
def test_attention_counts_each_key_a_token_sees(windowed):
    shape = replace(SHAPES["qwen3"], window=3 if windowed else 0, window_layers=windowed)
    pairs = sum(
        1
        for layer in range(shape.layers)
        for length in (7, 3, 2)
        for query in range(length)
        for key in range(length)
        if key <= query and not (layer in windowed and key <= query - 3)
    )
    per_pair = 2 * 2 * shape.heads * shape.head_dim
    assert attention_flops(shape, [7, 3, 2]) == pairs * per_pair
    one_by_one = [decode_flops(shape, context=n) - 2 * matmul_weights(shape) for n in range(1, 8)]
    assert attention_flops(shape, [7]) == sum(one_by_one)


def test_a_trained_token_costs_three_forward_passes():
    shape = SIZES["mini"].build()
    assert training_flops(shape, context=512) == 3 * forward_flops(shape, context=512)
    assert forward_flops(shape, context=2048) > forward_flops(shape, context=512)
    # In a big shape with a short context the rule of thumb 6 x active parameters is near.
    plus, count = named("plus"), parameters(named("plus"))
    assert training_flops(plus, context=4096) == pytest.approx(6 * count.active, rel=0.05)


def test_kv_bytes_are_two_vectors_a_layer():
    shape = SHAPES["qwen2"]
    assert kv_bytes(shape) == 2 * 4 * 2 * 16 * 2 and kv_bytes(shape, bytes_per_value=4) == 2 * kv_bytes(shape)


QWEN3_30B = ModelConfig(
    family="qwen3_moe",
    vocab_size=151_936,
    hidden=2048,
    layers=48,
    heads=32,
    kv_heads=4,
    head_dim=128,
    experts=128,
    experts_per_token=8,
    expert_ffn=768,
    tie_embeddings=False,
)
QWEN25_72B = ModelConfig(
    family="qwen2",
    vocab_size=152_064,
    hidden=8192,
    layers=80,
    heads=64,
    kv_heads=8,
    head_dim=128,
    ffn=29_568,
    tie_embeddings=False,
)
QWEN15_MOE = ModelConfig(
    family="qwen2_moe",
    vocab_size=151_936,
    hidden=2048,
    layers=24,
    heads=16,
    kv_heads=16,
    head_dim=128,
    experts=60,
    experts_per_token=4,
    expert_ffn=1408,
    shared_ffn=5632,
    tie_embeddings=False,
)


@pytest.mark.parametrize(
    ("shape", "total", "active"),
    [(QWEN3_30B, 30.5e9, 3.3e9), (QWEN25_72B, 72.7e9, 72.7e9), (QWEN15_MOE, 14.3e9, 2.7e9)],
    ids=["Qwen3-30B-A3B", "Qwen2.5-72B", "Qwen1.5-MoE-A2.7B"],
)
def test_published_counts_are_met(shape, total, active):
    count = parameters(shape)
    assert count.total == pytest.approx(total, rel=0.005) and count.active == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize("name", ["plus", "max"])
def test_the_assumed_shapes_have_the_published_counts(name):
    count = parameters(named(name))
    assert count.total == pytest.approx(271e9, rel=0.01) and count.active == pytest.approx(37e9, rel=0.01)
    assert "our assumption" in SIZES[name].note and "never published" in SIZES[name].note


def test_a_misspelt_size_is_refused_with_the_near_name():
    with pytest.raises(ConfigError) as refused:
        named("mimi")
    assert refused.value.hint == "did you mean `mini`?"


def test_more_experts_cost_memory_and_not_work():
    shape = SHAPES["qwen3_moe"]
    wider = replace(shape, experts=12)
    assert parameters(wider).experts == 2 * parameters(shape).experts
    assert forward_flops(wider, context=8) - forward_flops(shape, context=8) == 2 * 4 * 6 * 32  # the router's rows


@pytest.mark.parametrize("shape", TINY.values(), ids=TINY)
def test_parameters_equal_those_of_transformers(shape):
    from transformers import AutoConfig, AutoModelForCausalLM

    from creuset.model.formats.hf_config import to_hf

    described = to_hf(shape)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(described.pop("model_type"), **described))
    assert parameters(shape).total == sum(p.numel() for p in model.parameters())
