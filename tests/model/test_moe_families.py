"""Families with experts give the log-probabilities of transformers: the model itself, and the engine token by token."""

from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.engine.backend.torch.runner import choose
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.attention import Packed
from creuset.model.count import parameters
from creuset.model.formats.weights import FolderWeights, load_model
from creuset.testing import tiny_tokenizer
from creuset.types.generation import GenerationRequest, Sampling
from tests.engine.support import run

BASE = {
    "vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 288,
}  # fmt: skip
MIXTRAL = BASE | {"intermediate_size": 24, "num_local_experts": 4}
OLMOE = BASE | {"intermediate_size": 24, "num_experts": 8, "num_experts_per_tok": 3, "eos_token_id": 1}
LATENT = BASE | {
    "num_key_value_heads": 4, "intermediate_size": 48, "moe_intermediate_size": 16, "n_routed_experts": 8,
    "num_experts_per_tok": 3, "kv_lora_rank": 16, "q_lora_rank": 12, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12,
    "v_head_dim": 8, "first_k_dense_replace": 1, "n_shared_experts": 2, "num_nextn_predict_layers": 0,
}  # fmt: skip
YARN = {
    "rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.5, "original_max_position_embeddings": 64,
    "mscale": 1.0, "mscale_all_dim": 0.8, "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip
GLM = BASE | {
    "intermediate_size": 48, "moe_intermediate_size": 16, "n_routed_experts": 8, "num_experts_per_tok": 3,
    "head_dim": 8, "num_nextn_predict_layers": 0,
}  # fmt: skip
OSS = BASE | {"head_dim": 8, "intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2}
SHARP = {"rope_type": "yarn", "rope_theta": 150_000.0, "factor": 4.5, "original_max_position_embeddings": 64}

# Class of transformers, and what its config says.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", MIXTRAL),
    "mixtral with a window": ("Mixtral", MIXTRAL | {"sliding_window": 24}),
    "olmoe": ("Olmoe", OLMOE),
    "olmoe clipped": ("Olmoe", OLMOE | {"clip_qkv": 0.8}),
    "deepseek_v2": ("DeepseekV2", LATENT | {
        "n_group": 4, "topk_group": 2, "topk_method": "group_limited_greedy", "rope_parameters": YARN,
        "routed_scaling_factor": 2.0,
    }),
    "deepseek_v2 lite": ("DeepseekV2", LATENT | {"q_lora_rank": None, "topk_method": "greedy"}),
    "deepseek_v3": ("DeepseekV3", LATENT | {"n_group": 4, "topk_group": 2, "rope_parameters": YARN}),
    "deepseek_v3 tied, one group": ("DeepseekV3", LATENT | {
        "q_lora_rank": None, "n_group": 1, "topk_group": 1, "rope_interleave": False, "attention_bias": True,
        "tie_word_embeddings": True, "norm_topk_prob": False,
    }),
    "glm4_moe": ("Glm4Moe", GLM | {"use_qk_norm": True, "attention_bias": True, "n_group": 2, "topk_group": 1}),
    "glm4_moe air": ("Glm4Moe", GLM | {"attention_bias": False, "routed_scaling_factor": 2.5}),
    "gpt_oss": ("GptOss", OSS | {
        "sliding_window": 24, "rope_parameters": SHARP | {"beta_fast": 32.0, "beta_slow": 1.0, "truncate": False},
        "swiglu_limit": 2.0,
    }),
    "gpt_oss without biases": ("GptOss", OSS | {
        "sliding_window": 24, "attention_bias": False, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    }),
    "qwen2_moe": ("Qwen2Moe", BASE | {
        "intermediate_size": 48, "moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 2,
        "shared_expert_intermediate_size": 24, "mlp_only_layers": [1],
    }),
    "qwen3_moe": ("Qwen3Moe", BASE | {
        "intermediate_size": 48, "moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 2,
        "head_dim": 12, "decoder_sparse_step": 2, "norm_topk_prob": True,
    }),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A random model of transformers, and the folder it saved itself in."""
    return theirs(request.param, tmp_path_factory.mktemp("moe") / "model")


def theirs(name: str, folder: Path) -> tuple[Any, Path]:
    import transformers

    kind, config = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**config)).eval()
    with torch.no_grad():
        for part, value in [*model.named_parameters(), *model.named_buffers()]:
            if "inv_freq" not in part:
                # Wide enough that logits differ; correction biases that move choices.
                value.normal_(std=0.2).add_(1.0 if "norm" in part else 0.0)
    model.save_pretrained(folder)
    return model, folder


def their_logprobs(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.as_tensor(model(torch.tensor([ids])).logits[0].float().log_softmax(-1))


def test_log_probabilities_are_those_of_transformers(pair: tuple[Any, Path]) -> None:
    model, folder = pair
    ids = torch.randint(0, 512, (150,), generator=torch.Generator().manual_seed(1)).tolist()
    ours = load_model(folder)
    with torch.inference_mode():
        found = ours.logits(ours(torch.tensor(ids), torch.arange(150), Packed([150]))).log_softmax(-1)
    torch.testing.assert_close(found, their_logprobs(model, ids), rtol=0, atol=1e-4)


def test_the_engine_writes_what_transformers_would_choose(pair: tuple[Any, Path]) -> None:
    """200 greedy tokens: each is their likeliest one after the same beginning, with their log-probability."""
    model, folder = pair
    prompt = torch.randint(0, 512, (30,), generator=torch.Generator().manual_seed(2)).tolist()
    settings = EngineSettings(dtype="fp32", max_batch_tokens=16, max_running=4)
    runner = choose(FolderWeights(folder), dtype="fp32", threads=1, max_batch_tokens=16)
    engine = Engine(runner, tiny_tokenizer(), settings=settings, end_ids=[])
    sampling = Sampling(max_tokens=200, temperature=0.0, logprobs=0, prompt_logprobs=0, ignore_eos=True)
    answer = run(engine, GenerationRequest(id="a", prompt=prompt, sampling=sampling))["a"]
    ids = [*prompt, *answer.tokens]
    wanted = their_logprobs(model, ids)
    assert list(answer.tokens) == wanted[len(prompt) - 1 : -1].argmax(-1).tolist()
    said = [one.logprob for one in (*answer.prompt_logprobs[1:], *answer.logprobs)]
    assert said == pytest.approx([wanted[i, token].item() for i, token in enumerate(ids[1:])], abs=1e-4)


def test_parameters_are_counted_as_transformers_has_them(pair: tuple[Any, Path]) -> None:
    model, folder = pair
    # They keep the correction bias as a buffer.
    biases = sum(value.numel() for name, value in model.named_buffers() if name.endswith("e_score_correction_bias"))
    assert parameters(load_model(folder).config).total == sum(p.numel() for p in model.parameters()) + biases


def test_the_cache_holds_what_it_says(pair: tuple[Any, Path]) -> None:
    runner = choose(FolderWeights(pair[1]), dtype="fp32", threads=1, max_batch_tokens=16)
    runner.allocate(7, 4)
    assert runner.cache.bytes == runner.kv_bytes_per_token * 8 * 4  # a block more: contexts are padded with it
    latent = runner.config.latent
    if latent is not None:
        assert runner.kv_bytes_per_token == 3 * (latent.kv_rank + latent.rope) * 4
