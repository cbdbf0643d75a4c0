"""A queue that classes share by weight and age: none starves, and with one class it is first come, first served.

Start-time fair queueing (Goyal, Vin, Cheng, 1997): each class has a virtual time at which its next turn begins, and the
earliest is served. A turn costs its class 1 / weight, so while all classes wait they are served in proportion to their
weights. The weight of an item grows with the turns of others that it has waited, up to that of the heaviest class: so a
class that waits long pays less for its turns and has more of them, and no class has fewer because another one grew old.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

WEIGHTS: Mapping[str, float] = {"priority": 8.0, "default": 4.0, "flex": 1.0, "batch": 0.5}
AGEING = 50.0  # turns of others after which an item weighs twice as much


class FairQueue(Generic[T]):
    """Items are told apart by identity."""

    def __init__(self, weights: Mapping[str, float] = WEIGHTS, *, ageing: float = AGEING) -> None:
        self._weights, self._ageing, self._most = weights, ageing, max(weights.values())
        self._first: deque[T] = deque()  # items that had their turn and were put back
        self._waiting: dict[str, deque[tuple[T, int]]] = {name: deque() for name in weights}
        self._begins = dict.fromkeys(weights, 0.0)  # virtual time of each class's next turn
        self._virtual = 0.0
        self._turns = 0

    def append(self, item: T, tier: str = "default") -> None:
        waiting = self._waiting[tier]
        if not waiting:  # a class that was idle has saved nothing up
            self._begins[tier] = max(self._begins[tier], self._virtual)
        waiting.append((item, self._turns))

    def appendleft(self, item: T) -> None:
        """Put an item back that had its turn: it goes first, and pays nothing."""
        self._first.appendleft(item)

    def remove(self, item: T) -> None:
        """Take an item out that goes without a turn. ValueError where it does not wait."""
        for at, one in enumerate(self._first):
            if one is item:
                del self._first[at]
                return
        for waiting in self._waiting.values():
            for at, (one, _) in enumerate(waiting):
                if one is item:
                    del waiting[at]
                    return
        raise ValueError("the item does not wait here")

    def serve(self, item: T) -> None:
        """The turn of `item`, whose class pays for it. ValueError where it does not wait."""
        for tier, waiting in self._waiting.items():
            for at, (one, arrived) in enumerate(waiting):
                if one is item:
                    del waiting[at]
                    self._virtual = max(self._virtual, self._begins[tier])
                    self._begins[tier] += self._cost(tier, self._turns - arrived)
                    self._turns += 1
                    return
        self.remove(item)

    def _cost(self, tier: str, age: int) -> float:
        return 1.0 / min(self._most, self._weights[tier] * (1.0 + age / self._ageing))

    def __iter__(self) -> Iterator[T]:
        """Items in the order of their turns, if nobody comes meanwhile."""
        yield from tuple(self._first)
        left = {tier: deque(waiting) for tier, waiting in self._waiting.items() if waiting}
        if len(left) == 1:
            yield from (item for waiting in left.values() for item, _ in waiting)
            return
        begins, turns = dict(self._begins), self._turns
        while left:
            tier = min(left, key=lambda one: (begins[one], -self._weights[one]))
            item, arrived = left[tier].popleft()
            begins[tier] += self._cost(tier, turns - arrived)
            turns += 1
            if not left[tier]:
                del left[tier]
            yield item

    def __len__(self) -> int:
        return len(self._first) + sum(map(len, self._waiting.values()))

    def __contains__(self, item: object) -> bool:
        return any(one is item for one in self._first) or any(
            one is item for waiting in self._waiting.values() for one, _ in waiting
        )

    def __getitem__(self, at: int) -> T:
        return list(self)[at]
