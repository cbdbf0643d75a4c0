"""Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1).

A token leaves one narrow latent vector, from which each head makes its own key and value, and one rotated key that
all heads share. Here, as in training, keys and values are made in full: this is the definition. The engine keeps only
the latent and the rotated key (engine/backend/torch/latent.py).

DeepSeek turns neighbouring dimensions (0 with 1, 2 with 3), ours are half a head apart: `halves` sorts them. Both
sides of a score are sorted alike, so no score changes.

Shapes:
    T tokens    C model width    H heads
    N width of a head without positions    R rotated width    V value width    L width of the latent
"""

import torch
from torch import Tensor, nn

from creuset.model.attention import Attend, ScoreRule
from creuset.model.config import ModelConfig
from creuset.model.layers.linear import Linear
from creuset.model.layers.norm import RMSNorm
from creuset.model.rope import Rotation, rotate

NORM_EPS = 1e-6  # of the latents, whatever config.json says of the other norms


def halves(x: Tensor) -> Tensor:
    """(..., R): the even dimensions, then the odd ones."""
    return torch.cat((x[..., 0::2], x[..., 1::2]), -1)


class LatentAttention(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        assert config.latent is not None
        self.layer, self.shape, self.heads, self.rule = layer, config.latent, config.heads, ScoreRule(config.scale)
        shape, width, bias = self.shape, config.hidden, config.attention_bias
        q_width = config.heads * (shape.nope + shape.rope)
        self.q_proj = self.q_a_proj = self.q_a_layernorm = self.q_b_proj = None
        if shape.q_rank:
            self.q_a_proj = Linear(width, shape.q_rank, bias=bias)
            self.q_a_layernorm = RMSNorm(shape.q_rank, NORM_EPS)
            self.q_b_proj = Linear(shape.q_rank, q_width, bias=False)
        else:
            self.q_proj = Linear(width, q_width, bias=False)
        self.kv_a_proj_with_mqa = Linear(width, shape.kv_rank + shape.rope, bias=bias)
        self.kv_a_layernorm = RMSNorm(shape.kv_rank, NORM_EPS)
        self.kv_b_proj = Linear(shape.kv_rank, config.heads * (shape.nope + shape.value), bias=False)
        self.o_proj = Linear(config.heads * shape.value, width, bias=bias)

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        shape = self.shape
        q_THD = self._queries(x_TC).view(len(x_TC), self.heads, -1)
        q_THN, q_THR = torch.split(q_THD, [shape.nope, shape.rope], dim=-1)
        latent_TL, k_TR = torch.split(self.kv_a_proj_with_mqa(x_TC), [shape.kv_rank, shape.rope], dim=-1)
        kv_THX = self.kv_b_proj(self.kv_a_layernorm(latent_TL)).view(len(x_TC), self.heads, -1)
        k_THN, v_THV = torch.split(kv_THX, [shape.nope, shape.value], dim=-1)
        q_THR = rotate(self._sorted(q_THR), turn)
        k_T1R = rotate(self._sorted(k_TR)[:, None], turn)
        q_THD = torch.cat((q_THN, q_THR), -1)
        k_THD = torch.cat((k_THN, k_T1R.expand(-1, self.heads, -1)), -1)
        y_THV = attend(self.layer, q_THD, k_THD, v_THV, self.rule)
        y_TC: Tensor = self.o_proj(y_THV.flatten(1))
        return y_TC

    def _queries(self, x_TC: Tensor) -> Tensor:
        if self.q_proj is not None:
            q_TX: Tensor = self.q_proj(x_TC)
            return q_TX
        assert self.q_a_proj is not None and self.q_a_layernorm is not None and self.q_b_proj is not None
        q_TX = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x_TC)))
        return q_TX

    def _sorted(self, x: Tensor) -> Tensor:
        return halves(x) if self.shape.interleaved else x
