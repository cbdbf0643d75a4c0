"""Choosing experts: scores, groups and the correction bias, against the choice made token by token."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.model.layers.router import route
from creuset.model.moe import Clamp, Experts, MoE
from creuset.testing import tiny_config


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def by_hand(logits: list[float], k: int, bias: list[float], groups: int, kept: int) -> dict[int, float]:
    """DeepSeek-V3's rule, expert by expert: {expert: score before norm and scale}."""
    scores = [torch.tensor(x).sigmoid().item() for x in logits]
    wanted = [score + b for score, b in zip(scores, bias, strict=True)]
    size = len(logits) // groups
    judged = []
    for group in range(groups):
        best = sorted(wanted[group * size : (group + 1) * size], reverse=True)[:2]
        judged.append((-sum(best), group))
    open_groups = {group for _, group in sorted(judged)[:kept]}
    order = sorted(range(len(logits)), key=lambda expert: -wanted[expert])
    return {expert: scores[expert] for expert in [e for e in order if e // size in open_groups][:k]}


@pytest.mark.parametrize(("groups", "kept", "k"), [(1, 1, 3), (4, 2, 3), (4, 1, 3), (2, 2, 4), (6, 6, 2), (4, 3, 9)])
def test_groups_and_bias_choose_as_by_hand(groups: int, kept: int, k: int) -> None:
    generator = torch.Generator().manual_seed(groups * 10 + kept)
    logits_TE = torch.randn(40, 12, generator=generator)
    bias_E = torch.randn(12, generator=generator) * 0.3
    kind = {"score": "sigmoid", "bias_E": bias_E, "groups": groups, "groups_per_token": kept}
    plain = route(logits_TE, k, norm_topk=False, **kind)  # type: ignore[arg-type]
    normed = route(logits_TE, k, norm_topk=True, scale=2.5, **kind)  # type: ignore[arg-type]
    for row, (experts, weights) in enumerate(zip(plain.experts_TK.tolist(), plain.weights_TK.tolist(), strict=True)):
        wanted = by_hand(logits_TE[row].tolist(), k, bias_E.tolist(), groups, kept)
        assert experts == list(wanted)
        assert weights == pytest.approx(list(wanted.values()), abs=1e-6), "the bias is no part of the weight"
    torch.testing.assert_close(normed.weights_TK.sum(1), torch.full((40,), 2.5))
    torch.testing.assert_close(plain.probs_TE.sum(1), torch.ones(40))


def test_a_group_is_left_out_even_where_its_best_expert_is_the_best_of_all() -> None:
    # Group 0 has the best single expert; group 1 the better pair.
    logits_TE = torch.tensor([[3.0, -3.0, 2.0, 2.0]])
    routing = route(logits_TE, 2, norm_topk=False, score="sigmoid", groups=2, groups_per_token=1)
    assert sorted(routing.experts_TK[0].tolist()) == [2, 3]
    # A softmax's groups (DeepSeek-V2) are judged by their best expert alone.
    routing = route(logits_TE, 2, norm_topk=False, groups=2, groups_per_token=1)
    assert routing.experts_TK[0].tolist() == [0, 1]


def test_scores_next_to_zero_still_give_weights() -> None:
    routing = route(torch.full((1, 4), -200.0), 2, norm_topk=True, score="sigmoid")
    assert routing.weights_TK.isfinite().all()


def test_a_negative_bias_never_opens_a_closed_group() -> None:
    bias_E = torch.full((8,), -5.0)
    routing = route(torch.randn(20, 8), 3, norm_topk=True, score="sigmoid", bias_E=bias_E, groups=2, groups_per_token=1)
    assert all(len({expert // 4 for expert in row}) == 1 for row in routing.experts_TK.tolist())


def test_the_softmax_of_the_chosen_logits_is_the_softmax_of_all_made_to_sum_to_one() -> None:
    """What gpt-oss does, and what we do for it."""
    logits_TE = torch.randn(30, 16)
    top_TK = logits_TE.topk(4)
    routing = route(logits_TE, 4, norm_topk=True)
    assert torch.equal(routing.experts_TK, top_TK.indices)
    torch.testing.assert_close(routing.weights_TK, top_TK.values.softmax(-1))


def one_by_one(experts: Experts, x_TC: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> Tensor:
    """gpt-oss's experts, the definition: token by token."""
    assert experts.clamp is not None and experts.gate_up_bias is not None and experts.down_bias is not None
    limit, alpha, rows = experts.clamp.limit, experts.clamp.alpha, []
    for x_C, weight_K, expert_K in zip(x_TC, weights_TK, experts_TK.tolist(), strict=True):
        y_C = torch.zeros_like(x_C)
        for weight, expert in zip(weight_K, expert_K, strict=True):
            gate_F, up_F = (experts.gate_up[expert] @ x_C + experts.gate_up_bias[expert]).chunk(2)
            gate_F, up_F = gate_F.clamp(max=limit), up_F.clamp(-limit, limit)
            h_F = gate_F * torch.sigmoid(gate_F * alpha) * (up_F + 1)
            y_C = y_C + weight * (experts.down[expert] @ h_F + experts.down_bias[expert])
        rows.append(y_C)
    return torch.stack(rows)


def test_experts_with_biases_equal_the_definition_with_every_gradient() -> None:
    torch.manual_seed(0)
    experts = Experts(5, 16, 12, Clamp(limit=1.0, alpha=1.702)).double()
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x_TC = torch.randn(17, 16, dtype=torch.float64, requires_grad=True)
    weights_TK = torch.rand(17, 2, dtype=torch.float64, requires_grad=True)
    experts_TK = torch.rand(17, 5).topk(2).indices
    found = experts(x_TC, weights_TK, experts_TK)
    wanted = one_by_one(experts, x_TC, weights_TK, experts_TK)
    torch.testing.assert_close(found, wanted)
    inputs, g_TC = [x_TC, weights_TK, *experts.parameters()], torch.randn_like(found)
    gots, wants = (torch.autograd.grad(y, inputs, g_TC) for y in (found, wanted))
    for got, want in zip(gots, wants, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("family", ["mixtral", "olmoe", "deepseek_v2", "deepseek_v3", "gpt_oss"])
def test_a_layer_can_be_trained_but_for_its_correction_bias(family: str) -> None:
    moe = MoE(tiny_config(family))  # type: ignore[arg-type]
    for parameter in moe.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    y_TC, routing = moe(torch.randn(64, 32))
    (F.mse_loss(y_TC, torch.ones_like(y_TC)) + routing.probs_TE.square().sum()).backward()
    without = {name for name, parameter in moe.named_parameters() if parameter.grad is None}
    assert without == ({"gate.e_score_correction_bias"} if family == "deepseek_v3" else set())
