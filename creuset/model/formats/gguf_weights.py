"""Weights from a GGUF file, as they are stored: blocks of the file with their type, and their values on request.

Each parameter has Hugging Face's name here; which tensor of the file it is, the `gguf` library's table says. What
llama.cpp's converter changes on the way is undone: rows of q and k in llama (`unpermuted`), experts in one stack,
norms that are stored plus one.

Reading order: `GgufWeights.tensors`, `places`, `unpermuted`.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType
from gguf.tensor_mapping import get_tensor_name_map
from torch import Tensor

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf_config import architecture, config_json
from creuset.model.formats.hf_config import from_hf
from creuset.model.formats.tensors import refuse_difference
from creuset.model.formats.weights import StoredTensor, parts
from creuset.model.transformer import Transformer

_EXPERT = re.compile(r"\.experts\.(\d+)\.")
PLAIN = {
    GGMLQuantizationType.F32: torch.float32,
    GGMLQuantizationType.F16: torch.float16,
    GGMLQuantizationType.BF16: torch.bfloat16,
}
# Derived from the metadata by llama.cpp; read as part of the config.
NOT_WEIGHTS = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}


class GgufWeights:
    def __init__(self, path: Path) -> None:
        self.file = GgufFile(path)
        self.arch = architecture(self.file)
        self.config = from_hf(config_json(self.file))

    def tensors(self) -> Iterator[StoredTensor]:
        """Each weight once. ArtifactError names the tensor that is missing, unexpected or of another shape."""
        with torch.device("meta"):
            wanted = {name: view.shape for name, view in parts(Transformer(self.config)).items()}
        found = places(self.arch, self.config.layers, list(wanted))
        refuse_difference({place for place, _ in found.values()}, set(self.file.tensors) - NOT_WEIGHTS, self.file.path)
        for name, (place, expert) in found.items():
            yield self._tensor(name, place, expert, wanted[name])

    def _tensor(self, name: str, place: str, expert: int | None, wanted: torch.Size) -> StoredTensor:
        stored = self.file.tensors[place]
        shape, raw = stored.shape, self.file.raw(place)
        if expert is not None:
            if expert >= shape[0]:
                raise ArtifactError(f"`{stored.file}`: tensor `{place}` has {shape[0]} experts, not {expert + 1}")
            shape, raw = shape[1:], raw[expert]
        if shape != tuple(wanted):
            raise ArtifactError(f"`{stored.file}`: tensor `{place}` has shape {list(shape)}, not {list(wanted)}")
        if self.arch == "llama" and (heads := self._heads(name)):
            rows = raw.reshape(shape[0], -1)  # a bias has one number a row
            raw = rows[unpermuted(shape[0], heads)].reshape(raw.shape)
        if stored.type in PLAIN:
            return StoredTensor(name, _tensor_of(raw).view(PLAIN[stored.type]), None, file=stored.file)
        return StoredTensor(name, _tensor_of(raw), None, stored.type.name, stored.file)

    def _heads(self, name: str) -> int:
        if ".self_attn.q_proj." in name:
            return self.config.heads
        return self.config.kv_heads if ".self_attn.k_proj." in name else 0


def places(arch: str, layers: int, names: list[str]) -> dict[str, tuple[str, int | None]]:
    """Of each parameter: its tensor in the file, and which expert of the stack it is."""
    number = next(one for one, called in MODEL_ARCH_NAMES.items() if called == arch)
    table = get_tensor_name_map(MODEL_ARCH(number), layers)
    found = {}
    for name in names:
        expert = _EXPERT.search(name)
        place = table.get_name(_EXPERT.sub(".experts.", name), try_suffixes=(".weight", ".bias"))
        if place is None:
            raise ArtifactError(f"parameter `{name}` has no place in a GGUF file of architecture `{arch}`")
        found[name] = place, int(expert[1]) if expert else None
    return found


def unpermuted(rows: int, heads: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Which row of the file is each row of the model, in q and k of llama.

    llama.cpp turns neighbouring numbers of a head, Hugging Face turns number i and i + half: its converter reorders
    the rows of each head for that.
    """
    half = rows // heads // 2
    return np.arange(rows).reshape(heads, half, 2).swapaxes(1, 2).reshape(-1)


def dequantized(blocks: Tensor, kind: str) -> Tensor:
    """The fp32 values of `blocks` (rows, bytes of a row) of ggml's type `kind`, as the gguf library computes them."""
    from gguf.quants import dequantize

    try:
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.ascontiguousarray(dequantize(blocks.numpy(), GGMLQuantizationType[kind])))
    except NotImplementedError as error:
        raise ArtifactError(f"weights of type {kind} are not read: the gguf library cannot dequantize them") from error


def _tensor_of(raw: np.ndarray[Any, Any]) -> Tensor:
    """The same memory as a tensor. The map of the file is read-only, of which torch warns: nobody writes to weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(raw)
