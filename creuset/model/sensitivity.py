"""Which weights may be rounded coarsely: the loss that a calibration text would lose by an error in each of them.

Near a minimum, an error d in a weight costs about F d^2 / 2 nats, where F is the mean square of the loss's gradient in
that weight (the diagonal of the empirical Fisher information). Optimal Brain Damage (LeCun et al. 1989) uses it in the
same way. One pass over a text gives F for all weights.

Shapes: T tokens of a window
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.model.attention import Packed
from creuset.model.formats.stored.parts import apart
from creuset.model.transformer import Transformer

WINDOW = 128  # tokens: short, since each window gives one sample of the gradient
MOST_TOKENS = 8192
LEAST = 1e-3  # of the mean importance: an input that the text never moved still counts a little


def squared_gradients(model: Transformer, ids: Sequence[int]) -> dict[str, Tensor]:
    """F of each matrix under Hugging Face's names, of the first 8,192 tokens. The model's own gradients are unused."""
    total: dict[str, Tensor] = {}
    count = min(len(ids) - 1, MOST_TOKENS)
    for start in range(0, count, WINDOW):
        window_T = torch.from_numpy(np.asarray(ids[start : min(start + WINDOW, count) + 1], dtype=np.int64))
        model.zero_grad(set_to_none=True)
        with torch.enable_grad():
            length = len(window_T) - 1
            hidden = model(window_T[:-1], torch.arange(length), Packed([length]))
            F.cross_entropy(model.logits(hidden).float(), window_T[1:], reduction="sum").backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if parameter.grad is not None and parameter.ndim > 1:
                squared = parameter.grad.square() / count
                total[name] = total[name].add_(squared) if name in total else squared
    model.zero_grad(set_to_none=True)
    return {part: view for name, value in total.items() for part, view in apart(name, value)}


def importance(squared: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """(width) of the inputs of each matrix: the mean over its outputs, 1 on average."""
    found = {}
    for name, value in squared.items():
        columns = value.mean(0)
        mean = columns.mean()
        found[name] = (columns / mean + LEAST) if mean > 0 else torch.ones_like(columns)
    return found


def most_sensitive(
    groups: Mapping[str, Sequence[str]], squared: Mapping[str, Tensor],
    error: Callable[[str], Tensor], share: float,
) -> list[str]:  # fmt: skip
    """Groups of matrices that lose most for each weight, as many as hold `share` of all weights.

    `error`: of a matrix, by which its weights move when they are rounded.
    """
    lost, size = {}, {}
    for group, names in groups.items():
        size[group] = sum(squared[name].numel() for name in names)
        lost[group] = sum(float((squared[name] * error(name).square()).sum()) for name in names)
    room = share * sum(size.values())
    kept: list[str] = []
    for group in sorted(groups, key=lambda one: -lost[one] / size[one]):
        if size[group] <= room:
            kept.append(group)
            room -= size[group]
    return kept
