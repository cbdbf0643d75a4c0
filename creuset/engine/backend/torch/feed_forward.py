"""Feed-forward layers as the engine computes them: dense ones, and experts that multiply only the rows sent to them.

Shapes: as in model/moe.py, and M rows of one product
"""

import torch
from torch import Tensor, nn

from creuset.engine.backend.torch.batch_invariant import Bend, KernelRules, activate, product, swiglu
from creuset.model.layers.mlp import MLP, act
from creuset.model.layers.router import Routing, sigmoid
from creuset.model.moe import Clamp, MoE


class FusedMLP(MLP):
    def __init__(self, source: MLP, rules: KernelRules) -> None:
        nn.Module.__init__(self)
        first = [part for part in (source.gate_proj, source.up_proj) if part is not None]
        biases: list[Tensor] = [part.bias for part in first if part.bias is not None]
        self.first = product(torch.cat([part.weight for part in first]), torch.cat(biases) if biases else None, rules)
        self.down = product(source.down_proj.weight, source.down_proj.bias, rules)
        self.bend, self.whole = bend_of(source), rules.activation

    def forward(self, x_TC: Tensor) -> Tensor:
        y_TC: Tensor = self.down(activate(self.first(x_TC), self.bend, whole=self.whole))
        return y_TC


def bend_of(mlp: MLP) -> Bend:
    """The activation of `mlp`, of its gate and up projections side by side where it has a gate."""
    if mlp.gate_proj is None:
        return mlp.act_fn if mlp.act_fn is not None else lambda h_MF: act(h_MF, mlp.activation)
    if mlp.activation == "silu":
        return swiglu
    kind = mlp.activation

    def gated(h_M2F: Tensor) -> Tensor:
        gate_MF, up_MF = h_M2F.chunk(2, dim=-1)
        return act(gate_MF, kind) * up_MF

    return gated


def bend_of_experts(clamp: Clamp | None) -> Bend:
    return swiglu if clamp is None else lambda h_M2F: clamp(*h_M2F.chunk(2, dim=-1))


class FusedMoE(MoE):
    """Each expert multiplies the rows sent to it, and only those."""

    def __init__(self, source: MoE, rules: KernelRules, router: KernelRules) -> None:
        nn.Module.__init__(self)
        self.k, self.choose, self.whole = source.gate.k, source.gate.choose, rules.activation
        self.router = product(source.gate.weight.float(), None, router)
        self.router_bias = None if source.gate.bias is None else source.gate.bias.detach().float()
        del source.gate.weight
        experts = source.experts
        self.bend = bend_of_experts(experts.clamp)
        # Added after the product: inside it, a kernel may add them before its sum or after.
        self.biases: tuple[Tensor, Tensor] | None = None
        if experts.gate_up_bias is not None and experts.down_bias is not None:
            self.biases = (experts.gate_up_bias.detach(), experts.down_bias.detach())
        # Plain lists: a ModuleList costs a look-up by name at every use.
        gate_up_ENK, down_ENK = source.experts.gate_up.detach(), source.experts.down.detach()
        if rules.batched:
            # Laid out as `PaddedLinear` has them: each expert's own product is then a view of the stack.
            gate_up_ENK, down_ENK = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (gate_up_ENK, down_ENK))
        self.gate_up = [product(weight, None, rules) for weight in gate_up_ENK]
        self.down = [product(weight, None, rules) for weight in down_ENK]
        self.quantum = rules.quantum if rules.batched else 0
        self.stacks = (gate_up_ENK, down_ENK) if rules.batched else None
        self.shared_expert = None if source.shared_expert is None else FusedMLP(source.shared_expert, rules)
        gate = source.shared_expert_gate
        self.shared_gate = None if gate is None else product(gate.weight, None, rules)

    def forward(self, x_TC: Tensor) -> tuple[Tensor, Routing]:
        logits_TE = self.router(x_TC.float())
        routing = self.choose(logits_TE if self.router_bias is None else logits_TE + self.router_bias)
        if x_TC.shape[0] == 1:
            # One token: its experts in the router's order are already one row each.
            y_1KC = torch.stack([self._expert(expert, x_TC) for expert in routing.experts_TK[0].tolist()], dim=1)
        else:
            y_1KC = self._scattered(x_TC, routing.experts_TK)
        y_TC = (y_1KC * routing.weights_TK[..., None].to(x_TC.dtype)).sum(1)
        if self.shared_expert is not None:
            shared_TC = self.shared_expert(x_TC)
            y_TC = y_TC + (shared_TC if self.shared_gate is None else sigmoid(self.shared_gate(x_TC)) * shared_TC)
        return y_TC, routing

    def _scattered(self, x_TC: Tensor, experts_TK: Tensor) -> Tensor:
        """What each token's experts say, (T, K, C)."""
        flat_N = experts_TK.flatten()
        counts: list[int] = torch.bincount(flat_N, minlength=len(self.down)).tolist()
        if self.stacks is not None:
            most = -(-max(counts) // self.quantum) * self.quantum
            padded = sum(-(-count // self.quantum) * self.quantum for count in counts)
            if most <= 8 * self.quantum and most * len(counts) <= 2 * padded:
                return self._together(x_TC, flat_N.tolist(), most).view(*experts_TK.shape, -1)
        # Rows are sorted by expert, computed, and put back.
        order_N = flat_N.argsort(stable=True)
        x_NC = x_TC.index_select(0, order_N // self.k)
        slices = torch.split(x_NC, counts)
        parts = [self._expert(expert, rows_MC) for expert, rows_MC in enumerate(slices) if counts[expert]]
        y_NC = torch.empty_like(x_NC).index_copy_(0, order_N, torch.cat(parts))
        return y_NC.view(*experts_TK.shape, -1)

    def _together(self, x_TC: Tensor, experts: list[int], most: int) -> Tensor:
        """All experts in one product, `most` rows for each: with few rows an expert, calls cost more than rows."""
        assert self.stacks is not None
        gate_up, down = self.stacks
        filled = [expert * most for expert in range(len(down))]
        source, place = [0] * (len(down) * most), []  # rows that nobody needs are copies of the first
        for copy, expert in enumerate(experts):
            source[filled[expert]] = copy // self.k
            place.append(filled[expert])
            filled[expert] += 1
        x_EMC = x_TC.index_select(0, torch.tensor(source, device=x_TC.device)).view(len(down), most, -1)
        h_EMF = torch.bmm(x_EMC, gate_up.transpose(1, 2))
        if self.biases is not None:
            h_EMF = h_EMF + self.biases[0][:, None]
        h_XF = activate(h_EMF.flatten(0, 1), self.bend, whole=self.whole)
        y_EMC = torch.bmm(h_XF.view(len(down), most, -1), down.transpose(1, 2))
        if self.biases is not None:
            y_EMC = y_EMC + self.biases[1][:, None]
        return y_EMC.flatten(0, 1).index_select(0, torch.tensor(place, device=x_TC.device))

    def _expert(self, expert: int, x_MC: Tensor) -> Tensor:
        h_MF = self.gate_up[expert](x_MC)
        if self.biases is not None:
            h_MF = h_MF + self.biases[0][expert]
        y_MC: Tensor = self.down[expert](activate(h_MF, self.bend, whole=self.whole))
        return y_MC if self.biases is None else y_MC + self.biases[1][expert]
