"""config.json as published models have it is understood, and counts the parameters that their cards name."""

from typing import Any

import pytest

from creuset.model.config import ModelConfig
from creuset.model.count import parameters
from creuset.model.formats.hf_config import from_hf
from creuset.model.rope_scaling import RopeScaling

LLAMA3 = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}  # fmt: skip
ORDER = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "max_position_embeddings",
)  # fmt: skip
ALL = {"torch_dtype": "bfloat16", "use_cache": True, "transformers_version": "4.50.0", "attention_dropout": 0.0}

# Numbers in ORDER, all other fields, parameters.
PUBLISHED: dict[str, tuple[str, str, tuple[int, ...], dict[str, Any], int]] = {
    "Llama-3.1-8B": (
        "llama",
        "LlamaForCausalLM",
        (4096, 14336, 32, 32, 8, 128256, 131072),
        {
            "hidden_act": "silu",
            "rms_norm_eps": 1e-05,
            "rope_theta": 500000.0,
            "rope_scaling": LLAMA3,
            "attention_bias": False,
            "mlp_bias": False,
            "pretraining_tp": 1,
            "tie_word_embeddings": False,
            "bos_token_id": 128000,
            "eos_token_id": [128001, 128008, 128009],
            "initializer_range": 0.02,
        },
        8_030_261_248,
    ),
    "Llama-3.2-1B": (
        "llama",
        "LlamaForCausalLM",
        (2048, 8192, 16, 32, 8, 128256, 131072),
        {
            "head_dim": 64,
            "hidden_act": "silu",
            "rope_theta": 500000.0,
            "rope_scaling": {
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
            },
            "tie_word_embeddings": True,
        },
        1_235_814_400,
    ),
    "Mistral-7B-v0.3": (
        "mistral",
        "MistralForCausalLM",
        (4096, 14336, 32, 32, 8, 32768, 32768),
        {"hidden_act": "silu", "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False},
        7_248_023_552,
    ),
    "Qwen2.5-0.5B": (
        "qwen2",
        "Qwen2ForCausalLM",
        (896, 4864, 24, 14, 2, 151936, 32768),
        {
            "hidden_act": "silu",
            "rope_theta": 1000000.0,
            "sliding_window": 32768,
            "max_window_layers": 24,
            "use_sliding_window": False,
            "tie_word_embeddings": True,
            "use_mrope": False,
        },
        494_032_768,
    ),
    "Qwen3-8B": (
        "qwen3",
        "Qwen3ForCausalLM",
        (4096, 12288, 36, 32, 8, 151936, 40960),
        {
            "head_dim": 128,
            "hidden_act": "silu",
            "attention_bias": False,
            "max_window_layers": 36,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": None,
            "use_sliding_window": False,
            "tie_word_embeddings": False,
        },
        8_190_735_360,
    ),
    "gemma-3-1b-it": (
        "gemma3_text",
        "Gemma3ForCausalLM",
        (1152, 6912, 26, 4, 1, 262144, 32768),
        {
            "head_dim": 256,
            "hidden_activation": "gelu_pytorch_tanh",
            "attention_bias": False,
            "attn_logit_softcapping": None,
            "cache_implementation": "hybrid",
            "final_logit_softcapping": None,
            "query_pre_attn_scalar": 256,
            "rope_local_base_freq": 10000,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": 512,
            "sliding_window_pattern": 6,
            "bos_token_id": 2,
            "eos_token_id": [1, 106],
            "pad_token_id": 0,
        },
        999_885_952,
    ),
    "gemma-2-2b-it": (
        "gemma2",
        "Gemma2ForCausalLM",
        (2304, 9216, 26, 8, 4, 256000, 8192),
        {
            "head_dim": 256,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh",
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
            "query_pre_attn_scalar": 256,
            "sliding_window": 4096,
            "cache_implementation": "hybrid",
            "rope_theta": 10000.0,
        },
        2_614_341_888,
    ),
    "Phi-3-mini-4k": (
        "phi3",
        "Phi3ForCausalLM",
        (3072, 8192, 32, 32, 32, 32064, 4096),
        {
            "original_max_position_embeddings": 4096,
            "hidden_act": "silu",
            "sliding_window": 2047,
            "rope_scaling": None,
            "rope_theta": 10000.0,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attention_bias": False,
            "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
            "tie_word_embeddings": False,
        },
        3_821_079_552,
    ),
    "Phi-4-mini": (
        "phi3",
        "Phi3ForCausalLM",
        (3072, 8192, 32, 24, 8, 200064, 131072),
        {
            "original_max_position_embeddings": 4096,
            "partial_rotary_factor": 0.75,
            "full_attn_mod": 1,
            "interpolate_factor": 1,
            "lm_head_bias": False,
            "mlp_bias": False,
            "attention_bias": False,
            "hidden_act": "silu",
            "sliding_window": 262144,
            "rope_theta": 10000.0,
            "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48},
            "tie_word_embeddings": True,
        },
        3_836_021_760,
    ),
    "OLMo-2-1124-7B": (
        "olmo2",
        "Olmo2ForCausalLM",
        (4096, 11008, 32, 32, 32, 100352, 4096),
        {
            "hidden_act": "silu",
            "rms_norm_eps": 1e-06,
            "rope_theta": 500000,
            "rope_scaling": None,
            "attention_bias": False,
            "tie_word_embeddings": False,
        },
        7_298_617_344,
    ),
    "SmolLM2-135M": (
        "llama",
        "LlamaForCausalLM",
        (576, 1536, 30, 9, 3, 49152, 8192),
        {
            "hidden_act": "silu",
            "rope_interleaved": False,
            "is_llama_config": True,
            "rope_theta": 100000,
            "rope_scaling": None,
            "tie_word_embeddings": True,
            "pretraining_tp": 1,
            "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
        },
        134_515_008,
    ),
    "EuroLLM-9B": (
        "llama",
        "LlamaForCausalLM",
        (4096, 12288, 42, 32, 8, 128000, 4096),
        {"hidden_act": "silu", "head_dim": 128, "rope_theta": 10000.0, "tie_word_embeddings": False},
        9_152_319_488,
    ),
    "Apertus-8B": (
        "apertus",
        "ApertusForCausalLM",
        (4096, 21504, 32, 32, 8, 131072, 65536),
        {
            "hidden_act": "xielu",
            "post_norm": False,
            "qk_norm": True,
            "mlp_bias": False,
            "attention_bias": False,
            "rope_theta": 12000000,
            "rope_scaling": {
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
                "type": "llama3",
            },
            "tie_word_embeddings": False,
            "hidden_dropout": 0.0,
        },
        8_053_338_240,
    ),
}


def published(name: str) -> ModelConfig:
    kind, architecture, numbers, more, _ = PUBLISHED[name]
    shape = dict(zip(ORDER, numbers, strict=True))
    return from_hf(ALL | {"model_type": kind, "architectures": [architecture]} | shape | more)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_is_read_and_counts_what_is_published(name: str) -> None:
    assert parameters(published(name)).total == PUBLISHED[name][4]


def test_what_published_configs_say_of_windows_and_rotations_is_taken() -> None:
    gemma = published("gemma-3-1b-it")
    assert gemma.window == 512 and [i for i in range(26) if not gemma.window_of(i)] == [5, 11, 17, 23]
    assert gemma.local_rope_theta == 1e4 and gemma.rope_theta == 1e6 and gemma.query_scale is None
    gemma2 = published("gemma-2-2b-it")
    assert (gemma2.attention_cap, gemma2.final_cap) == (50.0, 30.0) and gemma2.window_layers == tuple(range(0, 26, 2))
    assert published("Phi-3-mini-4k").window_layers == tuple(range(32))
    small = published("Phi-4-mini")
    assert small.rotated == 96 and small.rope_border == 4096
    assert small.rope_scaling is not None and small.rope_scaling.attention_factor == pytest.approx(1.1902380714238083)
    assert published("Qwen2.5-0.5B").window == 0 and published("Mistral-7B-v0.3").window == 0
    llama = RopeScaling(kind="llama3", factor=8.0, original_context=8192)
    assert published("Llama-3.1-8B").rope_scaling == llama == published("Apertus-8B").rope_scaling
