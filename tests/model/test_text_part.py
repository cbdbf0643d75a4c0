"""Of a folder that also reads images the language model runs: the same numbers as in transformers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError
from creuset.model.attention import Packed
from creuset.model.count import parameters
from creuset.model.formats.hf_config import config_of, from_hf
from creuset.model.formats.weights import load_model

TEXT = {
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "sliding_window": 16,
}  # fmt: skip
SIGHT = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip


def saved(kind: str, folder: Path) -> torch.nn.Module:
    import transformers

    torch.manual_seed(0)
    if kind == "gemma3":
        text = transformers.Gemma3TextConfig(
            **TEXT, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=8, pad_token_id=0,
            rope_scaling={"rope_type": "linear", "factor": 8.0},
        )  # fmt: skip
        config = transformers.Gemma3Config(
            text_config=text, vision_config=transformers.SiglipVisionConfig(**SIGHT), mm_tokens_per_image=4,
            boi_token_index=120, eoi_token_index=121, image_token_index=122,
        )  # fmt: skip
        model = transformers.Gemma3ForConditionalGeneration(config)
    else:
        config = transformers.Mistral3Config(
            text_config=transformers.MistralConfig(**(TEXT | {"sliding_window": None})),
            vision_config=transformers.PixtralVisionConfig(**SIGHT, head_dim=8), image_token_index=122,
        )  # fmt: skip
        model = transformers.Mistral3ForConditionalGeneration(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["gemma3", "mistral3"])
def test_the_language_model_of_a_folder_that_reads_images_gives_the_numbers_of_transformers(
    kind: str, tmp_path: Path
) -> None:
    theirs = saved(kind, tmp_path)
    ids = torch.randint(0, 100, (60,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = theirs(ids[None]).logits[0].log_softmax(-1)
        ours = load_model(tmp_path)
        found = ours.logits(ours(ids, torch.arange(60), Packed([60]))).log_softmax(-1)
    assert wanted.std() > 0.1 and (found - wanted).abs().max() <= 1e-4

    # Under the names of the other writer, and with a tensor that belongs to nothing.
    file = tmp_path / "model.safetensors"
    tensors, begin, other = load_file(file), "language_model.model.", "model.language_model."
    if not any(name.startswith(begin) for name in tensors):
        begin, other = other, begin
    head = {"lm_head.weight": "language_model.lm_head.weight"}
    head |= {there: here for here, there in head.items()}
    renamed = {head.get(name, name.replace(begin, other)): tensor for name, tensor in tensors.items()}
    save_file(renamed, file, metadata={"format": "pt"})
    again = load_model(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), again.parameters(), strict=True))
    save_file(renamed | {"audio_tower.weight": torch.zeros(2)}, file, metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=r"tensor `audio_tower\.weight` is not part of the model"):
        load_model(tmp_path)


def test_the_config_of_gemma_3_4b_as_it_is_published() -> None:
    """Most of its shape is left to the defaults of the class."""
    text: dict[str, Any] = {
        "hidden_size": 2560, "intermediate_size": 10_240, "model_type": "gemma3_text", "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    }  # fmt: skip
    config = from_hf(
        {
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
            "vision_config": {"hidden_size": 1152}, "eos_token_id": [1, 106], "image_token_index": 262_144,
        }
    )  # fmt: skip
    # Published are 4,300,079,472; 416,866,032 of them are of the vision tower, 2,950,272 of the projector.
    assert parameters(config).total == 4_300_079_472 - 416_866_032 - 2_950_272
    assert config.context == 131_072 and config.window == 1024 and config.rope_scaling is not None


def test_a_folder_without_its_text_config_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3"}))
    with pytest.raises(ArtifactError, match="text_config of `gemma3` is missing"):
        config_of(tmp_path)
