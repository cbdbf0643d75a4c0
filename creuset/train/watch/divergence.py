"""When a run has diverged: its loss rose, and not for a moment.

The mean loss of the last 20 steps is compared with the lowest such mean of the run so far. A single bad batch moves
it little; a run that diverges lifts it within 20 steps. Before 20 steps there is nothing to compare. How far it may
rise is the setting `max_rise`, in nats. Steps that were not finite are counted elsewhere and never enter the mean.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 20  # steps


@dataclass(slots=True)
class LossWatch:
    """The losses of the last steps and the lowest mean of `WINDOW` of them; it is saved with every checkpoint."""

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    lowest: float | None = None

    def add(self, loss: float) -> float:
        """Note the loss of a step, in nats; how far the mean has risen above its lowest, 0.0 while it falls."""
        self.recent.append(loss)
        if len(self.recent) < WINDOW:
            return 0.0
        mean = sum(self.recent) / WINDOW
        self.lowest = mean if self.lowest is None else min(self.lowest, mean)
        return mean - self.lowest

    def state(self) -> dict[str, Any]:
        return {"recent": list(self.recent), "lowest": self.lowest}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "LossWatch":
        return cls(deque(state["recent"], maxlen=WINDOW), state["lowest"])
