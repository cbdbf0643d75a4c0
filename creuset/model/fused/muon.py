"""Muon's update of matrices by the native library, each in one call from gradient to weights (native/train_muon.inc).

The definition is creuset/train/optim.py. Two things differ, both by roundings only: symmetric products are computed by
halves, and a matrix stays in the cache.
"""

import ctypes
from collections.abc import Sequence
from ctypes import addressof, c_float, c_int32, c_void_p
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from creuset.model.fused import interface as native


class MuonStack(NamedTuple):
    """Of the same matrices, (B, M, N) each, in fp32."""

    masters: Tensor
    first: Tensor  # moments
    gradients: Tensor


class _Unit(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("master", "first", "grad")], ("rows", c_int32), ("columns", c_int32),
    ]  # fmt: skip


class _Muon(ctypes.Structure):
    _fields_: ClassVar = [
        ("units", c_void_p), *[(name, c_float) for name in ("momentum", "a", "b", "c", "rate", "decay")],
        ("iterations", c_int32),
    ]  # fmt: skip


def updates(rows: int, columns: int, dtype: torch.dtype) -> bool:
    """Whether `update` has this size and type. bf16 takes a processor with products of it, and CREUSET_ISA's leave."""
    sizes = not (rows % 32 or columns % 32) and max(rows, columns) <= 4096
    return sizes and (dtype == torch.float32 or (dtype == torch.bfloat16 and native.has_bf16_products()))


def update(
    stacks: Sequence[MuonStack],
    *,
    dtype: torch.dtype,
    momentum: float,
    coefficients: tuple[float, float, float],
    iterations: int,
    rate: float,
    decay: float,
) -> None:
    """For each matrix of each stack: move its first moment, make Nesterov's update orthogonal with products in `dtype`,
    and set master = decay * master - rate * sqrt(max(M, N)) * update."""
    units = [
        _Unit(*(x.data_ptr() + i * rows * columns * 4 for x in stack), rows, columns)
        for stack in stacks
        for rows, columns in [stack[0].shape[-2:]]
        for i in range(stack[0].numel() // (rows * columns))
    ]
    assert all(x.is_contiguous() and x.dtype == torch.float32 for stack in stacks for x in stack)
    together = (_Unit * len(units))(*units)
    about = _Muon(addressof(together), momentum, *coefficients, rate, decay, iterations)
    native.muon(about, dtype == torch.bfloat16, len(units))
