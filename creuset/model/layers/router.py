"""Who goes where: the router's scores, and the choice of K experts a token. Always in fp32.

bf16 keeps 8 significant bits: near-ties would be decided by rounding, and training and serving would pick different
experts.

Two kinds of score are in use, and few named differences between the families:

    softmax    over all experts. Made to sum to 1 over the chosen ones (Mixtral, Qwen3), or left as they are (OLMoE).
               gpt-oss takes the softmax of the chosen logits only, which is the same as making them sum to 1
    sigmoid    each expert by itself (DeepSeek-V3, arXiv:2412.19437, section 2.1.2)

A correction bias is added for the choice alone, never to the weight. With groups, a token may only choose among the
experts of its best groups.

Shapes: T tokens    C model width    E experts    G groups    K experts a token
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from creuset.model.config import ModelConfig
from creuset.model.families import RouterScore
from creuset.model.layers.linear import Linear


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the tokens of one layer go; fp32. The losses on the router are computed from it."""

    weights_TK: Tensor
    experts_TK: Tensor
    probs_TE: Tensor  # each row sums to 1
    logits_TE: Tensor


def route(
    logits_TE: Tensor,
    k: int,
    *,
    norm_topk: bool,
    score: RouterScore = "softmax",
    bias_E: Tensor | None = None,
    groups: int = 1,
    groups_per_token: int = 1,
    scale: float = 1.0,
    given_TK: Tensor | None = None,
) -> Routing:
    """Choose `k` experts a token, in fp32 whatever the model's dtype.

    `bias_E` moves the choice, not the weights. With `groups`, only the experts of the `groups_per_token` best groups
    can be chosen; `given_TK` are chosen already.
    The weights of the chosen are made to sum to 1 with `norm_topk`, then multiplied by `scale`.
    """
    logits_TE = logits_TE.float()
    if score == "softmax":
        scores_TE = probs_TE = logits_TE.softmax(dim=-1)
    else:
        scores_TE = sigmoid(logits_TE)
        probs_TE = scores_TE / scores_TE.sum(-1, keepdim=True)
    choice_TE = scores_TE if bias_E is None else scores_TE + bias_E
    if groups > 1:
        choice_TE = _in_best_groups(choice_TE, groups, groups_per_token, best=1 if score == "softmax" else 2)
    if given_TK is not None:
        experts_TK = given_TK
        weights_TK = scores_TE.gather(-1, experts_TK)
    elif choice_TE is scores_TE:
        weights_TK, experts_TK = scores_TE.topk(k, dim=-1)
    else:
        experts_TK = choice_TE.topk(k, dim=-1).indices
        weights_TK = scores_TE.gather(-1, experts_TK)
    if norm_topk:
        total_T1 = weights_TK.sum(-1, keepdim=True)
        # Sigmoids may all be next to 0; a softmax's largest weights are not.
        weights_TK = weights_TK / (total_T1 if score == "softmax" else total_T1 + 1e-20)
    if scale != 1.0:
        weights_TK = weights_TK * scale
    return Routing(weights_TK, experts_TK, probs_TE, logits_TE)


def sigmoid(x: Tensor) -> Tensor:
    """As torch's, but each number by itself: torch computes the last few numbers of a tensor by another routine, and
    then a token's experts and weights would depend on how many tokens there are."""
    return torch.stack((x, torch.zeros_like(x)), dim=-1).softmax(-1)[..., 0]


def _in_best_groups(choice_TE: Tensor, groups: int, kept: int, *, best: int) -> Tensor:
    """`choice_TE`, with minus infinity where the expert's group is not among the `kept` best ones.

    A group is as good as the sum of its `best` best experts: 1 in DeepSeek-V2, 2 in DeepSeek-V3.
    """
    choice_TGE = choice_TE.view(len(choice_TE), groups, -1)
    group_TG = choice_TGE.topk(best, dim=-1).values.sum(-1)
    shut_TG = torch.ones_like(group_TG, dtype=torch.bool).scatter_(-1, group_TG.topk(kept, dim=-1).indices, False)
    return choice_TGE.masked_fill(shut_TG[..., None], float("-inf")).view_as(choice_TE)


class Router(Linear):
    """The scores' weights, and how this family chooses by them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.hidden, config.experts, bias=config.traits.clamped_experts)
        # Trained by counting, not by gradient. Its steps are a thousandth: bf16 would round them away.
        bias = nn.Parameter(torch.empty(config.experts, dtype=torch.float32), requires_grad=False)
        self.e_score_correction_bias = bias if config.traits.correction_bias else None
        self.k, self.norm_topk, self.score, self.scale = (
            config.experts_per_token, config.norm_topk, config.traits.router_score, config.router_scale,
        )  # fmt: skip
        self.groups, self.groups_per_token = config.expert_groups, config.groups_per_token
        self.given_TK: Tensor | None = None  # set by `replayed` of model/moe.py

    def choose(self, logits_TE: Tensor) -> Routing:
        return route(
            logits_TE,
            self.k,
            norm_topk=self.norm_topk,
            score=self.score,
            bias_E=self.e_score_correction_bias,
            groups=self.groups,
            groups_per_token=self.groups_per_token,
            scale=self.scale,
            given_TK=self.given_TK,
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As every module is moved and converted, but the correction bias stays fp32."""
        kept = None if self.e_score_correction_bias is None else self.e_score_correction_bias.detach()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        after = self.e_score_correction_bias
        if kept is not None and after is not None and after.dtype != torch.float32:
            value = after.detach().float() if kept.is_meta else kept.to(after.device)
            self.e_score_correction_bias = nn.Parameter(value, requires_grad=False)
        return self
