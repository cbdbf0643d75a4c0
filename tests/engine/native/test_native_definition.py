"""The native core computes what torch computes in fp32, for every family that it knows, and each row by itself."""

import numpy as np
import pytest
import torch

from creuset.core.native.library import FILE, library
from creuset.engine.backend.base import BatchSpan, ForwardBatch
from creuset.engine.backend.native.assemble import unsupported
from creuset.engine.backend.native.runner import NativeRunner
from creuset.model.families import FAMILIES
from creuset.model.formats.weights import ModelWeights
from creuset.model.rope_scaling import RopeScaling, yarn
from creuset.model.score import Reading, log_likelihoods
from creuset.testing import tiny_config, tiny_model

if not FILE.is_file():
    pytest.skip("there is no native library: apt-get install g++", allow_module_level=True)

KNOWN = [family for family in FAMILIES if unsupported(tiny_config(family)) is None]
LEVELS = library().levels


def ids(count, seed=0, vocab=512):
    return np.random.default_rng(seed).integers(0, vocab, count)


@pytest.fixture
def level(request):
    """Compute by one feature level."""
    found = library()
    before = found.isa
    found.force(request.param)
    yield request.param
    found.force(before)


def native(config, *, seed=0, **kwargs):
    return NativeRunner(ModelWeights(tiny_model(config, seed=seed)), **({"dtype": "fp32", "threads": 1} | kwargs))


def test_no_family_is_left_to_torch():
    assert set(KNOWN) == set(FAMILIES)


@pytest.mark.parametrize("family", KNOWN)
def test_likelihoods_are_those_of_the_model_in_fp32(family):
    config = tiny_config(family)
    readings = [Reading(ids(n, n), scored) for n, scored in ((60, 3), (5, 0), (200, 100), (33, 31), (2, 0))]
    ours = {i: (values, best) for i, values, best in native(config).score(readings, tokens_per_batch=128)}
    theirs = {i: (values, best) for i, values, best in log_likelihoods(tiny_model(config), readings)}
    assert set(ours) == set(theirs) == set(range(5))
    for index, (values, best) in theirs.items():
        assert ours[index][0] == pytest.approx(values, abs=1e-4)
        assert ours[index][1].tolist() == best.tolist()


CHANGES = [
    {"head_dim": 40, "heads": 3, "kv_heads": 1, "hidden": 56},  # widths that fill no register
    {"heads": 14, "kv_heads": 1},  # more queries on a key than are read at once
    {"heads": 4, "kv_heads": 4},
    {"window": 5, "window_layers": (0, 1)},
    {"attention_cap": 1.5, "final_cap": 3.0, "query_scale": 0.5, "clip_qkv": 0.8},
    {"rotary_dim": 4, "attention_bias": True, "tie_embeddings": False},
    {"rope_scaling": yarn(4.0, 64)},
    {"rope_scaling": RopeScaling(kind="llama3", factor=8.0, original_context=64)},
    {"rope_scaling": RopeScaling(kind="linear", factor=2.0)},
    {
        "rope_scaling": RopeScaling(
            kind="longrope", original_context=64, short_factor=(1.0,) * 4, long_factor=(1.0, 2.0, 3.0, 4.0)
        )
    },
]


@pytest.mark.parametrize("level", LEVELS, indirect=True)
@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(changes))
def test_every_shape_is_the_models_own_at_every_level(level, changes):
    config = tiny_config("mistral", **changes)
    reading = Reading(ids(150))
    ((_, ours, _),) = native(config).score([reading])
    ((_, theirs, _),) = log_likelihoods(tiny_model(config), [reading])
    assert ours == pytest.approx(theirs, abs=1e-4)


FAMILIES_OF_ROWS = ("gemma2", "qwen2_moe", "glm4_moe", "gpt_oss", "deepseek_v3")


