"""Models written as GGUF: which type each matrix gets, what Q4_K costs, and what cannot be written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter
from gguf.quants import dequantize

from creuset.core.errors import ArtifactError, DiskFull
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf.k_blocks import q4_k
from creuset.model.formats.gguf.write import PLANS, write_gguf
from creuset.model.formats.weights import load_model, open_weights, parts
from creuset.testing import tiny_model_folder


@pytest.mark.parametrize(
    ("plan", "kinds"),
    [
        ("fp16", {T.F32, T.F16}),
        ("bf16", {T.F32, T.BF16}),
        ("q8_0", {T.F32, T.Q8_0}),
        ("q4_0", {T.F32, T.Q8_0, T.Q4_0}),
        ("q4_k", {T.F32, T.Q8_0, T.Q4_K, T.Q5_0}),  # 96 is no multiple of 256
    ],
)
def test_norms_and_routers_stay_fp32_and_matrices_get_the_type_of_the_plan(
    plan: str, kinds: set[T], tmp_path: Path
) -> None:
    folder = tiny_model_folder(tmp_path / "model", "qwen3_moe", hidden=256, expert_ffn=96, layers=1)
    write_gguf(open_weights(folder), {}, tmp_path / "m.gguf", plan=PLANS[plan])
    found = GgufFile(tmp_path / "m.gguf").tensors
    assert {tensor.type for tensor in found.values()} == kinds
    fp32 = {name for name, tensor in found.items() if tensor.type == T.F32}
    assert fp32 == {n for n, t in found.items() if len(t.shape) == 1 or "ffn_gate_inp" in n}
    assert found["token_embd.weight"].type == (T.Q8_0 if plan.startswith("q") else max(kinds))
    near = {"fp16": 1e-3, "bf16": 1e-2, "q8_0": 1e-2, "q4_0": 0.12, "q4_k": 0.1}[plan]
    again = parts(load_model(tmp_path / "m.gguf"))
    for name, value in parts(load_model(folder)).items():
        assert (again[name] - value).norm() <= near * value.norm(), name


def test_blocks_that_a_file_has_are_kept_when_it_is_written_again(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model", hidden=256, expert_ffn=256)
    write_gguf(open_weights(folder), {}, tmp_path / "one.gguf", plan=PLANS["q4_k"])
    write_gguf(open_weights(tmp_path / "one.gguf"), {}, tmp_path / "two.gguf", plan=PLANS["q4_k"])
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        # Root mean square error by llama.cpp's own quantizer on the same numbers, and 1 % more.
        ("normal", 0.0715 * 1.01),
        ("cubed", 0.0900 * 1.01),
        ("uniform", 0.0584 * 1.01),
    ],
)
def test_q4_k_is_read_by_the_library_and_is_as_near_as_llama_cpps(kind: str, error: float) -> None:
    random = torch.Generator().manual_seed(0)
    x = {"normal": torch.randn, "cubed": torch.randn, "uniform": torch.rand}[kind](64, 2048, generator=random)
    x = x**3 if kind == "cubed" else x
    blocks = q4_k(x).numpy()
    assert blocks.dtype == np.uint8 and blocks.shape == (64, 8 * 144)
    off = torch.from_numpy(dequantize(blocks, T.Q4_K)) - x
    assert off.square().mean().sqrt() / x.std() <= error


@pytest.mark.parametrize("value", [0.0, 0.3, -0.3])
def test_q4_k_of_numbers_that_are_all_alike(value: float) -> None:
    found = dequantize(q4_k(torch.full((2, 256), value)).numpy(), T.Q4_K)
    assert np.allclose(found, value, rtol=1e-3)


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("qwen3_moe", {"norm_topk": False}, "norm_topk_prob = false cannot be written as GGUF"),
        ("qwen2_moe", {"norm_topk": True}, "norm_topk_prob = true cannot be written as GGUF"),
        ("qwen3_moe", {"dense_layers": (0,), "ffn": 32}, "mlp_only_layers and decoder_sparse_step cannot be written"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_not_written(
    family: Any, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = tiny_model_folder(tmp_path / "model", family, **changes)
    with pytest.raises(ArtifactError, match=words):
        write_gguf(open_weights(folder), {}, tmp_path / "m.gguf", plan=PLANS["fp32"])
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (tmp_path / "m.gguf").write_text("mine")
    with pytest.raises(ArtifactError, match=r"m\.gguf` already exists"):
        write_gguf(open_weights(folder), {}, tmp_path / "m.gguf", plan=PLANS["fp32"])
    assert (tmp_path / "m.gguf").read_text() == "mine"


def test_no_room_on_the_disk_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model_folder(tmp_path / "model")

    def full(writer: GGUFWriter, tensor: Any) -> None:
        raise OSError("4096 requested and 0 written")  # NumPy's words, and no number

    monkeypatch.setattr(GGUFWriter, "write_tensor_data", full)
    with pytest.raises(DiskFull, match=r"m\.gguf.* cannot be written: No space left"):
        write_gguf(open_weights(folder), {}, tmp_path / "m.gguf", plan=PLANS["fp32"])
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
