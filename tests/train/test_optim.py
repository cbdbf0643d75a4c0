"""The update rules: AdamW and Muon beside torch's own, and beside Muon written out from its paper in fp64."""

import pytest
import torch
from torch import Tensor

from creuset.train.optim import Optimizer, global_norm, is_matrix, orthogonalize
from creuset.train.settings import Optim
from creuset.train.watch.health import tensor_norms

STEPS = 4
SHAPES = {
    "model.layers.0.self_attn.q_proj.weight": (24, 16),
    "model.layers.0.self_attn.o_proj.weight": (16, 24),
    "model.layers.0.mlp.experts.down": (3, 16, 10),
    "model.layers.0.mlp.experts.gate_up": (3, 20, 16),  # per expert: 10 rows of the gate, then 10 of the up projection
    "model.layers.0.self_attn.q_norm.weight": (8,),
    "model.layers.0.mlp.gate.weight": (3, 16),  # the router
    "model.embed_tokens.weight": (30, 16),
    "lm_head.weight": (30, 16),
}
MATRICES = list(SHAPES)[:4]


def drawn(seed: int, size: float = 1.0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw) * size for name, shape in SHAPES.items()}


def gradients() -> list[dict[str, Tensor]]:
    """Of different sizes, so that momentum which weighs the steps wrongly is seen."""
    return [drawn(seed, size) for seed, size in zip(range(1, STEPS + 1), (1.0, 0.2, 3.0, 0.5), strict=True)]


def ours(settings: Optim, scales: list[float], *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    optimizer = Optimizer(drawn(0).items(), settings, muon_dtype=dtype)
    for step, (grads, scale) in enumerate(zip(gradients(), scales, strict=True)):
        optimizer.step(grads, step=step, scale=scale)
    return optimizer.masters


SCALES = [0.25, 0.5, 1.0, 0.7]  # what a schedule does to the rates


def by_torch(kind: str, names: list[str], scales: list[float], *, lr: float, **settings: object) -> dict[str, Tensor]:
    """The same steps by `torch.optim.AdamW` or `torch.optim.Muon`."""
    parameters = {name: torch.nn.Parameter(drawn(0)[name].clone()) for name in names}
    optimizer = getattr(torch.optim, kind)(parameters.values(), lr=lr, **settings)
    for grads, scale in zip(gradients(), scales, strict=True):
        optimizer.param_groups[0]["lr"] = lr * scale
        for name, parameter in parameters.items():
            parameter.grad = grads[name].clone()
        optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}


def test_what_muon_does_not_take_is_updated_as_by_torchs_adamw_without_decay() -> None:
    settings = Optim(lr=0.01, weight_decay=5.0, beta1=0.8, beta2=0.9, eps=1e-3)
    found = ours(settings, SCALES)
    rest = [name for name in SHAPES if name not in MATRICES]
    wanted = by_torch("AdamW", rest, SCALES, lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.0)
    for name in rest:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)


def test_with_adamw_for_matrices_they_have_their_own_rate_and_decay() -> None:
    settings = Optim(lr=0.5, matrix_lr=0.02, weight_decay=5.0, beta1=0.8, beta2=0.9, eps=1e-3, matrices="adamw")
    found = ours(settings, SCALES)
    wanted = by_torch("AdamW", MATRICES, SCALES, lr=0.02, betas=(0.8, 0.9), eps=1e-3, weight_decay=5.0)
    for name in MATRICES:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MATRICES[:2])
def test_a_matrix_is_updated_as_by_torchs_muon(name: str) -> None:
    """Both in bf16, which is all that torch's knows; in fp32 against the definition below."""
    found = ours(Optim(lr=1.0, matrix_lr=0.1, weight_decay=2.0, momentum=0.6), SCALES, dtype=torch.bfloat16)[name]
    wanted = by_torch(
        "Muon", [name], SCALES, lr=0.1, weight_decay=2.0, momentum=0.6, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )[name]
    moved = (wanted - drawn(0)[name]).norm()
    assert (found - wanted).norm() < 0.01 * moved


