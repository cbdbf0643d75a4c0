"""What the backend derives from a model's shape: which products there are, how long a step is, how large the cache."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from creuset.core.memory import resident_memory
from creuset.engine.backend.torch import feed_forward, inference, latent
from creuset.engine.backend.torch import runner as runner_module
from creuset.engine.backend.torch.batch_invariant import product
from creuset.engine.backend.torch.inference import shapes
from creuset.engine.backend.torch.runner import default_threads
from creuset.engine.settings import EngineSettings
from creuset.model.count import matmul_weights
from creuset.testing import tiny_config, tiny_model
from tests.engine.support import BACKENDS, FAMILIES, engine


@pytest.mark.parametrize("family", [family for family in FAMILIES if not family.startswith(("deepseek", "glm"))])
def test_the_shapes_of_all_products_are_those_of_the_weights(family: str) -> None:
    """Queries, keys and values are one product, gate and up another; an expert's weight is one of a stack."""
    model = tiny_model(tiny_config(family))
    wanted, fused = set(), {"qkv": 0, "gate_up": 0, "shared": 0}
    for name, parameter in model.named_parameters():
        if not name.startswith(("model.layers.0.", "model.embed_tokens")) or parameter.ndim < 2:
            continue
        if name.endswith("_bias"):
            continue  # of experts, a row each
        rows, columns = parameter.shape[-2:]
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            fused["qkv"] += rows
        elif name.endswith(("gate_proj.weight", "up_proj.weight")):
            fused["shared" if "shared_expert" in name else "gate_up"] += rows
        else:
            wanted.add((rows, columns))
    wanted |= {(rows, model.config.hidden) for rows in fused.values() if rows}
    assert shapes(model) == wanted


@pytest.mark.parametrize("family", FAMILIES)
def test_every_product_of_the_inference_model_was_asked_for(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a layer that guesses the token after the next where the family has one."""
    built: set[tuple[int, ...]] = set()

    def noted(weight: torch.Tensor, *rest: Any) -> Any:
        built.add(tuple(weight.shape))
        return product(weight, *rest)

    for module in (inference, feed_forward, latent):
        monkeypatch.setattr(module, "product", noted)
    model = tiny_model(tiny_config(family, next_layers=int(family in ("deepseek_v3", "glm4_moe"))))
    wanted, config = shapes(model), model.config
    heads = {stack[1:] for stack in latent.head_stacks(config)} if config.latent is not None else set()
    inference.InferenceModel(model)
    assert built - heads == wanted - heads


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_shared_among_threads_from_a_billion_multiply_adds_in_the_layers(family: str) -> None:
    config = replace(tiny_config(family), hidden=512, layers=6)
    # The layers without the router, the shared expert's gate and the head, which are small or seldom.
    sparse = sum(map(config.moe_layer, range(config.layers)))
    active = matmul_weights(config) - sparse * config.experts * config.hidden - config.vocab_size * config.hidden
    active -= sparse * config.hidden if config.traits.shared_expert == "gated" else 0
    tokens = -(-1_000_000_000 // active)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert default_threads(config, tokens - 1) == 1
        assert default_threads(config, tokens) == 2, "one core is left to others"
        torch.set_num_threads(2)
        assert default_threads(config, tokens) == 1
    finally:
        torch.set_num_threads(before)


def test_the_cache_holds_what_can_be_used_or_what_fits_in_its_memory_or_what_is_asked_for(monkeypatch) -> None:
    config = tiny_config()
    assert cache_of(block_size=16, max_running=3) == (3 * config.context, "context")
    a_token = 2 * config.layers * config.kv_heads * config.head_dim * 4
    assert cache_of(block_size=1, kv_mib=1, changes={"context": 2**14}) == (2**20 // a_token, "kv_mib")
    assert cache_of(block_size=4, kv_tokens=21) == (24, "kv_tokens"), "rounded up to whole blocks"
    assert cache_of(block_size=4, kv_tokens=1) == (4, "kv_tokens")
    monkeypatch.setattr(runner_module, "available_memory", lambda: 100 * a_token)
    assert cache_of(block_size=1) == (50, "memory"), "half of what is free"
    monkeypatch.setattr(runner_module, "available_memory", lambda: 0)
    assert cache_of(block_size=16) == (16, "memory"), "one block at least"


def cache_of(**settings) -> tuple[int, str]:
    found = engine(backend="torch", **settings)
    kept = found.choices["kv_cache"]
    assert found.capacity == kept["tokens"] and kept["bytes"] == kept["tokens"] * found._runner.kv_bytes_per_token
    return kept["tokens"], kept["bounded_by"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cache_takes_memory_only_where_it_is_written(backend: str) -> None:
    before = resident_memory()
    one = engine(kv_mib=512, changes={"context": 2**16}, backend=backend)
    assert one.choices["kv_cache"]["bytes"] > 400 << 20 and resident_memory() - before < 200 << 20
    if backend == "native":
        return
    cache = one._runner.cache
    assert all(part.data_ptr() % 64 == 0 and not part[:, :64].any() for part in (cache.keys, cache.values))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block_size": 3}, "block_size must be a power of two up to 64, got 3"),
        ({"block_size": 128}, "block_size must be a power of two up to 64, got 128"),
        ({"backend": "cuda"}, "backend must be auto, native or torch, got cuda"),
        ({"dtype": "fp8"}, "dtype must be auto, fp32 or bf16, got fp8"),
        ({"kv_mib": -1}, "kv_mib must not be negative, got -1"),
        ({"max_batch_tokens": 0}, "max_batch_tokens must be positive, got 0"),
        ({"max_running": 0}, "max_running must be positive, got 0"),
        ({"kv_tokens": -1}, "kv_tokens must not be negative, got -1"),
        ({"threads": -2}, "threads must not be negative, got -2"),
        ({"max_running": 9, "max_batch_tokens": 8}, "max_running (9) must not exceed max_batch_tokens (8)"),
    ],
)
def test_a_setting_of_the_engine_that_cannot_be_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        EngineSettings(**changes)  # type: ignore[arg-type]
    assert words in str(refused.value)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32, 64])
def test_block_sizes_are_powers_of_two(size: int) -> None:
    assert EngineSettings(block_size=size, max_running=8, max_batch_tokens=8).block_size == size
