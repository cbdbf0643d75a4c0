"""Models in GGUF files: every type of weight, every way of laying them out, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import _type_traits, dequantize, quantize

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf.write import PLANS, write_gguf
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model, open_weights, parts
from creuset.model.hub import end_ids, recommended_sampling
from creuset.model.rope_scaling import RopeScaling, yarn
from creuset.testing import tiny_model_folder

Numbers = np.ndarray[Any, Any]
LLAMA3 = RopeScaling(kind="llama3", factor=8.0, original_context=64, high_freq_factor=3.0)
LONG = RopeScaling(
    kind="longrope",
    original_context=64,
    attention_factor=1.25,
    short_factor=(1.0, 1.1, 1.5),
    long_factor=(1.0, 2.0, 8.5),
)
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"rope_scaling": LLAMA3, "head_dim": 32, "attention_bias": True, "mlp_bias": True},
    "qwen2": {"rope_scaling": RopeScaling(kind="linear", factor=2.0)},
    "qwen3": {"rope_scaling": yarn(4.0, 64), "tie_embeddings": False},
    "qwen2_moe": {"norm_topk": False},
    "qwen3_moe": {},
    "gemma2": {"attention_cap": 50.0, "final_cap": 30.0},
    "gemma3_text": {"local_rope_theta": 5000.0, "rope_scaling": RopeScaling(kind="linear", factor=8.0), "window": 8},
    "phi3": {"rotary_dim": 6, "window": 32, "window_layers": (0, 1), "rope_scaling": LONG},
    "olmo2": {"tie_embeddings": False},
    "olmo3": {"window_layers": (1,), "rope_scaling": yarn(4.0, 64), "rope_theta": 5e5},
    "mixtral": {},
    "olmoe": {"norm_topk": False},
    "deepseek_v2": {"norm_topk": False},
    "deepseek_v3": {},
    "gpt_oss": {},
}  # fmt: skip
YARNS: dict[str, RopeScaling] = {
    "deepseek_v3": RopeScaling(kind="yarn", factor=4.0, original_context=64, mscale=1.0, mscale_all_dim=1.0),
    "gpt_oss": RopeScaling(kind="yarn", factor=4.0, original_context=64, truncate=False),
}


def written(folder: Path, family: str = "qwen3", plan: str = "fp32", **changes: Any) -> tuple[Path, Path]:
    """A tiny model as a folder, and as a GGUF file without a vocabulary."""
    model = tiny_model_folder(folder / "model", family, **(FAMILIES[family] | changes))  # type: ignore[arg-type]
    write_gguf(open_weights(model), {}, folder / "m.gguf", plan=PLANS[plan])
    return model, folder / "m.gguf"


def rewritten(file: Path, target: Path, tensors: dict[str, Any], **keys: Any) -> Path:
    """`file` with other tensors (an array, or (bytes, type)) and keys; None leaves out what was there."""
    found = GgufFile(file)
    old = {n: (found.raw(n), t.type) for n, t in found.tensors.items()}
    writer = GGUFWriter(target, found.metadata["general.architecture"])
    for key, value in (found.metadata | keys).items():
        if key != "general.architecture" and value is not None:
            kind = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
            kind.get(type(value), writer.add_array)(key, value)  # type: ignore[operator]
    for name, value in (old | tensors).items():
        if isinstance(value, tuple):
            writer.add_tensor(name, value[0], raw_dtype=value[1])
        elif value is not None:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_is_read_back_to_the_last_bit(family: str, tmp_path: Path) -> None:
    folder, file = written(tmp_path, family)
    assert config_of(file) == config_of(folder)
    ours, again = parts(load_model(folder)), parts(load_model(file))
    assert ours.keys() == again.keys()
    for name, value in ours.items():
        assert torch.equal(value, again[name]), name


@pytest.mark.parametrize("family", YARNS)
def test_yarn_goes_and_comes_back_in_each_familys_own_words(family: str, tmp_path: Path) -> None:
    folder, file = written(tmp_path, family, rope_scaling=YARNS[family])
    assert config_of(file) == config_of(folder) and config_of(file).rope_scaling is not None


def test_an_older_file_of_deepseek_has_one_matrix_for_keys_and_values(tmp_path: Path) -> None:
    folder, file = written(tmp_path, "deepseek_v2")
    wanted = parts(load_model(folder))
    changes: dict[str, Any] = {}
    for layer in range(2):
        name = f"model.layers.{layer}.self_attn.kv_b_proj.weight"
        changes |= {f"blk.{layer}.attn_{part}_b.weight": None for part in "kv"}
        changes[f"blk.{layer}.attn_kv_b.weight"] = wanted[name].numpy()
    old = {"attention.key_length_mla": None, "attention.value_length_mla": None, "attention.key_length": 20}
    keys = old | {"attention.value_length": 10, "attention.head_count_kv": 4}
    older = rewritten(file, tmp_path / "old.gguf", changes, **{f"deepseek2.{k}": v for k, v in keys.items()})
    assert config_of(older) == config_of(folder)
    for name, value in parts(load_model(older)).items():
        assert torch.equal(value, wanted[name]), name


KINDS = [*_type_traits, GGMLQuantizationType.F32, GGMLQuantizationType.F16]


def blocks(kind: GGMLQuantizationType, rows: int, width: int, seed: int) -> Numbers:
    """Rows of a type: by the library's quantizer, or else any bytes that stand for finite numbers."""
    random = np.random.default_rng(seed)
    try:
        return quantize(random.normal(size=(rows, width)).astype(np.float32), kind).view(np.uint8)
    except NotImplementedError:
        block, size = GGML_QUANT_SIZES[kind]
        raw = random.integers(0, 256, (rows * width // block, size), np.uint8)
        with np.errstate(all="ignore"):
            finite = np.isfinite(dequantize(raw, kind)).all(-1)
        assert finite.mean() > 0.5
        return np.where(finite[:, None], raw, 0).reshape(rows, -1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_type_has_the_values_of_the_library_and_keeps_its_blocks(
    kind: GGMLQuantizationType, tmp_path: Path
) -> None:
    shape = {"hidden": 256, "layers": 1, "ffn": 256, "head_dim": 64}
    _, file = written(tmp_path, "qwen3", **shape)
    tensors = {
        name: (blocks(kind, *tensor.shape, seed), kind)
        for seed, (name, tensor) in enumerate(GgufFile(file).tensors.items())
        if len(tensor.shape) == 2
    }
    other = rewritten(file, tmp_path / "other.gguf", tensors)
    names = {
        "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
        "model.embed_tokens.weight": "token_embd.weight",
    }
    stored = {tensor.name: tensor for tensor in open_weights(other).tensors()}
    loaded = parts(load_model(other))
    for ours, theirs in names.items():
        wanted = dequantize(tensors[theirs][0], kind)
        assert np.array_equal(stored[ours].values(torch.float32).numpy(), wanted)
        assert np.array_equal(loaded[ours].numpy(), wanted) and stored[ours].shape == wanted.shape
        assert np.array_equal(stored[ours].codes.view(np.uint8), tensors[theirs][0])
        assert stored[ours].kind == ("" if kind.name in ("F32", "F16", "BF16") else kind.name)


def test_matrices_that_lie_one_below_the_other_are_taken_apart(tmp_path: Path) -> None:
    folder, file = written(tmp_path, "qwen3_moe")
    found = GgufFile(file)

    def values(name: str) -> Numbers:
        return found.raw(name).view(np.float32)

    changes: dict[str, Any] = {}
    for layer in range(2):
        block = f"blk.{layer}."
        changes[block + "attn_qkv.weight"] = np.concatenate([values(f"{block}attn_{x}.weight") for x in "qkv"])
        experts = [values(f"{block}ffn_{x}_exps.weight") for x in ("gate", "up")]
        changes[block + "ffn_gate_up_exps.weight"] = np.concatenate(experts, axis=1)
        apart = ["attn_q", "attn_k", "attn_v", "ffn_gate_exps", "ffn_up_exps"]
        changes |= {f"{block}{name}.weight": None for name in apart}
    fused = rewritten(file, tmp_path / "fused.gguf", changes)
    for (name, a), b in zip(parts(load_model(folder)).items(), parts(load_model(fused)).values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize(
    ("tensors", "keys", "words"),
    [
        ({"blk.1.attn_k.weight": None}, {}, r"tensor `blk\.1\.attn_k\.weight` is missing"),
        ({"blk.7.attn_k.weight": np.ones((2, 2), np.float32)}, {}, r"tensor `blk\.7\.attn_k\.weight` is not part of"),
        (
            {"blk.1.attn_k.weight": np.ones((16, 64), np.float32)}, {},
            r"tensor `blk\.1\.attn_k\.weight` has shape \[16, 64\], not \[16, 32\]",
        ),
        (
            {"output_norm.weight": np.full(32, np.nan, np.float32)}, {},
            r"tensor `model\.norm\.weight` has values that are not finite",
        ),
        ({}, {"qwen3.block_count": None}, r"qwen3\.block_count must be one whole number, got None"),
        ({}, {"qwen3.attention.head_count": [4, 2]}, r"head_count must be one whole number, got \[4, 2\]"),
        ({}, {"general.type": "adapter"}, "general.type is `adapter`, not `model`"),
        ({}, {"qwen3.rope.scaling.type": "su", "qwen3.rope.scaling.factor": 2.0}, "rope.scaling.type `su` is not supp"),
        ({"token_embd.weight": None}, {}, r"tensor `token_embd\.weight` is missing"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_model_that_is_not_whole_is_refused_by_name(
    tensors: dict[str, Any], keys: dict[str, Any], words: str, tmp_path: Path
) -> None:
    _, file = written(tmp_path)
    with pytest.raises(ArtifactError, match=words) as refused:
        load_model(rewritten(file, tmp_path / "bad.gguf", tensors, **keys))
    assert "bad.gguf" in str(refused.value)


def test_divisors_of_rotary_pairs_are_llama_3s_or_none(tmp_path: Path) -> None:
    _, file = written(tmp_path, "llama")
    assert config_of(file).rope_scaling == LLAMA3
    ones = {"rope_freqs.weight": np.ones(16, np.float32)}
    assert config_of(rewritten(file, tmp_path / "ones.gguf", ones)).rope_scaling is None
    odd = {"rope_freqs.weight": np.linspace(1, 3, 16, dtype=np.float32)}
    with pytest.raises(
        ArtifactError, match=r"odd\.gguf`: the divisors in `rope_freqs\.weight` are not those of Llama 3"
    ):
        config_of(rewritten(file, tmp_path / "odd.gguf", odd))
    _, other = written(tmp_path / "other", "qwen3")
    with pytest.raises(ArtifactError, match=r"tensor `rope_freqs\.weight` is not part of the model"):
        load_model(rewritten(other, tmp_path / "bad.gguf", ones))


def test_an_architecture_that_does_not_run_is_refused_by_its_name(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ArtifactError, match=r"general\.architecture `mamba` is not one that runs here") as refused:
        open_weights(tmp_path / "m.gguf")
    assert "llama" in refused.value.hint


def test_ends_and_sampling_come_from_the_file(tmp_path: Path) -> None:
    _, file = written(tmp_path)
    assert end_ids(file) == set()
    assert recommended_sampling(file) == {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.0}
    tokens = ["a", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "b", "c"]
    keys = {
        "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [1, 3, 3, 1, 1, 1],
        "tokenizer.ggml.eos_token_id": 4, "tokenizer.ggml.eot_token_id": 1,
        "general.sampling.temp": 0.6, "general.sampling.top_k": 64,
    }  # fmt: skip
    # <|eot_id|> is a plain word here, not a control token.
    other = rewritten(file, tmp_path / "other.gguf", {}, **keys)
    assert end_ids(other) == {1, 2, 4}
    assert recommended_sampling(other) == {"temperature": 0.6, "top_p": 0.8, "top_k": 64, "repetition_penalty": 1.0}
    harmony = keys | {"tokenizer.ggml.tokens": ["<|return|>", "<|call|>", "<|end|>"]}
    harmony |= {"tokenizer.ggml.token_type": [3, 3, 3], "tokenizer.ggml.eos_token_id": 0}
    harmony["tokenizer.ggml.eot_token_id"] = None
    assert end_ids(rewritten(file, tmp_path / "harmony.gguf", {}, **harmony)) == {0, 1}
