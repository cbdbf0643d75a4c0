"""ggml's types: which there are, their values, and how numbers become blocks. The `gguf` library knows them all.

What the library reads and does not write, Q4_K, is written by k_blocks.py.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError
from creuset.model.formats.stored.numbers import BF16

if TYPE_CHECKING:
    from torch import Tensor

# Plain numbers, and NumPy's type for them.
PLAIN: dict[GGMLQuantizationType, np.dtype[Any]] = {
    GGMLQuantizationType.F32: np.dtype("<f4"),
    GGMLQuantizationType.F16: np.dtype("<f2"),
    GGMLQuantizationType.BF16: BF16,
}
Bytes = NDArray[np.uint8]


def dequantized(blocks: Bytes, kind: str) -> NDArray[np.float32]:
    """The fp32 values of `blocks` (rows, bytes of a row) of ggml's type `kind`, as the gguf library computes them."""
    from gguf.quants import dequantize

    try:
        with np.errstate(all="ignore"):
            found: NDArray[np.float32] = np.ascontiguousarray(dequantize(blocks, GGMLQuantizationType[kind]))
            return found
    except NotImplementedError as error:
        raise ArtifactError(f"weights of type {kind} are not read: the gguf library cannot dequantize them") from error


def quantized(
    values: "Tensor", kind: GGMLQuantizationType, *, searched: bool = False, importance: "Tensor | None" = None
) -> Bytes:
    """`values`, fp32 (rows, width), as bytes (rows, bytes of a row). The width is a multiple of the type's block.

    `searched`: the scales of 4 bits are those with the least error (fit.py); an error counts by the `importance`
    (width) of its input.
    """
    import torch
    from gguf.quants import quantize

    from creuset.model.formats.gguf.fit import q4_0, q4_1
    from creuset.model.formats.gguf.k_blocks import q4_k

    plain = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    if kind in PLAIN:
        raw: Bytes = values.to(plain[kind.name]).contiguous().view(torch.uint8).numpy()
        return raw
    if kind == GGMLQuantizationType.Q4_K:
        raw = q4_k(values, importance).numpy()
        return raw
    if searched and kind in (GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q4_1):
        raw = (q4_0 if kind == GGMLQuantizationType.Q4_0 else q4_1)(values, importance).numpy()
        return raw
    return quantize(values.numpy(), kind)


def fits(width: int, kind: GGMLQuantizationType) -> bool:
    return width % GGML_QUANT_SIZES[kind][0] == 0
