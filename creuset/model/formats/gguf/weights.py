"""Weights from a GGUF file, as they are stored: blocks of the file with their type, and their values on request."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf import latent
from creuset.model.formats.gguf.blocks import PLAIN, dequantized
from creuset.model.formats.gguf.config import config_json
from creuset.model.formats.gguf.families import architecture
from creuset.model.formats.gguf.layout import Place, as_stored, places, unpermuted
from creuset.model.formats.hf_config import from_hf
from creuset.model.formats.stored.numbers import fp32
from creuset.model.formats.stored.shapes import weight_shapes
from creuset.model.formats.tensors import refuse_difference
from creuset.model.formats.weights import StoredTensor

# Derived from the metadata by llama.cpp's converter; read as part of the config.
NOT_WEIGHTS = {"llama": {"rope_freqs.weight"}, "phi3": {"rope_factors_long.weight", "rope_factors_short.weight"}}


class GgufWeights:
    def __init__(self, path: Path) -> None:
        self.file = GgufFile(path)
        self.arch = architecture(self.file)
        self.config = from_hf(config_json(self.file))

    def tensors(self) -> Iterator[StoredTensor]:
        """Each weight once. ArtifactError names the tensor that is missing, unexpected or of another shape."""
        wanted = weight_shapes(self.config)
        if any(".attn_k_b." in name for name in self.file.tensors):
            wanted = latent.apart_shapes(self.config, wanted)
        yield from latent.joined(self._tensors(wanted))

    def _tensors(self, wanted: Mapping[str, tuple[int, ...]]) -> Iterator[StoredTensor]:
        found = as_stored(places(self.arch, self.config, wanted), wanted, self.file.tensors)
        tensors = {place.tensor for place in found.values()}
        refuse_difference(tensors, set(self.file.tensors) - NOT_WEIGHTS.get(self.arch, set()), self.file.path)
        rows: dict[str, int] = {}  # of one expert, all its parts
        for name, place in found.items():
            rows[place.tensor] = max(rows.get(place.tensor, 0), place.start + wanted[name][0])
        for name, place in found.items():
            yield self._tensor(name, place, rows[place.tensor], wanted[name])

    def _tensor(self, name: str, place: Place, rows: int, wanted: tuple[int, ...]) -> StoredTensor:
        stored = self.file.tensors[place.tensor]
        shape, raw = stored.shape, self.file.raw(place.tensor)
        if place.expert is not None:
            if len(shape) < 2 or shape[0] != self.config.experts:
                raise ArtifactError(
                    f"`{stored.file}`: tensor `{place.tensor}` is not for {self.config.experts} experts: "
                    f"its shape is {list(shape)}"
                )
            shape, raw = shape[1:], raw[place.expert]
        if rows == 1 and shape == wanted[1:]:  # older files keep one row as a vector
            shape, raw = wanted, raw[None]
        if shape != (rows, *wanted[1:]):
            raise ArtifactError(
                f"`{stored.file}`: tensor `{place.tensor}` has shape {list(shape)}, not {[rows, *wanted[1:]]}"
            )
        if len(shape) > 1:
            raw = raw[place.start : place.start + wanted[0]]
            if place.heads:
                raw = raw[unpermuted(len(raw), place.heads)]
            if stored.type not in PLAIN:
                return StoredTensor(name, raw, None, stored.type.name, stored.file)
            return StoredTensor(name, raw.view(PLAIN[stored.type]), None, file=stored.file)
        # A bias or a norm: one row in the file.
        values = raw.view(PLAIN[stored.type]) if stored.type in PLAIN else dequantized(raw[None], stored.type.name)[0]
        values = values[place.start : place.start + wanted[0]]
        if place.heads:
            values = values[unpermuted(len(values), place.heads)]
        values = fp32(values) - np.float32(place.offset) if place.offset else values
        return StoredTensor(name, values, None, file=stored.file)
