"""The loss made in place, a cache at a time, is the definition's."""

import pytest
import torch
import torch.nn.functional as F

from creuset.train.loss import _chunk, cross_entropy

CPU = torch.device("cpu")


@pytest.mark.parametrize(("tokens", "vocab"), [(5, 300), (2500, 512), (130, 20_000)])
def test_cross_entropy_and_its_gradients_are_those_of_the_definition(tokens: int, vocab: int) -> None:
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(tokens, 16, generator=draw, dtype=torch.float32).requires_grad_()
    weight = torch.randn(vocab, 16, generator=draw).requires_grad_()
    targets = torch.randint(vocab, (tokens,), generator=draw)
    weights = torch.randint(0, 3, (tokens,), generator=draw).float() / 2  # 0, a half and 1
    assert tokens < 10 or tokens > _chunk(vocab, CPU), "one chunk proves nothing about several"

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
