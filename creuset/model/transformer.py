"""The model: one implementation for training and serving, four shapes (model/config.py).

A batch is one row of T tokens with their positions; which of them see each other is `attend`'s
business. Parameters bear Hugging Face's names, but for the routed experts, which are stacked
(model/formats/weights.py splits and joins them).

Shapes: T tokens    C model width    V vocabulary
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from creuset.model.attention import Attend, Attention
from creuset.model.config import ModelConfig
from creuset.model.layers import Embedding, Linear
from creuset.model.moe import MLP, ExpertKernel, Experts, MoE, Routing
from creuset.model.norm import RMSNorm
from creuset.model.rope import Rotation, frequencies, rotation


class Block(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.self_attn = Attention(layer, config)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.mlp: MoE | MLP = MoE(config) if config.moe_layer(layer) else MLP(config.hidden, config.ffn)

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> tuple[Tensor, Routing | None]:
        x_TC = x_TC + self.self_attn(self.input_layernorm(x_TC), turn, attend)
        h_TC = self.post_attention_layernorm(x_TC)
        if isinstance(self.mlp, MoE):
            y_TC, routing = self.mlp(h_TC)
            return x_TC + y_TC, routing
        return x_TC + self.mlp(h_TC), None


class Body(nn.Module):
    """Everything but the output head: gives parameters their `model.` prefix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden)
        self.layers = nn.ModuleList(Block(layer, config) for layer in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_eps)


class Transformer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        """Weights are left uninitialised: call `init_weights`, or load them."""
        super().__init__()
        self.config = config
        self.checkpoint = False  # recompute each block in the backward pass instead of keeping its activations
        # No buffer: `model.to(torch.bfloat16)` would round it.
        self.freq, self.rope_factor = frequencies(config)
        self.model = Body(config)
        self.lm_head = None if config.tie_embeddings else Linear(config.hidden, config.vocab_size, bias=False)

    def forward(
        self, tokens_T: Tensor, positions_T: Tensor, attend: Attend, *, routers: list[Routing] | None = None
    ) -> Tensor:
        """Hidden states (T, C) after the final norm. One Routing per MoE layer is appended to `routers`."""
        x_TC: Tensor = self.model.embed_tokens(tokens_T)
        if self.freq.device != x_TC.device:
            self.freq = self.freq.to(x_TC.device)
        turn = rotation(positions_T, self.freq, self.rope_factor, x_TC.dtype)
        for block in self.model.layers:
            if self.checkpoint and torch.is_grad_enabled():
                # The routing comes out of the block and is noted here, once: not where it is recomputed.
                x_TC, routing = checkpoint(block, x_TC, turn, attend, use_reentrant=False)
            else:
                x_TC, routing = block(x_TC, turn, attend)
            if routers is not None and routing is not None:
                routers.append(routing)
        y_TC: Tensor = self.model.norm(x_TC)
        return y_TC

    def use_kernel(self, kernel: ExpertKernel | None) -> None:
        """Compute all routed experts by `kernel` (model/moe.py); None leaves the choice to each layer."""
        for module in self.modules():
            if isinstance(module, Experts):
                module.kernel = kernel

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    def logits(self, hidden_TC: Tensor) -> Tensor:
        """(T, V), in the dtype of the weights."""
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        return F.linear(hidden_TC, head.weight)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Normal with `init_std`; what adds to the residual stream is 1/sqrt(2 layers) smaller (GPT-2's rule)."""
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            elif name.endswith(".bias"):
                parameter.zero_()
            else:
                out = name.endswith(("o_proj.weight", "down_proj.weight", "experts.down"))
                std = self.config.init_std * ((2 * self.config.layers) ** -0.5 if out else 1.0)
                parameter.copy_(torch.randn(parameter.shape, generator=generator, device=generator.device) * std)
