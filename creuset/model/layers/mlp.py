"""Dense feed-forward layers: gated (SwiGLU, GeGLU; arXiv:2002.05202) or not.

Shapes: T tokens    C model width    F inner width
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.model.layers.linear import Linear

Activation = Literal["silu", "gelu_tanh", "xielu"]


class XIELU(nn.Module):
    """xIELU (arXiv:2411.13010), the activation of Apertus: a square above 0, an exponential below, both learned."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha_p, self.alpha_n = nn.Parameter(torch.empty(1)), nn.Parameter(torch.empty(1))
        # Constants of the function that files store beside the two that are learned.
        self.beta, self.eps = (nn.Parameter(torch.empty(()), requires_grad=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        above, below = F.softplus(self.alpha_p), self.beta + F.softplus(self.alpha_n)
        return self.beta * x + torch.where(x > 0, above * x * x, (torch.expm1(torch.minimum(x, self.eps)) - x) * below)

    def init(self) -> None:
        """Both curves start at 0.8, as in the paper."""
        with torch.no_grad():
            self.beta.fill_(0.5)
            self.eps.fill_(-1e-6)
            self.alpha_p.fill_(0.8).expm1_().log_()
            self.alpha_n.fill_(0.3).expm1_().log_()


def act(x: Tensor, kind: Activation) -> Tensor:
    if kind == "silu":
        return F.silu(x)
    assert kind == "gelu_tanh", f"`{kind}` has parameters: it is a module"
    return F.gelu(x, approximate="tanh")


class MLP(nn.Module):
    """down(act(gate x) * up x); without a gate down(act(up x))."""

    def __init__(
        self, width: int, hidden: int, *, activation: Activation = "silu", gated: bool = True, bias: bool = False
    ) -> None:
        super().__init__()
        self.activation = activation
        self.gate_proj = Linear(width, hidden, bias=bias) if gated else None
        self.up_proj = Linear(width, hidden, bias=bias)
        self.down_proj = Linear(hidden, width, bias=bias)
        self.act_fn = XIELU() if activation == "xielu" else None

    def forward(self, x_TC: Tensor) -> Tensor:
        up_TF: Tensor = self.up_proj(x_TC)
        first_TF: Tensor = up_TF if self.gate_proj is None else self.gate_proj(x_TC)
        bent_TF = act(first_TF, self.activation) if self.act_fn is None else self.act_fn(first_TF)
        y_TC: Tensor = self.down_proj(bent_TF if self.gate_proj is None else bent_TF * up_TF)
        return y_TC
