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
from torch import Tensor, nn

from creuset.engine.backend.torch.batch_invariant import Bend, KernelRules, Product, capped, measure, product
from creuset.engine.backend.torch.feed_forward import FusedMLP, FusedMoE, bend_of, bend_of_experts
from creuset.engine.backend.torch.latent import FusedLatentAttention, head_stacks, latent_shapes
from creuset.engine.backend.torch.norm import FusedNorm, fused_norm
from creuset.engine.backend.torch.rotary import RotaryTable
from creuset.model.attention import Attend, Attention, ScoreRule
from creuset.model.layers.latent_attention import LatentAttention
from creuset.model.layers.mlp import MLP
from creuset.model.layers.norm import RMSNorm
from creuset.model.moe import Experts, MoE
from creuset.model.rope import Rotation
from creuset.model.transformer import Block, NextTokenBlock, Transformer, embed


def widths(model: Transformer) -> set[int]:
    """Inner widths of its feed-forward layers."""
    config = model.config
    return {width for width in (config.ffn, config.expert_ffn, config.shared_ffn) if width}


def shapes(model: Transformer) -> set[tuple[int, int]]:
    """(N, K) of every product the inference model does."""
    config = model.config
    qkv = (config.heads + 2 * config.kv_heads) * config.head_dim
    found = {(qkv, config.hidden), (config.hidden, config.heads * config.head_dim)}
    if config.latent is not None:
        found = latent_shapes(config)
    found.add((config.vocab_size, config.hidden))
    for width in widths(model):
        found |= {((2 if config.traits.gated else 1) * width, config.hidden), (config.hidden, width)}
    if config.traits.shared_expert == "gated":
        found.add((1, config.hidden))
    if config.experts:
        found.add((config.experts, config.hidden))
    if config.next_layers:
        found.add((config.hidden, 2 * config.hidden))
    return found


EXACT_HEAD_BYTES = 512 * 2**20  # a head in fp32 may take that much beside weights in bf16


