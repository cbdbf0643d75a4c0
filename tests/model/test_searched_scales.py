"""4 bits with searched scales: what is read back errs less, by the measure that was asked for."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType

from creuset.cli import main
from creuset.core.errors import ConfigError
from creuset.core.gguf import GgufFile
from creuset.model import sensitivity
from creuset.model.attention import Packed
from creuset.model.formats.gguf.blocks import dequantized, quantized
from creuset.model.formats.weights import parts
from creuset.testing import tiny_model, tiny_model_folder

Q4_0, Q4_1, Q4_K = (GGMLQuantizationType[name] for name in ("Q4_0", "Q4_1", "Q4_K"))


def numbers(seed: int = 0) -> torch.Tensor:
    values = torch.randn(64, 512, generator=torch.Generator().manual_seed(seed)) * 0.05
    values[0] = 0
    values[1] = 0.25
    return values


def error(values: torch.Tensor, blocks: np.ndarray, kind: GGMLQuantizationType, weight: torch.Tensor) -> float:
    return float((weight * (torch.from_numpy(dequantized(blocks, kind.name)) - values).square()).sum())


@pytest.mark.parametrize("kind", [Q4_0, Q4_1])
def test_searched_scales_err_less_than_those_of_the_largest_number(kind):
    values = numbers()
    plain, searched = (quantized(values, kind, searched=on) for on in (False, True))
    assert plain.shape == searched.shape
    blocks = values.reshape(-1, 32)
    weight = (blocks.square().mean(-1, keepdim=True).sqrt() + blocks.abs()).reshape(values.shape)
    assert error(values, searched, kind, weight) < 0.9 * error(values, plain, kind, weight)
    for row in range(len(values)):  # none is worse
        one = slice(row, row + 1)
        before, after = (error(values[one], found[one], kind, weight[one]) for found in (plain, searched))
        assert after <= before * 1.0001


@pytest.mark.parametrize("kind", [Q4_0, Q4_1, Q4_K])
def test_an_error_counts_by_the_importance_of_its_input(kind):
    values = numbers(1)
    importance = torch.where(torch.arange(512) % 8 == 0, 20.0, 0.1)
    with_it, without = (quantized(values, kind, searched=True, importance=one) for one in (importance, None))
    assert error(values, with_it, kind, importance) < 0.8 * error(values, without, kind, importance)


@pytest.mark.parametrize("kind", [Q4_0, Q4_1])
def test_numbers_that_are_all_alike_stay_what_they_are(kind):
    for value in (0.0, 0.25, -0.25):
        values = torch.full((2, 32), value)
        found = torch.from_numpy(dequantized(quantized(values, kind, searched=True), kind.name))
        torch.testing.assert_close(found, values, rtol=1e-3, atol=0)


def test_squared_gradients_are_those_of_each_window():
    model = tiny_model()
    ids = torch.randint(0, model.config.vocab_size, (201,), generator=torch.Generator().manual_seed(3)).tolist()
    found = sensitivity.squared_gradients(model, ids)
    name = "model.layers.0.self_attn.q_proj.weight"
    weight = dict(model.named_parameters())[name]
    expected = torch.zeros_like(weight)
    for start, end in ((0, 128), (128, 200)):
        tokens = torch.tensor(ids[start : end + 1])
        hidden = model(tokens[:-1], torch.arange(end - start), Packed([end - start]))
        loss = torch.nn.functional.cross_entropy(model.logits(hidden), tokens[1:], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, weight)
        expected += gradient.square() / 200
    torch.testing.assert_close(found[name], expected)
    assert {n for n, view in parts(model).items() if view.ndim > 1} >= set(found)
    assert any(".experts.1.down_proj" in n for n in found)
    assert all(float(one.mean()) == pytest.approx(1, abs=2e-3) for one in sensitivity.importance(found).values())


def test_what_loses_most_for_a_weight_is_kept_within_the_share():
    squared = {
        "a": torch.ones(10, 10),
        "b": torch.ones(10, 10),
        "c": torch.full((10, 10), 4.0),
        "d": torch.ones(30, 10),
    }
    moved = {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.9}
    groups = {name.upper(): [name] for name in squared}
    kept = sensitivity.most_sensitive(groups, squared, lambda name: torch.full_like(squared[name], moved[name]), 0.34)
    assert kept == ["C", "B"]  # D loses most, but holds half of all weights


def test_the_verb_keeps_the_most_sensitive_matrices_in_8_bits(tmp_path: Path, capsys) -> None:
    folder, file, text = tiny_model_folder(tmp_path / "model"), tmp_path / "m.gguf", tmp_path / "text.txt"
    text.write_text("The cat sat on the mat. Où est la rivière ? " * 20, encoding="utf-8")
    argv = ["quantize", folder, file, "--to", "q4_0", "--calibrate", text, "--keep", "0.3", "--json"]
    assert main([*map(str, argv)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scales"] == "calibrated" and report["kept"]
    wide = {n for n, t in GgufFile(file).tensors.items() if t.type.name == "Q8_0"}
    assert wide == {"token_embd.weight", *report["kept"]}


@pytest.mark.parametrize(("words", "told"), [
    (["--keep", "0.2"], "--keep needs --calibrate FILE"),
    (["--keep", "1.5"], "--keep must be from 0 to below 1, not 1.5"),
    (["--to", "q8_0", "--search"], "--search and --calibrate are for 4 bits"),
    (["--calibrate", "short.txt"], "the text of --calibrate is too short: its tokens are 1, and it needs"),
])  # fmt: skip
def test_options_that_cannot_be_are_refused(tmp_path: Path, monkeypatch, capsys, words, told) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("ab", encoding="utf-8")
    argv = ["quantize", str(folder), "m.gguf", *(["--to", "q4_0"] if "--to" not in words else []), *words]
    assert main(argv) == ConfigError.exit_code
    assert told in capsys.readouterr().err
