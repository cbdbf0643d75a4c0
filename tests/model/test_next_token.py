"""The layer that guesses the token after the next: read from files, equal to transformers', left out if not wanted."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError
from creuset.model.attention import Packed
from creuset.model.count import kv_bytes, parameters
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import FolderWeights, build, load_model, save_model
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_model

CONFIG = tiny_config("deepseek_v3", next_layers=1)
BEHIND = "model.layers.2."


def model() -> Transformer:
    made = tiny_model(CONFIG)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.endswith("e_score_correction_bias"):
                value.copy_(torch.linspace(-0.2, 0.3, len(value)))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(model(), tmp_path, dtype="fp32")
    return tmp_path


def guessed(ours: Transformer, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the token after the next, (T - 1, V)."""
    count = len(ids) - 1
    with torch.inference_mode():
        hidden_TC = ours(ids[:-1], torch.arange(count), Packed([count]))
        return ours.logits(ours.guess(hidden_TC, ids[1:], torch.arange(count), Packed([count]))).log_softmax(-1)


def test_guesses_are_those_of_transformers(folder: Path) -> None:
    from transformers import AutoModelForCausalLM
    from transformers.modeling_layers import MtpModel

    ids = torch.randint(0, 512, (60,), generator=torch.Generator().manual_seed(3))
    ours = build(FolderWeights(folder, guess=True))
    main = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    theirs = MtpModel(main, 1).eval()
    (block,) = theirs.layers
    held = {name.removeprefix(BEHIND): value for name, value in ours.named_parameters() if name.startswith(BEHIND)}
    renamed = {}
    for name, value in held.items():
        for ours_is, theirs_is in (("shared_head.norm", "post_norm"), ("shared_expert.", "shared_experts.")):
            name = name.replace(ours_is, theirs_is)
        renamed[name + ("_proj" if name.endswith((".experts.gate_up", ".experts.down")) else "")] = value
    own = ("enorm", "hnorm", "eh_proj", "post_norm")
    block.load_state_dict({n if n.startswith(own) else f"mtp_block.{n}": v for n, v in renamed.items()})
    with torch.no_grad():
        hidden = main.model(ids[None, :-1]).last_hidden_state
        places = torch.arange(1, 60)[None]
        last = theirs.forward_layer(0, hidden, places, None, input_ids=ids[None, 1:])
        wanted = main.lm_head(last)[0].log_softmax(-1) if main.lm_head is not None else None
    torch.testing.assert_close(guessed(ours, ids), wanted, rtol=0, atol=1e-4)


def test_it_is_read_only_when_it_is_asked_for(folder: Path) -> None:
    assert config_of(folder) == CONFIG
    plain, whole = load_model(folder), build(FolderWeights(folder, guess=True))
    assert plain.config.next_layers == 0 and whole.config == CONFIG
    for (name, a), b in zip(whole.named_parameters(), model().parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not any(name.startswith(BEHIND) for name, _ in plain.named_parameters())
    count = parameters(CONFIG)
    assert count.total == sum(p.numel() for p in whole.parameters())
    assert count.active == parameters(plain.config).active
    assert kv_bytes(CONFIG) == kv_bytes(plain.config) * 3 // 2


def test_what_it_shares_with_the_model_may_stand_beside_it_once_more(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors[f"{BEHIND}embed_tokens.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors[f"{BEHIND}shared_head.head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, file)
    assert build(FolderWeights(folder, guess=True)).config == CONFIG
    tensors.pop(f"{BEHIND}eh_proj.weight")
    save_file(tensors, file)
    with pytest.raises(ArtifactError, match=r"tensor `model.layers.2.eh_proj.weight` is missing"):
        build(FolderWeights(folder, guess=True))
    load_model(folder)


def test_a_folder_that_names_it_and_has_none_is_a_model_without_it(folder: Path) -> None:
    """As transformers saves it."""
    file = folder / "model.safetensors"
    save_file({n: v for n, v in load_file(file).items() if not n.startswith(BEHIND)}, file)
    assert json.loads((folder / "config.json").read_text())["num_nextn_predict_layers"] == 1
    assert build(FolderWeights(folder, guess=True)).config.next_layers == 0
