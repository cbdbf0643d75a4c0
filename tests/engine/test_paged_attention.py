import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.backend.torch.paged_attention import BatchSpan, KVCache, PagedAttention, _cut, bucket, context_of
from creuset.model.attention import Packed, ScoreRule


@given(st.integers(1, 5000))
def test_a_bucket_is_whole_blocks_and_not_much_more_than_needed(length):
    size = bucket(length)
    assert size >= length and size % 64 == 0 and bucket(size) == size
    assert size < 2 * max(length, 64) + 1 and (length <= 512 or size <= 1.5 * length)
    assert bucket(length + 1) >= size


RULES = {
    "plain": lambda heads: ScoreRule(),
    "window": lambda heads: ScoreRule(window=20),
    "window of one": lambda heads: ScoreRule(window=1, scale=0.5),
    "cap and sinks": lambda heads: ScoreRule(0.7, 130, 0.5, torch.linspace(-1, 2, heads)),
}


@pytest.mark.parametrize(
    ("order", "heads", "groups", "rule"),
    [(order, *shape, "plain") for order in ("scattered", "in a row") for shape in ((4, 2), (6, 1), (2, 2))]
    + [("scattered", 4, 2, name) for name in RULES if name != "plain"],
)
def test_chunked_prefill_and_decode_equal_one_full_pass(order, heads, groups, rule):
    """The definition is `Packed`: whole sequences, each seeing only itself."""
    torch.manual_seed(0)
    width, block, lengths, blocks = 8, 16, [150, 140, 5], 24
    q, k, v = (torch.randn(sum(lengths), n, width) for n in (heads, groups, groups))
    rule = RULES[rule](heads)
    expected = Packed(lengths)(0, q, k, v, rule).split(lengths)
    q, k, v = (x.split(lengths) for x in (q, k, v))

    cache = KVCache(
        layers=2, blocks=blocks, block_size=block, heads=groups, width=width, dtype=torch.float32, device="cpu"
    )
    numbers = torch.randperm(blocks).tolist() if order == "scattered" else list(range(blocks))
    held = [[numbers.pop(0) for _ in range(-(-length // block))] for length in lengths]
    cache.keys.normal_()  # what lies in slots that are not one's own does not matter
    cache.values.normal_()
    done = [0, 0, 0]
    steps = [[127, 1, 3], [1, 138, 1], [6, 0, 1], [1, 1, 0], [15, 0, 0]]
    for new in steps:
        mine = [i for i in range(3) if new[i]]
        spans = [BatchSpan(done[i], new[i], held[i]) for i in mine]
        attend = PagedAttention(cache, spans, fold=heads // groups, quantum=4)
        rows = [torch.cat([x[i][done[i] : done[i] + new[i]] for i in mine]) for x in (q, k, v)]
        for i, y in zip(mine, attend(1, *rows, rule).split([new[i] for i in mine]), strict=True):
            torch.testing.assert_close(y, expected[i][done[i] : done[i] + new[i]], rtol=1e-5, atol=1e-5)
        done = [a + b for a, b in zip(done, new, strict=True)]
    assert done == lengths


@given(st.integers(0, 9000), st.integers(1, 3000))
def test_a_context_holds_the_window_in_whole_blocks_and_is_cut_alike_for_every_token(position, window):
    begin, size = context_of(position, window)
    assert begin % 64 == size % 64 == 0 and size <= bucket(position + 1)
    assert begin <= max(0, position + 1 - window) and position < begin + size
    assert begin == 0 or size == bucket(window + 127)
    assert context_of(position, 0) == (0, bucket(position + 1))


@given(st.integers(0, 3000), st.integers(1, 1500), st.integers(0, 1000), st.integers(1, 600))
def test_however_a_prompt_is_cut_each_token_reads_the_context_of_its_own_position(first, count, window, most):
    pieces = _cut([BatchSpan(first, count, range(100))], most=most, window=window)
    read = [(piece.first + i, piece.begin, piece.size) for piece in pieces for i in range(piece.count)]
    assert read == [(at, *context_of(at, window)) for at in range(first, first + count)]
    assert all(piece.count <= most for piece in pieces)


@pytest.mark.parametrize("rule", [ScoreRule(window=20), ScoreRule(window=150), ScoreRule(0.7, 20, 0.5)])
def test_far_into_a_text_only_the_slots_around_the_window_are_read(rule):
    torch.manual_seed(0)
    lengths, width, block = [900, 640], 8, 16
    q, k, v = (torch.randn(sum(lengths), n, width) for n in (4, 2, 2))
    expected = Packed(lengths)(0, q, k, v, rule).split(lengths)
    q, k, v = (x.split(lengths) for x in (q, k, v))
    cache = small_cache(layers=1, blocks=100, block_size=block, heads=2, width=width)
    numbers = torch.randperm(100).tolist()
    held = [[numbers.pop() for _ in range(-(-length // block))] for length in lengths]
    cache.keys.fill_(3.0)  # what lies outside of a window, or is not one's own, does not matter
    cache.values.fill_(1e3)
    done, seen = [0, 0], 0
    for new in ([300, 1], [1, 300], [320, 337], [1, 1], [277, 0], [1, 1]):
        mine = [i for i in range(2) if new[i]]
        attend = PagedAttention(cache, [BatchSpan(done[i], new[i], held[i]) for i in mine], fold=2, quantum=4)
        rows = [torch.cat([x[i][done[i] : done[i] + new[i]] for i in mine]) for x in (q, k, v)]
        for i, y in zip(mine, attend(0, *rows, rule).split([new[i] for i in mine]), strict=True):
            torch.testing.assert_close(y, expected[i][done[i] : done[i] + new[i]], rtol=1e-5, atol=1e-5)
        done = [a + b for a, b in zip(done, new, strict=True)]
        seen = max(seen, *(group.size for group in attend._plan(rule.window).groups))
    assert done == lengths and seen < bucket(900)


def small_cache(**changes):
    shape = {"layers": 2, "blocks": 12, "block_size": 64, "heads": 1, "width": 4}
    return KVCache(**(shape | changes), dtype=torch.float32, device="cpu")


def test_wiping_puts_zeros_in_the_slots_of_its_blocks_and_nowhere_else():
    cache = small_cache(block_size=4, blocks=5)
    cache.keys.fill_(float("nan"))
    cache.values.fill_(float("nan"))
    cache.wipe([1, 3])
    wiped = torch.zeros(len(cache.keys[0]), dtype=torch.bool)
    wiped[[4, 5, 6, 7, 12, 13, 14, 15]] = True
    for tensor in (cache.keys, cache.values):
        assert bool((tensor[:, wiped] == 0).all()) and bool(tensor[:, ~wiped].isnan().all())
    assert cache.bytes == 2 * cache.keys.numel() * 4


@pytest.mark.parametrize(
    ("spans", "calls"),
    [
        ([(10, 1), (30, 1), (60, 1)], 1),           # three that decode in one bucket are computed together
        ([(10, 1), (30, 1), (130, 1)], 2),          # two buckets
        ([(10, 3), (30, 3), (60, 1)], 2),           # and so are those with drafts of one length
        ([(0, 9), (0, 9)], 2),                      # prompts are not, however alike
        ([(10, 1), (0, 9), (30, 1)], 2),
    ],
)  # fmt: skip
def test_requests_that_decode_share_a_call_of_the_kernel_and_prompts_do_not(monkeypatch, spans, calls):
    cache, seen, kernel = small_cache(), [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: seen.append(1) or kernel(*a, **k))
    numbers = iter(range(12))
    held = [BatchSpan(at, count, [next(numbers) for _ in range((at + count) // 64 + 1)]) for at, count in spans]
    rows = sum(count for _, count in spans)
    attend = PagedAttention(cache, held, fold=2, quantum=1)
    attend(0, torch.randn(rows, 2, 4), torch.randn(rows, 1, 4), torch.randn(rows, 1, 4))
    assert len(seen) == calls
