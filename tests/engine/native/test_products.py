"""Products of the native core against their definition in NumPy, at each feature level that this machine has.

The kinds with codes and f32 give the same bits at every level, so they are compared bit for bit with a definition that
adds in the same order. bf16 has dot products of the processor's own at some levels; there a bound is checked.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from creuset.core.errors import ConfigError
from creuset.core.native.library import Library, NativeUnavailable, library
from creuset.engine.backend.native.matrix import SCALE_TYPES, PackedMatrix, Products

SHAPES = [(16, 32), (33, 40), (80, 96), (7, 160), (130, 72)]  # outputs not of 16, inputs not of 32
ROWS = (1, 2, 3, 8, 33)
KINDS = [("f32", 0), ("bf16", 0), ("q8", 32), ("q8", 16), ("q4", 32), ("q4a", 32)]


def levels() -> list[str]:
    try:
        return list(library().levels)
    except NativeUnavailable:
        return []


@pytest.fixture(
    params=levels() or [pytest.param("", marks=pytest.mark.skip(reason="the native library was not built"))]
)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    lib: Library = library()
    before = lib.isa
    lib.force(request.param)
    yield request.param
    lib.force(before)


def numbers(rows: int, ins: int, seed: int = 0) -> np.ndarray:
    """Activations of different sizes, with one far out and one group of zeros."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((rows, ins)) * np.exp(rng.standard_normal((rows, 1)))).astype(np.float32)
    x[0, ins // 2] = 40.0
    x[-1, :32] = 0
    return x


def weights(products: Products, kind: str, group: int, outs: int, ins: int, scales: str = "f32") -> tuple:
    """A matrix with all codes that its kind has, and its parts: (matrix, codes, scales, minima) or (matrix, values)."""
    rng = np.random.default_rng(outs * 1000 + ins)
    if not group:
        made = products.empty(kind, outs, ins)
        values = rng.standard_normal((outs, ins), np.float32)
        products.pack_values(made, values)
        return made, values
    made = products.empty(kind, outs, ins, group=group, scales=scales)
    low, high = {"q8": (-128, 128), "q4": (-8, 8), "q4a": (0, 16)}[kind]
    codes = rng.integers(low, high, (outs, ins), dtype=np.int8)
    codes[0, :16] = low
    codes[-1, -16:] = high - 1
    groups = (outs, -(-ins // group))
    # Of a form that each type of scale holds without rounding.
    scale, minima = (np.float32(2.0**-12) * rng.integers(-128, 128, groups).astype(np.float32) for _ in range(2))
    products.pack_codes(made, codes, scale, minima if kind == "q4a" else None)
    return made, codes, scale, minima


def bf16(x: np.ndarray) -> np.ndarray:
    """The nearest numbers of bf16, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c, rounded once but for ties: the product is exact in fp64, and so is the sum to far below fp32."""
    return (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(np.float32)


def in_order(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(rows, outs): inputs in rising order, one fused product and sum after the other."""
    sums = np.zeros((len(x), len(w)), np.float32)
    for i in range(x.shape[1]):
        sums = fma(x[:, i, None], w[None, :, i], sums)
    return sums


def padded(x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, -x.shape[1] % 32)))


def quantized_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (rows, groups, 32) and scales (rows, groups) of activations."""
    grouped = padded(x).reshape(len(x), -1, 32)
    top = np.abs(grouped).max(-1)
    with np.errstate(divide="ignore"):
        inverse = np.where(top > 0, np.float32(127) / top, np.float32(0)).astype(np.float32)
    return np.rint(grouped * inverse[..., None]).astype(np.int64), (top / np.float32(127)).astype(np.float32)


def defined(kind: str, group: int, x: np.ndarray, parts: tuple) -> np.ndarray:
    """What a product gives, by native/matrix.h."""
    if kind == "f32":
        return in_order(x, parts[0])
    if kind == "bf16":
        return in_order(bf16(x), bf16(parts[0]))
    codes, scales, minima = parts
    xcodes, xscales = quantized_rows(x)
    wcodes = padded(codes.astype(np.int64))
    sums = np.zeros((len(x), len(codes)), np.float32)
    for g in range(scales.shape[1]):
        of = g * group // 32
        within = slice(g * group % 32, g * group % 32 + group)
        whole = xcodes[:, of, within] @ wcodes[:, g * group : (g + 1) * group].T
        sums = fma(whole, scales[None, :, g] * xscales[:, of, None], sums)
        if kind == "q4a":
            total = xscales[:, of] * xcodes[:, of].sum(-1).astype(np.float32)
            sums = fma(minima[None, :, g], total[:, None], sums)
    return sums


@pytest.mark.parametrize(("kind", "group"), KINDS)
@pytest.mark.parametrize(("outs", "ins"), SHAPES)
def test_a_product_is_its_definition(level, kind, group, outs, ins):
    products = Products(library())
    matrix, *parts = weights(products, kind, group, outs, ins)
    x = numbers(max(ROWS), ins)
    expected = defined(kind, group, x, tuple(parts))
    for rows in ROWS:
        found = products.multiply(matrix, products.prepare(x[:rows], [kind]))
        if kind == "bf16" and level in ("bf16", "amx"):
            bound = 2e-6 * (np.abs(bf16(x[:rows])) @ np.abs(bf16(parts[0])).T)
            assert (np.abs(found - expected[:rows]) <= bound).all()
        else:
            np.testing.assert_array_equal(found, expected[:rows])


@pytest.mark.parametrize("scales", SCALE_TYPES)
@pytest.mark.parametrize(("kind", "group"), KINDS[2:])
def test_scales_of_each_type_give_one_product(level, kind, group, scales):
    products = Products(library())
    matrix, *parts = weights(products, kind, group, 48, 64, scales)
    x = numbers(5, 64)
    found = products.multiply(matrix, products.prepare(x, [kind]))
    np.testing.assert_array_equal(found, defined(kind, group, x, tuple(parts)))


@pytest.mark.parametrize(("kind", "group"), KINDS)
def test_a_row_is_the_same_alone_in_a_batch_by_its_number_and_in_any_share(level, kind, group):
    products = Products(library())
    outs, ins, rows = 150, 72, 33
    matrix, *_ = weights(products, kind, group, outs, ins)
    x = numbers(rows, ins)
    ready = products.prepare(x, [kind])
    batch = products.multiply(matrix, ready)
    for row in (0, 7, 32):
        alone = products.multiply(matrix, products.prepare(x[row : row + 1], [kind]))
        np.testing.assert_array_equal(alone[0], batch[row])
    order = [32, 3, 3, 0, 18, 7, 1]
    np.testing.assert_array_equal(products.multiply(matrix, ready, order), batch[order])
    halves = [products.multiply(matrix, ready, share=share) for share in ((0, 64), (64, outs))]
    assert np.isnan(halves[0][:, 64:]).all()
    assert np.isnan(halves[1][:, :64]).all()
    np.testing.assert_array_equal(np.where(np.isnan(halves[0]), halves[1], halves[0]), batch)


def test_what_is_not_finite_stays_seen(level):
    products = Products(library())
    x = np.ones((3, 64), np.float32)
    x[0, 5], x[1, 40] = np.nan, np.inf
    for kind, group in KINDS:
        matrix, *_ = weights(products, kind, group, 16, 64)
        found = products.multiply(matrix, products.prepare(x, [kind]))
        assert not np.isfinite(found[:2]).any(), kind
        assert np.isfinite(found[2]).all(), kind


def test_activations_too_small_for_a_scale_count_as_zero(level):
    products = Products(library())
    matrix, *_ = weights(products, "q8", 32, 16, 32)
    tiny = np.full((1, 32), 1e-38, np.float32)
    np.testing.assert_array_equal(products.multiply(matrix, products.prepare(tiny, ["q8"])), 0)


@pytest.mark.parametrize("ins", [896, 40])
def test_many_rows_are_cut_into_pieces_without_another_sum(level, ins):
    if level == "scalar":
        pytest.skip("the definition does not cut")
    products = Products(library())
    for kind in ("f32", "bf16", "q8"):
        matrix, *_ = weights(products, kind, 32 if kind == "q8" else 0, 48, ins)
        x = numbers(600, ins)
        ready = products.prepare(x, [kind])
        batch = products.multiply(matrix, ready)
        for some in (slice(0, 1), slice(213, 220), slice(599, 600)):
            rows = list(range(600))[some]
            np.testing.assert_array_equal(products.multiply(matrix, ready, rows), batch[some])


def test_a_matrix_that_cannot_be_is_refused():
    products = Products(library())
    for kind, group, told in (("q4", 16, "of kind `q4` have no groups of 16"), ("q3", 32, "kind `q3`")):
        with pytest.raises(ConfigError, match=told):
            products.empty(kind, 16, 32, group=group)
    made: PackedMatrix = products.empty("q8", 40, 32)
    with pytest.raises(ConfigError, match="24 rows of 32 from row 8 do not fit a matrix of 40 by 32"):
        products.pack_values(made, np.zeros((24, 32), np.float32), 8)
    with pytest.raises(ConfigError, match="scales must be"):
        products.pack_codes(made, np.zeros((40, 32), np.int8), np.zeros((40, 2), np.float32))
