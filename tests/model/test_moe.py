from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from creuset.model.layers.router import route
from creuset.model.moe import ExpertKernel, MoE, _grouped
from creuset.testing import tiny_config


def reference(moe: MoE, x_TC: Tensor) -> Tensor:
    """The definition: token by token, expert by expert."""
    rows = []
    for x_C in x_TC:
        probs_E = (moe.gate.weight.float() @ x_C.float()).softmax(-1)
        weight_K, expert_K = probs_E.topk(moe.gate.k)
        if moe.gate.norm_topk:
            weight_K = weight_K / weight_K.sum()
        y_C = torch.zeros_like(x_C)
        for weight, expert in zip(weight_K, expert_K, strict=True):
            gate_F, up_F = (moe.experts.gate_up[expert] @ x_C).chunk(2)
            y_C = y_C + weight.to(x_C.dtype) * (moe.experts.down[expert] @ (F.silu(gate_F) * up_F))
        if moe.shared_expert is not None and moe.shared_expert_gate is not None:
            y_C = y_C + moe.shared_expert_gate(x_C).sigmoid() * moe.shared_expert(x_C)
        rows.append(y_C)
    return torch.stack(rows)


def layer(family: str, *, dtype: torch.dtype = torch.float64, **changes: object) -> MoE:
    torch.manual_seed(0)
    moe = MoE(tiny_config(family, **({"experts": 6} | changes))).to(dtype)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in moe.parameters():
            parameter.normal_(std=0.3)
    return moe


