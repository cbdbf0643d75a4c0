"""Ours = Hugging Face's, in both directions, for the families of Qwen and what their configs can say."""

from pathlib import Path

import pytest
import torch

from creuset.model.attention import Packed
from creuset.model.config import ModelConfig
from creuset.model.formats.weights import load_model, save_model
from creuset.model.rope_scaling import RopeScaling
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_model

SHAPES = {
    "qwen2": tiny_config("qwen2"),
    "qwen2-untied-theta": tiny_config("qwen2", tie_embeddings=False, rope_theta=1_000_000.0),
    "qwen3": tiny_config("qwen3", head_dim=16),
    "qwen3-yarn": tiny_config(
        "qwen3", rope_scaling=RopeScaling(kind="yarn", factor=4.0, original_context=64), rope_theta=1_000_000.0
    ),
    "qwen2-yarn-set": tiny_config(
        "qwen2",
        head_dim=16,
        rope_scaling=RopeScaling(
            kind="yarn", factor=8.0, original_context=32, beta_fast=16, beta_slow=2, attention_factor=1.5
        ),
    ),
    "qwen2_moe": tiny_config("qwen2_moe", norm_topk=False),
    "qwen2_moe-sparse": tiny_config("qwen2_moe", layers=4, sparse_step=2, dense_layers=(3,), ffn=48, shared_ffn=40),
    "qwen3_moe": tiny_config("qwen3_moe"),
    "qwen3_moe-unnormed": tiny_config("qwen3_moe", norm_topk=False, dense_layers=(0,), ffn=48, tie_embeddings=False),
}


@torch.inference_mode()
def our_logits(model: Transformer, rows: torch.Tensor) -> torch.Tensor:
    lengths = [rows.shape[1]] * rows.shape[0]
    positions = torch.arange(rows.shape[1]).repeat(rows.shape[0])
    return model.logits(model(rows.flatten(), positions, Packed(lengths))).view(*rows.shape, -1)


@torch.inference_mode()
def their_logits(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    return model(rows).logits


def rows(config: ModelConfig) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (2, 100), generator=torch.Generator().manual_seed(1))


def load_theirs(folder: Path) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("name", SHAPES)
def test_hugging_face_loads_what_we_save_and_says_the_same(name: str, tmp_path: Path) -> None:
    config = SHAPES[name]
    model = tiny_model(config)
    save_model(model, tmp_path, dtype="fp32")
    ours, theirs = our_logits(model, rows(config)), their_logits(load_theirs(tmp_path), rows(config))
    assert ours.std() > 0.1, "logits that are all alike prove nothing"
    assert (ours - theirs).abs().max() <= 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_we_load_what_hugging_face_saves_and_say_the_same(name: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = SHAPES[name]
    save_model(tiny_model(config), tmp_path / "shape", dtype="fp32")
    torch.manual_seed(2)
    theirs = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path / "shape")).float().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="40KB")
    assert len(list((tmp_path / "theirs").glob("model-*.safetensors"))) > 1, "the test is to cover shards"
    ours = load_model(tmp_path / "theirs")
    assert ours.config == config
    assert (our_logits(ours, rows(config)) - their_logits(theirs, rows(config))).abs().max() <= 1e-4
