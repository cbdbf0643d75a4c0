"""Numbers that published files store in 8 or 4 bits with scales beside them, as plain numbers.

fp8      float8 e4m3, one fp32 scale for each block of 128 x 128 (DeepSeek-V3, arXiv:2412.19437, section 3.3):
         NAME.weight and NAME.weight_scale_inv. The value is code x scale, whatever the name says
MXFP4    float4 e2m1, two a byte, low half first, one power of two for each 32 along the inputs (OCP Microscaling
         Formats, version 1.0; gpt-oss): NAME_blocks (..., inputs / 32, 16) and NAME_scales (..., inputs / 32),
         whose byte s stands for 2 to the power of s - 127
"""

import torch
from torch import Tensor

MXFP4_GROUP = 32
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def fp8_values(codes: Tensor, scales: Tensor, block: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """(out, in) in `dtype`; `scales` is (out / rows of a block, in / columns of a block), both rounded up."""
    rows, columns = block
    wide = scales.float().repeat_interleave(rows, 0)[: codes.shape[0]]
    # Row by row of blocks: the whole in fp32 would be four times the file.
    out = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    for first in range(0, codes.shape[0], rows):
        part = slice(first, first + rows)
        out[part] = codes[part].float() * wide[part].repeat_interleave(columns, 1)[:, : codes.shape[1]]
    return out


def mxfp4_values(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """(..., in) in `dtype`, of bytes (..., in / 32, 16) and scales (..., in / 32). A scale of 255 is not a number."""
    table = torch.tensor([*_E2M1, *(-value for value in _E2M1)], dtype=torch.float32, device=blocks.device)
    codes = torch.stack((blocks & 15, blocks >> 4), dim=-1).flatten(-2)
    power = torch.ldexp(torch.ones(scales.shape, device=scales.device), scales.to(torch.int32) - 127)
    power = power.masked_fill(scales == 255, float("nan"))
    return (table[codes.int()] * power[..., None]).flatten(-2).to(dtype)
