"""The plain C interface of training (native/train.h) as Python sees it.

A kernel takes contiguous tensors on a CPU, all of one type, fp32 or bf16; widths are multiples of 16 (`fits`). Its
threads are torch's own, as many as `torch.get_num_threads()`, and its results do not depend on their number.
"""

import ctypes
import functools
from ctypes import POINTER, c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from creuset.core.native.library import NativeUnavailable, library

WIDEST_HEAD = 256


class NormRows(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("x", "weight", "y", "inverse", "dy", "more", "dx")],
        ("width", c_int32), ("eps", c_float),
    ]  # fmt: skip


class Heads(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("x", "weight", "cosines", "sines", "y", "inverse", "dy", "dx")],
        *[(name, c_int32) for name in ("heads", "width", "rotated")], ("eps", c_float),
    ]  # fmt: skip


class Swiglu(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("h", "y", "da", "scale", "dscale", "dh")], ("width", c_int32),
    ]  # fmt: skip


class SoftmaxRows(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("logits", "targets", "weights", "losses")], ("vocab", c_int32),
    ]  # fmt: skip


class Sequences(ctypes.Structure):
    _fields_: ClassVar = [
        *[(name, c_void_p) for name in ("bounds", "q", "k", "v", "o", "logs", "go", "dq", "dk", "dv")],
        *[(name, c_int32) for name in ("sequences", "longest", "heads", "groups", "width", "window")],
        ("scale", c_float),
    ]  # fmt: skip


@functools.cache
def _functions() -> ctypes.CDLL:
    """The library, with the signatures of training. Raises NativeUnavailable."""
    functions = library().functions
    rows, sums = [c_int32, c_int64, c_int32], [c_int32, c_int64, c_int32, c_void_p]
    signatures: dict[str, list[object]] = {
        "team": [c_void_p],
        "norm": [POINTER(NormRows), *rows],
        "norm_back": [POINTER(NormRows), *sums],
        "heads": [POINTER(Heads), *rows],
        "heads_back": [POINTER(Heads), *sums],
        "swiglu": [POINTER(Swiglu), *rows],
        "swiglu_back": [POINTER(Swiglu), *rows],
        "softmax_slope": [POINTER(SoftmaxRows), *rows],
        "attend": [POINTER(Sequences), c_int32, c_int32],
        "attend_back": [POINTER(Sequences), c_int32, c_int32],
        "muon": [c_void_p, c_int32, c_int64, c_int32],
    }
    for name, arguments in signatures.items():
        function = getattr(functions, f"creuset_train_{name}")
        function.restype, function.argtypes = None, arguments
    functions.creuset_train_muon.restype = c_int32
    functions.creuset_train_team(_team())
    return functions


def _team() -> int | None:
    """The address of the function by which torch's OpenMP runtime starts a team of threads; None where it has none."""
    for file in sorted(Path(torch.__file__).parent.glob("lib/libgomp*")):
        try:  # loaded already, so this only finds it
            return ctypes.cast(ctypes.CDLL(str(file)).GOMP_parallel, c_void_p).value
        except (OSError, AttributeError):
            continue
    return None


def available() -> bool:
    """Whether this process has the kernels. Raises ConfigError where CREUSET_ISA names a level that is not here."""
    try:
        library()
        _functions()
    except NativeUnavailable:
        return False
    return True


def fits(x: Tensor, *widths: int) -> bool:
    """Whether the kernels compute tensors like `x`, with rows of these widths."""
    kind = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)
    return kind and not any(width % 16 for width in widths)


def call(name: str, about: ctypes.Structure, like: Tensor, *more: object) -> None:
    """Run the kernel `name` for the type of `like`; `more` are its arguments between the type and the threads."""
    half = int(like.dtype == torch.bfloat16)
    getattr(_functions(), f"creuset_train_{name}")(ctypes.byref(about), half, *more)


def has_bf16_products() -> bool:
    """Whether the level in use multiplies in bf16."""
    return library().isa in ("bf16", "amx")


def muon(about: ctypes.Structure, half: bool, count: int) -> None:
    refused = _functions().creuset_train_muon(ctypes.byref(about), int(half), count, threads())
    assert not refused, "products of bf16 were asked for at a level that has none"


def threads() -> int:
    return torch.get_num_threads()


def at(x: Tensor | None) -> int | None:
    """Where the numbers of `x` lie; they must lie one after the other."""
    assert x is None or x.is_contiguous()
    return None if x is None else x.data_ptr()
