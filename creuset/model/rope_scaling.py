"""How a model's rotary embeddings are stretched beyond the context it was first trained for. No torch here.

`rope_scaling` of Hugging Face's config.json; model/rope.py computes with it.

    linear    position interpolation (arXiv:2306.15595): all pairs turn `factor` times slower
    llama3    Llama 3.1's (arXiv:2407.21783): waves longer than the original context are stretched, short ones stay
    yarn      arXiv:2309.00071: fast pairs stay, slow ones are stretched by `factor`, a ramp lies between
    longrope  arXiv:2402.13753: a divisor for each pair, one list for sequences within the original context and one
              for those beyond

One class for all: settings are stored and read back by their types, which have no unions of classes.
"""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScaling:
    kind: Literal["linear", "llama3", "yarn", "longrope"]
    factor: float = 1.0
    original_context: int = 0  # tokens; linear has none
    attention_factor: float | None = None  # cos and sin are multiplied by it; None: 1, and 0.1 ln(factor) + 1 in yarn
    beta_fast: float = 32.0  # yarn: turns in the original context from which a pair is fast ...
    beta_slow: float = 1.0  # ... and up to which it is slow
    mscale: float = 0.0  # yarn: with mscale_all_dim, the factor is the quotient of the two's 0.1 m ln(factor) + 1
    mscale_all_dim: float = 0.0  # DeepSeek multiplies scores by the square of its 0.1 m ln(factor) + 1
    truncate: bool = True  # yarn: the ends of the ramp are whole pairs
    low_freq_factor: float = 1.0  # llama3: the same two, slow and fast
    high_freq_factor: float = 4.0
    short_factor: tuple[float, ...] = ()  # longrope: divisors of the pairs
    long_factor: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")
        if self.kind != "linear" and self.original_context < 1:
            raise ValueError(f"{self.kind} needs the original context, got {self.original_context}")
        if self.kind == "llama3" and self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor ({self.high_freq_factor}) must be above low_freq_factor ({self.low_freq_factor})"
            )
        if len(self.short_factor) != len(self.long_factor):
            raise ValueError(
                f"short_factor has {len(self.short_factor)} values and long_factor {len(self.long_factor)}: "
                "there must be one of each a pair"
            )

    @property
    def score_factor(self) -> float:
        """What DeepSeek multiplies scores by, beside 1 / sqrt of the head's width."""
        return mscale(self.factor, self.mscale_all_dim) ** 2 if self.mscale_all_dim else 1.0


def mscale(factor: float, scale: float) -> float:
    """YaRN's correction for stretched positions (arXiv:2309.00071, eq. 22), `scale` times as strong."""
    return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0


def yarn(factor: float, original_context: int) -> RopeScaling:
    """YaRN with the values of its paper."""
    return RopeScaling(kind="yarn", factor=factor, original_context=original_context)
