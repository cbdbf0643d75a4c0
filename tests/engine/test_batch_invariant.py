import pytest
import torch
import torch.nn.functional as F

from creuset.engine.backend.torch import batch_invariant
from creuset.engine.backend.torch.batch_invariant import (
    KernelRules,
    PackedLinear,
    PaddedLinear,
    SingleRowLinear,
    activate,
    capped,
    measure,
    product,
)

SHAPES = [(1, 64), (16, 256), (96, 32), (512, 256), (1000, 128)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("n", "k"), SHAPES)
@torch.inference_mode()
def test_a_row_gets_the_same_whatever_is_beside_it(n, k, dtype):
    rules = measure([(n, k)], dtype=dtype, head_dim=32)
    torch.manual_seed(1)
    weight, bias, x = torch.randn(n, k).to(dtype), torch.randn(n).to(dtype), torch.randn(70, k).to(dtype)
    call = product(weight, bias, rules)
    whole = call(x)
    near = 1e-4 if dtype == torch.float32 else 0.3
    torch.testing.assert_close(whole, F.linear(x, weight, bias), rtol=2e-2, atol=near)
    for count in (*range(1, 20), 33, 64, 69):
        assert torch.equal(call(x[:count]), whole[:count])
        assert torch.equal(call(x[70 - count :]), whole[70 - count :])


@torch.inference_mode()
def test_where_nothing_is_alike_each_row_is_multiplied_by_itself(monkeypatch):
    """A machine on which every number of rows gives another result, but equal calls give equal results."""

    def moody(x, weight, bias=None):
        return x @ weight.t() * (1 + len(x) * 1e-3)

    monkeypatch.setattr(batch_invariant.F, "linear", moody)
    monkeypatch.setattr(batch_invariant, "_PACK_FROM", 10**9)
    rules = measure([(24, 16)], dtype=torch.float32, head_dim=16)
    assert rules.quantum == 0
    call = product(torch.randn(24, 16), None, rules)
    assert isinstance(call, SingleRowLinear)
    x = torch.randn(100, 16)
    for count in (1, 5, 32, 33, 99):
        assert torch.equal(call(x[:count]), call(x)[:count])


def test_the_smallest_quantum_that_is_alike_is_taken(monkeypatch):
    def by_fours(x, weight, bias=None):
        return x @ weight.t() * (1.0 if len(x) % 8 == 0 else 1.001)

    monkeypatch.setattr(batch_invariant.F, "linear", by_fours)
    monkeypatch.setattr(batch_invariant, "_PACK_FROM", 10**9)
    # Plain matmul here is itself not alike below 4 rows, so only multiples of 8 pass.
    assert measure([(24, 16)], dtype=torch.float32, head_dim=16).quantum == 8


def test_no_product_gets_more_rows_than_were_measured():
    weight = torch.randn(8, 4)
    one = PaddedLinear(weight, None, 4)
    one.limit = 16
    x = torch.randn(50, 4)
    torch.testing.assert_close(one(x), F.linear(x, weight))
    rules = KernelRules(packed=True, quantum=4, attention=4, batched=True, activation=True)
    large = product(torch.randn(512, 256), None, rules)
    assert isinstance(large, PackedLinear) and isinstance(product(weight, None, rules), PaddedLinear)
    large.limit = 16
    assert large(torch.randn(50, 256)).shape == (50, 512)


@pytest.mark.parametrize("count", [1, 3, 700])
def test_an_activation_in_parts_is_the_activation(count):
    h = torch.randn(count, 2 * 96)
    gate, up = h.chunk(2, dim=1)
    torch.testing.assert_close(activate(h, whole=False), F.silu(gate) * up)


def test_experts_are_multiplied_together_only_where_that_changes_nothing(monkeypatch):
    stack = (8, 64, 32)
    assert measure([stack[1:]], dtype=torch.float32, head_dim=16, stacks=[stack]).batched
    large = (2, 512, 512)  # packed: reading all experts for a few rows is not worth it
    assert not measure([large[1:]], dtype=torch.float32, head_dim=16, stacks=[large]).batched
    exact = torch.bmm
    monkeypatch.setattr(batch_invariant.torch, "bmm", lambda a, b: exact(a, b) * (1 + 2**-20))
    assert not measure([stack[1:]], dtype=torch.float32, head_dim=16, stacks=[stack]).batched


@pytest.mark.parametrize(
    ("n", "k", "rows_at_once"),
    [(1, 1, 512), (1024, 1024, 512), (1024, 1025, 128), (4096, 4096, 128), (4096, 4097, 32), (10**5, 10**4, 32)],
)
def test_a_large_weight_gets_fewer_rows_at_once(n, k, rows_at_once):
    assert batch_invariant.row_limit(n, k) == rows_at_once


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
@torch.inference_mode()
def test_activations_in_parts_are_those_of_the_whole(count, monkeypatch):
    monkeypatch.setattr(batch_invariant, "_ONE_THREAD", 64 * 16)
    seen = []
    silu = F.silu
    monkeypatch.setattr(batch_invariant.F, "silu", lambda x: seen.append(len(x)) or silu(x))
    h = torch.randn(count, 32)
    gate, up = h.chunk(2, dim=-1)
    torch.testing.assert_close(activate(h, whole=False), silu(gate) * up)
    assert seen == [64] * (count // 64) + [count % 64] * (count % 64 > 0), "a part is larger than one thread takes"
    seen.clear()
    torch.testing.assert_close(activate(h), silu(gate) * up)
    assert seen == [count]


def test_packed_products_are_refused_where_they_depend_on_the_number_of_rows(monkeypatch):
    class Moody(PackedLinear):
        def __call__(self, x):
            return super().__call__(x) * (1 + len(x) * 1e-3)

    large = (400, 256)
    assert batch_invariant._PACK_FROM <= 400 * 256
    monkeypatch.setattr(batch_invariant, "PackedLinear", Moody)
    assert measure([large], dtype=torch.float32, head_dim=16).packed is False
    assert measure([(24, 16)], dtype=torch.float32, head_dim=16).packed is True, "no weight is large: nothing to refuse"


def test_threads_are_put_back_whatever_happens():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with batch_invariant.using(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), batch_invariant.using(3):
            assert torch.get_num_threads() == 3
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_packed_product_gets_as_many_rows_as_its_size_allows():
    weight = torch.randn(1024, 1025)
    assert PackedLinear(weight, None).limit == batch_invariant.row_limit(1024, 1025) == 128
    assert PaddedLinear(weight, None, 4).limit == 128


@pytest.mark.parametrize("width", [100, 128, 40_001])
def test_a_capped_row_gets_the_same_whatever_is_beside_it(width):
    x = torch.randn(70, width, generator=torch.Generator().manual_seed(0)) * 5
    whole = capped(x, 3.0)
    torch.testing.assert_close(whole, 3.0 * torch.tanh(x / 3.0))
    for count in (1, 2, 7, 33, 69):
        assert torch.equal(capped(x[:count], 3.0), whole[:count])
        assert torch.equal(capped(x[-count:], 3.0), whole[-count:])