@pytest.mark.parametrize("family", ["qwen2_moe", "qwen3_moe"])
@pytest.mark.parametrize("norm_topk", [True, False])
@pytest.mark.parametrize("tokens", [1, 11, 200])
@pytest.mark.parametrize("kernel", ["exact", "padded"])
def test_fast_equals_the_definition_with_every_gradient(
    family: str, norm_topk: bool, tokens: int, kernel: ExpertKernel
) -> None:
    moe = layer(family, norm_topk=norm_topk)
    moe.experts.kernel = kernel
    x_TC = torch.randn(tokens, 32, dtype=torch.float64, requires_grad=True)
    wanted = reference(moe, x_TC)
    found, routing = moe(x_TC)
    # The router is fp32 by definition, hence the tolerance.
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    g_TC = torch.randn_like(found)
    inputs = [x_TC, *moe.parameters()]
    gots, wants = (torch.autograd.grad(y, inputs, g_TC) for y in (found, wanted))
    for got, want in zip(gots, wants, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    assert routing.experts_TK.shape == (tokens, 2) and routing.probs_TE.shape == (tokens, 6)


class _Rows(TorchDispatchMode):
    """Notes the three sizes of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.mm:
            self.sizes.append((args[0].shape[0], args[0].shape[1], args[1].shape[1]))
        return func(*args, **(kwargs or {}))


def test_padded_experts_give_the_library_few_sizes_and_the_same_gradients_whatever_the_router_does() -> None:
    """What oneDNN has to build a kernel for: with `exact` it is something new at each step."""
    sizes: dict[str, set[tuple[int, int, int]]] = {"exact": set(), "padded": set()}
    moe = layer("qwen3_moe", dtype=torch.float32)
    for seed in range(4):
        x_TC = torch.randn(300, 32, generator=torch.Generator().manual_seed(seed))
        results = []
        for kernel in ("exact", "padded"):
            moe.experts.kernel = kernel
            moe.zero_grad()
            with _Rows() as noted:
                y_TC, _ = moe(x_TC)
                y_TC.square().sum().backward()
            widths = {moe.experts.down.shape[1], moe.experts.down.shape[2], moe.experts.gate_up.shape[1]}
            sizes[kernel] |= {size for size in noted.sizes if len(widths & set(size)) >= 2 and 300 not in size}
            results.append([y_TC, *(p.grad.clone() for p in moe.parameters() if p.grad is not None)])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    rows = {kernel: {max(size) for size in found} for kernel, found in sizes.items()}
    assert all(count % 64 == 0 for count in rows["padded"]) and len(rows["padded"]) <= 4
    assert len(rows["exact"]) > 2 * len(rows["padded"])


def test_what_lies_in_the_padding_is_never_read() -> None:
    """Token 0 fills the rows of padding: its gradient must count its own copies and nothing else."""
    moe = layer("qwen3_moe")
    x_TC = torch.randn(5, 32, dtype=torch.float64, requires_grad=True)
    moe.experts.kernel = "padded"
    y_TC, _ = moe(x_TC)
    (found,) = torch.autograd.grad(y_TC[1:].sum(), x_TC)
    assert not found[0].any(), "token 0 got a gradient from another token's output"


def test_nothing_is_dropped_when_all_tokens_choose_the_same_experts() -> None:
    moe = layer("qwen3_moe")
    with torch.no_grad():
        moe.gate.weight.zero_()
        moe.gate.weight[4], moe.gate.weight[1] = 2.0, 1.0
    x_TC = torch.rand(64, 32, dtype=torch.float64)
    found, routing = moe(x_TC)
    assert {tuple(row) for row in routing.experts_TK.tolist()} == {(4, 1)}
    torch.testing.assert_close(found, reference(moe, x_TC), rtol=1e-5, atol=1e-5)


def test_an_expert_that_got_nothing_has_no_gradient() -> None:
    moe = layer("qwen3_moe")
    y_TC, routing = moe(torch.randn(2, 32, dtype=torch.float64))
    y_TC.sum().backward()
    idle = set(range(6)) - set(routing.experts_TK.flatten().tolist())
    assert idle and moe.experts.down.grad is not None
    assert all(not moe.experts.down.grad[e].any() for e in idle)


def test_a_token_does_not_see_who_else_is_routed() -> None:
    moe = layer("qwen3_moe")
    x_TC = torch.randn(9, 32, dtype=torch.float64)
    together, alone = moe(x_TC)[0], torch.cat([moe(row)[0] for row in x_TC.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)  # the router is fp32


def test_the_router_is_fp32_whatever_the_model_is() -> None:
    # In bf16 1 + 2^-9 is 1: the choice would be a tie.
    logits_TE = torch.tensor([[1.0, 1.0 + 2**-9, 0.0]])
    routing = route(logits_TE, 1, norm_topk=True)
    assert routing.experts_TK.item() == 1 and routing.probs_TE.dtype == torch.float32
    moe = layer("qwen3_moe", dtype=torch.bfloat16)
    y_TC, routing = moe(torch.randn(5, 32, dtype=torch.bfloat16))
    assert routing.logits_TE.dtype == torch.float32 and y_TC.dtype == torch.bfloat16


def test_the_weights_of_the_chosen_sum_to_one_only_when_asked() -> None:
    logits_TE = torch.randn(7, 5)
    assert route(logits_TE, 2, norm_topk=True).weights_TK.sum(1).allclose(torch.ones(7))
    assert bool((route(logits_TE, 2, norm_topk=False).weights_TK.sum(1) < 1).all())


def test_torchs_grouped_matmul_equals_ours() -> None:
    moe = layer("qwen3_moe", dtype=torch.bfloat16)
    x_TC = torch.randn(40, 32, dtype=torch.bfloat16, requires_grad=True)
    routing = moe(x_TC)[1]
    weights_TK = routing.weights_TK.detach().requires_grad_()
    ours = moe.experts(x_TC, weights_TK, routing.experts_TK)
    theirs = _grouped(x_TC, weights_TK, routing.experts_TK, moe.experts.gate_up, moe.experts.down)
    g_TC = torch.randn_like(ours)
    inputs = [x_TC, weights_TK, moe.experts.gate_up, moe.experts.down]
    pairs = [torch.autograd.grad(y, inputs, g_TC) for y in (ours, theirs)]
    for a, b in [(ours, theirs), *zip(*pairs, strict=True)]:
        assert (a - b).float().norm() <= 0.02 * b.float().norm()
