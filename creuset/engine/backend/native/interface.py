"""The plain C interface of a step (native/model.h, native/step.h) as Python sees it: structures, places, signatures.

Fields and numbers are in the order of the C++ sources.
"""

import ctypes
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_void_p
from enum import IntEnum
from typing import ClassVar

from creuset.engine.backend.native.matrix import Matrix
from creuset.model.config import ModelConfig


class Shape(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_int32) for name in (
            "bytes", "vocab", "hidden", "layers", "heads", "kv_heads", "head", "rotated", "experts", "chosen", "groups",
            "groups_chosen", "router_sigmoid", "norm_chosen", "norm_place", "qk_norm", "activation", "gated",
            "q_rank", "kv_rank", "nope", "rope", "value", "next_layers",
        )],
        *[(name, c_float) for name in (
            "bend_a", "bend_b", "eps", "scale", "attention_cap", "final_cap", "clip", "embedding_scale", "router_scale",
        )],
    ]  # fmt: skip


class Slot(IntEnum):
    """Where a matrix or a vector belongs. The bias of a matrix is a vector at the matrix's own place."""

    QKV, OUT, UP, DOWN, ROUTER, SHARED_UP, SHARED_DOWN, EXPERT_UP, EXPERT_DOWN, HEAD, EMBEDDING = range(11)
    QUERY, INTO, OUT_OF, JOIN = range(11, 15)
    NORM_IN, NORM_MIDDLE, NORM_BEFORE, NORM_AFTER, Q_NORM, K_NORM, SINKS, CORRECTION, SHARED_GATE, NORM_LAST = range(
        20, 30
    )
    NORM_NEXT, NORM_HIDDEN, NORM_GUESS = range(30, 33)


CACHE_TYPES = {"fp32": 0, "bf16": 1}
BYTES = {"fp32": 4, "bf16": 2}


def declare(functions: ctypes.CDLL) -> None:
    """Tell ctypes the signatures; a call with other arguments is then refused."""
    model = cache = c_void_p
    row_numbers, block_numbers = c_void_p, c_void_p
    signatures: dict[str, tuple[object, list[object]]] = {
        "model_new": (c_void_p, [POINTER(Shape)]),
        "model_free": (None, [model]),
        "model_matrix": (c_int, [model, c_int32, c_int32, c_int32, POINTER(Matrix)]),
        "model_vector": (c_int, [model, c_int32, c_int32, c_int32, c_void_p, c_int64]),
        "model_layer": (c_int, [model, c_int32, c_int32, c_int32, c_void_p]),
        "model_table": (c_int, [model, c_int32, c_void_p, c_void_p, c_int32]),
        "model_adapter": (c_int32, [model]),
        "model_low_rank": (c_int, [model, *[c_int32] * 7, c_void_p, c_void_p]),
        "model_threads": (c_int32, [model, c_int32, c_int32]),
        "cache_new": (c_void_p, [model, c_int32, c_int32, c_int32]),
        "cache_free": (None, [cache]),
        "cache_wipe": (None, [cache, block_numbers, c_int32]),
        "forward": (c_int, [model, cache, c_int32, c_void_p, c_int32, c_void_p, c_void_p]),
        "guess": (c_int, [model, cache, c_int32, c_void_p, c_int32, c_void_p, c_void_p, row_numbers]),
        "routed": (c_int, [model, cache, c_int32, c_void_p, c_int32, c_void_p, c_void_p, c_void_p]),
        "logits": (c_int, [model, row_numbers, c_int32, c_void_p]),
        "hidden": (c_int, [model, row_numbers, c_int32, c_void_p]),
        "candidates": (c_int, [model, row_numbers, c_int32, c_int32, c_int32, c_void_p, c_void_p, c_void_p]),
        "targets": (c_int, [model, row_numbers, c_int32, c_void_p, c_void_p, c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(functions, f"creuset_{name}")
        function.restype, function.argtypes = result, arguments


def shape_of(config: ModelConfig) -> Shape:
    traits = config.traits
    clamped, latent = traits.clamped_experts, config.latent
    return Shape(
        bytes=ctypes.sizeof(Shape),
        vocab=config.vocab_size,
        hidden=config.hidden,
        layers=config.layers,
        heads=config.heads,
        kv_heads=config.cache_heads,
        head=config.key_width,
        rotated=config.rotated,
        experts=config.experts,
        chosen=config.experts_per_token,
        groups=config.expert_groups,
        groups_chosen=config.groups_per_token,
        router_sigmoid=traits.router_score == "sigmoid",
        norm_chosen=config.norm_topk,
        norm_place=("pre", "post", "both").index(traits.norm),
        qk_norm=("none", "head", "width").index(traits.qk_norm) if config.qk_norms else 0,
        activation=3 if clamped else ("silu", "gelu_tanh", "xielu").index(traits.activation),
        gated=traits.gated,
        q_rank=latent.q_rank if latent else 0,
        kv_rank=latent.kv_rank if latent else 0,
        nope=latent.nope if latent else 0,
        rope=latent.rope if latent else 0,
        value=latent.value if latent else 0,
        next_layers=config.next_layers,
        bend_a=config.swiglu_limit,
        bend_b=config.swiglu_alpha,
        eps=config.norm_eps,
        scale=config.scale,
        attention_cap=config.attention_cap,
        final_cap=config.final_cap,
        clip=config.clip_qkv,
        embedding_scale=config.hidden**0.5 if traits.scaled_embedding else 1.0,
        router_scale=config.router_scale,
    )
