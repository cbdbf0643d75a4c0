"""All experts of a layer in one tensor of a file: gpt-oss is published so, transformers 5 may save any family so.

    rows        gate_up_proj (E, 2F, C), the gate's rows first; down_proj (E, C, F)           what transformers 5 holds
    gpt-oss     gate_up_proj (E, C, 2F), gate and up in turn; down_proj (E, F, C); biases      as published, in bf16
    MXFP4       gate_up_proj_blocks (E, 2F, C/32, 16), gate and up in turn, and _scales        as published, in 4 bits

A stack is taken apart expert by expert, so that no second copy of it is made in full.

Shapes: E experts    C model width    F expert width
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.model.families import FAMILIES, Family
from creuset.model.formats.stored.numbers import Array, spelled
from creuset.model.formats.stored.scaled import MXFP4_GROUP, mxfp4_values
from creuset.model.formats.tensors import checked

if TYPE_CHECKING:
    from torch import Tensor

_PART = re.compile(r"(.*\.experts)\.(\d+)\.(gate_proj|up_proj|down_proj)\.(weight|bias)")
_HALVES = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}

Fetch = Callable[[str], Array]  # the tensor of that name, as it is stored


@dataclass(frozen=True, slots=True)
class Stack:
    """Tensors of a file that hold one kind of weight of all experts of a layer."""

    prefix: str  # model.layers.0.mlp.experts
    matrix: str  # gate_up_proj or down_proj
    kind: str  # weight or bias
    shape: tuple[int, ...]  # of our own: (E, rows, inputs), or (E, rows) of a bias
    clamped: bool  # gpt-oss's: gate and up in turn, inputs first
    packed: bool  # MXFP4

    @property
    def stored(self) -> tuple[str, ...]:
        """Names in the file."""
        name = f"{self.prefix}.{self.matrix}"
        if self.packed:
            return f"{name}_blocks", f"{name}_scales"
        return (f"{name}_bias" if self.kind == "bias" else name,)

    @property
    def parts(self) -> set[str]:
        """Names of our own that it holds."""
        experts, halves = range(self.shape[0]), _HALVES[self.matrix]
        return {f"{self.prefix}.{expert}.{half}.{self.kind}" for expert in experts for half in halves}

    def split(self, fetch: Fetch, file: Path) -> Iterator[tuple[str, Array]]:
        """Our weights, expert by expert. Packed ones become numbers in fp32."""
        stored = [fetch(name) for name in self.stored]
        if self.packed:
            self._check_packed(stored, file)
        elif stored[0].shape != self._file_shape():
            shapes = f"{list(stored[0].shape)}, config.json says {list(self._file_shape())}"
            raise ArtifactError(f"`{file}`: tensor `{self.stored[0]}` has shape {shapes}")
        for expert in range(self.shape[0]):
            one = stored[0][expert]
            if self.packed:
                one = mxfp4_values(one, stored[1][expert])
            elif self.clamped and self.kind == "weight":
                one = one.T
            checked(one, self.shape[1:], self.stored[0], file)
            yield from self._halves(expert, one)

    def _halves(self, expert: int, one: Array) -> Iterator[tuple[str, Array]]:
        halves = _HALVES[self.matrix]
        for place, half in enumerate(halves):
            if len(halves) == 1:
                part = one
            elif self.clamped:
                part = one[place::2]
            else:
                part = np.split(one, 2)[place]
            yield f"{self.prefix}.{expert}.{half}.{self.kind}", part

    def _file_shape(self) -> tuple[int, ...]:
        if self.clamped and self.kind == "weight":
            return self.shape[0], self.shape[2], self.shape[1]
        return self.shape

    def _check_packed(self, stored: list[Array], file: Path) -> None:
        experts, rows, inputs = self.shape
        if inputs % MXFP4_GROUP:
            raise ArtifactError(
                f"`{file}`: tensor `{self.stored[0]}` is MXFP4, but {inputs} inputs are no multiple of 32"
            )
        scales = (experts, rows, inputs // MXFP4_GROUP)
        for name, tensor, shape in zip(self.stored, stored, ((*scales, MXFP4_GROUP // 2), scales), strict=True):
            if tensor.shape != shape or tensor.dtype != np.uint8:
                raise ArtifactError(
                    f"`{file}`: tensor `{name}` is {spelled(tensor.dtype)} of shape {list(tensor.shape)}, "
                    f"config.json says uint8 of shape {list(shape)}"
                )


def stacks_in(family: Family, shapes: Mapping[str, tuple[int, ...]], files: Mapping[str, Path]) -> list[Stack]:
    """The stacks among `files` that hold some of our weights, whose shapes are `shapes`."""
    clamped = FAMILIES[family].traits.clamped_experts
    counts: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
    experts: dict[str, int] = {}
    for name, shape in shapes.items():
        if (found := _PART.fullmatch(name)) is not None:
            counts.setdefault((found[1], found[4]), {})[found[3]] = shape
            experts[found[1]] = max(experts.get(found[1], 0), int(found[2]) + 1)
    stacks = []
    for (prefix, kind), parts in counts.items():
        for matrix, halves in _HALVES.items():
            rows = sum(parts[half][0] for half in halves)
            sizes = (experts[prefix], rows, *parts[halves[0]][1:])
            for packed in (False, True):
                stack = Stack(prefix, matrix, kind, sizes, clamped, packed)
                if (kind == "weight" or not packed) and any(name in files for name in stack.stored):
                    stacks.append(stack)
    return stacks


def stacked(values: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Callable[[], Tensor], int]]":
    """gpt-oss's files: (name, what makes the tensor, how many numbers it has), of our weights."""
    held: dict[str, dict[str, list[Tensor]]] = {}
    for name, value in values.items():
        if (found := _PART.fullmatch(name)) is None:
            continue
        prefix, _, half, kind = found.groups()
        matrix = "down_proj" if half == "down_proj" else "gate_up_proj"
        stored = f"{prefix}.{matrix}" + ("_bias" if kind == "bias" else "")
        held.setdefault(stored, {}).setdefault(half, []).append(value)
    for stored, halves in held.items():
        yield stored, partial(_in_turn, list(halves.values())), sum(t.numel() for half in halves.values() for t in half)


def _in_turn(halves: "list[list[Tensor]]") -> "Tensor":
    """(E, F, C) of each half -> (E, C, halves x F), the halves' rows in turn; a bias has no C."""
    import torch

    whole = torch.stack([torch.stack(half) for half in halves], dim=2).flatten(1, 2)
    return whole.transpose(1, 2) if whole.ndim == 3 else whole


def in_experts(name: str) -> bool:
    """Whether our weight `name` is one of an expert's."""
    return _PART.fullmatch(name) is not None
