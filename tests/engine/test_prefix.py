import msgspec
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.blocks import BlockPool
from creuset.engine.prefix import PrefixCache, chain
from tests.engine.support import ask, engine, run


@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(0, 3), max_size=40))
def test_hashes_agree_exactly_as_far_as_the_tokens_do(a, b):
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1
    both = list(zip(chain(a, 4), chain(b, 4), strict=False))
    assert [x == y for x, y in both] == [i < same // 4 for i in range(len(both))]


@given(st.lists(st.integers(0, 2**40), max_size=40), st.integers(0, 10))
def test_a_chain_continued_is_the_chain_of_the_whole(tokens, known):
    whole = chain(tokens, 4, salt="s")
    assert chain(tokens, 4, salt="s", parents=whole[:known]) == whole and len(whole) == len(tokens) // 4


def test_a_salt_keeps_tenants_apart():
    assert not set(chain(range(16), 4, salt="ada")) & set(chain(range(16), 4, salt="bob"))
    assert not set(chain(range(16), 4, salt="ada")) & set(chain(range(16), 4))


def test_another_callers_prefix_shows_neither_in_time_nor_in_numbers():
    """Beside a caller who sent the same prompt before, or sends it now, each step is that of a caller who is alone."""
    prompt = "The cat sat on the mat. The dog ran to the river. " * 2

    def steps(*others, before=(), salt="bob"):
        one = engine(block_size=4, max_batch_tokens=24, max_running=4)
        run(one, *before)
        mine = msgspec.structs.replace(ask("mine", prompt, 3, seed=1), salt=salt)
        for request in (*others, mine):
            one.add(request)
        plans, computed = [], one.stats()["computed_tokens_total"]
        while one.busy:
            ended = [event for event in one.step() if event.finish and event.id == "mine"]
            plans.append(one.stats()["computed_tokens_total"] - computed)
            if ended:
                return plans, ended[0].cached_tokens

    anns = msgspec.structs.replace(ask("anns", prompt, 3, seed=1), salt="ann")
    strange = ask("strange", [7 + i % 5 for i in range(len(anns.prompt))], 3, seed=1)
    assert steps(before=[anns]) == steps(before=[strange]) == steps()
    assert steps(anns) == steps(strange)
    own = steps(before=[anns], salt="ann")
    assert own[1] == (len(anns.prompt) - 1) // 4 * 4 > 0 and own[0][-1] < steps()[0][-1]


def test_the_longest_known_beginning_is_found_and_held():
    pool = BlockPool(8)
    cache = PrefixCache(pool)
    hashes = chain(list(range(12)), 4)
    blocks = pool.take(3)
    cache.insert(hashes, blocks)
    pool.release(blocks)
    assert pool.free == 5 and cache.evictable == 3

    found = cache.match(chain([*range(8), 99, 99, 99, 99], 4))
    assert found == blocks[:2] and cache.evictable == 1
    assert cache.evict(5) == 1 and pool.free == 6
    pool.check([found, cache.blocks])


def test_the_end_of_a_chain_is_evicted_before_its_beginning():
    pool = BlockPool(8)
    cache = PrefixCache(pool)
    hashes = chain(list(range(16)), 4)
    blocks = pool.take(4)
    for full in range(1, 5):  # as a request that grows tells of its blocks
        cache.insert(hashes[:full], blocks[:full])
    pool.release(blocks)
    for left in (3, 2, 1, 0):
        assert cache.evict(1) == 1
        again = cache.match(hashes)
        assert again == blocks[:left]
        pool.release(again)


def test_what_was_used_last_is_evicted_last():
    pool = BlockPool(4)
    cache = PrefixCache(pool)
    first, second = chain([1] * 4, 4), chain([2] * 4, 4)
    for hashes in (first, second):
        blocks = pool.take(1)
        cache.insert(hashes, blocks)
        pool.release(blocks)
    pool.release(cache.match(first))
    cache.evict(1)
    assert cache.match(second) == [] and len(cache.match(first)) == 1


def test_a_prefix_computed_twice_keeps_its_first_block():
    pool = BlockPool(4)
    cache = PrefixCache(pool)
    hashes = chain([1] * 4, 4)
    one, two = pool.take(1), pool.take(1)
    cache.insert(hashes, one)
    cache.insert(hashes, two)
    pool.release(one + two)
    assert cache.blocks == one and pool.free == 3
    cache.forget(one)
    assert len(cache) == 0 and pool.free == 4
