"""The parts of the audit about robustness, attacks, harm and the service. No torch here."""

from creuset.audit.injection import Injection
from creuset.audit.monotonicity import Monotonicity
from creuset.audit.part import Part

ITEMS: tuple[Part, ...] = (
    Part(name="monotonicity", row="2", task=Monotonicity),
    Part(name="bipia", row="3", task=Injection),
)
