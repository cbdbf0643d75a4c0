"""The parts of the audit about robustness, attacks, harm and the service. No torch here."""

from creuset.benchmarks.part import Part
from creuset.benchmarks.robustness import robustness
from creuset.benchmarks.robustness.monotonicity import Monotonicity
from creuset.benchmarks.safety import harm
from creuset.benchmarks.security.injection import Injection
from creuset.benchmarks.security.leak import PromptLeak
from creuset.benchmarks.security.rules_task import Rules
from creuset.benchmarks.security.tool_injection import ToolInjection
from creuset.benchmarks.service.checks import service
from creuset.governance.audit.garak import garak

ITEMS: tuple[Part, ...] = (
    Part(name="robustness_mmlu", row="2", task=robustness.MmluRobustness, otherwise=robustness.MmluRobustnessChat),
    Part(name="robustness_arc", row="2", task=robustness.ArcRobustness, otherwise=robustness.ArcRobustnessChat),
    Part(name="monotonicity", row="2", task=Monotonicity),
    Part(name="bipia", row="3", task=Injection),
    Part(name="llm_rules", row="3", task=Rules),
    Part(name="prompt_leak", row="3", task=PromptLeak),
    Part(name="garak", row="3", check=garak, reported=True, material={"garak": "a report of garak, NAME.report.jsonl"}),
    Part(name="harmbench", row="4", task=harm.HarmBench, judged=True),
    Part(name="strongreject", row="4", task=harm.StrongReject, judged=True),
    Part(name="maliciousinstruct", row="4", task=harm.MaliciousInstruct, judged=True),
    Part(name="advbench", row="4", task=harm.AdvBench, judged=True),
    Part(name="xstest", row="4", task=harm.XsTest, judged=True),
    Part(name="service", row="15", check=service),
    Part(name="tool_injection", row="19", task=ToolInjection),
)
