"""What explains a spike: norms of the gradients by part of the model, and the tensors that carry a large one."""

import re
import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

PARTS = (  # the first that matches names the part
    ("embedding", r"embed_tokens"),
    ("head", r"lm_head"),
    ("router", r"mlp\.(gate|router)\.|correction"),
    ("shared", r"shared_expert"),
    ("experts", r"experts"),
    ("attention", r"self_attn\.(?!\w*norm)"),
    ("norms", r"norm"),
    ("dense", r"mlp"),
)
SPIKE = 4.0  # times the median of the last norms
WINDOW, LEAST = 50, 10  # norms that are looked back at, and how many there must be


def part_of(name: str) -> str:
    return next((part for part, pattern in PARTS if re.search(pattern, name)), "other")


def tensor_norms(gradients: Mapping[str, Tensor]) -> dict[str, float]:
    """Euclidean norm of each gradient; one wait for the device."""
    if not gradients:
        return {}
    values = torch.stack([torch.linalg.vector_norm(grad).float() for grad in gradients.values()]).tolist()
    return dict(zip(gradients, values, strict=True))


def by_part(norms: Mapping[str, float]) -> dict[str, float]:
    """Euclidean norm of each part; their squares sum to the square of the whole norm."""
    squares: dict[str, float] = {}
    for name, norm in norms.items():
        part = part_of(name)
        squares[part] = squares.get(part, 0.0) + norm * norm
    return {part: float(square**0.5) for part, square in sorted(squares.items())}


@dataclass(slots=True)
class SpikeWatch:
    """Looks back at the norms of the last steps. What it says changes nothing in the run."""

    norms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, norm: float) -> float | None:
        """How many times the median of the last norms this one is, when that is a spike; None otherwise."""
        usual = statistics.median(self.norms) if len(self.norms) >= LEAST else None
        if norm == norm and norm != float("inf"):
            self.norms.append(norm)
        if usual is None or usual <= 0 or not norm > SPIKE * usual:
            return None
        return norm / usual


def largest(norms: Mapping[str, float], count: int = 3) -> list[tuple[str, float]]:
    """The tensors with the largest norms, and their share of the squared norm of all."""
    whole = sum(norm * norm for norm in norms.values())
    if not whole > 0 or whole == float("inf"):
        bad = [name for name, norm in norms.items() if norm != norm or norm == float("inf")]
        return [(name, 1.0) for name in bad[:count]]
    found = sorted(norms.items(), key=lambda one: -one[1])[:count]
    return [(name, norm * norm / whole) for name, norm in found]
