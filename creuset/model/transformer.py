"""The model: one implementation for training and serving, and for all families (model/families.py).

A batch is one row of T tokens with their positions; which of them see each other is `attend`'s
business. Parameters bear Hugging Face's names, but for the routed experts, which are stacked
(model/formats/weights.py splits and joins them).

Shapes: T tokens    C model width    V vocabulary
"""

from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from creuset.model.attention import Attend, Attention, cap
from creuset.model.config import ModelConfig
from creuset.model.layers.latent_attention import LatentAttention
from creuset.model.layers.linear import Embedding, Linear
from creuset.model.layers.mlp import MLP, XIELU
from creuset.model.layers.norm import RMSNorm
from creuset.model.layers.router import Routing
from creuset.model.moe import ExpertKernel, Experts, MoE
from creuset.model.rope import Rotary, Rotation


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to the stream. Names of norms are Hugging Face's, which has
    `post_attention_layernorm` before the feed-forward layer where norms come first, and after attention elsewhere."""

    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        traits = config.traits
        self.placement, self.local = traits.norm, config.is_local(layer)
        self.input_layernorm = _norm(config) if traits.norm != "post" else None
        attention = Attention if config.latent is None else LatentAttention
        self.self_attn: Attention | LatentAttention = attention(layer, config)
        self.post_attention_layernorm = _norm(config)
        self.pre_feedforward_layernorm = _norm(config) if traits.norm == "both" else None
        self.mlp: MoE | MLP = MoE(config) if config.moe_layer(layer) else _mlp(config)
        self.post_feedforward_layernorm = _norm(config) if traits.norm != "pre" else None

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> tuple[Tensor, Routing | None]:
        h_TC = x_TC if self.input_layernorm is None else self.input_layernorm(x_TC)
        h_TC = self.self_attn(h_TC, turn, attend)
        if self.placement == "pre":
            x_TC = x_TC + h_TC
            h_TC = self.post_attention_layernorm(x_TC)
        else:
            x_TC = x_TC + self.post_attention_layernorm(h_TC)
            h_TC = x_TC if self.pre_feedforward_layernorm is None else self.pre_feedforward_layernorm(x_TC)
        routing: Routing | None = None
        if isinstance(self.mlp, MoE):
            h_TC, routing = self.mlp(h_TC)
        else:
            h_TC = self.mlp(h_TC)
        return x_TC + (
            h_TC if self.post_feedforward_layernorm is None else self.post_feedforward_layernorm(h_TC)
        ), routing


class NextTokenBlock(Block):
    """A block behind the last that guesses the token after the next (DeepSeek-V3, arXiv:2412.19437, section 2.2).

    It reads what the model made of each token beside the embedding of the token that follows. Embedding and output head
    are the model's own; names are those of the published files.
    """

    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__(layer, config)
        self.enorm, self.hnorm = _norm(config), _norm(config)
        self.eh_proj: nn.Module = Linear(2 * config.hidden, config.hidden, bias=False)
        self.shared_head = nn.ModuleDict({"norm": _norm(config)})

    def guess(self, hidden_TC: Tensor, next_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        """(T, C), for the output head. `hidden_TC` comes out of the model, `next_TC` are embeddings."""
        x_TC = self.eh_proj(torch.cat((self.enorm(next_TC), self.hnorm(hidden_TC)), -1))
        y_TC: Tensor = self.shared_head["norm"](self(x_TC, turn, attend)[0])
        return y_TC


def _norm(config: ModelConfig) -> RMSNorm:
    return RMSNorm(config.hidden, config.norm_eps, config.traits.norm_offset)


def _mlp(config: ModelConfig) -> MLP:
    traits = config.traits
    return MLP(config.hidden, config.ffn, activation=traits.activation, gated=traits.gated, bias=config.mlp_bias)


class Body(nn.Module):
    """Everything but the output head: gives parameters their `model.` prefix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden)
        blocks = [Block(layer, config) for layer in range(config.layers)]
        behind = range(config.layers, config.layers + config.next_layers)
        self.layers = nn.ModuleList([*blocks, *(NextTokenBlock(layer, config) for layer in behind)])
        self.norm = _norm(config)


