"""Training's native passes against their definitions in fp64, values and gradients, at each level of the processor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.core.native.library import NativeUnavailable, library
from creuset.model import fused
from creuset.model.attention import Packed, ScoreRule, _causal
from creuset.model.moe import _swiglu, _swiglu_back
from creuset.model.rope import Rotation, rotate, rotation
from creuset.train.optim import Optimizer
from creuset.train.settings import Optim


def levels() -> list[str]:
    try:
        return [level for level in library().levels if level in ("scalar", "avx2", "avx512", "bf16", "neon")]
    except NativeUnavailable:
        return []


@contextmanager
def forced(level: str) -> Iterator[None]:
    """Compute at `level`, whatever CREUSET_ISA said until now: `library()` obeys it at each call."""
    before = library().isa
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREUSET_ISA", level)
        library()
        yield
    library().force(before)


@pytest.fixture(
    params=levels() or [pytest.param("", marks=pytest.mark.skip(reason="the native library was not built"))]
)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    with forced(request.param):
        yield request.param


# One rounding of bf16 is 2^-9; a gradient adds a few. fp32: sums of some hundred numbers.
NEAR = {torch.float32: 2e-6, torch.bfloat16: 6e-3}
DTYPES = pytest.mark.parametrize("dtype", NEAR)


def draw(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def run(compute: Callable[..., Tensor], inputs: list[Tensor], slope: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """The value and the gradient of each input, computed in `dtype`."""
    leaves = [x.detach().to(dtype, copy=True).requires_grad_() for x in inputs]
    y = compute(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, slope.to(dtype))]


def near(found: list[Tensor], wanted: list[Tensor], bound: float) -> None:
    for number, (mine, definition) in enumerate(zip(found, wanted, strict=True)):
        assert mine.shape == definition.shape
        off = float((mine.double() - definition).norm() / definition.norm())
        assert off < bound, f"result {number} is off by {off:.2e}"


@DTYPES
@pytest.mark.parametrize("width", [16, 48, 320])
def test_norm(level: str, dtype: torch.dtype, width: int) -> None:
    x, weight, slope = (draw(*s, width, dtype=dtype, seed=i) for i, s in enumerate(((2, 301), (), (2, 301))))

    def plain(x: Tensor, w: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * w

    mine = run(lambda x, w: fused.norm(x, w, 1e-5), [x, weight], slope, dtype)
    near(mine, run(plain, [x, weight], slope, torch.float64), NEAR[dtype])


@DTYPES
@pytest.mark.parametrize(("width", "rotated"), [(32, 32), (64, 32), (128, 128)])
@pytest.mark.parametrize("normed", [True, False])
def test_heads(level: str, dtype: torch.dtype, width: int, rotated: int, normed: bool) -> None:
    tokens = 270
    turn = rotation(torch.arange(tokens) * 3, torch.logspace(0, -3, rotated // 2), 1.1, dtype)
    exact = Rotation(*(t.double() for t in turn))
    x, slope = draw(tokens, 3, width, dtype=dtype), draw(tokens, 3, width, dtype=dtype, seed=1)
    weights = [draw(width, dtype=dtype)] if normed else []

    def plain(x: Tensor, *w: Tensor) -> Tensor:
        return rotate(F.rms_norm(x, (width,), w[0], 1e-6) if w else x, exact)

    assert fused.turns(x, turn)
    mine = run(lambda x, *w: fused.heads(x, w[0] if w else None, *turn, 1e-6), [x, *weights], slope, dtype)
    near(mine, run(plain, [x, *weights], slope, torch.float64), NEAR[dtype])


@DTYPES
def test_swiglu(level: str, dtype: torch.dtype) -> None:
    h, da, scale = draw(300, 96, dtype=dtype) * 3, draw(300, 48, dtype=dtype), draw(300, dtype=torch.float32)
    near([fused.swiglu(h)], [_swiglu(h.double())], NEAR[dtype])
    kept = h.clone()
    near(
        list(fused.swiglu_back(h, da, scale)), list(_swiglu_back(h.double(), da.double(), scale.double())), NEAR[dtype]
    )
    assert torch.equal(h, kept), "what another backward pass would read was overwritten"


@DTYPES
@pytest.mark.parametrize("vocab", [16, 4112])
def test_softmax_slope(level: str, dtype: torch.dtype, vocab: int) -> None:
    logits, targets = draw(37, vocab, dtype=dtype) * 4, torch.arange(37) * 7 % vocab
    weights = torch.arange(37) % 3 / 2
    logits[5] += 1000
    exact = logits.double().requires_grad_()
    losses = weights * F.cross_entropy(exact, targets, reduction="none")
    losses.sum().backward()
    assert exact.grad is not None
    slope = logits.clone()
    near([fused.softmax_slope(slope, targets, weights), slope], [losses.detach(), exact.grad], NEAR[dtype])


@DTYPES
@pytest.mark.parametrize(
    ("sequences", "length", "heads", "groups", "width", "window"),
    [
        (2, 77, 6, 2, 32, 0),
        (1, 300, 4, 4, 64, 100),
        (3, 130, 2, 1, 16, 16),
        (1, 65, 51, 1, 48, 0),
        (2, 1, 4, 2, 128, 3),
    ],
)
def test_attention(
    level: str, dtype: torch.dtype, sequences: int, length: int, heads: int, groups: int, width: int, window: int
) -> None:
    tokens, rule = sequences * length, ScoreRule(0.3, window)
    inputs = [draw(tokens, n, width, dtype=dtype, seed=i) for i, n in enumerate((heads, groups, groups))]
    slope = draw(tokens, heads, width, dtype=dtype, seed=9)
    packed = Packed([length] * sequences, fused=True)
    assert fused.attends(*inputs)
    mine = run(lambda q, k, v: packed(0, q, k, v, rule), inputs, slope, dtype)
    exact = run(lambda q, k, v: _causal(q, k, v, sequences, rule), inputs, slope, torch.float64)
    if length == 1:  # one key: its weight is 1 whatever the score, so two gradients are 0
        assert all(float(x.double().abs().max()) < 1e-2 for x in mine[1:3])
        mine, exact = [mine[0], mine[3]], [exact[0], exact[3]]
    near(mine, exact, NEAR[dtype])


@DTYPES
def test_attention_of_sequences_of_many_lengths(level: str, dtype: torch.dtype) -> None:
    lengths = [5, 70, 1, 128, 128, 33]
    inputs = [draw(sum(lengths), n, 32, dtype=dtype, seed=n) for n in (4, 2, 2)]
    slope = draw(sum(lengths), 4, 32, dtype=dtype, seed=9)
    mine, exact = (
        run(lambda q, k, v, native=native: Packed(lengths, fused=native)(0, q, k, v), inputs, slope, precision)
        for native, precision in ((True, dtype), (False, torch.float64))
    )
    near(mine, exact, NEAR[dtype])


def test_no_number_depends_on_the_number_of_threads() -> None:
    if not levels():
        pytest.skip("the native library was not built")
    x, slope = (draw(1000, 4, 32, dtype=torch.float32, seed=i) for i in range(2))
    weight = draw(32, dtype=torch.float32)
    packed = Packed([300, 300, 400], fused=True)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run(lambda x, w: packed(0, fused.norm(x, w, 1e-6), x, x), [x, weight], slope, torch.float32))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_what_the_kernels_cannot_compute_is_left_to_torch() -> None:
    assert not fused.fits(torch.zeros(2, 24), 24) and not fused.fits(torch.zeros(2, 32, dtype=torch.float64), 32)
    q, v = torch.zeros(4, 2, 32), torch.zeros(4, 2, 16)
    assert not fused.attends(q, q, v)
    turn = rotation(torch.arange(4), torch.ones(8), 1.0, torch.float32)
    assert not fused.turns(q, turn), "8 pairs are half a vector"


SIZES = [(2, 32, 64), (3, 96, 64), (1, 128, 128), (2, 160, 32)]


def muon(sizes: list[tuple[int, int, int]], native: bool, dtype: torch.dtype) -> list[Tensor]:
    """Masters and moments after two updates by Muon."""
    named = [(f"w{i}.proj.weight", draw(*size, dtype=torch.float32, seed=i)) for i, size in enumerate(sizes)]
    optimizer = Optimizer(named, Optim(matrix_lr=0.1, weight_decay=0.5), muon_dtype=dtype, native=native)
    for step in range(2):
        gradients = {name: draw(*x.shape, dtype=torch.float32, seed=9 + step) for name, x in named}
        optimizer.step(gradients, step=step, scale=0.7)
    return list(optimizer.state().values())


@pytest.fixture
def bf16_level() -> Iterator[None]:
    if "bf16" not in (library().levels if levels() else ()):
        pytest.skip("this processor has no products of bf16")
    with forced("bf16"):
        yield


def test_muon(level: str) -> None:
    assert all(fused.updates(*size[1:], torch.float32) for size in SIZES)
    assert fused.updates(32, 64, torch.bfloat16) == (level == "bf16"), "only it has products of bf16"
    for mine, torchs in zip(muon(SIZES, True, torch.float32), muon(SIZES, False, torch.float32), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=2e-5, atol=2e-5)


def test_muon_in_bf16_is_as_near_to_the_definition_as_torchs(bf16_level: None) -> None:
    assert all(fused.updates(*size[1:], torch.bfloat16) for size in SIZES)
    exact = muon(SIZES, False, torch.float32)
    found = [
        sum(float((a - b).square().sum()) for a, b in zip(muon(SIZES, native, torch.bfloat16), exact, strict=True))
        for native in (True, False)
    ]
    assert 0 < found[0] < 1.3 * found[1]


def test_sizes_that_fill_no_pair_of_vectors_are_left_to_torch() -> None:
    assert not fused.updates(48, 64, torch.float32) and not fused.updates(64, 8192, torch.float32)
    odd = [(1, 48, 64), (2, 24, 10)]
    assert all(
        torch.equal(a, b) for a, b in zip(muon(odd, True, torch.float32), muon(odd, False, torch.float32), strict=True)
    )
