"""How a model's rotary embeddings are stretched beyond the context it was first trained for. No torch here.

`rope_scaling` of Hugging Face's config.json, and the angles that follow from it; model/rope.py turns by them.

    linear    position interpolation (arXiv:2306.15595): all pairs turn `factor` times slower
    llama3    Llama 3.1's (arXiv:2407.21783): waves longer than the original context are stretched, short ones stay
    yarn      arXiv:2309.00071: fast pairs stay, slow ones are stretched by `factor`, a ramp lies between
    longrope  arXiv:2402.13753: a divisor for each pair, one list for sequences within the original context and one
              for those beyond
    dynamic   the base grows with a sequence that is longer than the model's context (NTK-aware scaling). Sequences end
              at that context here, so that nothing is stretched: what is beyond it has no one definition, since the
              base of every earlier key changes with each new token

One class for all: settings are stored and read back by their types, which have no unions of classes.

Shapes: P pairs, half the rotated width of a head
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from creuset.model.config import ModelConfig

Angles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScaling:
    kind: Literal["linear", "llama3", "yarn", "longrope", "dynamic"]
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


def pair_angles(config: "ModelConfig", *, local: bool = False, long: bool = False) -> tuple[Angles, float]:
    """Angle of each pair per position, fp32 (P,), and the factor that cos and sin are multiplied by.

    `local`: of the layers with a sliding window, where they have their own. `long`: of sequences longer than LongRoPE's
    original context.
    """
    width, theta, scaling = config.rotated, config.rope_theta, config.rope_scaling
    if local and config.local_rope_theta is not None:
        theta, scaling = config.local_rope_theta, None
    pairs_P = np.arange(0, width, 2, dtype=np.float32)
    # The power is taken in fp64 and rounded: the nearest fp32, whatever processor computes it.
    base_P = np.float32(1) / np.power(float(theta), (pairs_P / np.float32(width)).astype(np.float64)).astype(np.float32)
    if scaling is None or scaling.kind == "dynamic":  # which begins where sequences end here
        return base_P, 1.0
    if scaling.kind == "linear":
        return base_P / np.float32(scaling.factor), 1.0
    if scaling.kind == "llama3":
        return _llama3(base_P, scaling), 1.0
    if scaling.kind == "yarn":
        keep_P = 1 - _ramp(scaling, width, theta)
        mixed: Angles = base_P / np.float32(scaling.factor) * (1 - keep_P) + base_P * keep_P
        return mixed, attention_factor(scaling)
    divisors = scaling.long_factor if long else scaling.short_factor
    divided: Angles = (base_P / np.array(divisors, dtype=np.float32)).astype(np.float32)
    return divided, scaling.attention_factor or 1.0


def attention_factor(yarn: RopeScaling) -> float:
    if yarn.attention_factor is not None:
        return yarn.attention_factor
    if yarn.mscale and yarn.mscale_all_dim:
        return mscale(yarn.factor, yarn.mscale) / mscale(yarn.factor, yarn.mscale_all_dim)
    return mscale(yarn.factor, 1.0)


def _llama3(base_P: Angles, scaling: RopeScaling) -> Angles:
    """Pairs that turn more than `high_freq_factor` times in the original context stay, those that turn less than
    `low_freq_factor` times are stretched, between them the two are mixed."""
    turns_P = np.float32(scaling.original_context) * base_P / np.float32(2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    keep_P = ((turns_P - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    mixed = (1 - keep_P) * base_P / np.float32(scaling.factor) + keep_P * base_P
    return mixed.astype(np.float32)


def _ramp(yarn: RopeScaling, width: int, theta: float) -> Angles:
    """0 for the pairs that turn fast (left as they are), 1 for those that turn slowly (stretched by `factor`)."""

    def pair_that_turns(times: float) -> float:
        return width * math.log(yarn.original_context / (times * 2 * math.pi)) / (2 * math.log(theta))

    low, high = pair_that_turns(yarn.beta_fast), pair_that_turns(yarn.beta_slow)
    if yarn.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    pairs_P = np.arange(width // 2, dtype=np.float32)
    ramp: Angles = ((pairs_P - np.float32(low)) / np.float32((high - low) or 0.001)).clip(0, 1)
    return ramp
