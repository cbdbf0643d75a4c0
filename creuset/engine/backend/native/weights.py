"""Weights as they are stored -> packed matrices of the native core. Codes stay the codes they are wherever a kind fits.

    stored                                            packed                        exact
    fp32, bf16, fp16                                  f32, bf16 (or rounded codes)  as `floats` says
    ours, 8 and 4 bits, groups of a multiple of 16    q8, q4                        yes
    ggml Q8_0, Q5_0, Q6_K | Q4_0 | Q4_1, Q4_K         q8 | q4 | q4a                 yes
    any other type of ggml                            q8, rounded anew              no: `Packer.rounded` counts them

Routers are f32: a choice between experts that are nearly alike should not hang on rounding.
"""

import ctypes
from collections import Counter
from typing import Final, Literal

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.core.native.library import Library
from creuset.engine.backend.native.matrix import Arena, PackedMatrix, Products
from creuset.model.formats.stored.numbers import BF16, Array, fp32
from creuset.model.formats.weights import StoredTensor

# ggml's type: kind, inputs a scale, type of the scales that holds them without rounding.
GGML: Final = {
    "Q8_0": ("q8", 32, "f16"),
    "Q5_0": ("q8", 32, "f16"),
    "Q6_K": ("q8", 16, "f32"),
    "Q4_0": ("q4", 32, "f16"),
    "Q4_1": ("q4a", 32, "f16"),
    "Q4_K": ("q4a", 32, "f32"),
}
Floats = Literal["f32", "bf16", "q8", "q4"]


class Packer:
    """Packs one weight after the other; the matrices share large pieces of memory."""

    def __init__(self, library: Library, *, floats: Floats, exact: bool = False) -> None:
        """`floats`: the kind for weights that are stored as plain numbers. `exact`: f32 for all, codes included."""
        self._products, self._arena = Products(library), Arena()
        self._pack_ggml = library.functions.creuset_pack_ggml
        self._pack_ggml.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
        self._floats, self._exact = floats, exact
        self.rounded: Counter[str] = Counter()  # ggml's types that were rounded anew to q8, with the number of weights

    def __call__(self, tensor: StoredTensor) -> PackedMatrix:
        """The matrix (out, in) of a weight. ArtifactError: it has numbers that are not finite."""
        if self._exact or tensor.name.endswith("mlp.gate.weight"):
            return self._of_values("f32", tensor)
        if tensor.scales is not None:
            return self._of_codes(tensor, tensor.scales)
        if tensor.kind in GGML:
            return self._of_blocks(tensor, *GGML[tensor.kind])
        if tensor.kind:
            self.rounded[tensor.kind] += 1
            return self._of_values("q8", tensor)
        kind = self._floats
        if kind == "q4" and tensor.name in ("model.embed_tokens.weight", "lm_head.weight"):
            kind = "q8"  # as `creuset quantize` keeps them
        return self._of_values(kind, tensor)

    def _of_codes(self, tensor: StoredTensor, scales: Array) -> PackedMatrix:
        outs, ins = tensor.shape
        stored = ins // scales.shape[1]
        codes = tensor.codes
        small = codes.size > 0 and codes.min() >= -8 and codes.max() <= 7
        if stored % 32 == 0:
            kind, group = "q4" if small else "q8", 32
        elif stored % 16 == 0:
            kind, group = "q8", 16
        else:
            return self._of_values("bf16" if self._floats in ("q8", "q4") else self._floats, tensor)
        of = "bf16" if scales.dtype == BF16 else "f32"
        packed = self._products.empty(kind, outs, ins, group=group, scales=of, arena=self._arena)
        spread = np.repeat(fp32(scales), stored // group, axis=1)
        self._products.pack_codes(packed, codes, spread)
        return packed

    def _of_blocks(self, tensor: StoredTensor, kind: str, group: int, scales: str) -> PackedMatrix:
        outs, ins = tensor.shape
        packed = self._products.empty(kind, outs, ins, group=group, scales=scales, arena=self._arena)
        blocks = np.ascontiguousarray(tensor.codes)
        failed = self._pack_ggml(ctypes.byref(packed.struct), tensor.kind.encode(), 0, outs, blocks.ctypes.data)
        if failed:
            where = f"`{tensor.file}`: " if tensor.file else ""
            raise ArtifactError(f"{where}tensor `{tensor.name}` has values that are not finite")
        return packed

    def _of_values(self, kind: str, tensor: StoredTensor) -> PackedMatrix:
        outs, ins = tensor.shape
        packed = self._products.empty(kind, outs, ins, scales="bf16", arena=self._arena)
        as_bits = tensor.codes.dtype == BF16 and tensor.file is None and kind in ("f32", "bf16")
        self._products.pack_values(packed, tensor.codes.view(np.uint16) if as_bits else tensor.fp32())
        return packed
