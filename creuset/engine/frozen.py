"""The model as the engine runs it: the same modules, their products replaced by those of engine/rows.py.

`freeze` changes the model in place and lets go of each original weight as it is replaced. What stays the same is
the model's own forward pass (model/transformer.py); what changes is below it: query, key and value projections
become one product, gate and up projections too, and each expert multiplies exactly the rows that were sent to it.
The result can no longer be trained or saved.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.engine.rows import Rules, measure, product
from creuset.model.attention import Attend, Attention
from creuset.model.moe import MLP, MoE, Routing, route
from creuset.model.rope import Rotation, rotate
from creuset.model.transformer import Block, Transformer


def shapes(model: Transformer) -> set[tuple[int, int]]:
    """(N, K) of every product the frozen model does in its own type of number."""
    config = model.config
    qkv = (config.heads + 2 * config.kv_heads) * config.head_dim
    found = {(qkv, config.hidden), (config.hidden, config.heads * config.head_dim), (config.vocab_size, config.hidden)}
    for width in (config.ffn, config.expert_ffn, config.shared_ffn):
        if width:
            found |= {(2 * width, config.hidden), (config.hidden, width)}
    if config.shared_ffn:
        found.add((1, config.hidden))
    return found


def freeze(model: Transformer, *, device: str = "cpu") -> tuple[nn.Module, Rules]:
    """Replace what is inside `model`; returns its output head and the rules that were found."""
    config, dtype = model.config, model.model.embed_tokens.weight.dtype
    rules = measure(shapes(model), dtype=dtype, head_dim=config.head_dim, device=device)
    router = rules
    if dtype != torch.float32 and config.is_moe:
        router = measure(
            {(config.experts, config.hidden)}, dtype=torch.float32, head_dim=config.head_dim, device=device
        )
    for block in model.model.layers:
        assert isinstance(block, Block) and isinstance(block.mlp, MoE | MLP)
        block.self_attn = FrozenAttention(block.self_attn, rules)
        if isinstance(block.mlp, MoE):
            block.mlp = FrozenMoE(block.mlp, rules, router)
        else:
            block.mlp = FrozenMLP(block.mlp, rules)
    head = model.model.embed_tokens if model.lm_head is None else model.lm_head
    return product(head.weight, None, rules), rules


class FrozenAttention(Attention):
    """Query, key and value projections as one product."""

    def __init__(self, source: Attention, rules: Rules) -> None:
        nn.Module.__init__(self)
        self.layer, self.head_dim = source.layer, source.head_dim
        parts = (source.q_proj, source.k_proj, source.v_proj)
        self.sizes = [part.out_features // self.head_dim for part in parts]
        biases: list[Tensor] = [part.bias for part in parts if part.bias is not None]
        self.qkv = product(torch.cat([part.weight for part in parts]), torch.cat(biases) if biases else None, rules)
        self.out = product(source.o_proj.weight, None, rules)
        self.q_norm, self.k_norm = source.q_norm, source.k_norm

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        q_THD, k_TGD, v_TGD = self.qkv(x_TC).unflatten(-1, (-1, self.head_dim)).split(self.sizes, dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q_THD, k_TGD = self.q_norm(q_THD), self.k_norm(k_TGD)
        y_THD = attend(self.layer, rotate(q_THD, turn), rotate(k_TGD, turn), v_TGD)
        y_TC: Tensor = self.out(y_THD.flatten(1))
        return y_TC


class FrozenMLP(MLP):
    def __init__(self, source: MLP, rules: Rules) -> None:
        nn.Module.__init__(self)
        self.gate_up = product(torch.cat([source.gate_proj.weight, source.up_proj.weight]), None, rules)
        self.down = product(source.down_proj.weight, None, rules)

    def forward(self, x_TC: Tensor) -> Tensor:
        return _swiglu(x_TC, self.gate_up, self.down)


class FrozenMoE(MoE):
    """Each expert multiplies the rows sent to it, and only those."""

    def __init__(self, source: MoE, rules: Rules, router: Rules) -> None:
        nn.Module.__init__(self)
        self.k, self.norm_topk = source.k, source.norm_topk
        self.router = product(source.gate.weight.float(), None, router)
        # Plain lists: a ModuleList costs a look-up by name at every use.
        self.gate_up = [product(weight, None, rules) for weight in source.experts.gate_up]
        self.down = [product(weight, None, rules) for weight in source.experts.down]
        self.shared_expert = None if source.shared_expert is None else FrozenMLP(source.shared_expert, rules)
        gate = source.shared_expert_gate
        self.shared_gate = None if gate is None else product(gate.weight, None, rules)

    def forward(self, x_TC: Tensor) -> tuple[Tensor, Routing]:
        routing = route(self.router(x_TC.float()), self.k, norm_topk=self.norm_topk)
        if len(x_TC) == 1:
            # One token: its experts in the router's order are already one row each.
            y_1KC = torch.stack([self._expert(expert, x_TC) for expert in routing.experts_TK[0].tolist()], dim=1)
        else:
            y_1KC = self._scattered(x_TC, routing.experts_TK)
        y_TC = (y_1KC * routing.weights_TK[..., None].to(x_TC.dtype)).sum(1)
        if self.shared_expert is not None and self.shared_gate is not None:
            y_TC = y_TC + self.shared_gate(x_TC).sigmoid() * self.shared_expert(x_TC)
        return y_TC, routing

    def _scattered(self, x_TC: Tensor, experts_TK: Tensor) -> Tensor:
        """What each token's experts say, (T, K, C): rows are sorted by expert, computed, and put back."""
        flat_N = experts_TK.flatten()
        order_N = flat_N.argsort(stable=True)
        x_NC = x_TC[order_N // self.k]
        counts = torch.bincount(flat_N, minlength=len(self.down)).tolist()
        slices = torch.split(x_NC, counts)
        parts = [self._expert(expert, rows_MC) for expert, rows_MC in enumerate(slices) if len(rows_MC)]
        y_NC = torch.empty_like(x_NC)
        y_NC[order_N] = torch.cat(parts)
        return y_NC.view(*experts_TK.shape, -1)

    def _expert(self, expert: int, x_MC: Tensor) -> Tensor:
        return _swiglu(x_MC, self.gate_up[expert], self.down[expert])


def _swiglu(x_MC: Tensor, gate_up: nn.Module, down: nn.Module) -> Tensor:
    gate_MF, up_MF = gate_up(x_MC).chunk(2, dim=-1)
    y_MC: Tensor = down(F.silu(gate_MF) * up_MF)
    return y_MC
