"""ggml's types: which there are, their values, and how numbers become blocks. The `gguf` library knows them all.

What the library reads and does not write, Q4_K, is written by k_blocks.py.
"""

import warnings
from typing import Any

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from torch import Tensor

from creuset.core.errors import ArtifactError
from creuset.model.formats.gguf.fit import q4_0, q4_1
from creuset.model.formats.gguf.k_blocks import q4_k

# Plain numbers, and torch's name for them.
PLAIN = {
    GGMLQuantizationType.F32: torch.float32,
    GGMLQuantizationType.F16: torch.float16,
    GGMLQuantizationType.BF16: torch.bfloat16,
}
SEARCHED = {GGMLQuantizationType.Q4_0: q4_0, GGMLQuantizationType.Q4_1: q4_1}
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def dequantized(blocks: Tensor, kind: str) -> Tensor:
    """The fp32 values of `blocks` (rows, bytes of a row) of ggml's type `kind`, as the gguf library computes them."""
    from gguf.quants import dequantize

    try:
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.ascontiguousarray(dequantize(blocks.numpy(), GGMLQuantizationType[kind])))
    except NotImplementedError as error:
        raise ArtifactError(f"weights of type {kind} are not read: the gguf library cannot dequantize them") from error


def quantized(
    values: Tensor, kind: GGMLQuantizationType, *, searched: bool = False, importance: Tensor | None = None
) -> Bytes:
    """`values`, fp32 (rows, width), as bytes (rows, bytes of a row). The width is a multiple of the type's block.

    `searched`: the scales of 4 bits are those with the least error (fit.py); an error counts by the `importance`
    (width) of its input.
    """
    from gguf.quants import quantize

    if kind in PLAIN:
        return values.to(PLAIN[kind]).contiguous().view(torch.uint8).numpy()
    if kind == GGMLQuantizationType.Q4_K:
        return q4_k(values, importance).numpy()
    if searched and kind in SEARCHED:
        return SEARCHED[kind](values, importance).numpy()
    return quantize(values.numpy(), kind)


def fits(width: int, kind: GGMLQuantizationType) -> bool:
    return width % GGML_QUANT_SIZES[kind][0] == 0


def tensor_of(raw: np.ndarray[Any, Any]) -> Tensor:
    """The same memory as a tensor. The map of a file is read-only, of which torch warns: nobody writes to weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(raw)
