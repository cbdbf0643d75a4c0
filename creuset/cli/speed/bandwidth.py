"""How fast this machine reads memory, and how much of it a step of a model reads."""

import time
from typing import TYPE_CHECKING

from creuset.core.native.library import NativeUnavailable, library
from creuset.engine.backend.native.pool import ThreadPool
from creuset.model.config import ModelConfig
from creuset.model.count import matmul_weights, parameters

if TYPE_CHECKING:
    from creuset.engine.engine import Engine

BLOCK = 256 * 2**20  # bytes: more than most caches hold
REPEATS = 7


def read_rate(threads: int) -> float:
    """Bytes a second that `threads` threads read of memory together: the best of a few readings."""
    import ctypes

    try:
        found = library()
    except NativeUnavailable:
        return _by_torch(threads)
    rate = found.functions.creuset_read_rate
    rate.restype, rate.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
    with ThreadPool(found, threads) as pool:
        pool.hold()
        return float(rate(pool.handle, BLOCK, REPEATS))


def _by_torch(threads: int) -> float:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        block, times = torch.ones(BLOCK // 4), []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            block.sum()
            times.append(time.perf_counter() - begun)
        return float(BLOCK / min(times))
    finally:
        torch.set_num_threads(before)


def weight_bytes(engine: "Engine") -> int:
    """Bytes that the weights take where the engine computes."""
    said = engine.choices.get("weight_bytes")
    if said is not None:
        return int(said)
    config, wide = engine.config, 4 if engine.choices["dtype"] == "fp32" else 2
    return parameters(config).total * wide


def step_bytes(engine: "Engine", streams: int, context: int) -> float:
    """Bytes that one step of `streams` requests reads: the weights that their tokens meet, their keys and values.

    Tokens of a mixture of experts are taken to choose at random: `streams` of them meet that many experts on average.
    """
    config = engine.config
    each = weight_bytes(engine) / parameters(config).total
    cache = engine.choices["kv_cache"]
    keys: float = cache["bytes"] / cache["tokens"]
    return each * met_weights(config, streams) + streams * context * keys


def met_weights(config: ModelConfig, tokens: int) -> float:
    """Weights that at least one of `tokens` tokens is multiplied with, on average."""
    if not config.experts:
        return matmul_weights(config)
    layers = sum(map(config.moe_layer, range(config.layers)))
    expert, chosen = 3 * config.hidden * config.expert_ffn, config.experts_per_token
    missed: float = (1 - chosen / config.experts) ** tokens  # how likely nobody of them chooses a given expert
    met = config.experts * (1 - missed)
    return matmul_weights(config) + layers * expert * (met - chosen)