class Transformer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        """Weights are left uninitialised: call `init_weights`, or load them."""
        super().__init__()
        self.config = config
        self.checkpoint = False  # recompute each block in the backward pass instead of keeping its activations
        self.rotary = Rotary(config)
        self.model = Body(config)
        self.lm_head = None if config.tie_embeddings else Linear(config.hidden, config.vocab_size, bias=False)

    def forward(
        self, tokens_T: Tensor, positions_T: Tensor, attend: Attend, *, routers: list[Routing] | None = None
    ) -> Tensor:
        """Hidden states (T, C) after the final norm. One Routing per MoE layer is appended to `routers`."""
        x_TC: Tensor = embed(self.model.embed_tokens(tokens_T), self.config)
        turns = self.rotary.turns(positions_T, attend.lengths, x_TC.dtype)
        for block in islice(self.model.layers, self.config.layers):
            turn = turns[bool(block.local)]
            if self.checkpoint and torch.is_grad_enabled():
                # The routing comes out of the block and is noted here, once: not where it is recomputed.
                x_TC, routing = checkpoint(block, x_TC, turn, attend, use_reentrant=False)
            else:
                x_TC, routing = block(x_TC, turn, attend)
            if routers is not None and routing is not None:
                routers.append(routing)
        y_TC: Tensor = self.model.norm(x_TC)
        return y_TC

    def guess(self, hidden_TC: Tensor, next_T: Tensor, positions_T: Tensor, attend: Attend) -> Tensor:
        """Hidden states whose logits guess the token after the next, of what `forward` returned and the next tokens."""
        (block,) = islice(self.model.layers, self.config.layers, None)
        assert isinstance(block, NextTokenBlock)
        next_TC = embed(self.model.embed_tokens(next_T), self.config)
        turns = self.rotary.turns(positions_T, attend.lengths, next_TC.dtype)
        return block.guess(hidden_TC, next_TC, turns[bool(block.local)], attend)

    def use_kernel(self, kernel: ExpertKernel | None) -> None:
        """Compute all routed experts by `kernel` (model/moe.py); None leaves the choice to each layer."""
        for module in self.modules():
            if isinstance(module, Experts):
                module.kernel = kernel

    def use_fused(self, fused: bool) -> None:
        """Let the native library compute, where gradients are wanted, what it has in one pass (model/fused)."""
        for module in self.modules():
            if isinstance(module, RMSNorm | Attention | Experts):
                module.fused = fused

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    def logits(self, hidden_TC: Tensor) -> Tensor:
        """(T, V), in the dtype of the weights."""
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        logits_TV = F.linear(hidden_TC, head.weight)
        return cap(logits_TV, self.config.final_cap) if self.config.final_cap else logits_TV

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Normal with `init_std`; what adds to the residual stream is 1/sqrt(2 layers) smaller (GPT-2's rule)."""
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0 - self.config.traits.norm_offset)
            elif name.endswith(("bias", ".sinks")):
                parameter.zero_()
            elif ".act_fn." not in name:
                out = name.endswith(("o_proj.weight", "down_proj.weight", "experts.down"))
                std = self.config.init_std * ((2 * self.config.layers) ** -0.5 if out else 1.0)
                parameter.copy_(torch.randn(parameter.shape, generator=generator, device=generator.device) * std)
        for module in self.modules():
            if isinstance(module, XIELU):
                module.init()


def embed(x_TC: Tensor, config: ModelConfig) -> Tensor:
    """Embeddings as the first block gets them: Gemma's are multiplied by sqrt(C), rounded to the weights' dtype."""
    return x_TC * torch.tensor(config.hidden**0.5, dtype=x_TC.dtype) if config.traits.scaled_embedding else x_TC
