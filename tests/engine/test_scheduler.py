import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.engine.blocks import BlockPool
from creuset.engine.prefix import PrefixCache
from creuset.engine.scheduler import PendingTokens, Scheduler, plan_step
from creuset.types.generation import GenerationRequest, Sampling


def test_decoding_goes_first_and_the_whole_budget_is_used():
    asks = [PendingTokens(id, pending=count) for id, count in (("a", 5), ("b", 1), ("c", 9), ("d", 4))]
    plan = plan_step(asks, budget=10)
    assert plan.decode == ("b",) and plan.prefill == (("a", 5), ("d", 4)) and plan.tokens == 10
    plan = plan_step(asks, budget=13)
    assert plan.decode == ("b",) and plan.prefill == (("a", 5), ("c", 3), ("d", 4)) and plan.tokens == 13


def scheduler(blocks, *, block_size=4, cached=True, max_running=4, budget=16):
    pool = BlockPool(blocks)
    cache = PrefixCache(pool) if cached else None
    return Scheduler(pool, cache, block_size=block_size, max_running=max_running, max_batch_tokens=budget)


def request(id, prompt, max_tokens=4, **kind):
    return GenerationRequest(id=str(id), prompt=list(prompt), sampling=Sampling(max_tokens=max_tokens, **kind))


def run(one, live, *, steps=None):
    """A model that always answers its position; yields the plans. `live` maps ids to sequences still running."""
    plans = []
    while live and (steps is None or len(plans) < steps):
        plan = one.schedule()
        assert plan.tokens, "requests are live but nothing is planned"
        assert plan.tokens <= one.max_batch_tokens
        plans.append(plan)
        for sequence in one.running:
            assert len(sequence.blocks) == one.blocks_for(len(sequence.tokens)), "a block too many, or too few"
        for id, count in [(id, 1) for id in plan.decode] + list(plan.prefill):
            sequence = live[id]
            assert one.blocks_for(sequence.computed + count) <= len(sequence.blocks)
            one.advance(sequence, count)
            if sequence.pending == 0:
                sequence.tokens.append(len(sequence.tokens))
                if len(sequence.tokens) == sequence.prompt_tokens + sequence.request.sampling.max_tokens:
                    one.remove(sequence)
                    del live[id]
        one.check()
    return plans


@settings(max_examples=60)
@given(
    st.integers(6, 14),
    st.lists(st.tuples(st.integers(1, 14), st.integers(1, 10), st.integers(0, 2)), min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from([4, 5, 16]),
    st.randoms(use_true_random=False),
)
def test_every_history_of_requests_ends_and_gives_all_blocks_back(blocks, asks, cached, budget, random):
    one = scheduler(blocks, cached=cached, budget=budget)
    live = {}
    for i, (prompt, answer, kind) in enumerate(asks):
        if prompt + answer <= blocks * 4:
            live[str(i)] = one.add(request(i, [kind] * prompt, answer))
        if random.random() < 0.5:
            run(one, live, steps=random.randint(1, 3))
        if live and random.random() < 0.3:
            one.remove(live.pop(random.choice(sorted(live))))
            one.check()
    run(one, live)
    assert not one.running and not one.waiting
    if one.cache is not None:
        one.cache.clear()
    assert one.pool.free == blocks


def test_the_youngest_gives_way_and_nothing_it_said_is_lost():
    one = scheduler(6, cached=False)
    live = {"a": one.add(request("a", range(8), 12)), "b": one.add(request("b", range(50, 58), 12))}
    both = dict(live)
    run(one, live)
    assert one.preemptions > 0
    assert both["a"].tokens == [*range(8), *range(8, 20)]
    assert both["b"].tokens == [*range(50, 58), *range(8, 20)]


def test_a_request_that_finds_its_prompt_in_the_cache_computes_only_the_rest():
    one = scheduler(20)
    first = one.add(request("a", range(10), 2))
    run(one, {"a": first})
    second = one.add(request("b", range(10), 2))
    plan = one.schedule()
    assert second.cached == 8 and plan.prefill == (("b", 2),)
    whole = one.add(request("c", range(8), 2))  # both blocks are known, but its last token must be computed
    one.schedule()
    assert whole.cached == 4


def test_equal_prompts_that_arrive_together_are_computed_once():
    one = scheduler(40, budget=64)
    live = {str(i): one.add(request(i, range(20), 2)) for i in range(4)}
    plans = run(one, live)
    computed = sum(count for plan in plans for _, count in plan.prefill)
    assert computed == 20 + 3 * 4


def test_who_waits_for_a_block_that_is_being_computed_holds_up_nobody_behind():
    one = scheduler(40, budget=8)
    live = {"a": one.add(request("a", range(40), 2)), "same": one.add(request("same", range(40), 2))}
    live["other"] = one.add(request("other", [9] * 4, 2))
    one.schedule()
    assert [s.id for s in one.running] == ["a", "other"] and [s.id for s in one.waiting] == ["same"]
    run(one, live)


def test_nobody_is_admitted_into_the_last_blocks_that_others_will_want_at_once():
    one = scheduler(5, cached=False)
    live = {"a": one.add(request("a", range(8), 8)), "b": one.add(request("b", range(12), 2))}
    run(one, live, steps=1)
    assert [s.id for s in one.waiting] == ["b"], "three blocks are free, but `a` will want one of them"
    run(one, live)
    assert one.preemptions == 0


def test_a_request_that_wants_prompt_logprobs_does_not_read_the_cache():
    one = scheduler(20)
    run(one, {"a": one.add(request("a", range(10), 2))})
    second = one.add(request("b", range(10), 2, prompt_logprobs=0))
    assert one.schedule().prefill == (("b", 10),) and second.cached == 0


def test_requests_are_admitted_in_order_of_arrival():
    one = scheduler(6, cached=False, max_running=2)
    live = {str(i): one.add(request(i, range(4), 3)) for i in range(4)}
    one.schedule()
    assert [s.id for s in one.running] == ["0", "1"] and [s.id for s in one.waiting] == ["2", "3"]
    run(one, live)


def test_classes_are_admitted_by_weight_and_flex_is_not_left_behind():
    one = scheduler(40, cached=False, max_running=1)
    asks = [request(f"f{i}", range(4), 1) for i in range(3)] + [request(f"p{i}", range(4), 1) for i in range(12)]
    tiers = {"f": "flex", "p": "priority"}
    live = {ask.id: one.add(msgspec.structs.replace(ask, tier=tiers[ask.id[0]])) for ask in asks}
    order = [s.id for s in one.waiting]
    assert order[0] == "p0" and order.index("f0") < 3 and order.index("f1") <= 11, order
    assert [id for id in order if id[0] == "p"] == [f"p{i}" for i in range(12)], "of one class, in order of arrival"
    run(one, live)


def test_a_preempted_request_waits_before_those_that_have_not_begun():
    one = scheduler(6, cached=False, max_running=2)
    live = {id: one.add(request(id, range(8), 12)) for id in ("a", "b", "later")}
    ended, still = [], dict(live)
    while not one.preemptions:
        run(one, still, steps=1)
    assert [s.id for s in one.running] == ["a"] and [s.id for s in one.waiting] == ["b", "later"]
    assert one.waiting[0].computed == 0 and one.waiting[0].blocks == [], "its blocks were given back"
    while still:
        before = set(still)
        run(one, still, steps=1)
        ended += sorted(before - set(still))
    assert ended == ["a", "b", "later"]
