"""How much memory an engine will take, told from the model's shape before a weight is read.

    need = process + weights in the numbers that are computed with + key-value cache

Measured after loading (`memory_bytes` in /health): what lies in memory then, the cache counted as if it were full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from creuset.core.memory import show_size
from creuset.model.config import ModelConfig
from creuset.model.count import kv_bytes, parameters

PROCESS = 400 << 20  # bytes of an engine's process beside weights and cache: libraries, kernels, one batch
FLOOR = 8192  # tokens that a cache holds at least, where the context is so long
SHARE = 0.8  # of the memory that is free when the server starts: what all models may take, if nobody says


@dataclass(frozen=True, slots=True)
class Need:
    """What one engine takes, bytes, and the settings that keep it to that."""

    weights: int
    cache: int
    dtype: str
    settings: dict[str, Any]  # of the engine: what has to be set for this

    @property
    def total(self) -> int:
        return PROCESS + self.weights + self.cache

    def __str__(self) -> str:
        return (
            f"{show_size(self.total)} of memory ({show_size(self.weights)} of weights in {self.dtype}, "
            f"{show_size(self.cache)} of cache, {show_size(PROCESS)} for its process)"
        )


def needs(configs: Sequence[ModelConfig], settings: dict[str, Any], budget: int, *, free: bool = False) -> list[Need]:
    """The needs of models that share `budget` bytes, under `settings` of the engine (dtype, max_running, kv_*).

    A cache that is not set gets what an equal share of the memory leaves beside the weights, at least one context (of
    FLOOR tokens at most), and no more than can be used. With dtype "auto", a model that fits in bf16 only is computed
    in bf16. `free`: the engine sizes its cache itself, from what is free when the weights are there; the least that it
    can do with is counted.
    """
    share = 0 if free else budget // max(1, len(configs))
    found = [_need(config, settings, share, budget) for config in configs]
    if free:
        for need in found:
            need.settings.pop("kv_mib", None)
    return found


def _need(config: ModelConfig, settings: dict[str, Any], share: int, budget: int) -> Need:
    asked = settings.get("dtype", "auto")
    found = _in(config, "fp32" if asked == "auto" else asked, settings, share)
    if asked == "auto" and found.total > budget and (smaller := _in(config, "bf16", settings, share)).total <= budget:
        found = smaller
        found.settings["dtype"] = "bf16"
    return found


def _in(config: ModelConfig, dtype: str, settings: dict[str, Any], share: int) -> Need:
    size = 2 if dtype == "bf16" else 4
    count = parameters(config)
    # A head that is tied to the embedding is laid out a second time, for its product.
    weights = size * (count.total + (count.embedding if config.tie_embeddings else 0))
    token = kv_bytes(config, bytes_per_value=size)
    if tokens := settings.get("kv_tokens"):
        return Need(weights, tokens * token, dtype, {})
    if mib := settings.get("kv_mib"):
        return Need(weights, mib << 20, dtype, {})
    floor = min(config.context, FLOOR) * token
    useful = settings.get("max_running", 32) * config.context * token
    mib = -(-min(max(share - PROCESS - weights, floor), max(useful, floor)) // 2**20)
    return Need(weights, mib << 20, dtype, {"kv_mib": mib})
