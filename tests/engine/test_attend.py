import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.backend.torch.attend import KVCache, Paged, Span, bucket
from creuset.model.attention import Packed


@given(st.integers(1, 5000))
def test_a_bucket_is_whole_blocks_and_not_much_more_than_needed(length):
    size = bucket(length)
    assert size >= length and size % 64 == 0 and bucket(size) == size
    assert size < 2 * max(length, 64) + 1 and (length <= 512 or size <= 1.5 * length)
    assert bucket(length + 1) >= size


@pytest.mark.parametrize("order", ["scattered", "in a row"])
@pytest.mark.parametrize(("heads", "groups"), [(4, 2), (6, 1), (2, 2)])
def test_chunked_prefill_and_decode_equal_one_full_pass(order, heads, groups):
    """The definition is `Packed`: whole sequences, each seeing only itself."""
    torch.manual_seed(0)
    width, block, lengths, blocks = 8, 16, [150, 140, 5], 24
    q, k, v = (torch.randn(sum(lengths), n, width) for n in (heads, groups, groups))
    expected = Packed(lengths)(0, q, k, v).split(lengths)
    q, k, v = (x.split(lengths) for x in (q, k, v))

    cache = KVCache(
        layers=2, blocks=blocks, block_size=block, heads=groups, width=width, dtype=torch.float32, device="cpu"
    )
    numbers = torch.randperm(blocks).tolist() if order == "scattered" else list(range(blocks))
    held = [[numbers.pop(0) for _ in range(-(-length // block))] for length in lengths]
    cache.keys.normal_()        # what lies in slots that are not one's own does not matter
    cache.values.normal_()
    done = [0, 0, 0]
    steps = [[127, 1, 3], [1, 138, 1], [6, 0, 1], [1, 1, 0], [15, 0, 0]]
    for new in steps:
        mine = [i for i in range(3) if new[i]]
        spans = [Span(done[i], new[i], held[i]) for i in mine]
        attend = Paged(cache, spans, fold=heads // groups, quantum=4)
        rows = [torch.cat([x[i][done[i] : done[i] + new[i]] for i in mine]) for x in (q, k, v)]
        for i, y in zip(mine, attend(1, *rows).split([new[i] for i in mine]), strict=True):
            torch.testing.assert_close(y, expected[i][done[i] : done[i] + new[i]], rtol=1e-5, atol=1e-5)
        done = [a + b for a, b in zip(done, new, strict=True)]
    assert done == lengths


def test_wiping_a_block_removes_what_is_not_finite():
    cache = KVCache(layers=1, blocks=3, block_size=4, heads=1, width=2, dtype=torch.float32, device="cpu")
    cache.keys[:, 4:8] = float("nan")
    cache.wipe([1])
    assert bool(cache.keys.isfinite().all()) and cache.bytes == 2 * 16 * 2 * 4
