"""Muon for matrices, AdamW for the rest, on fp32 masters.

Muon (Jordan et al. 2024; arXiv:2502.16982): the momentum of a matrix is replaced by its nearest
(semi-)orthogonal matrix, found by Newton-Schulz iteration. A stack of expert matrices (E, out, in) is
orthogonalized expert by expert; the fused gate and up projections are two matrices, not one.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from creuset.model import fused
from creuset.train.settings import Optim

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's coefficients
ITERATIONS = 5


def orthogonalize(matrices_BMN: Tensor, *, dtype: torch.dtype = torch.float32, iterations: int = ITERATIONS) -> Tensor:
    """Push every singular value of each matrix of the batch towards 1, computing in `dtype`; result in the input's.

    Quintic Newton-Schulz with Jordan's coefficients: values land in about [0.7, 1.2], which is all Muon needs.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices_BMN.to(dtype)
    wide = x.shape[-2] <= x.shape[-1]
    if not wide:
        x = x.mT
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(matrices_BMN.dtype)


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon takes it: matrices inside the blocks; not embeddings, heads, routers, norms, biases."""
    outside = ("embed_tokens", "lm_head", "mlp.gate.weight", "shared_expert_gate")
    return parameter.ndim >= 2 and not any(part in name for part in outside)


class Optimizer:
    """Owns the fp32 masters and their moments; `state` and `load` are plain dicts of tensors."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, Tensor]],
        settings: Optim,
        *,
        muon_dtype: torch.dtype = torch.float32,
        native: bool = False,
    ) -> None:
        """`muon_dtype`: of the products in Muon's iteration; masters and moments are fp32 whatever it is.

        `native`: matrices whose sizes fit are updated by the native library (model/fused/muon.py).
        """
        self.settings, self.muon_dtype, self.native = settings, muon_dtype, native
        self.masters: dict[str, Tensor] = {name: p.detach().float().clone() for name, p in parameters}
        muon = settings.matrices == "muon"
        self.matrices = [n for n, m in self.masters.items() if is_matrix(n, m)]
        self.by_muon = self.matrices if muon else []
        self.by_adam = [n for n in self.masters if n not in set(self.by_muon)]
        self.first = {n: torch.zeros_like(m) for n, m in self.masters.items()}
        self.second = {n: torch.zeros_like(self.masters[n]) for n in self.by_adam}

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor], *, step: int, scale: float) -> None:
        """Update the masters with fp32 `gradients`; `scale` is the schedule's share of the peak rates."""
        self._adam(gradients, step=step, lr=self.settings.lr * scale, matrix_lr=self.settings.matrix_lr * scale)
        self._muon(gradients, lr=self.settings.matrix_lr * scale)

    def _adam(self, gradients: Mapping[str, Tensor], *, step: int, lr: float, matrix_lr: float) -> None:
        s = self.settings
        correct1, correct2 = 1 - s.beta1 ** (step + 1), 1 - s.beta2 ** (step + 1)
        decayed = set(self.matrices)
        for name in self.by_adam:
            master, grad = self.masters[name], gradients[name]
            rate = matrix_lr if name in decayed else lr
            first, second = self.first[name], self.second[name]
            first.lerp_(grad, 1 - s.beta1)
            second.mul_(s.beta2).addcmul_(grad, grad, value=1 - s.beta2)
            if name in decayed:
                master.mul_(1 - rate * s.weight_decay)
            master.addcdiv_(first, (second / correct2).sqrt_().add_(s.eps), value=-rate / correct1)

    def _muon(self, gradients: Mapping[str, Tensor], *, lr: float) -> None:
        s = self.settings
        groups: dict[tuple[int, int], list[tuple[str, Tensor]]] = {}
        native = [name for name in self.by_muon if self.native and fused.updates(*self._size(name), self.muon_dtype)]
        stacks = [
            fused.MuonStack(
                *(x.view(-1, *self._size(n)) for x in (self.masters[n], self.first[n], gradients[n].contiguous()))
            )
            for n in native
        ]
        if stacks:
            fused.update(
                stacks, dtype=self.muon_dtype, momentum=s.momentum, coefficients=NEWTON_SCHULZ, iterations=ITERATIONS,
                rate=0.2 * lr, decay=1 - lr * s.weight_decay,
            )  # fmt: skip
        for name in (name for name in self.by_muon if name not in set(native)):
            grad, first = gradients[name], self.first[name]
            first.mul_(s.momentum).add_(grad)
            update = grad.add(first, alpha=s.momentum)  # Nesterov
            stack = update.reshape(-1, *self._size(name))
            groups.setdefault((stack.shape[-2], stack.shape[-1]), []).append((name, stack))
        for (rows, columns), members in groups.items():  # one batched product per shape
            whole = orthogonalize(torch.cat([stack for _, stack in members]), dtype=self.muon_dtype)
            # Match the size of AdamW's updates (arXiv:2502.16982, eq. 4).
            whole.mul_(0.2 * max(rows, columns) ** 0.5)
            for (name, _), piece in zip(members, torch.split(whole, [len(stack) for _, stack in members]), strict=True):
                master = self.masters[name]
                master.mul_(1 - lr * s.weight_decay).add_(piece.reshape(master.shape), alpha=-lr)

    def _size(self, name: str) -> tuple[int, int]:
        """Rows and columns of the matrices in a parameter: (E, 2F, C) is E gates and E ups."""
        rows, columns = self.masters[name].shape[-2:]
        return (rows // 2 if name.endswith("gate_up") else rows), columns

    def state(self) -> dict[str, Tensor]:
        named = {f"master/{n}": m for n, m in self.masters.items()}
        named |= {f"first/{n}": m for n, m in self.first.items()}
        return named | {f"second/{n}": m for n, m in self.second.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        for key, mine in self.state().items():
            mine.copy_(state[key])


def global_norm(norms: Iterable[float]) -> Tensor:
    """Euclidean norm of all gradients together, fp32, of the norm of each."""
    total: Tensor = torch.linalg.vector_norm(torch.tensor([*norms], dtype=torch.float32))
    return total
