"""Learning-rate schedules: pure functions of the step."""

import math


def wsd(step: int, *, steps: int, warmup: int, decay_share: float, floor: float = 0.0) -> float:
    """Share of the peak rate at `step`: warm-up, stable, 1 - sqrt decay (arXiv:2404.06395, arXiv:2405.18392)."""
    if step < warmup:
        return (step + 1) / warmup
    begin = round(steps * (1 - decay_share))
    if step < begin:
        return 1.0
    progress = (step - begin + 1) / max(1, steps - begin)
    return floor + (1 - floor) * (1 - math.sqrt(min(1.0, progress)))
