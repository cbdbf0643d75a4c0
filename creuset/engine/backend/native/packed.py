"""Weights packed for the native core as they are stored, where a kind of matrix fits them."""

import numpy as np
import torch

from creuset.engine.backend.native.library import Library
from creuset.engine.backend.native.matrix import Arena, PackedMatrix, Products
from creuset.model.formats.weights import StoredTensor


class Packer:
    """Packs weights: codes as codes, floats as `floats` ("f32" or "bf16"); routers and, with `exact`, all as f32."""

    def __init__(self, library: Library, *, floats: str, exact: bool = False) -> None:
        self._products, self._arena = Products(library), Arena()
        self._floats, self._exact = floats, exact

    def __call__(self, tensor: StoredTensor) -> PackedMatrix:
        outs, ins = tensor.shape
        router = tensor.name.endswith("mlp.gate.weight")
        if tensor.scales is not None and not self._exact and not router and ins // tensor.scales.shape[1] == 32:
            codes = tensor.codes.numpy()
            kind = "q4" if codes.min() >= -8 and codes.max() <= 7 else "q8"
            scales = "bf16" if tensor.scales.dtype == torch.bfloat16 else "f32"
            packed = self._products.empty(kind, outs, ins, scales=scales, arena=self._arena)
            self._products.pack_codes(packed, codes, tensor.scales.float().numpy())
            return packed
        kind = "f32" if self._exact or router else self._floats
        packed = self._products.empty(kind, outs, ins, arena=self._arena)
        self._products.pack_values(packed, np.ascontiguousarray(tensor.values(torch.float32).detach().numpy()))
        return packed
