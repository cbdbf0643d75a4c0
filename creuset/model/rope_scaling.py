"""How a model's rotary embeddings are stretched beyond the context it was first trained for. No torch here.

`rope_scaling` of Hugging Face's config.json, one class a kind; model/rope.py computes with them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Yarn:
    """YaRN (arXiv:2309.00071): fast pairs stay, slow ones are stretched by `factor`, a ramp lies between."""

    factor: float
    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None  # None: 0.1 ln(factor) + 1
    truncate: bool = True  # the ends of the ramp are whole pairs

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearScaling:
    """Position interpolation (arXiv:2306.15595): all pairs turn `factor` times slower."""

    factor: float

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Llama3Scaling:
    """Llama 3.1's (arXiv:2407.21783): waves longer than the context are stretched, short ones stay."""

    factor: float
    original_context: int
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor ({self.high_freq_factor}) must be above low_freq_factor ({self.low_freq_factor})"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class LongRope:
    """LongRoPE (arXiv:2402.13753): a divisor for each pair, one list for sequences within `original_context`
    tokens and one for those beyond."""

    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    original_context: int
    attention_factor: float  # cos and sin are multiplied by it

    def __post_init__(self) -> None:
        if len(self.short_factor) != len(self.long_factor):
            raise ValueError(
                f"short_factor has {len(self.short_factor)} values and long_factor {len(self.long_factor)}: "
                "there must be one of each a pair"
            )


RopeScaling = Yarn | LinearScaling | Llama3Scaling | LongRope
