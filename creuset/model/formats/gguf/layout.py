"""Where each parameter of a model lies in a GGUF file, and in which form: one table for reading and for writing.

Parameters bear Hugging Face's names, tensors of the file llama.cpp's; the `gguf` library's table translates. Experts
lie in one stack. Some architectures, and files that were written so as to be faster, hold several matrices one below
the other (`FUSED`). What llama.cpp's converter does to the numbers is undone when they are read: it reorders the rows
of q and k of llama (`unpermuted`), and stores Gemma's norms plus one.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES
from gguf.tensor_mapping import get_tensor_name_map

from creuset.core.errors import ArtifactError
from creuset.model.config import ModelConfig

_EXPERT = re.compile(r"\.experts\.(\d+)\.")
ENDINGS = (".weight", ".bias")
# Whole of the file -> its parts from top to bottom. A part that the file has by itself is taken from there.
FUSED = {"attn_qkv": ("attn_q", "attn_k", "attn_v"), "ffn_gate_up_exps": ("ffn_gate_exps", "ffn_up_exps")}
# In these architectures llama.cpp has the whole only; Phi-3's `ffn_up` is gate and up.
ONLY_FUSED = {"phi3": {"attn_qkv": FUSED["attn_qkv"], "ffn_up": ("ffn_gate", "ffn_up")}}


@dataclass(frozen=True, slots=True)
class Place:
    tensor: str
    expert: int | None = None  # of a stack
    start: int = 0  # first row
    heads: int = 0  # rows of so many heads are in llama.cpp's order
    offset: float = 0.0  # stored plus this


def places(arch: str, config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Place]:
    """Of each parameter, where it lies in a file that has the parts apart wherever llama.cpp allows it."""
    number = next(one for one, called in MODEL_ARCH_NAMES.items() if called == arch)
    table = get_tensor_name_map(MODEL_ARCH(number), config.layers)
    # Parts that the architecture has as a whole only are named as in llama, and put together below.
    other = get_tensor_name_map(MODEL_ARCH.LLAMA, config.layers) if arch in ONLY_FUSED else table
    found: dict[str, Place] = {}
    for name in shapes:
        expert = _EXPERT.search(name)
        plain = _EXPERT.sub(".experts.", name).replace("e_score_correction_bias", "e_score_correction.bias")
        tensor = table.get_name(plain, ENDINGS) or other.get_name(plain, ENDINGS)
        if tensor is None:
            raise ArtifactError(f"parameter `{name}` has no place in a GGUF file of architecture `{arch}`")
        if not tensor.endswith(ENDINGS):
            tensor += ".weight"
        offset = 1.0 if arch in ("gemma2", "gemma3") and tensor.endswith("norm.weight") else 0.0
        found[name] = Place(tensor, int(expert[1]) if expert else None, 0, _heads(arch, config, name), offset)
    return _fused(found, shapes, ONLY_FUSED.get(arch, {}))


def as_stored(
    found: dict[str, Place], shapes: Mapping[str, tuple[int, ...]], tensors: Collection[str]
) -> dict[str, Place]:
    """The places in a file that has `tensors`, some of which may hold several parts."""
    whole = {w: parts for w, parts in FUSED.items() if any(f".{w}." in t for t in tensors)}
    missing = {name: place for name, place in found.items() if place.tensor not in tensors}
    return found | _fused(missing, shapes, whole)


def _fused(
    found: dict[str, Place], shapes: Mapping[str, tuple[int, ...]], whole: Mapping[str, tuple[str, ...]]
) -> dict[str, Place]:
    """`found`, with the parts of `whole` one below the other."""
    part_of = {part: (name, parts.index(part)) for name, parts in whole.items() for part in parts}
    rows = {(place.tensor, place.expert): shapes[name][0] for name, place in found.items()}
    out = {}
    for name, place in found.items():
        block, _, rest = place.tensor.rpartition(".")[0].rpartition(".")
        if rest not in part_of:
            out[name] = place
            continue
        end = place.tensor.rpartition(".")[2]
        into, at = part_of[rest]
        before = [f"{block}.{part}.{end}" for part in whole[into][:at]]
        start = sum(rows.get((one, place.expert), 0) for one in before)
        out[name] = Place(f"{block}.{into}.{end}", place.expert, start, place.heads, place.offset)
    return out


def _heads(arch: str, config: ModelConfig, name: str) -> int:
    if arch != "llama":
        return 0
    if ".self_attn.q_proj." in name:
        return config.heads
    return config.kv_heads if ".self_attn.k_proj." in name else 0


def unpermuted(rows: int, heads: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Which row of the file is each row of the model, in q and k of llama.

    llama.cpp turns neighbouring numbers of a head, Hugging Face turns number i and i + half: its converter reorders
    the rows of each head for that.
    """
    half = rows // heads // 2
    return np.arange(rows).reshape(heads, half, 2).swapaxes(1, 2).reshape(-1)


def permuted(rows: int, heads: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The way back: which row of the model is each row of the file."""
    return np.argsort(unpermuted(rows, heads))
