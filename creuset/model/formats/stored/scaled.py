"""Numbers that published files store in 8 or 4 bits with scales beside them, as plain numbers.

fp8      float8 e4m3, one fp32 scale for each block of 128 x 128 (DeepSeek-V3, arXiv:2412.19437, section 3.3):
         NAME.weight and NAME.weight_scale_inv. The value is code x scale, whatever the name says
MXFP4    float4 e2m1, two a byte, low half first, one power of two for each 32 along the inputs (OCP Microscaling
         Formats, version 1.0; gpt-oss): NAME_blocks (..., inputs / 32, 16) and NAME_scales (..., inputs / 32),
         whose byte s stands for 2 to the power of s - 127
"""

import numpy as np
from numpy.typing import NDArray

from creuset.model.formats.stored.numbers import Array, fp32

MXFP4_GROUP = 32
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def fp8_values(codes: Array, scales: Array, block: tuple[int, int]) -> NDArray[np.float32]:
    """(out, in); `scales` is (out / rows of a block, in / columns of a block), both rounded up."""
    rows, columns = block
    out = _e4m3()[codes.view(np.uint8)]
    wide = np.repeat(fp32(scales), columns, axis=1)[:, : codes.shape[1]]
    for at, scale in enumerate(wide):
        out[at * rows : (at + 1) * rows] *= scale
    return out


def _e4m3() -> NDArray[np.float32]:
    """What each of the 256 codes stands for."""
    code = np.arange(256)
    exponent, fraction = (code >> 3) & 15, code & 7
    size = np.where(exponent == 0, fraction / 8 * 2.0**-6, (1 + fraction / 8) * 2.0 ** (exponent - 7.0))
    size[(code & 127) == 127] = np.nan
    return np.where(code > 127, -size, size).astype(np.float32)


def mxfp4_values(blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., in), of bytes (..., in / 32, 16) and scales (..., in / 32). A scale of 255 is not a number."""
    table = np.array([*_E2M1, *(-value for value in _E2M1)], dtype=np.float32)
    power = np.ldexp(np.float32(1), np.minimum(scales, 254).astype(np.int32) - 127)
    power[scales == 255] = np.nan
    values = np.empty((*blocks.shape, 2), dtype=np.float32)
    values[..., 0], values[..., 1] = table[blocks & 15], table[blocks >> 4]
    values *= power[..., None, None]
    return values.reshape(*scales.shape[:-1], scales.shape[-1] * MXFP4_GROUP)
