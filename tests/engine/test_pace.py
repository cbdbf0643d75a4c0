"""A long prompt does not hold up those who write: their gaps stay short, and their answers stay what they are."""

import msgspec
import pytest

from creuset.engine.blocks import BlockPool
from creuset.engine.pace import LEAST, RATIO, Pace
from creuset.engine.scheduler import PendingTokens, Scheduler, plan_step
from creuset.types.generation import Event
from tests.engine.support import ask, engine, run, whole


def said(event):
    return msgspec.structs.replace(event, cached_tokens=0)


STORY = "The cat sat on the mat. The dog ran to the river. "


class Machine:
    """A clock that goes on by what is computed: a fixed time a step, and more by the token."""

    def __init__(self, step_s: float, decode_s: float, read_s: float) -> None:
        self.now, self.costs = 0.0, (step_s, decode_s, read_s)
        self.gaps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def compute(self, decoding: int, read: int) -> float:
        step_s, decode_s, read_s = self.costs
        self.gaps.append(step_s + decode_s * decoding + read_s * read)
        self.now += self.gaps[-1]
        return self.gaps[-1]


def p95(gaps):
    return sorted(gaps)[int(0.95 * len(gaps))]


@pytest.mark.parametrize("costs", [(2e-3, 1e-4, 5e-5), (20e-3, 2e-3, 1e-3), (1e-4, 5e-5, 2e-5), (1e-3, 1e-5, 1e-6)])
@pytest.mark.parametrize("writers", [1, 5, 31])
def test_the_gap_between_tokens_stays_under_twice_while_a_prompt_of_2000_tokens_is_read(costs, writers):
    machine = Machine(*costs)
    one = Scheduler(BlockPool(4000), None, block_size=16, max_running=32, max_batch_tokens=512)
    for i in range(writers):
        one.add(ask(i, [1] * 20, 3000))
    while len(machine.gaps) <= 40 or one.running[-1].pending > 1:
        if len(machine.gaps) == 40:
            quiet = p95(machine.gaps[-20:])
            one.add(ask("long", [2] * 2000, 3000))
        plan = one.schedule()
        seconds = machine.compute(len(plan.decode), plan.tokens - len(plan.decode))
        one.pace.observe(len(plan.decode), plan.tokens - len(plan.decode), seconds)
        for sequence in list(one.running):
            one.advance(sequence, 1 if sequence.id in plan.decode else dict(plan.prefill).get(sequence.id, 0))
            if sequence.pending == 0:
                sequence.tokens.append(3)
    during = machine.gaps[40:]
    assert 1 < len(during) <= 2000 / LEAST and p95(during) < 2 * quiet
    assert max(during[1:]) < 2 * quiet, "but for the first, before anything is measured, none is late"


def test_answers_do_not_depend_on_the_pace():
    """A real engine whose clock is such that a prompt is read in small pieces beside those who write."""
    machine = Machine(2e-3, 1e-4, 1e-4)
    one, alone = engine(changes={"context": 512}, clock=machine), engine(changes={"context": 512})
    compute, pieces = one._runner.forward, []

    def forward(batch) -> None:
        read = sum(span.count for span in batch.spans if span.count > 1)
        machine.compute(len(batch.tokens) - read, read)
        pieces.append(read)
        compute(batch)

    one._runner.forward = forward
    asks = [ask(i, STORY, 60, seed=i, ignore_eos=True, logprobs=1) for i in range(3)]
    asks.append(ask("long", [(7 * j) % 300 for j in range(400)], 12, seed=3, logprobs=1))
    found: dict[str, list[Event]] = {request.id: [] for request in asks}
    for request in asks[:3]:
        one.add(request)
    for step in range(200):
        if step == 20:
            one.add(asks[3])
        for event in one.step():
            found[event.id].append(event)
    assert len([read for read in pieces[20:] if 0 < read <= 32]) > 8
    expected = run(alone, *asks)
    assert {id: said(whole(events)) for id, events in found.items()} == {id: said(e) for id, e in expected.items()}


def test_without_writers_a_prompt_is_read_as_fast_as_it_can_be():
    one = engine(changes={"context": 1024}, clock=Machine(1, 1, 1), max_batch_tokens=512)
    one.add(ask("long", [5] * 1000, 1))
    one.step()
    assert one.stats()["computed_tokens_total"] == 512


def test_the_pace_is_the_largest_size_whose_step_is_not_late():
    pace = Pace(512)
    assert pace.chunk(1) == 32  # nothing is known
    for _ in range(9):
        pace.observe(1, 0, 0.010)
        pace.observe(1, 32, 0.010 + 32 * 0.0001)
    assert pace.chunk(1) == 64  # 0.7 * 10 ms buys 70 tokens
    assert 64 * 0.0001 <= (RATIO - 1) * 0.010 < 96 * 0.0001
    pace.observe(1, 0, 9.0)
    pace.observe(1, 32, 9.0)
    assert pace.chunk(1) == 64, "one step that waited for a busy core changes nothing"
    for _ in range(9):
        pace.observe(1, 64, 0.010 + 64 * 0.01)
    assert pace.chunk(1) == LEAST
    for _ in range(9):
        pace.observe(1, 8, 0.010)
    for size in (16, 32, 64, 128, 256, 512):  # reading seems to cost nothing: that is tried step by step
        assert pace.chunk(1) == size
        pace.observe(1, size, 0.010)
    for _ in range(9):
        pace.observe(20, 0, 0.1)
        pace.observe(20, 100, 0.2)
    assert pace.chunk(20) == 64 and pace.chunk(1) == 6


def test_the_oldest_prompt_gets_half_and_short_ones_pass_long_ones():
    asks = [PendingTokens(id, pending=count) for id, count in (("old", 2000), ("long", 900), ("short", 6), ("w", 1))]
    assert plan_step(asks, budget=512, chunk=32).prefill == (("old", 16), ("long", 10), ("short", 6))
    assert plan_step(asks[:2], budget=512, chunk=32).prefill == (("old", 256), ("long", 256))
    assert plan_step([asks[0], asks[2], asks[3]], budget=512, chunk=32).prefill == (("old", 26), ("short", 6))
    assert plan_step([asks[1], asks[3]], budget=9, chunk=32).prefill == (("long", 8),)
