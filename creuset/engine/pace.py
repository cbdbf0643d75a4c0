"""How much of a prompt is read in a step while others write: so much that their next token is not late.

Reading costs time by the token, and whoever writes waits for it. So the engine keeps what its last steps took: those
that only wrote, by how many requests wrote, and what each token read cost on top. A step may then take `RATIO` times
what it takes when nothing is read. No answer depends on it: how a prompt is cut changes no number (ADR 0009).
"""

from collections import deque
from statistics import median

RATIO = 1.7  # of a step without reading; the gap between two tokens shall stay under twice that
FIRST = 32  # tokens, before anything was measured
LEAST = 4  # tokens: a prompt always gets on
_KEPT = 9  # measurements of a kind: their median is not moved by one step that waited for a busy core


class Pace:
    def __init__(self, budget: int) -> None:
        """`budget`: tokens of a step, at most."""
        self._sizes = _sizes(budget)
        self._writing: dict[int, deque[float]] = {}  # seconds of steps that only wrote, by a power of two of requests
        self._reading: deque[float] = deque(maxlen=_KEPT)  # seconds a token read, beside those who wrote
        self._last = FIRST  # tokens that were read last

    def chunk(self, writing: int) -> int:
        """How many tokens of prompts may be read beside `writing` requests."""
        alone = self._alone(writing)
        if alone is None or not self._reading:
            return self._fitting(FIRST)
        wanted = (RATIO - 1) * alone / max(median(self._reading), 1e-9)
        # Few tokens take about as long as the clock is wrong by, and then seem to cost nothing. A measurement lies
        # between any two sizes.
        return self._fitting(min(wanted, 2 * self._last))

    def observe(self, writing: int, read: int, seconds: float) -> None:
        """A step in which `writing` requests wrote, and `read` tokens of prompts were read, took `seconds`."""
        if not writing:
            return
        if read:
            self._last = max(LEAST, read)
        if not read:
            self._writing.setdefault(writing.bit_length(), deque(maxlen=_KEPT)).append(seconds)
        elif (alone := self._alone(writing)) is not None:
            self._reading.append(max(0.0, seconds - alone) / read)

    def _alone(self, writing: int) -> float | None:
        """Seconds of a step that only writes, of so many requests or of the nearest number that is known."""
        if not self._writing:
            return None
        size = writing.bit_length()
        nearest = min(self._writing, key=lambda known: (abs(known - size), known))
        return median(self._writing[nearest])

    def _fitting(self, tokens: float) -> int:
        return max((size for size in self._sizes if size <= tokens), default=self._sizes[0])


def _sizes(budget: int) -> tuple[int, ...]:
    """4, 6, 8, 12, 16, 24, 32, 48 ... `budget`: few, since a library may prepare a kernel for each number of rows."""
    found, size = [], LEAST
    while size < budget:
        found += [size, size * 3 // 2]
        size *= 2
    return (*(size for size in found if size < budget), budget)