class InferenceModel(nn.Module):
    """A model that only answers. It takes `model` over: nobody else may use that afterwards."""

    rules: KernelRules
    router_rules: KernelRules
    latent_rules: KernelRules
    head_rules: KernelRules
    routed: list[Tensor] | None = None  # the experts of each layer are noted here, where there is a list

    def __init__(self, model: Transformer, *, device: str = "cpu", like: "InferenceModel | None" = None) -> None:
        """`like`: a model of the same shape, for which the machine was asked already which kernels treat each row
        alike."""
        super().__init__()
        config, dtype = model.config, model.model.embed_tokens.weight.dtype
        inner = config.expert_ffn
        stacks = [(config.experts, 2 * inner, config.hidden), (config.experts, config.hidden, inner)]
        self.rules = (
            like.rules
            if like
            else measure(
                shapes(model),
                dtype=dtype,
                head_dim=config.key_width,
                widths=[(2 if config.traits.gated else 1) * width for width in widths(model)],
                stacks=stacks if config.experts else (),
                bend=_bend(model),
                rule=ScoreRule(config.query_scale, 0, config.attention_cap, _sinks(model)),
                device=device,
            )
        )
        router = like.router_rules if like else self.rules
        if like is None and dtype != torch.float32 and config.experts:
            shape = (config.experts, config.hidden)
            router = measure({shape}, dtype=torch.float32, head_dim=config.head_dim, device=device)
        heads = like.latent_rules if like else self.rules
        if like is None and config.latent is not None:
            stacks = head_stacks(config)
            heads = measure(
                {stack[1:] for stack in stacks}, dtype=dtype, head_dim=config.key_width, stacks=stacks, device=device
            )
        self.config, self.router_rules, self.latent_rules = config, router, heads
        self.embedding, self.norm = model.model.embed_tokens.weight.detach(), fused_norm(model.model.norm)
        self.rotary = RotaryTable(model.rotary, dtype=dtype, device=device)
        self.blocks: list[Block] = []
        self.guesser: NextTokenBlock | None = None
        for block in model.model.layers:
            assert isinstance(block, Block) and isinstance(block.mlp, MoE | MLP)
            for name, norm in list(block.named_children()):
                if isinstance(norm, RMSNorm):
                    setattr(block, name, fused_norm(norm))
            source = block.self_attn
            if isinstance(source, LatentAttention):
                block.self_attn = FusedLatentAttention(source, self.rules, heads)
            else:
                block.self_attn = FusedAttention(source, self.rules)
            if isinstance(block.mlp, MoE):
                block.mlp = FusedMoE(block.mlp, self.rules, router)
            else:
                block.mlp = FusedMLP(block.mlp, self.rules)
            if isinstance(block, NextTokenBlock):
                norm = block.shared_head["norm"]
                assert isinstance(block.eh_proj, nn.Linear) and isinstance(norm, RMSNorm)
                block.eh_proj = ProductModule(product(block.eh_proj.weight, None, self.rules))
                block.shared_head["norm"] = fused_norm(norm)
                self.guesser = block
            else:
                self.blocks.append(block)
        head = model.model.embed_tokens if model.lm_head is None else model.lm_head
        # Logits rounded to bf16 are often equal, and the likeliest token is then a matter of chance.
        self.exact_head = dtype != torch.float32 and 4 * head.weight.numel() <= EXACT_HEAD_BYTES
        if self.exact_head:
            exact = (
                like.head_rules
                if like
                else measure(
                    {(head.weight.shape[0], config.hidden)},
                    dtype=torch.float32,
                    head_dim=config.head_dim,
                    device=device,
                )
            )
            self.head = product(head.weight.float(), None, exact)
        else:
            exact = self.rules
            self.head = product(head.weight, None, exact)
        self.head_rules = exact

    def forward(self, tokens_T: Tensor, positions_T: Tensor, attend: Attend) -> Tensor:
        """Hidden states (T, C) after the final norm."""
        x_TC = embed(self.embedding.index_select(0, tokens_T), self.config)
        turns = self.rotary.turns(positions_T, attend.lengths)
        for block in self.blocks:
            x_TC, routing = block(x_TC, turns[block.local], attend)
            if self.routed is not None and routing is not None:
                self.routed.append(routing.experts_TK)
        y_TC: Tensor = self.norm(x_TC)
        return y_TC

    def guess(self, hidden_TC: Tensor, next_T: Tensor, positions_T: Tensor, attend: Attend) -> Tensor:
        """As `Transformer.guess`."""
        assert self.guesser is not None, "this model has no layer that guesses the token after the next"
        next_TC = embed(self.embedding.index_select(0, next_T), self.config)
        turns = self.rotary.turns(positions_T, attend.lengths)
        return self.guesser.guess(hidden_TC, next_TC, turns[bool(self.guesser.local)], attend)

    def logits(self, x_TC: Tensor) -> Tensor:
        found: Tensor = self.head(x_TC.float() if self.exact_head else x_TC)
        return capped(found, self.config.final_cap) if self.config.final_cap else found

    @property
    def device(self) -> torch.device:
        return self.embedding.device


class ProductModule(nn.Module):
    """A product in the place of a linear layer."""

    def __init__(self, call: Product) -> None:
        super().__init__()
        self.call = call

    def forward(self, x_MK: Tensor) -> Tensor:
        return self.call(x_MK)


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
        self.scores, self.clip = source.rule(), source.clip
        self.norm: FusedNorm | None = None  # of all heads, each by itself
        self.norms: tuple[FusedNorm, FusedNorm] | None = None  # of all query heads together, and of all key heads
        if source.q_norm is not None and source.k_norm is not None:
            if source.norm_whole:
                self.norms = (fused_norm(source.q_norm), fused_norm(source.k_norm))
            else:
                query, key = (norm.multiplier().detach() for norm in (source.q_norm, source.k_norm))
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
        v_TGD = qkv_TXD[:, both:]
        if self.clip:
            qk_TXD, v_TGD = (x.clamp(-self.clip, self.clip) for x in (qk_TXD, v_TGD))
        qk_TXD = _turned(qk_TXD, turn)
        y_THD = attend(self.layer, qk_TXD[:, : self.heads], qk_TXD[:, self.heads :], v_TGD, self.scores)
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


def _bend(model: Transformer) -> Bend:
    """The activation of its feed-forward layers: dense ones beside experts have the experts'."""
    for module in model.modules():
        if isinstance(module, Experts):
            return bend_of_experts(module.clamp)
    return bend_of(next(mlp for mlp in model.modules() if isinstance(mlp, MLP)))


def _sinks(model: Transformer) -> Tensor | None:
    """Any sinks: kernels are only asked whether they treat rows alike."""
    return torch.zeros(1) if model.config.traits.sinks else None
