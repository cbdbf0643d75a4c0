"""The parts of the audit about robustness, attacks, harm and the service. No torch here."""

from creuset.audit import robustness
from creuset.audit.garak import garak
from creuset.audit.injection import Injection
from creuset.audit.monotonicity import Monotonicity
from creuset.audit.part import Part

ITEMS: tuple[Part, ...] = (
    Part(name="robustness_mmlu", row="2", task=robustness.MmluRobustness, otherwise=robustness.MmluRobustnessChat),
    Part(name="robustness_arc", row="2", task=robustness.ArcRobustness, otherwise=robustness.ArcRobustnessChat),
    Part(name="monotonicity", row="2", task=Monotonicity),
    Part(name="bipia", row="3", task=Injection),
    Part(name="garak", row="3", check=garak, reported=True, material={"garak": "a report of garak, NAME.report.jsonl"}),
)
