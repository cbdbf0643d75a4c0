"""`creuset quantize`: any model in, a GGUF file out that says where it is from and what the rounding cost."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.cli import main
from creuset.cli.weights.quantize import TEXT, bits_per_byte, identity
from creuset.core.artifact import new_artifact, read_manifest, sha256_file, verify
from creuset.core.gguf import GgufFile
from creuset.model.attention import Packed
from creuset.model.formats.weights import load_model
from creuset.model.hub import find_model
from creuset.testing import tiny_model_folder
from creuset.text.tokenizer import Tokenizer


def quantized(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    assert main(["quantize", *map(str, argv), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_the_cost_is_that_of_the_definition_on_the_models_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tiny_model_folder(tmp_path / "model", context=4096), tmp_path / "m.gguf"
    text = tmp_path / "text.txt"
    text.write_text("The cat sat on the mat. Où est la rivière ?\n")
    report = quantized(capsys, folder, file, "--to", "q4_0", "--text", text)
    tokenizer = Tokenizer.load(folder)
    ids = torch.tensor([tokenizer.start, *tokenizer.encode(text.read_text())])
    for path, side in ((folder, "before"), (file, "after")):
        model = load_model(path)
        inputs = ids[:-1]
        with torch.inference_mode():
            hidden = model(inputs, torch.arange(len(inputs)), Packed([len(inputs)]))
            ln_p = model.logits(hidden).log_softmax(-1).gather(1, ids[1:, None]).sum().item()
        wanted = -ln_p / math.log(2) / len(text.read_bytes())
        assert report["bits_per_byte"][side] == pytest.approx(wanted, rel=1e-5)
    assert report["bits_per_byte"]["before"] != report["bits_per_byte"]["after"]
    assert report["bytes"] == file.stat().st_size and report["tensors"] == {"F32": 11, "Q4_0": 14, "Q8_0": 1}


def test_a_text_longer_than_the_context_is_read_in_windows(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model", context=64)
    text = TEXT.read_text(encoding="utf-8")
    assert len(Tokenizer.load(folder).encode(text)) > 640 and math.isfinite(
        bits_per_byte(folder, Tokenizer.load(folder), text)
    )


def test_a_file_says_what_it_was_made_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tiny_model_folder(tmp_path / "model"), tmp_path / "m.gguf"
    quantized(capsys, folder, file, "--to", "q8_0")
    metadata, weights = GgufFile(file).metadata, sha256_file(folder / "model.safetensors")
    assert metadata["creuset.parent.name"] == "model" and metadata["creuset.parent.sha256"] == weights
    again = quantized(capsys, file, tmp_path / "again.gguf", "--to", "q4_k")
    assert again["parent"] == {"name": "m", "sha256": sha256_file(file)} == {"name": "m", "sha256": identity(file)}


def test_an_artifact_walks_back_to_the_model_and_is_found_by_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_artifact(tmp_path / "model", kind="model") as scratch:
        tiny_model_folder(scratch)
    quantized(capsys, tmp_path / "model", tmp_path / "light", "--to", "q8_0")
    manifest = read_manifest(tmp_path / "light")
    assert [p["sha256"] for p in manifest["parents"]] == [read_manifest(tmp_path / "model")["sha256"]]
    assert manifest["settings"] == {"to": "q8_0"} and manifest["facts"]["bits_per_byte"]["before"] > 0
    assert verify(tmp_path / "light") == [] and main(["verify", str(tmp_path / "light")]) == 0
    assert find_model(str(tmp_path / "light")) == tmp_path / "light" / "model-q8_0.gguf"
    assert load_model(find_model(str(tmp_path / "light"))).config == load_model(tmp_path / "model").config


@pytest.mark.parametrize(
    ("shape", "more", "code", "words"),
    [
        ({}, ["--text", "{tmp}/none.txt"], 2, "none.txt` cannot be read: No such file"),
        ({}, ["--text", "{tmp}/empty.txt"], 2, "empty.txt` is empty"),
        ({}, ["--text", "{tmp}/latin.txt"], 2, "latin.txt` is not UTF-8 at byte 1"),
        ({"hidden": 40, "expert_ffn": 24}, [], 2, "needs rows of a multiple of 32 numbers, and they have 24 and 40"),
        ({"norm_topk": False}, [], 3, "norm_topk_prob = false cannot be written as GGUF"),
    ],
)
def test_what_cannot_be_quantized_is_refused_and_nothing_is_left(
    shape: dict[str, Any], more: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model_folder(tmp_path / "model", **shape)
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes(b"\x63\xe9")
    argv = ["quantize", str(folder), str(tmp_path / "m.gguf"), "--to", "q4_k", *(m.format(tmp=tmp_path) for m in more)]
    assert main(argv) == code and words in capsys.readouterr().err
    assert not list(tmp_path.glob("m.gguf*"))


def test_the_words_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    assert main(["quantize", str(folder), str(tmp_path / "m.gguf"), "--to", "q8_0"]) == 0
    out = capsys.readouterr().out
    assert "11 F32, 15 Q8_0" in out and "before" in out and f"{len(TEXT.read_bytes()):,} bytes" in out
