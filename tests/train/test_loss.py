"""Each loss against its definition or Hugging Face's: cross-entropy, the balance of experts, the router's z."""

import math

import pytest
import torch
import torch.nn.functional as F

from creuset.model.layers.router import Routing, route
from creuset.train.objectives.loss import _chunk, balance_sum, cross_entropy, expert_counts, z_sum

CPU = torch.device("cpu")


@pytest.mark.parametrize(("tokens", "vocab"), [(5, 300), (2500, 512), (130, 20_000)])
def test_cross_entropy_and_its_gradients_are_those_of_the_definition(tokens: int, vocab: int) -> None:
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(tokens, 16, generator=draw, dtype=torch.float32).requires_grad_()
    weight = torch.randn(vocab, 16, generator=draw).requires_grad_()
    targets = torch.randint(vocab, (tokens,), generator=draw)
    weights = torch.randint(0, 3, (tokens,), generator=draw).float() / 2  # 0, a half and 1
    assert tokens < 10 or tokens > _chunk(vocab, CPU, native=False), "one chunk proves nothing about several"

    def run(total: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (total.detach(), *torch.autograd.grad(total * 0.25, (hidden, weight)))

    mine = run(cross_entropy(hidden, weight, targets, weights))
    plain = run((weights * F.cross_entropy(hidden @ weight.T, targets, reduction="none")).sum())
    for ours, definition in zip(mine, plain, strict=True):
        torch.testing.assert_close(ours, definition, rtol=2e-5, atol=2e-5)


def test_large_logits_stay_finite() -> None:
    hidden, weight = torch.full((3, 4), 100.0), torch.eye(4) * 100
    total = cross_entropy(hidden, weight, torch.tensor([0, 1, 2]), torch.ones(3))
    assert torch.isfinite(total) and total.item() == pytest.approx(3 * torch.log(torch.tensor(4.0)).item())


# The losses on the router


def routings(layers: int, tokens: int, experts: int, k: int) -> list[Routing]:
    draw = torch.Generator().manual_seed(5)
    return [route(torch.randn(tokens, experts, generator=draw) * 2, k, norm_topk=True) for _ in range(layers)]


def counted(found: list[Routing], experts: int) -> torch.Tensor:
    """How many copies each expert of each layer got, counted one by one: (L, E)."""
    counts = torch.zeros(len(found), experts)
    for layer, routing in enumerate(found):
        for expert in routing.experts_TK.flatten().tolist():
            counts[layer, expert] += 1
    return counts


def test_experts_are_counted_one_by_one() -> None:
    found = routings(3, 50, 6, 2)
    assert torch.equal(expert_counts(found), counted(found, 6))


def test_the_balance_loss_is_hugging_faces_layer_by_layer() -> None:
    from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

    experts, k, tokens = 6, 2, 50
    found = routings(3, tokens, experts, k)
    mine = balance_sum(found, counted(found, experts) / (k * tokens)) / tokens
    # Theirs takes k copies a token for whole shares: it is k where ours is 1.
    theirs = sum(load_balancing_loss_func((routing.logits_TE,), experts, k) / k for routing in found)
    torch.testing.assert_close(mine, theirs)


def test_the_balance_loss_is_one_a_layer_and_token_when_the_load_is_even() -> None:
    found = routings(2, 30, 4, 1)
    assert balance_sum(found, torch.full((2, 4), 0.25)).item() == pytest.approx(2 * 30)


def test_the_balance_loss_pushes_the_router_away_from_the_expert_that_got_much() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    balance_sum([route(logits, 1, norm_topk=True)], torch.tensor([[0.8, 0.2, 0.0]])).backward()
    # d/dl_j of E sum_i f_i p_i = E p_j (f_j - sum_i f_i p_i), here with p = 1/3.
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], torch.tensor([0.8, 0.2, 0.0]) - 1 / 3)


def test_the_z_loss_is_the_square_of_the_log_of_the_sum_of_exponentials() -> None:
    found = routings(2, 20, 5, 2)
    wanted = sum(
        math.log(sum(math.exp(x) for x in row)) ** 2 for routing in found for row in routing.logits_TE.tolist()
    )
    assert z_sum(found).item() == pytest.approx(wanted, rel=1e-5)


def test_a_model_without_experts_has_no_router_losses() -> None:
    assert z_sum([]).item() == 0.0 and expert_counts([]).shape == (0, 0)
    assert balance_sum([], torch.zeros(0, 1)).item() == 0.0
