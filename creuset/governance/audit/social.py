"""The parts of the audit about stereotypes, decisions on people, truth, calibration and disclosure. No torch here."""

from creuset.benchmarks.bias import bbq, crows, freetext, holistic, recommend, stereoset, wino
from creuset.benchmarks.decisions import counterfactual, income
from creuset.benchmarks.figures import Social
from creuset.benchmarks.knowledge import truthfulqa
from creuset.benchmarks.part import Part
from creuset.benchmarks.safety import calibration, disclosure, truth

TASKS: tuple[type[Social], ...] = (
    bbq.BBQ, bbq.BBQGenerate, bbq.BBQChat, stereoset.StereoSet, crows.CrowsPairs,
    wino.WinoBias, wino.WinoBiasChat, wino.Winogender, wino.WinogenderChat,
    counterfactual.CounterfactualFr, counterfactual.CounterfactualEn,
    counterfactual.CounterfactualFrChat, counterfactual.CounterfactualEnChat,
    income.Income, income.IncomeChat, disclosure.Disclosure, truth.Abstention,
    calibration.CalibrationMmlu, calibration.CalibrationArcEasy, calibration.CalibrationArcChallenge,
    recommend.Recommend, holistic.HolisticBias,
)  # fmt: skip

ITEMS: tuple[Part, ...] = (
    *(Part(name=task.name, row=task.requirement, task=task, articles=task.articles) for task in TASKS),
    *(Part(name=task.name, row="12", task=task) for task in (truthfulqa.Mc1, truthfulqa.Mc2)),
    Part(name="bold", row="18", task=freetext.Bold, otherwise=freetext.BoldChat),
)
