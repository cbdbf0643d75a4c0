"""Whether a target is asked: it rests after failures, then one request tries it; and how often anything is retried."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

LONGEST = 16  # a target that keeps failing rests up to so many times as long as at first
CircuitState = Literal["closed", "open", "half_open"]
CHAT = "chat"
KINDS = ("embeddings", "rerank", "completions")  # of requests, besides chats in every dialect


@dataclass(slots=True)
class Circuit:
    """Closed: requests pass. Open: it rests. Half open: the rest is over and one request at a time tries it.

    (Nygard, Release It!, 2007.) `pause` lets it rest without a failure: a server that says when to come again.
    """

    clock: Callable[[], float]
    failures: int = 5  # in a row
    rest_s: float = 10.0
    in_a_row: int = 0
    rests: int = 0  # since it last answered
    until: float = 0.0
    trying: bool = False

    @property
    def state(self) -> CircuitState:
        if self.until > self.clock():
            return "open"
        return "half_open" if self.rests else "closed"

    def admits(self) -> bool:
        return self.state == "closed" or (self.state == "half_open" and not self.trying)

    def begin(self) -> None:
        """A request goes there. Each is followed by one of `worked`, `failed` and `left`."""
        if self.rests:
            self.trying = True

    def worked(self) -> None:
        self.in_a_row, self.rests, self.trying, self.until = 0, 0, False, 0.0

    def failed(self) -> None:
        self.in_a_row += 1
        if self.trying or self.in_a_row >= self.failures:
            self.until = self.clock() + self.rest_s * min(LONGEST, 2**self.rests)
            self.rests += 1
            self.in_a_row = 0
        self.trying = False

    def left(self) -> None:
        """It ended in a way that says nothing of the target: the client went, or its request was wrong."""
        self.trying = False

    def pause(self, seconds: float) -> None:
        self.until = max(self.until, self.clock() + min(seconds, self.rest_s * LONGEST))


@dataclass(slots=True)
class Circuits:
    """A circuit for each kind of request: what fails at one address says nothing of the others."""

    clock: Callable[[], float]
    failures: int = 5
    rest_s: float = 10.0
    _by_kind: dict[str, Circuit] = field(default_factory=dict)

    def of(self, kind: str) -> Circuit:
        if kind not in self._by_kind:
            self._by_kind[kind] = Circuit(self.clock, self.failures, self.rest_s)
        return self._by_kind[kind]

    def fresh(self) -> "Circuits":
        return Circuits(self.clock, self.failures, self.rest_s)

    @property
    def state(self) -> CircuitState:
        """The worst of them."""
        states = {one.state for one in self._by_kind.values()}
        return "open" if "open" in states else "half_open" if "half_open" in states else "closed"

    @property
    def resting(self) -> bool:
        """Whether it takes no kind of request that it was asked for."""
        return bool(self._by_kind) and all(one.state == "open" for one in self._by_kind.values())


def kind_of(path: str) -> str:
    """The kind of request at an address of this server."""
    tail = path.rsplit("/", 1)[-1]
    return tail if tail in KINDS and not path.endswith("chat/completions") else CHAT


@dataclass(slots=True)
class RetryBudget:
    """At most a share of all requests is retried, and a few a second in any case: else a server that is slow gets
    more requests the slower it is. (Finagle's RetryBudget.)"""

    clock: Callable[[], float]
    share: float = 0.2
    a_second: float = 1.0
    most: float = 20.0
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.most / 2, self.clock()

    def request(self) -> None:
        self._left = min(self.most, self._left + self.share)

    def take(self) -> bool:
        """Whether one more may be tried again; it then counts."""
        now = self.clock()
        self._left = min(self.most, self._left + (now - self._at) * self.a_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def backoff(turn: int, rng: random.Random, *, first_s: float = 0.2, longest_s: float = 5.0) -> float:
    """Seconds before round `turn` (from 1 on): anywhere between 0 and twice as much each time."""
    return rng.uniform(0, min(longest_s, first_s * 2 ** (turn - 1)))
