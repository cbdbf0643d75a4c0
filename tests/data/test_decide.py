"""What is held out: whole groups, about one per cent, the same on every run."""

import tracemalloc

import numpy as np
import pytest

from creuset.data.build.tasks import TaskFiles
from creuset.data.dedup.decide import HELD_OUT, NEAR, Decide, held_out, hold_out
from creuset.data.ledger import LedgerRow
from creuset.data.read.sources import ReadTask
from creuset.data.settings import Corpus, Dedup, Heldout


def groups(count, per_group):
    random = np.random.default_rng(0)
    names = random.integers(0, 1 << 63, count, dtype=np.uint64)
    return np.repeat(names, per_group), random.integers(500, 3000, count * per_group).astype(np.uint64)


def test_about_one_per_cent_is_held_out_in_whole_groups():
    names, sizes = groups(1000, 3)
    held = hold_out(sizes, names, Heldout(), 17)
    assert 0.009 < sizes[held].sum() / sizes.sum() < 0.012
    assert set(names[held]).isdisjoint(set(np.delete(names, held)))


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    names, sizes = groups(1000, 1)
    order = np.random.default_rng(1).permutation(len(names))
    held = set(names[hold_out(sizes, names, Heldout(), 17)])
    assert held == set(names[order][hold_out(sizes[order], names[order], Heldout(), 17)])
    assert held != set(names[hold_out(sizes, names, Heldout(), 18)])


def test_large_sources_are_capped_and_small_ones_give_a_little():
    names, sizes = groups(4000, 1)
    assert sizes[hold_out(sizes, names, Heldout(max_mb=0.02), 17)].sum() < 23_000
    names, sizes = groups(60, 1)
    assert 0.02 < sizes[hold_out(sizes, names, Heldout(), 17)].sum() / sizes.sum() < 0.06
    assert len(hold_out(sizes[:1], names[:1], Heldout(), 17)) == 0
    assert len(hold_out(sizes[:0], names[:0], Heldout(), 17)) == 0
    assert len(hold_out(sizes, names, Heldout(share=0.0), 17)) == 0


def test_the_search_for_duplicates_stays_under_its_stated_memory(tmp_path):
    count, tasks = 9_000, 3
    random = np.random.default_rng(0)
    names, sizes = groups(count, 1)
    (tmp_path / "signatures").mkdir()
    files = TaskFiles(tmp_path, tuple(f"task{i}" for i in range(tasks)))
    for i in range(tasks):
        part = slice(i * count // tasks, (i + 1) * count // tasks)
        rows = len(names[part])
        signatures = random.integers(0, 1 << 32, (rows, 112), dtype=np.uint32)
        signatures[rows // 2 :: 7] = signatures[0]
        keys = random.integers(0, 1 << 63, (rows, 2), dtype=np.uint64)
        np.save(files.signatures(i), signatures)
        np.save(files.facts(i), np.column_stack([keys, sizes[part], names[part]]))
    settings = Corpus(dedup=Dedup(memory_mb=16))
    step = Decide(settings, (ReadTask("a", ()),) * tasks, {"a": LedgerRow(name="a")}, files)
    tracemalloc.start()
    list(step.run())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    verdicts = np.concatenate([np.load(files.verdicts(i)) for i in range(tasks)], axis=1)
    assert np.count_nonzero(verdicts[0] == NEAR) == len(range(count // tasks // 2, count // tasks, 7)) * tasks
    assert peak < 16_000_000 and not (tmp_path / "buckets").exists()


@pytest.mark.parametrize("count", [0, 3, 500, 9_000])
@pytest.mark.parametrize("per_group", [1, 40])
@pytest.mark.parametrize("at_once", [100, 10**6])
def test_what_is_held_out_of_tasks_is_what_is_held_out_of_all_at_once(count, per_group, at_once):
    names, sizes = groups(count // per_group, per_group)
    kept = np.random.default_rng(2).random(len(names)) < 0.8
    rules = Heldout(max_mb=0.05)
    expected = np.flatnonzero(kept)[hold_out(sizes[kept], names[kept], rules, 17)]
    facts = np.column_stack([names, names, sizes, names]).astype(np.uint64)
    verdict = np.where(kept, 0, NEAR).astype(np.uint8)
    cut = len(names) // 3
    held_out([(facts[:cut], verdict[:cut]), (facts[cut:], verdict[cut:])], rules, 17, at_once)
    assert np.flatnonzero(verdict == HELD_OUT).tolist() == expected.tolist()
    assert count < 9_000 or len(expected) > 0
