"""The fair queue: nothing is lost, a class keeps its order, shares are as weights, and nobody starves."""

import random
from collections import Counter

import pytest

from creuset.types.fair_queue import WEIGHTS, FairQueue


class Item:
    def __init__(self, tier: str, number: int) -> None:
        self.tier, self.number = tier, number


def drawn(queue: FairQueue[Item]) -> Item:
    item = next(iter(queue))
    queue.serve(item)
    return item


@pytest.mark.parametrize("seed", range(30))
def test_no_history_loses_an_item_or_turns_a_class_around(seed: int) -> None:
    rng = random.Random(seed)
    queue: FairQueue[Item] = FairQueue()
    waiting: dict[str, list[Item]] = {tier: [] for tier in WEIGHTS}
    back: list[Item] = []
    for number in range(400):
        move = rng.random()
        if move < 0.5 or not len(queue):
            item = Item(rng.choice(sorted(WEIGHTS)), number)
            queue.append(item, item.tier)
            waiting[item.tier].append(item)
        elif move < 0.8:
            told = list(queue)
            item = drawn(queue)
            assert item is told[0] and item not in queue and list(queue) == told[1:], "the order that was told holds"
            if back:
                assert item is back.pop(0), "what was put back goes first"
            else:
                assert waiting[item.tier].pop(0) is item, "of one class, first come, first served"
                if rng.random() < 0.2:
                    queue.appendleft(item)
                    back.insert(0, item)
        else:
            item = rng.choice(list(queue))
            queue.remove(item)
            (back if item in back else waiting[item.tier]).remove(item)
        assert len(queue) == len(back) + sum(map(len, waiting.values()))
        assert Counter(map(id, queue)) == Counter(map(id, [*back, *(one for all in waiting.values() for one in all)]))


@pytest.mark.parametrize("classes", [("priority", "flex"), ("priority", "default", "flex"), tuple(WEIGHTS)])
def test_while_all_wait_capacity_is_shared_by_weight(classes: tuple[str, ...]) -> None:
    queue: FairQueue[Item] = FairQueue(ageing=1e12)
    turns = 2000
    for tier in classes:
        for number in range(turns):
            queue.append(Item(tier, number), tier)
    count = Counter(drawn(queue).tier for _ in range(turns))
    total = sum(WEIGHTS[tier] for tier in classes)
    for tier in classes:
        assert abs(count[tier] - turns * WEIGHTS[tier] / total) <= len(classes), "no class is a turn off its share"


@pytest.mark.parametrize("seed", range(10))
def test_flex_is_served_however_many_of_priority_come(seed: int) -> None:
    """One flex item waits for at most as many turns as the classes before it weigh more, whenever it comes."""
    rng = random.Random(seed)
    queue: FairQueue[Item] = FairQueue()
    for number in range(rng.randint(1, 60)):
        queue.append(Item("priority", number), "priority")
    for _ in range(rng.randint(0, 30)):
        if len(queue):
            drawn(queue)
    lone = Item("flex", 0)
    queue.append(lone, "flex")
    waited = 0
    while True:
        queue.append(Item("priority", 0), "priority")
        queue.append(Item("default", 0), "default")
        if drawn(queue) is lone:
            break
        waited += 1
    assert waited <= 2, "a class that was idle begins now"
    before = Item("flex", 1)
    queue.append(before, "flex")
    waited = 0
    while drawn(queue) is not before:
        waited += 1
        queue.append(Item("priority", 0), "priority")
        queue.append(Item("default", 0), "default")
    assert waited <= 2 * WEIGHTS["priority"] / WEIGHTS["flex"] + 3, "default may weigh as much as priority, no more"


def test_an_item_that_waited_long_costs_its_class_less() -> None:
    def flex_turns(ageing: float) -> int:
        queue: FairQueue[Item] = FairQueue(ageing=ageing)
        for number in range(600):
            for tier in ("priority", "flex"):
                queue.append(Item(tier, number), tier)
        return sum(drawn(queue).tier == "flex" for _ in range(300))

    assert flex_turns(1e12) < flex_turns(50) < flex_turns(5) <= 150


def test_an_idle_class_saves_nothing_up() -> None:
    queue: FairQueue[Item] = FairQueue(ageing=1e12)
    for number in range(100):
        queue.append(Item("default", number), "default")
        drawn(queue)
    for number in range(40):
        for tier in ("flex", "default"):
            queue.append(Item(tier, number), tier)
    count = Counter(drawn(queue).tier for _ in range(25))
    assert count["flex"] <= 6, "flex gets its fifth from now on, and no more"


def test_whoever_does_not_wait_has_no_turn() -> None:
    queue: FairQueue[Item] = FairQueue()
    for act in (queue.serve, queue.remove):
        with pytest.raises(ValueError, match="does not wait here"):
            act(Item("default", 0))
