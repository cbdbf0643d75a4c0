"""The model as the engine runs it: the same blocks, what is inside them replaced by that of batch_invariant.py.

`InferenceModel` takes a model over and lets go of each original weight as it is replaced. A block's own forward pass
stays (model/transformer.py). What changes is below it: query, key and value projections become one product, gate and
up projections too, and each expert multiplies exactly the rows that were sent to it. The result can no longer be
trained or saved.

Elementwise functions are not innocent either: torch computes the last few elements of a tensor, which do not
fill a vector register, by another routine, whose exp, cos or sin may differ in the last bit. So rotations come from a
table made once, gates are computed by a softmax (which works row by row), and activations as `activate` of
batch_invariant.py found to be safe.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.engine.backend.torch.batch_invariant import Bend, KernelRules, activate, capped, measure, product, swiglu
from creuset.model.attention import Attend, Attention, ScoreRule
from creuset.model.layers.mlp import MLP, act
from creuset.model.layers.norm import RMSNorm
from creuset.model.moe import MoE, Routing, route
from creuset.model.rope import Rotation, rotation
from creuset.model.transformer import Block, Transformer, embed


def widths(model: Transformer) -> set[int]:
    """Inner widths of its feed-forward layers."""
    config = model.config
    return {width for width in (config.ffn, config.expert_ffn, config.shared_ffn) if width}


def shapes(model: Transformer) -> set[tuple[int, int]]:
    """(N, K) of every product the inference model does."""
    config = model.config
    qkv = (config.heads + 2 * config.kv_heads) * config.head_dim
    found = {(qkv, config.hidden), (config.hidden, config.heads * config.head_dim), (config.vocab_size, config.hidden)}
    for width in widths(model):
        found |= {((2 if config.traits.gated else 1) * width, config.hidden), (config.hidden, width)}
    if config.shared_ffn:
        found.add((1, config.hidden))
    if config.experts:
        found.add((config.experts, config.hidden))
    return found


class InferenceModel(nn.Module):
    """A model that only answers. It takes `model` over: nobody else may use that afterwards."""

    def __init__(self, model: Transformer, *, device: str = "cpu", rules: KernelRules | None = None) -> None:
        """With `rules` the machine is not asked which kernels treat each row alike: only for timing."""
        super().__init__()
        config, dtype = model.config, model.model.embed_tokens.weight.dtype
        inner = config.expert_ffn
        stacks = [(config.experts, 2 * inner, config.hidden), (config.experts, config.hidden, inner)]
        self.rules = rules or measure(
            shapes(model),
            dtype=dtype,
            head_dim=config.head_dim,
            widths=[(2 if config.traits.gated else 1) * width for width in widths(model)],
            stacks=stacks if config.experts else (),
            bend=swiglu if config.experts else bend_of(next(mlp for mlp in model.modules() if isinstance(mlp, MLP))),
            rule=ScoreRule(config.query_scale, 0, config.attention_cap, _sinks(model)),
            device=device,
        )
        router = self.rules
        if rules is None and dtype != torch.float32 and config.experts:
            shape = (config.experts, config.hidden)
            router = measure({shape}, dtype=torch.float32, head_dim=config.head_dim, device=device)
        self.config = config
        self.embedding, self.norm = model.model.embed_tokens.weight.detach(), _norm(model.model.norm)
        every = torch.arange(config.context, device=device)
        self.turns = [
            rotation(every, freq.to(device), factor, dtype)
            for freq, factor in zip(model.freqs, model.rope_factors, strict=True)
        ]
        self.blocks: list[Block] = []
        for block in model.model.layers:
            assert isinstance(block, Block) and isinstance(block.mlp, MoE | MLP)
            for name, norm in list(block.named_children()):
                if isinstance(norm, RMSNorm):
                    setattr(block, name, _norm(norm))
            block.self_attn = FusedAttention(block.self_attn, self.rules)
            if isinstance(block.mlp, MoE):
                block.mlp = FusedMoE(block.mlp, self.rules, router)
            else:
                block.mlp = FusedMLP(block.mlp, self.rules)
            self.blocks.append(block)
        head = model.model.embed_tokens if model.lm_head is None else model.lm_head
        self.head = product(head.weight, None, self.rules)

    def forward(self, tokens_T: Tensor, positions_T: Tensor, attend: Attend) -> Tensor:
        """Hidden states (T, C) after the final norm."""
        x_TC = embed(self.embedding.index_select(0, tokens_T), self.config)
        turns = [Rotation(*(part_T1D[positions_T] for part_T1D in turn)) for turn in self.turns]
        for block in self.blocks:
            x_TC, _ = block(x_TC, turns[block.local], attend)
        y_TC: Tensor = self.norm(x_TC)
        return y_TC

    def logits(self, x_TC: Tensor) -> Tensor:
        found: Tensor = self.head(x_TC)
        return capped(found, self.config.final_cap) if self.config.final_cap else found

    @property
    def device(self) -> torch.device:
        return self.embedding.device


class FusedNorm(RMSNorm):
    """RMSNorm over the last dimension, without the bookkeeping of a backward pass."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        nn.Module.__init__(self)
        self.scale, self.eps, self.size = weight.detach(), eps, weight.shape[-1]
        self.scale_root = self.scale * self.size**0.5  # x / sqrt(mean x^2 + eps) = sqrt(n) x / sqrt(sum x^2 + n eps)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            y: Tensor = F.rms_norm(x, (self.size,), eps=self.eps) * self.scale
            return y
        inverse: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = inverse.square_().add_(self.size * self.eps).rsqrt_()
        return (x * inverse).mul_(self.scale_root)