def muon(weight: Tensor, grads: list[Tensor], *, lr: float, decay: float, momentum: float) -> Tensor:
    """arXiv:2502.16982, eq. 1 and 4, for one matrix, in fp64; Nesterov as in Jordan's implementation."""
    weight, buffer = weight.double(), torch.zeros_like(weight, dtype=torch.float64)
    for gradient, scale in zip(grads, SCALES, strict=True):
        buffer = momentum * buffer + gradient.double()
        x = momentum * buffer + gradient.double()
        x = x / x.norm()
        for _ in range(5):
            x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
        update = 0.2 * max(weight.shape) ** 0.5 * x
        weight = weight - lr * scale * (update + decay * weight)
    return weight


def test_every_expert_and_both_of_its_fused_projections_are_one_matrix_of_muon() -> None:
    found = ours(Optim(lr=1.0, matrix_lr=0.1, weight_decay=2.0, momentum=0.6), SCALES)
    start, grads = drawn(0), gradients()

    def pieces(name: str, tensor: Tensor) -> list[Tensor]:
        stack = tensor if tensor.ndim == 3 else tensor[None]
        return [part for matrix in stack for part in (matrix.chunk(2) if name.endswith("gate_up") else [matrix])]

    for name in MATRICES:
        whole = zip(pieces(name, start[name]), *(pieces(name, g[name]) for g in grads), strict=True)
        wanted = [muon(first, list(rest), lr=0.1, decay=2.0, momentum=0.6) for first, *rest in whole]
        for mine, definition in zip(pieces(name, found[name]), wanted, strict=True):
            torch.testing.assert_close(mine.double(), definition, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("shape", [(2, 12, 40), (2, 40, 12), (1, 16, 16)])
def test_orthogonalize_keeps_the_singular_vectors_and_brings_the_values_near_one(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 50
    found = orthogonalize(x)
    assert found.shape == x.shape and found.dtype == x.dtype == orthogonalize(x, dtype=torch.bfloat16).dtype
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    inner = u.mT @ found @ v.mT  # diagonal when the singular vectors are those of x
    values = inner.diagonal(dim1=-2, dim2=-1)
    # Jordan's coefficients: values land in about [0.7, 1.2]; the smallest of a square matrix start near 0.
    assert bool((values < 1.25).all()) and bool((values > (0.65 if shape[1] != shape[2] else 0.0)).all())
    assert (inner - torch.diag_embed(values)).abs().max() < 1e-4


def test_muon_takes_matrices_of_the_blocks_and_nothing_else() -> None:
    taken = [name for name, tensor in drawn(0).items() if is_matrix(name, tensor)]
    assert taken == MATRICES
    assert not is_matrix("model.layers.0.mlp.shared_expert_gate.weight", torch.zeros(1, 16))
    assert is_matrix("model.layers.0.mlp.shared_expert.gate_proj.weight", torch.zeros(16, 16))
    assert is_matrix("model.layers.0.mlp.gate_proj.weight", torch.zeros(16, 16)), "a dense layer's gate is a matrix"


def test_the_norm_is_that_of_all_gradients_as_one_vector() -> None:
    grads = drawn(3)
    wanted = torch.cat([g.flatten() for g in grads.values()]).norm()
    torch.testing.assert_close(global_norm(tensor_norms(grads).values()), wanted)


@pytest.mark.parametrize("matrices", ["muon", "adamw"])
def test_an_optimizer_loaded_from_anothers_state_goes_on_like_it(matrices: str) -> None:
    settings = Optim(matrices=matrices)  # type: ignore[arg-type]
    whole, first = (Optimizer(drawn(0).items(), settings) for _ in range(2))
    later = Optimizer(drawn(9).items(), settings)
    for step, grads in enumerate(gradients()):
        whole.step(grads, step=step, scale=1.0)
        if step < 2:
            first.step(grads, step=step, scale=1.0)
            later.load(first.state())
        else:
            later.step(grads, step=step, scale=1.0)
    assert all(torch.equal(later.state()[key], tensor) for key, tensor in whole.state().items())
