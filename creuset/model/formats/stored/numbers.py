"""Numbers of files as NumPy arrays, those that NumPy has no name for included. torch only where a tensor is asked for.

bf16 and fp8 are arrays of bits whose dtype has one field: it tells them from whole numbers of the same size.
"""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]

BF16 = np.dtype([("bf16", "<u2")])
E4M3 = np.dtype([("e4m3", "u1")])  # fp8: 4 bits of exponent, 3 of fraction, no infinity
E5M2 = np.dtype([("e5m2", "u1")])
# What a safetensors file calls a type.
STORED: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": BF16, "F8_E4M3": E4M3,
    "F8_E5M2": E5M2, "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}  # fmt: skip
_AT_ONCE = 1 << 22  # numbers that are looked at together
_EXPONENT: dict[np.dtype[Any], int] = {BF16: 0x7F80, np.dtype(np.float16): 0x7C00}  # all bits set: not finite


def spelled(dtype: np.dtype[Any]) -> str:
    """`float32`, `int8`, `bf16`."""
    return dtype.names[0] if dtype.names else dtype.name


def floating(dtype: np.dtype[Any]) -> bool:
    """Whether it is of plain numbers: fp64, fp32, fp16 or bf16."""
    return dtype == BF16 or dtype.kind == "f"


def fp32(values: Array) -> NDArray[np.float32]:
    """Plain numbers in fp32; the same memory where they are that."""
    if values.dtype == BF16:
        wide: NDArray[np.float32] = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return wide
    return values.astype(np.float32, copy=False)


def finite(values: Array) -> bool:
    """Whether all plain numbers are finite."""
    return all(_finite(part) for part in _parts(values) if part.size)


def dequantized(codes: NDArray[np.int8], scales: Array) -> NDArray[np.float32]:
    """Codes (..., in) times scales (..., in / group), fp32; model/quant.py is its definition."""
    grouped = codes.reshape(*scales.shape, codes.shape[-1] // scales.shape[-1]).astype(np.float32)
    grouped *= fp32(scales)[..., None]
    return grouped.reshape(codes.shape)


def tensor_of(values: Array) -> "Tensor":
    """The same memory as a tensor. It may be read-only, of which torch warns: nobody writes to weights."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if values.dtype == BF16:
            return torch.from_numpy(values.view(np.uint16)).view(torch.bfloat16)
        return torch.from_numpy(values)


def array_of(tensor: "Tensor") -> Array:
    """The same memory as an array, where the tensor lies on the CPU; a copy from elsewhere."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        bits: Array = tensor.contiguous().view(torch.uint16).numpy().view(BF16)
        return bits
    found: Array = tensor.numpy()
    return found


def _parts(values: Array) -> Iterator[Array]:
    if values.ndim < 2:
        yield values
        return
    step = max(1, _AT_ONCE // max(1, values[0].size)) if len(values) else 1
    for begin in range(0, len(values), step):
        yield values[begin : begin + step]


def _finite(part: Array) -> bool:
    exponent = _EXPONENT.get(part.dtype)
    if exponent is not None:
        return not bool(((part.view(np.uint16) & exponent) == exponent).any())
    return bool(np.isfinite(part.min()) and np.isfinite(part.max()))  # a NaN is both
