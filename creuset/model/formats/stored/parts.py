"""A parameter of ours under Hugging Face's names: the experts of a stack one by one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from creuset.model.formats.stored.numbers import Array

if TYPE_CHECKING:
    from torch import Tensor

Numbers = TypeVar("Numbers", Array, "Tensor")


def apart(name: str, value: Numbers) -> Iterator[tuple[str, Numbers]]:
    """Views of `value` with their names."""
    if name.endswith("experts.gate_up"):
        hidden = value.shape[1] // 2
        for expert, both in enumerate(value):
            yield name.replace("gate_up", f"{expert}.gate_proj.weight"), both[:hidden]
            yield name.replace("gate_up", f"{expert}.up_proj.weight"), both[hidden:]
    elif name.endswith("experts.gate_up_bias"):
        hidden = value.shape[1] // 2
        for expert, row in enumerate(value):
            yield name.replace("gate_up_bias", f"{expert}.gate_proj.bias"), row[:hidden]
            yield name.replace("gate_up_bias", f"{expert}.up_proj.bias"), row[hidden:]
    elif name.endswith("experts.down_bias"):
        for expert, row in enumerate(value):
            yield name.replace("down_bias", f"{expert}.down_proj.bias"), row
    elif name.endswith("experts.down"):
        for expert, one in enumerate(value):
            yield f"{name.removesuffix('down')}{expert}.down_proj.weight", one
    else:
        yield name, value
