"""Weights of multi-head latent attention as the native core wants them (native/latent.cpp).

DeepSeek turns neighbouring dimensions together, the core those half a head apart: rotated rows are sorted,
as model/layers/latent_attention.py sorts what they give. A head's two matrices are taken out of `kv_b_proj`.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from creuset.engine.backend.native.interface import Slot
from creuset.model.config import LatentShape
from creuset.model.formats.weights import StoredTensor

MATRICES = {
    "self_attn.q_a_proj": (Slot.QKV, 0), "self_attn.kv_a_proj_with_mqa": (Slot.QKV, 1),
    "self_attn.q_proj": (Slot.QUERY, 0), "self_attn.q_b_proj": (Slot.QUERY, 0), "self_attn.o_proj": (Slot.OUT, 0),
}  # fmt: skip
NORMS = {"self_attn.q_a_layernorm": Slot.Q_NORM, "self_attn.kv_a_layernorm": Slot.K_NORM}
BOTH = "self_attn.kv_b_proj"


def sorted_rows(shape: LatentShape, stem: str, tensor: StoredTensor) -> StoredTensor:
    """`tensor` (a weight or a bias of `stem`) with its rotated rows in the core's order."""
    if not shape.interleaved:
        return tensor
    turned = np.concatenate((np.arange(0, shape.rope, 2), np.arange(1, shape.rope, 2)))
    if stem.endswith("kv_a_proj_with_mqa"):
        order = np.concatenate((np.arange(shape.kv_rank), shape.kv_rank + turned))
    elif stem.endswith((".q_proj", ".q_b_proj")):
        head = np.concatenate((np.arange(shape.nope), shape.nope + turned))
        wide = shape.nope + shape.rope
        order = (np.arange(0, len(tensor.codes), wide)[:, None] + head).reshape(-1)
    else:
        return tensor
    scales = None if tensor.scales is None else tensor.scales[order]
    return replace(tensor, codes=tensor.codes[order], scales=scales)


def heads(shape: LatentShape, count: int, tensor: StoredTensor) -> Iterator[tuple[Slot, int, StoredTensor]]:
    """(slot, head, weight) of the two matrices of each head: on its query, and on what it read."""
    for head, both in enumerate(tensor.fp32().reshape(count, shape.nope + shape.value, shape.kv_rank)):
        yield Slot.INTO, head, StoredTensor(tensor.name, np.ascontiguousarray(both[: shape.nope].T), None)
        yield Slot.OUT_OF, head, StoredTensor(tensor.name, both[shape.nope :], None)
