"""Which tensor of a Hugging Face file holds which of our weights: most families use our names, some rename or join.

Our names are Llama's and Qwen's. The table is model/families.py: `files` renames, `fused` joins tensors row by row.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from creuset.model.families import FAMILIES, Family
from creuset.model.formats.stored.numbers import Array

if TYPE_CHECKING:
    from torch import Tensor

OUTER = "language_model."
TEXT_PARTS = (f"{OUTER}model.", f"model.{OUTER}")  # as published, and as transformers 5 has it
OTHER_PARTS = ("vision_tower.", "multi_modal_projector.")


def file_name(family: Family, name: str) -> str:
    """What the files of `family` call the tensor that holds our weight `name`."""
    row = FAMILIES[family]
    for whole, pieces in row.fused.items():
        for piece in pieces:
            name = name.replace(f".{piece}.", f".{whole}.")
    for pattern, replacement in row.files:
        name = re.sub(pattern, replacement, name)
    return name


def layout(family: Family, names: Sequence[str]) -> dict[str, list[str]]:
    """Each tensor of the files, and our weights that it holds, in the order of its rows: that of our parameters."""
    held: dict[str, list[str]] = {}
    for name in names:
        held.setdefault(file_name(family, name), []).append(name)
    return held


class TextPart:
    """Where the language model is in a folder that also reads images: its tensors have another beginning there.

    A model that was saved without its head, as makers of embeddings do, has none of the beginning `model.`.
    """

    def __init__(self, stored: Collection[str]) -> None:
        """`stored`: names of all tensors in the folder."""
        self._inside = next((one for one in TEXT_PARTS if any(name.startswith(one) for name in stored)), None)
        self._bare = any(name.startswith("layers.") for name in stored)

    def name(self, name: str) -> str:
        """What the folder calls the tensor that a folder of the language model alone calls `name`."""
        if self._inside is None:
            return name.removeprefix("model.") if self._bare else name
        if name.startswith("model."):
            return self._inside + name.removeprefix("model.")
        return f"{OUTER}{name}" if self._inside.startswith(OUTER) else name

    def is_other(self, name: str) -> bool:
        """Whether the tensor belongs to what reads images, which does not run here."""
        return self._inside is not None and name.removeprefix("model.").startswith(OTHER_PARTS)


def joined_shape(parts: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if len(parts) == 1:
        return shapes[parts[0]]
    return (sum(shapes[part][0] for part in parts), *shapes[parts[0]][1:])


def split(tensor: Array, parts: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, Array]]:
    """Our weights in one tensor of a file: views of it."""
    if len(parts) == 1:
        yield parts[0], tensor
        return
    begin = 0
    for part in parts:
        yield part, tensor[begin : begin + shapes[part][0]]
        begin += shapes[part][0]


def joined(family: Family, values: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Callable[[], Tensor], int]]":
    """(name in a file, what makes the tensor that is to be written under it, how many numbers it has)."""
    import torch

    for stored, parts in layout(family, list(values)).items():
        tensors = [values[part] for part in parts]
        make = partial(torch.cat, tensors) if len(tensors) > 1 else partial(torch.Tensor.detach, tensors[0])
        yield stored, make, sum(prod(tensor.shape) for tensor in tensors)
