"""Folders that cannot be read are refused by name, with a way out that works."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from creuset.core.errors import ArtifactError
from creuset.model.formats.weights import load_model
from creuset.model.hub import find_model
from creuset.testing import tiny_model_folder


def test_torch_files_are_refused_with_a_command_that_converts_them(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    wanted = load_file(folder / "model.safetensors")
    names = sorted(wanted)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        torch.save({name: wanted[name] for name in part}, folder / f"pytorch_model-0000{number}-of-00002.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"in torch's format \(`pytorch_model-00001-of-00002\.bin`\)") as refused:
        load_model(folder)
    _, _, command = refused.value.hint.partition("convert it once: ")
    python, *arguments = shlex.split(command)
    assert python == "python"
    subprocess.run([sys.executable, *arguments], check=True, timeout=120)
    for name, value in load_file(folder / "model.safetensors").items():
        assert torch.equal(value, wanted[name]), name
    load_model(folder)


@pytest.mark.parametrize("name", ["consolidated.00.pth", "consolidated.pt"])
def test_weights_in_their_makers_layout_are_refused(name: str, tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ArtifactError, match="as its makers train them") as refused:
        load_model(folder)
    assert "Hugging Face's layout" in refused.value.hint


@pytest.mark.parametrize("whole", [True, False])
def test_an_adapter_is_refused_with_its_models_name(whole: bool, tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/large"}))
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    if not whole:
        (folder / "config.json").unlink()
        with pytest.raises(ArtifactError, match="is an adapter of `owner/large`"):
            find_model(str(folder))
    with pytest.raises(ArtifactError, match=r"is an adapter of `owner/large` \(adapter_config\.json\)") as refused:
        load_model(folder)
    assert "merge_and_unload" in refused.value.hint


def test_a_split_gguf_file_is_found_by_its_folder(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(b"GGUF")
    assert find_model(str(tmp_path)) == tmp_path / "m-00001-of-00002.gguf"
