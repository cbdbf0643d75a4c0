"""llama.cpp's own converter on exported models: it accepts them, and what it writes is what we have.

Its sources come from CREUSET_LLAMA_CPP (a checkout), or else from llama-cpp-python's source
distribution. Where neither can be had the tests fail: they never pass without having run it.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from creuset.cli import main
from creuset.model.formats.weights import load_model, parts
from creuset.model.rope_scaling import RopeScaling
from creuset.testing import tiny_model_folder, tiny_tokenizer

pytestmark = pytest.mark.slow
SDIST = "llama-cpp-python==0.3.36"
READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy
from gguf import GGUFReader
reader = GGUFReader(sys.argv[2])
fields = {}
for name, field in reader.fields.items():
    value = field.contents()
    fields[name] = value if isinstance(value, (str, int, float, bool, list)) else str(value)
numpy.savez(sys.argv[3], **{t.name: t.data for t in reader.tensors})
print(json.dumps(fields))
"""


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("CREUSET_LLAMA_CPP"):
        return Path(given)
    folder = tmp_path_factory.mktemp("llama")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python", SDIST]
    subprocess.run([*command, "-d", str(folder)], check=True, timeout=900)
    (archive,) = folder.glob("*.tar.gz")
    wanted = ("convert_hf_to_gguf.py", "conversion/", "gguf-py/gguf/")
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.name.partition("/vendor/llama.cpp/")[2].startswith(wanted)]
        tar.extractall(folder, members, filter="data")
    return next(folder.glob("*/vendor/llama.cpp"))


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "qwen2-untied": ("qwen2", {"tie_embeddings": False, "rope_theta": 1e6}),
    "qwen3-yarn": ("qwen3", {"rope_scaling": RopeScaling(kind="yarn", factor=4.0, original_context=64)}),
    "qwen2_moe": ("qwen2_moe", {}),
    "qwen3_moe": ("qwen3_moe", {}),
}
NAMES = {
    "embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}  # fmt: skip


def wanted_tensors(folder: Path) -> dict[str, np.ndarray]:
    """The model's weights under llama.cpp's names; experts stacked again."""
    out: dict[str, Any] = {}
    for name, value in parts(load_model(folder)).items():
        short = name.removeprefix("model.")
        if ".experts." in short:
            layer, expert, kind = short.split(".")[1], short.split(".")[4], short.split(".")[5]
            key = f"blk.{layer}.ffn_{kind.removesuffix('_proj')}_exps.weight"
            out.setdefault(key, {})[int(expert)] = value.numpy()
        elif short.startswith("layers."):
            _, layer, rest = short.split(".", 2)
            middle, end = rest.rsplit(".", 1)
            out[f"blk.{layer}.{NAMES[middle]}.{end}"] = value.numpy()
        else:
            out["output.weight" if short == "lm_head.weight" else NAMES[short]] = value.numpy()
    return {k: np.stack([v[e] for e in sorted(v)]) if isinstance(v, dict) else v for k, v in out.items()}


@pytest.mark.parametrize("case", CASES)
def test_llama_cpp_converts_an_export_and_keeps_every_number(case: str, llama_cpp: Path, tmp_path: Path) -> None:
    family, changes = CASES[case]
    folder = tiny_model_folder(tmp_path / "model", family, **changes)  # type: ignore[arg-type]
    file = tmp_path / "model.gguf"
    command = ["export", str(folder), str(tmp_path / "out"), "--dtype", "fp32", "--gguf", str(file)]
    assert main([*command, "--llama-cpp", str(llama_cpp)]) == 0

    arrays = tmp_path / "tensors.npz"
    read = [sys.executable, "-c", READ, str(llama_cpp / "gguf-py"), str(file), str(arrays)]
    fields = json.loads(subprocess.run(read, check=True, capture_output=True, text=True).stdout)
    tokenizer = tiny_tokenizer()
    architecture = family.replace("_", "")
    assert fields["general.architecture"] == architecture
    assert fields["tokenizer.ggml.pre"] == "qwen2"
    assert len(fields["tokenizer.ggml.tokens"]) == tokenizer.vocab_size
    assert fields["tokenizer.ggml.tokens"].index("<|im_end|>") == tokenizer.im_end
    assert fields["tokenizer.ggml.eos_token_id"] == tokenizer.im_end
    assert "<|im_start|>" in fields["tokenizer.chat_template"]
    if family.endswith("moe"):
        assert fields[f"{architecture}.expert_count"] == 4 and fields[f"{architecture}.expert_used_count"] == 2
    if "yarn" in changes:
        assert fields[f"{architecture}.rope.scaling.type"] == "yarn"
        assert fields[f"{architecture}.rope.scaling.factor"] == 4.0

    wanted = wanted_tensors(folder)
    with np.load(arrays) as found:
        assert set(found.files) == set(wanted)
        for name, value in wanted.items():
            # llama.cpp keeps what Hugging Face has as (1, C) as (C).
            assert np.array_equal(np.asarray(found[name], np.float32).reshape(value.shape), value), name


def test_the_converter_as_it_comes_refuses_a_vocabulary_it_does_not_know(llama_cpp: Path, tmp_path: Path) -> None:
    """Why `--gguf` exists; when this fails, llama.cpp has learned to read patterns and gguf.py can go."""
    folder = tiny_model_folder(tmp_path / "model")
    assert main(["export", str(folder), str(tmp_path / "out")]) == 0
    script, file = str(llama_cpp / "convert_hf_to_gguf.py"), str(tmp_path / "model.gguf")
    command = [sys.executable, script, str(tmp_path / "out"), "--outfile", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "BPE pre-tokenizer was not recognized" in done.stderr