def scattered(runner, tokens, *, chunks, block_size, beside=()):
    """Logits of all rows of `tokens`, read in `chunks` from scattered blocks, other requests `beside` in each batch."""
    needed = -(-len(tokens) // block_size)
    runner.allocate(8 * (needed + 1), block_size)
    blocks = [2 * i + 1 for i in range(needed)][::-1]
    rows, first = [], 0
    for chunk in chunks:
        spans, batch = [], []
        for place, other in enumerate(beside):
            begin = (2 + place) * (needed + 1)
            spans.append(BatchSpan(0, len(other), range(begin, begin + needed)))
            batch += other
        begin = len(batch)
        spans.append(BatchSpan(first, chunk, blocks, len(tokens)))
        batch += tokens[first : first + chunk]
        runner.forward(ForwardBatch(batch, spans))
        rows.append(runner.logits(range(begin, begin + chunk)))
        first += chunk
    return np.concatenate(rows)


@pytest.mark.parametrize("level", LEVELS, indirect=True)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES_OF_ROWS)
def test_a_row_gets_the_same_bits_alone_in_a_batch_in_chunks_and_in_other_blocks(level, dtype, family):
    tokens, others = ids(70).tolist(), [ids(9, 5).tolist(), ids(31, 6).tolist()]
    config = tiny_config(family)
    whole = scattered(native(config, dtype=dtype), tokens, chunks=[70], block_size=16)
    assert np.isfinite(whole).all() and len({row.tobytes() for row in whole}) == 70
    for chunks, block_size, beside, threads in (
        ([1] * 70, 16, (), 1),
        ([3, 1, 20, 46], 4, others, 1),
        ([17, 53], 1, others[:1], 2),
        ([64, 6], 64, (), 2),
    ):
        again = scattered(
            native(config, dtype=dtype, threads=threads), tokens, chunks=chunks, block_size=block_size, beside=beside
        )
        assert np.array_equal(again, whole), (chunks, block_size)


def damaged(bad):
    """A model whose token `bad` has an embedding of NaN, so that its keys and values are NaN too."""
    model = tiny_model(tiny_config("qwen3", tie_embeddings=False))
    with torch.no_grad():
        model.model.embed_tokens.weight[bad] = float("nan")
    return NativeRunner(ModelWeights(model), dtype="fp32", threads=1)


def test_what_others_left_in_a_block_never_shows():
    tokens, blocks, bad = ids(40, vocab=500).tolist(), [9, 3, 7, 1, 5], 511
    found = []
    for left in (False, True):
        runner = damaged(bad)
        runner.allocate(12, 8)
        if left:
            runner.forward(ForwardBatch([bad] * 96, [BatchSpan(0, 96, range(12))]))
            assert np.isnan(runner.logits(range(96))).all()
        runner.forward(ForwardBatch(tokens[:13], [BatchSpan(0, 13, blocks)]))
        runner.forward(ForwardBatch(tokens[13:], [BatchSpan(13, 27, blocks)]))
        found.append(runner.logits(range(27)))
    assert np.isfinite(found[0]).all() and np.array_equal(*found)


def test_a_wiped_block_holds_zeros():
    runner, bad = damaged(511), 511
    runner.allocate(4, 16)

    def behind():
        """Logits of a token that reads block 2 as its beginning."""
        runner.forward(ForwardBatch([7], [BatchSpan(16, 1, [2, 0])]))
        return runner.logits([0])

    clean = behind()
    runner.forward(ForwardBatch([bad] * 16, [BatchSpan(0, 16, [2])]))
    assert np.isnan(behind()).all()
    runner.wipe([2])
    assert np.array_equal(behind(), clean)


def test_candidates_are_the_beginning_of_the_sorted_rows():
    from creuset.engine.backend.candidates import candidates_of

    runner = native(tiny_config("llama", vocab_size=700))
    runner.allocate(8, 16)
    runner.forward(ForwardBatch(ids(30).tolist(), [BatchSpan(0, 30, [4, 2])]))
    for count, within in ((1, 700), (5, 700), (40, 513), (3, 2), (700, 700)):
        rows = [29, 0, 7]
        found, expected = runner.candidates(rows, count, within), candidates_of(runner.logits(rows), count, within)
        assert np.array_equal(found.ids_RK, expected.ids_RK) and np.array_equal(found.logits_RK, expected.logits_RK)
        assert found.logsumexp_R == pytest.approx(expected.logsumexp_R, abs=1e-6)


def test_a_batch_that_cannot_be_is_refused():
    runner = native(tiny_config())
    runner.allocate(4, 16)
    for tokens, span in (
        ([512], BatchSpan(0, 1, [0])),  # no such token
        ([-1], BatchSpan(0, 1, [0])),
        ([1], BatchSpan(16, 1, [0])),  # behind its blocks
        ([1], BatchSpan(0, 1, [4])),  # no such block
        ([1, 2], BatchSpan(0, 1, [0])),  # a token that is nobody's
    ):
        with pytest.raises(ValueError, match="a token, position, block or adapter of the batch is not there"):
            runner.forward(ForwardBatch(tokens, [span]))
    runner.forward(ForwardBatch([1, 2], [BatchSpan(0, 2, [3])]))
    with pytest.raises(ValueError, match="a row is not of the last batch"):
        runner.logits([2])
