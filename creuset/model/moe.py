"""Mixture of experts: a router sends each token to K of E small networks. No token is ever dropped.

Reading order: `MoE.forward`, `_Experts` (gather, compute, scatter on contiguous slices, with its backward pass),
`_grouped` (the same by torch's grouped matmul on CUDA). Who goes where is decided in model/layers/router.py.
The obvious slow version is in tests/model/test_moe.py: it is the definition.

Three kernels compute the same layer:
    exact     one product an expert, with as many rows as the expert got
    padded    the same, with the rows of each expert filled up to a multiple of 64. In bf16 on a CPU, oneDNN
              builds a new kernel for each number of rows that it has not seen, which costs more than the product
    grouped   one product for all experts; CUDA and bf16 only

Experts with biases and a clamped activation (gpt-oss) are computed step by step, `_biased`.

Shapes:
    T tokens    C model width     E experts           K experts a token
    N = T*K routed copies, sorted by expert           F expert width
    P rows computed: N, and what the padded kernel adds
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.model import fused
from creuset.model.config import ModelConfig
from creuset.model.layers.linear import Linear
from creuset.model.layers.mlp import MLP
from creuset.model.layers.router import Router, Routing

ExpertKernel = Literal["exact", "padded", "grouped"]
PADDED_ROWS = 64


@dataclass(frozen=True, slots=True)
class Clamp:
    """gpt-oss's SwiGLU: both halves are held within `limit`, `alpha` steepens the gate, the up half is raised by 1."""

    limit: float
    alpha: float

    def __call__(self, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        # silu(alpha g) / alpha is g sigmoid(alpha g).
        return F.silu(gate * self.alpha) / self.alpha * (up + 1)


class Experts(nn.Module):
    """All routed experts of a layer: rows [0, F) of `gate_up` are the gate, rows [F, 2F) the up projection."""

    def __init__(self, experts: int, width: int, hidden: int, clamp: Clamp | None = None) -> None:
        """With `clamp` they are gpt-oss's: its activation, and biases."""
        super().__init__()
        self.kernel: ExpertKernel | None = None  # None: `grouped` where it can be had, else `exact`
        self.fused = False  # the activation is computed by the native library, where gradients are wanted
        self.clamp = clamp
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * hidden, width))
        self.down = nn.Parameter(torch.empty(experts, width, hidden))
        self.gate_up_bias = None if clamp is None else nn.Parameter(torch.empty(experts, 2 * hidden))
        self.down_bias = None if clamp is None else nn.Parameter(torch.empty(experts, width))

    def forward(self, x_TC: Tensor, weights_TK: Tensor, experts_TK: Tensor) -> Tensor:
        if self.clamp is not None:
            return self._biased(x_TC, weights_TK, experts_TK, self.clamp)
        widths = (x_TC.shape[1], self.down.shape[2])
        kernel = self.kernel or ("grouped" if can_group(x_TC.device, x_TC.dtype, *widths) else "exact")
        if kernel == "grouped":
            return _grouped(x_TC, weights_TK, experts_TK, self.gate_up, self.down)
        y_TC: Tensor = _Experts.apply(  # type: ignore[no-untyped-call]
            x_TC, weights_TK, experts_TK, self.gate_up, self.down, PADDED_ROWS if kernel == "padded" else 1,
            self.fused and torch.is_grad_enabled() and fused.fits(x_TC, widths[1]),
        )  # fmt: skip
        return y_TC

    def _biased(self, x_TC: Tensor, weights_TK: Tensor, experts_TK: Tensor, clamp: Clamp) -> Tensor:
        assert self.gate_up_bias is not None and self.down_bias is not None
        order_N, place_TK, count_E = _sorted(experts_TK, len(self.down))
        x_NC = x_TC.index_select(0, order_N // experts_TK.shape[1])
        parts = []
        for expert, a, b in _slices(count_E, 1)[0]:
            h_MF = F.linear(x_NC[a:b], self.gate_up[expert], self.gate_up_bias[expert])
            parts.append(F.linear(clamp(*h_MF.chunk(2, dim=1)), self.down[expert], self.down_bias[expert]))
        y_TKC = torch.cat(parts)[place_TK]
        return (y_TKC * weights_TK[..., None].to(y_TKC.dtype)).sum(1)


def can_group(device: torch.device, dtype: torch.dtype, width: int, hidden: int) -> bool:
    """Whether torch has the grouped product there: rows must start at multiples of 16 bytes."""
    return device.type == "cuda" and dtype == torch.bfloat16 and not (width % 8 or hidden % 8)


class MoE(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        clamp = Clamp(config.swiglu_limit, config.swiglu_alpha) if config.traits.clamped_experts else None
        self.gate = Router(config)
        self.experts = Experts(config.experts, config.hidden, config.expert_ffn, clamp)
        self.shared_expert = MLP(config.hidden, config.shared_ffn) if config.shared_ffn else None
        gated = config.traits.shared_expert == "gated"
        self.shared_expert_gate = Linear(config.hidden, 1, bias=False) if gated else None

    def forward(self, x_TC: Tensor) -> tuple[Tensor, Routing]:
        bias_E = None if self.gate.bias is None else self.gate.bias.float()
        routing = self.gate.choose(F.linear(x_TC.float(), self.gate.weight.float(), bias_E))
        y_TC = self.experts(x_TC, routing.weights_TK, routing.experts_TK)
        if self.shared_expert is not None:
            shared_TC = self.shared_expert(x_TC)
            if self.shared_expert_gate is not None:
                shared_TC = self.shared_expert_gate(x_TC).sigmoid() * shared_TC
            y_TC = y_TC + shared_TC
        return y_TC, routing


@contextmanager
def replayed(model: nn.Module, experts_TLK: Tensor) -> Iterator[None]:
    """Within it each token goes to the experts that are given for it, layer by layer, whatever its router prefers.

    Training then computes with the experts that an engine answered with (arXiv:2510.11370), and gradients reach the
    weights of those. ValueError: another number of layers or of experts a token.
    """
    gates = [module.gate for module in model.modules() if isinstance(module, MoE)]
    behind = len(gates) - experts_TLK.shape[1]  # a layer that guesses the token after the next is no part of an answer
    if behind not in (0, model.config.next_layers) or experts_TLK.shape[2] != gates[0].k:  # type: ignore[union-attr]
        wanted = f"{len(gates)} layers with {gates[0].k} experts a token"
        raise ValueError(
            f"experts are given for {experts_TLK.shape[1]} layers and {experts_TLK.shape[2]} a token, not {wanted}"
        )
    try:
        for gate, given_TK in zip(gates, experts_TLK.long().unbind(1), strict=False):
            gate.given_TK = given_TK
        yield
    finally:
        for gate in gates:
            gate.given_TK = None


def _sorted(experts_TK: Tensor, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Order of the N copies by expert, its inverse (as T, K), and how many each expert got."""
    flat_N = experts_TK.flatten()
    order_N = flat_N.argsort(stable=True)
    place_N = torch.empty_like(order_N)
    place_N[order_N] = torch.arange(len(order_N), device=order_N.device)
    # Not bincount: on CUDA it waits for the largest value.
    count_E = flat_N.new_zeros(experts).scatter_add_(0, flat_N, torch.ones_like(flat_N))
    return order_N, place_N.view_as(experts_TK), count_E


def _slices(count_E: Tensor, multiple: int) -> tuple[list[tuple[int, int, int]], int]:
    """(expert, first row, last row + 1) of the experts that got something, each with a `multiple` of rows; all rows."""
    slices, first = [], 0
    for expert, count in enumerate(count_E.tolist()):
        last = first + -(-count // multiple) * multiple
        if count:
            slices.append((expert, first, last))
        first = last
    return slices, first


def _rows_of(count_E: Tensor, multiple: int) -> Tensor:
    """(N) the row of each sorted copy when each expert has a `multiple` of rows."""
    padded_E = (count_E + multiple - 1).div(multiple, rounding_mode="floor") * multiple
    before_E = (padded_E - count_E).cumsum(0) - (padded_E - count_E)  # rows of padding before each expert
    return torch.arange(int(count_E.sum()), device=count_E.device) + before_E.repeat_interleave(count_E)


class _Experts(torch.autograd.Function):
    """One node for the whole layer, so that no expert makes autograd write a gradient of all experts.

    y_t = sum_k w_tk * down_e (silu(gate_e x_t) * up_e x_t), e = experts_tk

    Rows of padding are copies of token 0 whose weight is 0: their results are never read, and the weight makes
    what they add to every gradient exactly 0.
    """

    @staticmethod
    def forward(
        ctx: Any, x_TC: Tensor, weights_TK: Tensor, experts_TK: Tensor, gate_up: Tensor, down: Tensor, multiple: int,
        native: bool,
    ) -> Tensor:  # fmt: skip
        k, hidden = experts_TK.shape[1], down.shape[2]
        order_N, place_TK, count_E = _sorted(experts_TK, len(down))
        slices, rows = _slices(count_E, multiple)
        token_P, weight_P = order_N // k, weights_TK.flatten()[order_N]
        if rows > len(order_N):
            row_N = _rows_of(count_E, multiple)
            token_P = token_P.new_zeros(rows).index_copy_(0, row_N, token_P)
            weight_P = weight_P.new_zeros(rows).index_copy_(0, row_N, weight_P)
            place_TK = row_N[place_TK]
        x_PC = x_TC.index_select(0, token_P)
        h_PF = x_PC.new_empty(rows, 2 * hidden)
        y_PC = torch.empty_like(x_PC)
        for expert, a, b in slices:
            torch.mm(x_PC[a:b], gate_up[expert].t(), out=h_PF[a:b])
            act = fused.swiglu(h_PF[a:b]) if native else _swiglu(h_PF[a:b])
            torch.mm(act, down[expert].t(), out=y_PC[a:b])
        ctx.slices, ctx.native = slices, native
        ctx.save_for_backward(x_PC, h_PF, token_P, weight_P, place_TK, gate_up, down)
        # A bag of K rows a token: gather, weigh and sum in one pass.
        return F.embedding_bag(place_TK, y_PC, mode="sum", per_sample_weights=weights_TK.to(y_PC.dtype))

    @staticmethod
    def backward(ctx: Any, dy_TC: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor, None, None]:
        x_PC, h_PF, token_P, weight_P, place_TK, gate_up, down = ctx.saved_tensors
        dy_PC = dy_TC.index_select(0, token_P)
        dgate_up, ddown = torch.empty_like(gate_up), torch.empty_like(down)
        for expert in {*range(len(down))} - {expert for expert, _, _ in ctx.slices}:
            dgate_up[expert].zero_(), ddown[expert].zero_()
        dweight_P = torch.empty_like(weight_P)
        dx_PC = torch.empty_like(x_PC)
        swiglu_back = fused.swiglu_back if ctx.native else _swiglu_back
        for expert, a, b in ctx.slices:
            # The weight is applied to the narrow side; <dy, down act> = <down^T dy, act> gives its own gradient.
            act, dh, dweight_P[a:b] = swiglu_back(h_PF[a:b], dy_PC[a:b] @ down[expert], weight_P[a:b])
            torch.mm(dy_PC[a:b].t(), act, out=ddown[expert])
            torch.mm(dh.t(), x_PC[a:b], out=dgate_up[expert])
            torch.mm(dh, gate_up[expert], out=dx_PC[a:b])
        return F.embedding_bag(place_TK, dx_PC, mode="sum"), dweight_P[place_TK], None, dgate_up, ddown, None, None


def _swiglu(h_PF: Tensor) -> Tensor:
    gate, up = h_PF.chunk(2, dim=1)
    return F.silu(gate).mul_(up)


def _swiglu_back(h_PF: Tensor, da_PF: Tensor, scale_P: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of `_swiglu` whose result is multiplied by `scale_P`: that product, the gradients of `h_PF` and of the scale."""
    gate, up = h_PF.chunk(2, dim=1)
    scale_P1, silu = scale_P[:, None].to(h_PF.dtype), F.silu(gate)
    act_PF = silu * up
    dscale_P = (da_PF * act_PF).sum(1)
    da_PF.mul_(scale_P1)
    dh_PF = torch.empty_like(h_PF)
    dgate, dup = dh_PF.chunk(2, dim=1)
    torch.mul(da_PF, silu, out=dup)
    torch.ops.aten.silu_backward.grad_input(da_PF.mul_(up), gate, grad_input=dgate)
    return act_PF.mul_(scale_P1), dh_PF, dscale_P


def _grouped(x_TC: Tensor, weights_TK: Tensor, experts_TK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """CUDA, bf16: one kernel for all experts, no wait for the counts, and no sum whose order is left to chance."""
    order_N, place_TK, count_E = _sorted(experts_TK, len(down))
    end_E = count_E.cumsum(0).to(torch.int32)
    x_NC = _Rows.apply(x_TC, order_N // experts_TK.shape[1], place_TK)  # type: ignore[no-untyped-call]
    h_NF = torch._grouped_mm(x_NC, gate_up.transpose(1, 2), offs=end_E)
    gate, up = h_NF.chunk(2, dim=1)
    y_NC = torch._grouped_mm(F.silu(gate) * up, down.transpose(1, 2), offs=end_E)
    y_SC = _Rows.apply(y_NC, place_TK.flatten(), order_N[:, None])  # type: ignore[no-untyped-call]
    y_TKC: Tensor = y_SC.view(*experts_TK.shape, -1)
    return (y_TKC * weights_TK[..., None].to(y_NC.dtype)).sum(1)


class _Rows(torch.autograd.Function):
    """x[at]; `back` (rows of x, how often each was taken) says where its copies went, so that the gradient is a
    gather too: index_add on CUDA adds in another order each time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, at: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, at)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return dy.index_select(0, back.flatten()).view(*back.shape, -1).sum(1), None, None
