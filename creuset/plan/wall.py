"""Wall time with failures: what is lost to interruptions, restarts and checkpoints.

Interruptions come at the rate that Llama 3's makers published, by GPU hours. A checkpoint is written every
`sqrt(2 x cost x time between interruptions)` (Young, 1974), and half of that time is done again after each
interruption.
"""

from dataclasses import dataclass
from math import sqrt

from creuset.plan.facts import reliability

CHECKPOINT_SECONDS = 30.0  # that a step waits: each GPU writes its own part, most of it behind the next steps


@dataclass(frozen=True, slots=True)
class Losses:
    """Shares of the time that are lost."""

    hours_between: float  # interruptions of the whole machine
    checkpoint_minutes: float  # between two checkpoints
    checkpoints: float
    done_again: float
    restarts: float

    @property
    def goodput(self) -> float:
        return 1 / (1 + self.checkpoints + self.done_again + self.restarts)


def losses(gpus: int) -> Losses:
    known = reliability()
    between = known.gpu_hours_between / gpus * 3600  # seconds
    every = sqrt(2 * CHECKPOINT_SECONDS * between)
    return Losses(
        hours_between=between / 3600,
        checkpoint_minutes=every / 60,
        checkpoints=CHECKPOINT_SECONDS / every,
        done_again=every / 2 / between,
        restarts=known.restart_minutes * 60 / between,
    )


def goodput(gpus: int) -> float:
    """Share of the time that goes into steps which count."""
    return losses(gpus).goodput
