"""The weights of a published folder under our names: renamed, joined, stacked or in 8 bits, as its family has them.

Reading order: `published`, `_plain`. Where nothing is special a file's tensor is one of our weights.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.core.errors import ArtifactError
from creuset.model.config import ModelConfig
from creuset.model.formats.names import TextPart, joined, joined_shape, layout, split
from creuset.model.formats.stored.numbers import E4M3, Array
from creuset.model.formats.stored.scaled import fp8_values
from creuset.model.formats.stored.stacks import in_experts, stacked, stacks_in
from creuset.model.formats.tensors import checked, read, refuse_difference

if TYPE_CHECKING:
    from torch import Tensor

SCALE = "_scale_inv"  # NAME.weight_scale_inv holds the scales of NAME.weight


def published(
    folder: Path,
    config: ModelConfig,
    shapes: Mapping[str, tuple[int, ...]],
    files: Mapping[str, Path],
    *,
    also: set[str],
) -> Iterator[tuple[str, Array]]:
    """Each of our weights, whose shapes are `shapes`, once. `files` says where each tensor of the folder is.

    `also` are tensors that may be there and are not read. ArtifactError names the tensor that is missing,
    unexpected, of another shape or not finite.
    """
    stacks = stacks_in(config.family, shapes, files)
    in_stacks = {part for stack in stacks for part in stack.parts}
    text = TextPart(files)
    named = layout(config.family, [name for name in shapes if name not in in_stacks])
    wanted = {text.name(name): mine for name, mine in named.items()}
    scales = {name + SCALE for name in wanted if name + SCALE in files}
    held = {name for stack in stacks for name in stack.stored}
    read_here = {name for name in files if not (_spare(name, config) or name in also or text.is_other(name))}
    refuse_difference(set(wanted) | held | scales, read_here, folder)
    block = block_size(folder) if scales else (0, 0)
    for file in sorted(set(files.values())):
        here = [name for name in wanted if files[name] == file]
        for name, tensor in read(file, here):
            shape = joined_shape(wanted[name], shapes)
            if tensor.dtype == E4M3:
                tensor = _scaled(name, tensor, files, block)
            yield from split(checked(tensor, shape, name, file), wanted[name], shapes)
    for stack in stacks:
        yield from stack.split(lambda name: fetch(files, name), files[stack.stored[0]])


def to_publish(
    config: ModelConfig, values: "Mapping[str, Tensor]"
) -> "Iterator[tuple[str, Callable[[], Tensor], int]]":
    """Our weights `values` as the family's files have them: (name, what makes the tensor, how many numbers it has)."""
    if not config.traits.clamped_experts:
        yield from joined(config.family, values)
        return
    yield from joined(config.family, {name: value for name, value in values.items() if not in_experts(name)})
    yield from stacked(values)


def fetch(files: Mapping[str, Path], name: str) -> Array:
    ((_, tensor),) = read(files[name], [name])
    return tensor


def _spare(name: str, config: ModelConfig) -> bool:
    """Tensors that are not read: rotary frequencies, layers that guess the token after the next where these are not
    wanted, and copies of embedding and head beside them."""
    if name.endswith("rotary_emb.inv_freq"):
        return True
    found = re.match(r"model\.layers\.(\d+)\.", name)
    behind = int(found[1]) - config.layers if found is not None else -1
    if behind < 0 or not config.traits.correction_bias:  # other families have no such layer
        return False
    return behind >= config.next_layers or name.endswith((".embed_tokens.weight", ".shared_head.head.weight"))


def _scaled(name: str, codes: Array, files: Mapping[str, Path], block: tuple[int, int]) -> Array:
    file = files[name]
    if name + SCALE not in files:
        raise ArtifactError(f"`{file}`: tensor `{name}` is in 8 bits, but its scales `{name}{SCALE}` are missing")
    scales = fetch(files, name + SCALE)
    wanted = [-(-size // part) for size, part in zip(codes.shape, block, strict=True)]
    if list(scales.shape) != wanted:
        raise ArtifactError(f"`{file}`: tensor `{name}{SCALE}` has shape {list(scales.shape)}, not {wanted}")
    return fp8_values(codes, scales, block)


def block_size(folder: Path) -> tuple[int, int]:
    """Rows and columns that share a scale, as quantization_config says it; DeepSeek's 128 by 128 where it is silent."""
    found = json.loads((folder / "config.json").read_text()).get("quantization_config") or {}
    size = found.get("weight_block_size", [128, 128])
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ArtifactError(f"config.json: weight_block_size is {size!r}, not two positive whole numbers")
    return size[0], size[1]
