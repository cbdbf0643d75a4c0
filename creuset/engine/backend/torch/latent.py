"""Multi-head latent attention as the engine computes it: by what the cache keeps of a token.

The definition (model/layers/latent_attention.py) makes each head's key and value of a token's latent. Here the head's
matrices are put on the other side of the products instead, on the query and on what was read: then all heads read the
same narrow vectors, and only those are kept, L + R numbers a token and layer.

    q_h . (K_h l) = (K_h^T q_h) . l            sum_t a_t (V_h l_t) = V_h (sum_t a_t l_t)

Shapes: as in model/layers/latent_attention.py, and D = L + R
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.engine.backend.torch.batch_invariant import KernelRules, product
from creuset.engine.backend.torch.norm import FusedNorm
from creuset.model.attention import Attend, ScoreRule
from creuset.model.config import ModelConfig
from creuset.model.layers.latent_attention import LatentAttention, halves
from creuset.model.rope import Rotation

_BATCHES = (1, 2, 3, 4, 8)  # quanta of rows for which batched products were measured (batch_invariant.py)


def latent_shapes(config: ModelConfig) -> set[tuple[int, int]]:
    """(N, K) of the products of one layer, but for those of single heads."""
    assert config.latent is not None
    shape, width, heads = config.latent, config.hidden, config.heads
    found = {(shape.q_rank + shape.kv_rank + shape.rope, width), (width, heads * shape.value)}
    queries = heads * (shape.nope + shape.rope)
    return found | ({(queries, shape.q_rank)} if shape.q_rank else {(queries, width)})


def head_stacks(config: ModelConfig) -> list[tuple[int, int, int]]:
    """(H, N, K) of the products that each head does by itself."""
    assert config.latent is not None
    shape = config.latent
    return [(config.heads, shape.kv_rank, shape.nope), (config.heads, shape.value, shape.kv_rank)]


class HeadProduct:
    """A weight of its own for each head."""

    def __init__(self, weight_HNK: Tensor, rules: KernelRules) -> None:
        self.quantum = rules.quantum
        self.stack_HNK = weight_HNK.transpose(1, 2).contiguous().transpose(1, 2) if rules.batched else None
        self.each = [] if rules.batched else [product(weight_NK, None, rules) for weight_NK in weight_HNK]

    def __call__(self, x_THK: Tensor) -> Tensor:
        if self.stack_HNK is None:
            each = zip(self.each, x_THK.unbind(1), strict=True)
            return torch.stack([head(x_TK.contiguous()) for head, x_TK in each], dim=1)
        most = _BATCHES[-1] * self.quantum
        if x_THK.shape[0] > most:
            return torch.cat([self(part) for part in torch.split(x_THK, most)])
        rows = next(many * self.quantum for many in _BATCHES if many * self.quantum >= x_THK.shape[0])
        x_HMK = F.pad(x_THK.transpose(0, 1), (0, 0, 0, rows - x_THK.shape[0])).contiguous()
        y_HMN = torch.bmm(x_HMK, self.stack_HNK.transpose(1, 2))
        return y_HMN[:, : x_THK.shape[0]].transpose(0, 1)


class FusedLatentAttention(LatentAttention):
    def __init__(self, source: LatentAttention, rules: KernelRules, head_rules: KernelRules) -> None:
        nn.Module.__init__(self)
        self.layer, self.shape, self.heads = source.layer, source.shape, source.heads
        self.rule = ScoreRule(source.rule.scale or (source.shape.nope + source.shape.rope) ** -0.5)
        shape = self.shape
        down, bias = _rows_sorted(source.kv_a_proj_with_mqa, shape.kv_rank, shape.interleaved)
        self.q_norm, self.queries = None, None
        if source.q_a_proj is not None and source.q_a_layernorm is not None and source.q_b_proj is not None:
            down = torch.cat((source.q_a_proj.weight, down))
            bias = None if bias is None else torch.cat((source.q_a_proj.bias, bias))
            self.q_norm = FusedNorm(source.q_a_layernorm.weight, source.q_a_layernorm.eps)
        self.down = product(down, bias, rules)
        up = source.q_b_proj if source.q_proj is None else source.q_proj
        assert up is not None
        up_HDK = up.weight.detach().view(self.heads, -1, up.in_features)
        if shape.interleaved:
            up_HDK = torch.cat((up_HDK[:, : shape.nope], _halves_of_rows(up_HDK[:, shape.nope :])), 1)
        self.up = product(up_HDK.flatten(0, 1), None, rules)
        self.kv_norm = FusedNorm(source.kv_a_layernorm.weight, source.kv_a_layernorm.eps)
        kv_HXL = source.kv_b_proj.weight.detach().view(self.heads, -1, shape.kv_rank)
        self.into = HeadProduct(kv_HXL[:, : shape.nope].transpose(1, 2), head_rules)
        self.out_of = HeadProduct(kv_HXL[:, shape.nope :], head_rules)
        self.out = product(source.o_proj.weight, source.o_proj.bias, rules)

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        shape = self.shape
        first_TQ, latent_TL, k_TR = torch.split(self.down(x_TC), [shape.q_rank, shape.kv_rank, shape.rope], dim=-1)
        h_TX = x_TC if self.q_norm is None else self.q_norm(first_TQ.contiguous())
        q_THD = self.up(h_TX).view(len(x_TC), self.heads, -1)
        q_THN, q_THR = q_THD[..., : shape.nope], q_THD[..., shape.nope :]
        turned_TXR = _turned(torch.cat((q_THR, k_TR[:, None]), 1), turn)
        q_THD = torch.cat((self.into(q_THN), turned_TXR[:, :-1]), -1)
        k_TD = torch.cat((self.kv_norm(latent_TL.contiguous()), turned_TXR[:, -1]), -1)
        # The latent is key and value at once; of what is read, the rotated part is of no use.
        y_THD = attend(self.layer, q_THD, k_TD[:, None], k_TD[:, None], self.rule)
        y_TC: Tensor = self.out(self.out_of(y_THD[..., : shape.kv_rank]).flatten(1))
        return y_TC


def _turned(x_THR: Tensor, turn: Rotation) -> Tensor:
    """As model/rope.py's `rotate`, which also prepares for a backward pass."""
    cos_T1R, sin_T1R = turn
    return torch.addcmul(x_THR * cos_T1R, x_THR.roll(x_THR.shape[-1] // 2, -1), sin_T1R)


def _halves_of_rows(weight: Tensor) -> Tensor:
    """The rows of rotated dimensions in the order that `halves` gives their results."""
    return halves(weight.transpose(-1, -2)).transpose(-1, -2)


def _rows_sorted(kv: nn.Linear, rank: int, interleaved: bool) -> tuple[Tensor, Tensor | None]:
    weight, bias = kv.weight.detach(), None if kv.bias is None else kv.bias.detach()
    if not interleaved:
        return weight, bias
    weight = torch.cat((weight[:rank], _halves_of_rows(weight[rank:])))
    return weight, None if bias is None else torch.cat((bias[:rank], halves(bias[rank:])))
