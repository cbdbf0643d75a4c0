"""The last requests of each organization at this server: how long they took, and how they ended. In memory only."""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

LAST = 2000  # requests of one organization
MOST = 1000  # organizations


class SeenRequest(msgspec.Struct, frozen=True):
    route: str
    model: str
    status: int
    seconds: float


class RecentTraffic:
    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.since = int(clock())
        self._seen: OrderedDict[str, deque[SeenRequest]] = OrderedDict()

    def note(self, organization: str, request: SeenRequest) -> None:
        mine = self._seen.get(organization)
        if mine is None:
            mine = self._seen[organization] = deque(maxlen=LAST)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(organization)
        mine.append(request)

    def summary(self, organization: str) -> dict[str, Any]:
        """Of each route and model: requests, errors, and times in milliseconds of those that succeeded."""
        found: dict[tuple[str, str], list[SeenRequest]] = {}
        for one in self._seen.get(organization, ()):
            found.setdefault((one.route, one.model), []).append(one)
        rows = []
        for (route, model), some in sorted(found.items()):
            fine = sorted(one.seconds for one in some if one.status < 400)
            rows.append({
                "route": route, "model": model or None, "requests": len(some),
                "errors": sum(one.status >= 400 for one in some), "p50_ms": quantile(fine, 0.5),
                "p95_ms": quantile(fine, 0.95),
                "statuses": {str(status): n for status, n in sorted(Counter(one.status for one in some).items())},
            })  # fmt: skip
        return {"object": "creuset.traffic", "since": self.since, "last": LAST, "data": rows}


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Milliseconds within which this share of them was done: the smallest such value."""
    if not ordered:
        return None
    at = max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)
    return round(1000 * ordered[at], 1)
