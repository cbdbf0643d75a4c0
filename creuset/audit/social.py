"""The parts of the audit about stereotypes, decisions on people, truth, calibration and disclosure. No torch here."""

from creuset.audit import bbq, crows, stereoset, wino
from creuset.audit.figures import Social
from creuset.audit.part import Part

TASKS: tuple[type[Social], ...] = (
    bbq.BBQ, bbq.BBQGenerate, bbq.BBQChat, stereoset.StereoSet, crows.CrowsPairs,
    wino.WinoBias, wino.WinoBiasChat, wino.Winogender, wino.WinogenderChat,
)  # fmt: skip

ITEMS: tuple[Part, ...] = tuple(
    Part(name=task.name, row=task.requirement, task=task, articles=task.articles) for task in TASKS
)
