"""Tiny models of every family, with what its config.json can say: the table that the tests of families go through.

Windows (24 tokens) and original contexts (64) are shorter than the sequences of the tests, so that they count.
"""

from typing import Any

from creuset.model.families import Family
from creuset.model.rope_scaling import RopeScaling

LLAMA3 = RopeScaling(kind="llama3", factor=8.0, original_context=64)
YARN = RopeScaling(kind="yarn", factor=4.0, original_context=64)
DYNAMIC = RopeScaling(kind="dynamic", factor=4.0, original_context=512)
LINEAR = RopeScaling(kind="linear", factor=8.0)
LONGROPE = RopeScaling(
    kind="longrope",
    original_context=64,
    short_factor=(1.0, 1.1, 1.3),
    long_factor=(1.5, 3.0, 6.0),
    attention_factor=1.2,
)

DENSE: dict[str, tuple[Family, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, scaled": ("llama", {"rope_scaling": LLAMA3, "rope_theta": 5e5, "head_dim": 16, "tie_embeddings": False}),
    "llama, linear, biases": ("llama", {"rope_scaling": LINEAR, "attention_bias": True, "mlp_bias": True}),
    "llama, dynamic": ("llama", {"rope_scaling": DYNAMIC, "context": 512}),
    "mistral": ("mistral", {"tie_embeddings": False}),
    "mistral, window": ("mistral", {"window": 24, "window_layers": (0, 1)}),
    "qwen2, upper windows": ("qwen2", {"window": 24, "window_layers": (1,)}),
    "qwen3, biases, windows": (
        "qwen3",
        {"attention_bias": True, "window": 24, "window_layers": (0,), "tie_embeddings": False},
    ),
    "gemma2": (
        "gemma2",
        {
            "window": 24,
            "window_layers": (0,),
            "attention_cap": 3.0,
            "final_cap": 4.0,
            "query_scale": 0.25,
            "tie_embeddings": False,
        },
    ),
    "gemma3": (
        "gemma3_text",
        {
            "window": 24,
            "window_layers": (0,),
            "rope_theta": 1e6,
            "local_rope_theta": 1e4,
            "rope_scaling": LINEAR,
            "query_scale": 0.25,
        },
    ),
    "phi3, window": ("phi3", {"window": 24, "window_layers": (0, 1)}),
    "phi3, longrope": ("phi3", {"rotary_dim": 6, "rope_scaling": LONGROPE, "tie_embeddings": False}),
    "olmo2": ("olmo2", {"tie_embeddings": False}),
    "olmo3": (
        "olmo3",
        {"window": 24, "window_layers": (0,), "rope_theta": 5e5, "local_rope_theta": 5e5, "rope_scaling": YARN},
    ),
    "apertus": ("apertus", {"rope_theta": 1e6, "rope_scaling": LLAMA3}),
    "apertus, not scaled": ("apertus", {}),
}
