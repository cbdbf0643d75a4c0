import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.blocks import BlockPool


@given(st.lists(st.tuples(st.sampled_from(["take", "near", "share", "release"]), st.integers(0, 5)), max_size=120))
def test_no_history_of_calls_can_leak_a_block(moves):
    pool, held = BlockPool(12), []
    for move, number in moves:
        if move in ("take", "near"):
            after = held[number % len(held)][-1] if move == "near" and held else None
            if blocks := pool.take(number, after=after):
                assert len(blocks) == len(set(blocks)) == number
                held.append(blocks)
        elif move == "share" and held:
            pool.share(blocks := held[number % len(held)])
            held.append(list(blocks))
        elif move == "release" and held:
            pool.release(held.pop(number % len(held)))
        pool.check(held)
    for blocks in held:
        pool.release(blocks)
    pool.check([])
    assert pool.free == 12


def test_when_there_are_too_few_nothing_is_taken():
    pool = BlockPool(3)
    assert pool.take(4) is None and pool.free == 3


def test_blocks_follow_their_neighbour_where_it_is_free():
    pool = BlockPool(8)
    first = pool.take(2)
    other = pool.take(2)
    assert first == [0, 1] and other == [2, 3]
    assert pool.take(2, after=3) == [4, 5]
    assert pool.take(1, after=1) == [6]


@pytest.mark.parametrize("call", ["share", "release"])
def test_a_block_nobody_holds_is_a_bug(call):
    with pytest.raises(AssertionError, match="block 1 is"):
        getattr(BlockPool(2), call)([1])


def test_check_finds_a_reader_that_no_holder_explains():
    pool = BlockPool(2)
    blocks = pool.take(1)
    pool.check([blocks])
    with pytest.raises(AssertionError, match="readers"):
        pool.check([])


def test_check_finds_a_block_that_is_both_free_and_held_and_one_that_is_neither():
    pool = BlockPool(3)
    pool.take(2)
    pool._free[1] = None
    with pytest.raises(AssertionError, match=r"blocks \[1\] are both free and held"):
        pool.check()
    del pool._free[1], pool._free[2]
    with pytest.raises(AssertionError, match="some block is neither free nor held"):
        pool.check()


def test_a_block_has_as_many_readers_as_took_and_shared_it():
    pool = BlockPool(2)
    (block,) = pool.take(1)
    pool.share([block, block])
    assert pool.readers(block) == 3 and pool.readers(1) == 0 and pool.free == 1
    for left in (2, 1):
        pool.release([block])
        assert pool.readers(block) == left and pool.free == 1
    pool.release([block])
    assert pool.readers(block) == 0 and pool.free == 2


def test_a_neighbour_is_taken_though_another_block_is_free_before_it():
    pool = BlockPool(8)
    pool.take(2)
    assert pool.take(2, after=4) == [5, 6]
    assert pool.take(2, after=6) == [7, 2], "behind the last block the first free one follows"
