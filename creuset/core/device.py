"""Where to compute, and how fast it can multiply."""

import time
from collections.abc import Sequence

import torch

from creuset.core.errors import ConfigError


def pick(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` is the GPU when there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"`{name}` is not a device; choose cpu, cuda or auto")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"`{name}` was asked for and this machine has no usable GPU", hint="choose cpu")
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are native there. Without, a CPU emulates them at a hundredth of fp32's speed."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def matmul_rates(device: torch.device, dtype: torch.dtype, *, size: int = 2048, repeat: int = 9) -> list[float]:
    """FLOP/s of each of `repeat` square matrix products, after one that is not measured."""
    size = size if device.type == "cpu" else 8192
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    rates = []
    for _ in range(repeat + 1):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        rates.append(2 * size**3 / (time.perf_counter() - start))
    return rates[1:]


def agreed_peak(rates: Sequence[float], *, within: float = 0.05) -> float | None:
    """The best of `rates` when the best three lie within 5 % of it; None when they do not.

    A peak that was measured while others used the machine would make a utilisation look better than it is.
    """
    best = sorted(rates, reverse=True)[:3]
    return best[0] if len(best) == 3 and best[2] >= (1 - within) * best[0] else None


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
