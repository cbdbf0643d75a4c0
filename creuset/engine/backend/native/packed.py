"""One weight packed for the native core, exactly as it is stored where a kind of matrix fits it."""

import ctypes
from ctypes import POINTER, c_int64, c_void_p
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.engine.backend.native.interface import MatrixView
from creuset.engine.backend.native.library import Library
from creuset.model.formats.weights import StoredTensor

KINDS = ("fp32", "bf16", "q8", "q4", "q4a")


@dataclass(frozen=True, slots=True)
class PackedWeight:
    view: MatrixView  # points into `memory`
    memory: NDArray[np.uint8]

    @property
    def kind(self) -> str:
        return KINDS[self.view.kind]

    @property
    def nbytes(self) -> int:
        return len(self.memory)


class Packer:
    """Packs weights: codes as codes, floats as `floats` ("fp32" or "bf16"); routers and, with `exact`, all as fp32."""

    def __init__(self, library: Library, *, floats: str, exact: bool = False) -> None:
        self._functions, self._floats, self._exact = library.functions, floats, exact
        view = POINTER(MatrixView)
        self._functions.creuset_packed_bytes.restype = c_int64
        self._functions.creuset_packed_bytes.argtypes = [view]
        for name in ("pack_f32", "pack_bf16", "pack_codes"):
            count = 3 if name == "pack_codes" else 1
            getattr(self._functions, f"creuset_{name}").argtypes = [view, c_int64, c_int64, *[c_void_p] * count]

    def __call__(self, tensor: StoredTensor) -> PackedWeight:
        outs, ins = tensor.shape
        router = tensor.name.endswith("mlp.gate.weight")
        if tensor.scales is not None and not self._exact and not router and ins // tensor.scales.shape[1] == 32:
            codes = np.ascontiguousarray(tensor.codes.numpy())
            scales = np.ascontiguousarray(tensor.scales.float().numpy())
            kind = "q4" if codes.min() >= -8 and codes.max() <= 7 else "q8"
            packed = self._room(kind, outs, ins, 32, 1 if tensor.scales.dtype == torch.bfloat16 else 0)
            self._functions.creuset_pack_codes(
                ctypes.byref(packed.view), 0, outs, codes.ctypes.data, scales.ctypes.data, None
            )
            return packed
        values = tensor.values(torch.float32).detach().contiguous().numpy()
        packed = self._room("fp32" if self._exact or router else self._floats, outs, ins, 0, 0)
        self._functions.creuset_pack_f32(ctypes.byref(packed.view), 0, outs, values.ctypes.data)
        return packed

    def _room(self, kind: str, outs: int, ins: int, group: int, scale_type: int) -> PackedWeight:
        view = MatrixView(KINDS.index(kind), outs, ins, group, scale_type, 0, None)
        size = self._functions.creuset_packed_bytes(ctypes.byref(view))
        raw = np.zeros(size + 64, dtype=np.uint8)
        first = -raw.ctypes.data % 64
        memory = raw[first : first + size]
        view.data = memory.ctypes.data
        return PackedWeight(view, memory)
