"""One number with all that makes it believable. `creuset eval`, `audit`, `dossier` and `compare` speak in these.

A `Measure` is a row of `results.json`. What could not be measured is a row too: it has a status and a reason instead
of a score, so that nothing is silently missing.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from creuset.core.stats import Interval

Status = Literal["measured", "reported", "not_applicable", "not_testable", "not_tested"]
Better = Literal["higher", "lower", "zero", "fifty", ""]    # which way the score is good; "" says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    task: str                               # "mmlu", "bbq", "watermark"
    metric: str                             # "acc", "s_amb.age", "tpr_1e-3.len200"
    score: float | None = None
    interval: Interval | None = None        # 95 %
    interval_by: str = ""                   # wilson, bootstrap, clustered by template, exact ...
    unit: str = "share"                     # share, percent, ratio, nats, bits, tokens/s, s, EUR, kWh, count ...
    better: Better = "higher"
    n: int = 0                              # samples scored
    denominator: int = 0                    # samples asked, failed ones included; score = something / denominator
    failed: int = 0                         # calls that failed after retries
    unextracted: int = 0                    # replies in which the extractor found no answer
    extractor: str = ""                     # name of the extractor; its strict and lenient forms are two measures
    form: str = ""                          # loglikelihood, generate, chat, static
    status: Status = "measured"
    why: str = ""                           # for every status but measured: the reason, in a sentence
    requirement: str = ""                   # row of the requirement table, audit only: "2", "5" ...
    articles: tuple[str, ...] = ()          # "AI Act 15(1)"
    caveat: str = ""                        # a sentence printed wherever the score is
    prompt_sha256: str = ""                 # of all prompts, in order
    data_sha256: str = ""                   # of the data files
    data: str = ""                          # their names
    licence: str = ""
    seed: int | None = None
    date: str = ""                          # ISO 8601, UTC
    extra: dict[str, Any] = field(default_factory=dict)  # chance, verdict, per-group numbers, points of a curve

    def __post_init__(self) -> None:
        if self.status != "measured" and not self.why:
            raise ValueError(f"{self.task}.{self.metric} is {self.status} and does not say why")
        if self.status in ("measured", "reported") and self.score is None:
            raise ValueError(f"{self.task}.{self.metric} is {self.status} and has no score")

    @property
    def id(self) -> str:
        return f"{self.task}.{self.metric}"

    def row(self) -> dict[str, Any]:
        """JSON: the fields, `extra` laid flat among them, the interval as [low, high]."""
        fields = asdict(self)
        extra = fields.pop("extra")
        fields["interval"] = [self.interval.low, self.interval.high] if self.interval else None
        fields["articles"] = list(self.articles)
        clash = set(extra) & set(fields)
        assert not clash, f"extra says again: {sorted(clash)}"
        return {**fields, **extra}
