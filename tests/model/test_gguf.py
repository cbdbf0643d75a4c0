"""Our GGUF files against those of llama.cpp's own converter: the same numbers and the same keys, and both are read.

Where its sources cannot be had the tests are skipped, with the reason: they never pass without having run it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.cli import main
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf.config import CONTROL
from creuset.model.formats.weights import load_model
from creuset.model.rope_scaling import RopeScaling, yarn
from creuset.testing import tiny_model_folder
from tests.model.llama_cpp import convert, sources

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources(tmp_path_factory.mktemp("llama"))


DEEP = RopeScaling(kind="yarn", factor=4.0, original_context=64, mscale=1.0, mscale_all_dim=1.0)
OSS = RopeScaling(kind="yarn", factor=4.0, original_context=64, truncate=False)
LLAMA3 = RopeScaling(kind="llama3", factor=8.0, original_context=64)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"tie_embeddings": False}),
    "llama3.1": ("llama", {"rope_scaling": LLAMA3, "head_dim": 32}),
    "mistral": ("mistral", {}),
    "qwen2": ("qwen2", {}),
    "qwen2-untied": ("qwen2", {"tie_embeddings": False, "rope_theta": 1e6}),
    "qwen3-yarn": ("qwen3", {"rope_scaling": yarn(4.0, 64)}),
    "qwen2_moe": ("qwen2_moe", {"norm_topk": False}),
    "qwen3_moe": ("qwen3_moe", {}),
    # Gemma 2 and Phi 3 are not here: the converter wants their sentencepiece files.
    "gemma3": ("gemma3_text", {"window": 8, "local_rope_theta": 5000.0, "layers": 6, "window_layers": (0, 1, 2, 3, 4)}),
    "olmo2": ("olmo2", {"tie_embeddings": False}),
    "olmo3": ("olmo3", {"tie_embeddings": False, "window_layers": (1,), "rope_scaling": yarn(4.0, 64)}),
    "mixtral": ("mixtral", {}),
    "olmoe": ("olmoe", {"norm_topk": False, "norm_eps": 1e-5}),
    "deepseek_v2": ("deepseek_v2", {"norm_topk": False, "tie_embeddings": False}),
    "deepseek_v3": ("deepseek_v3", {"tie_embeddings": False, "rope_scaling": DEEP}),
    "gpt_oss": ("gpt_oss", {"tie_embeddings": False, "rope_scaling": OSS}),
}
# What the converter says of where a model comes from, and keys that have llama.cpp's own default.
NOT_COMPARED = ("general.", "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.add_eos_token")


def compared(metadata: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in metadata.items() if not key.startswith(NOT_COMPARED)}
    # Tokens like <|fim_prefix|>, which our tokenizer shows, are control tokens for the converter by their look.
    found["tokenizer.ggml.token_type"] = [
        CONTROL if text.startswith("<|") and text.endswith("|>") and not text.startswith("<|filler") else kind
        for text, kind in zip(found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"], strict=True)
    ]
    return found


@pytest.mark.parametrize("case", CASES)
def test_our_file_is_that_of_llama_cpp(case: str, llama_cpp: Path, tmp_path: Path) -> None:
    family, changes = CASES[case]
    folder = tiny_model_folder(tmp_path / "model", family, **changes)  # type: ignore[arg-type]
    theirs = GgufFile(convert(llama_cpp, folder, tmp_path / "theirs.gguf"))
    assert main(["export", str(folder), "--gguf", str(tmp_path / "ours.gguf"), "--dtype", "fp32"]) == 0
    ours = GgufFile(tmp_path / "ours.gguf")
    assert {name: (t.shape, t.type) for name, t in ours.tensors.items()} == {
        name: (t.shape, t.type) for name, t in theirs.tensors.items()
    }
    for name in ours.tensors:
        assert np.array_equal(ours.raw(name), theirs.raw(name)), name
    mine, wanted = compared(ours.metadata), compared(theirs.metadata)
    assert {key: mine.get(key) for key in wanted} == wanted
    for path in (tmp_path / "theirs.gguf", tmp_path / "ours.gguf"):
        again = load_model(path)
        # llama.cpp has one architecture for both.
        alike = {"family": "llama"} if family == "mistral" else {}
        assert again.config == replace(load_model(folder).config, **alike)
        for (name, a), b in zip(again.named_parameters(), load_model(folder).parameters(), strict=True):
            assert torch.equal(a, b), name