class FusedAttention(Attention):
    """Query, key and value projections as one product; queries and keys are normed and turned together."""

    def __init__(self, source: Attention, rules: KernelRules) -> None:
        nn.Module.__init__(self)
        self.layer, self.head_dim = source.layer, source.head_dim
        parts = (source.q_proj, source.k_proj, source.v_proj)
        self.heads, self.groups = (part.out_features // self.head_dim for part in parts[:2])
        biases: list[Tensor] = [part.bias for part in parts if part.bias is not None]
        self.qkv = product(torch.cat([part.weight for part in parts]), torch.cat(biases) if biases else None, rules)
        self.out = product(source.o_proj.weight, source.o_proj.bias, rules)
        self.scores = source.rule()
        self.norm: FusedNorm | None = None  # of all heads, each by itself
        self.norms: tuple[FusedNorm, FusedNorm] | None = None  # of all query heads together, and of all key heads
        if source.q_norm is not None and source.k_norm is not None:
            if source.norm_whole:
                self.norms = (_norm(source.q_norm), _norm(source.k_norm))
            else:
                query, key = (norm.weight.detach() + norm.offset for norm in (source.q_norm, source.k_norm))
                self.norm = FusedNorm(torch.stack([query] * self.heads + [key] * self.groups), source.q_norm.eps)

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        both = self.heads + self.groups
        qkv_TN = self.qkv(x_TC)
        qkv_TXD = qkv_TN.view(-1, both + self.groups, self.head_dim)
        qk_TXD = qkv_TXD[:, :both]
        if self.norm is not None:
            qk_TXD = self.norm(qk_TXD)
        elif self.norms is not None:
            width = self.heads * self.head_dim
            q_TN, k_TN = qkv_TN[:, :width], qkv_TN[:, width : both * self.head_dim]
            qk_TN = torch.cat((self.norms[0](q_TN.contiguous()), self.norms[1](k_TN.contiguous())), dim=1)
            qk_TXD = qk_TN.view(-1, both, self.head_dim)
        qk_TXD = _turned(qk_TXD, turn)
        y_THD = attend(self.layer, qk_TXD[:, : self.heads], qk_TXD[:, self.heads :], qkv_TXD[:, both:], self.scores)
        y_TC: Tensor = self.out(y_THD.flatten(1))
        return y_TC


def _turned(x_TXD: Tensor, turn: Rotation) -> Tensor:
    """As model/rope.py's `rotate`, which also prepares for a backward pass."""
    cos_T1d, sin_T1d = turn
    width = cos_T1d.shape[-1]
    if width == x_TXD.shape[-1]:
        return torch.addcmul(x_TXD * cos_T1d, x_TXD.roll(width // 2, -1), sin_T1d)
    first_TXd = x_TXD[..., :width]
    turned_TXd = torch.addcmul(first_TXd * cos_T1d, first_TXd.roll(width // 2, -1), sin_T1d)
    return torch.cat((turned_TXd, x_TXD[..., width:]), dim=-1)


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


class FusedMoE(MoE):
    """Each expert multiplies the rows sent to it, and only those."""

    def __init__(self, source: MoE, rules: KernelRules, router: KernelRules) -> None:
        nn.Module.__init__(self)
        self.k, self.norm_topk, self.whole = source.k, source.norm_topk, rules.activation
        self.router = product(source.gate.weight.float(), None, router)
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
        routing = route(self.router(x_TC.float()), self.k, norm_topk=self.norm_topk)
        if x_TC.shape[0] == 1:
            # One token: its experts in the router's order are already one row each.
            y_1KC = torch.stack([self._expert(expert, x_TC) for expert in routing.experts_TK[0].tolist()], dim=1)
        else:
            y_1KC = self._scattered(x_TC, routing.experts_TK)
        y_TC = (y_1KC * routing.weights_TK[..., None].to(x_TC.dtype)).sum(1)
        if self.shared_expert is not None and self.shared_gate is not None:
            y_TC = y_TC + _sigmoid(self.shared_gate(x_TC)) * self.shared_expert(x_TC)
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
        h_XF = activate(torch.bmm(x_EMC, gate_up.transpose(1, 2)).flatten(0, 1), whole=self.whole)
        y_EMC = torch.bmm(h_XF.view(len(down), most, -1), down.transpose(1, 2))
        return y_EMC.flatten(0, 1).index_select(0, torch.tensor(place, device=x_TC.device))

    def _expert(self, expert: int, x_MC: Tensor) -> Tensor:
        y_MC: Tensor = self.down[expert](activate(self.gate_up[expert](x_MC), whole=self.whole))
        return y_MC


def _norm(source: RMSNorm) -> FusedNorm:
    return FusedNorm(source.weight.detach() + source.offset if source.offset else source.weight, source.eps)


def _sinks(model: Transformer) -> Tensor | None:
    """Any sinks: kernels are only asked whether they treat rows alike."""
    return torch.zeros(1) if model.config.traits.sinks else None


def _sigmoid(x_T1: Tensor) -> Tensor:
    return torch.cat((x_T1, torch.zeros_like(x_T1)), dim=1).softmax(-1)[:, :1]
