"""DeepSeek's `kv_b_proj` in GGUF: two tensors, so that llama.cpp need not make keys and values.

Hugging Face has one matrix (H (N + V), L): for each head N rows that make its key of the latent and V rows that make
its value. llama.cpp has the first, turned over, as k_b (H, L, N), and the others as v_b (H, V, L). Older files have
the one matrix.

Shapes: H heads    N width of a key without positions    V width of a value    L width of the latent
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from creuset.model.config import LatentShape, ModelConfig
from creuset.model.formats.weights import StoredTensor

Numbers = NDArray[np.float32]
WHOLE, KEYS, VALUES = ".kv_b_proj.", ".k_b_proj.", ".v_b_proj."


def apart_shapes(config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """`shapes`, with the two in the place of the one."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if WHOLE in name and (latent := config.latent) is not None:
            found[name.replace(WHOLE, KEYS)] = (config.heads, latent.kv_rank, latent.nope)
            found[name.replace(WHOLE, VALUES)] = (config.heads, latent.value, latent.kv_rank)
        else:
            found[name] = shape
    return found


def apart(config: ModelConfig, tensors: Iterable[StoredTensor]) -> Iterator[StoredTensor]:
    for tensor in tensors:
        if WHOLE in tensor.name and (latent := config.latent) is not None:
            k_HLN, v_HVL = _apart(tensor.fp32(), latent)
            yield StoredTensor(tensor.name.replace(WHOLE, KEYS), k_HLN, None)
            yield StoredTensor(tensor.name.replace(WHOLE, VALUES), v_HVL, None)
        else:
            yield tensor


def joined(tensors: Iterable[StoredTensor]) -> Iterator[StoredTensor]:
    """The other way round. Values are computed: the two lie otherwise than the one."""
    keys: dict[str, StoredTensor] = {}
    for tensor in tensors:
        if KEYS in tensor.name:
            keys[tensor.name.replace(KEYS, WHOLE)] = tensor
        elif VALUES in tensor.name:
            name = tensor.name.replace(VALUES, WHOLE)
            k_HNL, v_HVL = keys.pop(name).fp32().swapaxes(1, 2), tensor.fp32()
            yield StoredTensor(name, np.concatenate((k_HNL, v_HVL), axis=1).reshape(-1, v_HVL.shape[-1]), None)
        else:
            yield tensor


def _apart(kv_XL: Numbers, shape: LatentShape) -> tuple[Numbers, Numbers]:
    kv_HXL = kv_XL.reshape(-1, shape.nope + shape.value, shape.kv_rank)
    return np.ascontiguousarray(kv_HXL[:, : shape.nope].swapaxes(1, 2)), np.ascontiguousarray(kv_HXL[:, shape.nope :])
