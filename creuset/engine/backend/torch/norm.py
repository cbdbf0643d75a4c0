"""RMSNorm as the engine computes it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.model.layers.norm import RMSNorm


class FusedNorm(RMSNorm):
    """RMSNorm over the last dimension, without the bookkeeping of a backward pass."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        nn.Module.__init__(self)
        self.scale, self.eps, self.size = weight.detach(), eps, weight.shape[-1]
        self.scale_root = self.scale * self.size**0.5  # x / sqrt(mean x^2 + eps) = sqrt(n) x / sqrt(sum x^2 + n eps)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            y: Tensor = F.rms_norm(x.to(self.scale.dtype), (self.size,), eps=self.eps) * self.scale
            return y.to(x.dtype)
        inverse: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = inverse.square_().add_(self.size * self.eps).rsqrt_()
        return (x * inverse).mul_(self.scale_root)


def fused_norm(source: RMSNorm) -> FusedNorm:
    return FusedNorm(source.multiplier(), source.eps)
