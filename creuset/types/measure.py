"""One number with all that makes it believable, and the one reader of the files that hold such numbers.

A `Measure` is a row of `results.json`, which `creuset eval` and `creuset audit` write, and the dossier, the card, the
comparisons and all pages read. What could not be measured is a row too: it has a status and a reason instead of a
score, so that nothing is silently missing.

    read_results(path)      results.json of an evaluation or an audit, as `Results`
    read_samples(path)      what each task asked and was answered: NAME.jsonl beside it, or in samples/
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from creuset.core import jsonl
from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ArtifactError, DataError
from creuset.core.sentences import Sentence, from_json, sentence
from creuset.core.stats import Interval

Row = dict[str, Any]
RESULTS = "results.json"

Status = Literal["measured", "reported", "not_applicable", "not_testable", "not_tested"]
Better = Literal["higher", "lower", "zero", "fifty", ""]  # which way the score is good; "" says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    task: str  # "mmlu", "bbq", "watermark"
    metric: str  # "acc", "s_amb.age", "tpr_1e-3.len200"
    score: float | None = None
    interval: Interval | None = None  # 95 %
    interval_by: str = ""  # wilson, bootstrap, clustered by template, exact ...
    unit: str = "share"  # share, percent, ratio, nats, bits, tokens/s, s, EUR, kWh, count ...
    better: Better = "higher"
    n: int = 0  # samples scored
    denominator: int = 0  # samples asked, failed ones included; score = something / denominator
    failed: int = 0  # calls that failed after retries
    unextracted: int = 0  # replies in which the extractor found no answer
    extractor: str = ""  # name of the extractor; its strict and lenient forms are two measures
    form: str = ""  # loglikelihood, generate, chat, static
    status: Status = "measured"
    why: str = ""  # for every status but measured: the reason, in a sentence
    requirement: str = ""  # row of the requirement table, audit only: "2", "5" ...
    articles: tuple[str, ...] = ()  # "AI Act 15(1)"
    caveat: str = ""  # a sentence printed wherever the score is
    prompt_sha256: str = ""  # of all prompts, in order
    data_sha256: str = ""  # of the data files
    data: str = ""  # their names
    licence: str = ""
    seed: int | None = None
    date: str = ""  # ISO 8601, UTC
    extra: dict[str, Any] = field(default_factory=dict)  # chance, verdict, per-group numbers, points of a curve

    def __post_init__(self) -> None:
        if self.status != "measured" and not self.why:
            raise ValueError(f"{self.task}.{self.metric} is {self.status} and does not say why")
        if self.status in ("measured", "reported") and self.score is None:
            raise ValueError(f"{self.task}.{self.metric} is {self.status} and has no score")

    def settled(self) -> "Measure":
        """Itself, with an interval that says something: one without two finite ends, or of no width, which would claim
        certainty, is none, and `interval_by` says why."""
        if self.score is None or (self.interval is None and not self.interval_by):
            return self
        if self.interval is None:
            said = isinstance(self.interval_by, Sentence)
            return self if said else replace(self, interval_by=sentence("core.no_interval"))
        low, high = self.interval.low, self.interval.high
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return self
        return replace(self, interval=None, interval_by=sentence("core.no_interval"))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A folder's results.json: the measures, and what it says beside them."""

    path: Path
    rows: list[Row]  # Measure.row() of each
    about: Row  # the rest of results.json: subject, usage, settings, versions ...
    sha256: str = ""  # of the artifact; "" for a folder without a manifest
    samples: dict[str, list[Row]] = field(default_factory=dict, repr=False)  # by task, where they were asked for

    @property
    def subject(self) -> Row:
        """Who was asked: name, kind, sha256 or url ..."""
        found = self.about.get("subject") or self.about.get("model") or {}
        return dict(found) if isinstance(found, dict) else {"name": str(found)}

    @property
    def name(self) -> str:
        return str(self.subject.get("name") or self.subject.get("model") or self.path.name)


def read_results(path: Path, *, kinds: Sequence[str] = (), samples: bool = False) -> Results:
    """The results in the folder `path`; with `kinds`, only those of an artifact of such a kind ("evaluation", "audit").

    Rows are as they were written, but for numbers that JSON has no words for (they become their names), for an
    interval without two finite ends (it becomes None), for the range of an old estimate of energy (it is no interval),
    and for old rows of bits per byte without a metric or a unit.
    Raises ArtifactError where there is no results.json or the artifact is of another kind, DataError where the file
    is damaged.
    """
    manifest = read_manifest(path) if kinds or (path / MANIFEST).is_file() else {}
    if kinds and manifest["kind"] not in kinds:
        raise ArtifactError(f"`{path}` is of kind {manifest['kind']}, not {' or '.join(kinds)}")
    file = path / RESULTS
    if not file.is_file():
        raise ArtifactError(f"`{path}` is not an evaluation: it has no {RESULTS}")
    try:
        said = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"`{file}` is not JSON: {error}") from error
    found = results_of(said, path, sha256=str(manifest.get("sha256", "")), where=f"`{file}`")
    return replace(found, samples=read_samples(path)) if samples else found


def results_of(said: Any, path: Path, *, sha256: str = "", where: str = RESULTS) -> Results:
    """The same, of what a results.json says. DataError where it has no list of rows, or a row has no task."""
    said = from_json(said)
    if not isinstance(said, dict) or not isinstance(said.get("results"), list):
        raise DataError(f"{where} has no list of results")
    for number, row in enumerate(said["results"], 1):
        if not isinstance(row, dict) or "task" not in row:
            raise DataError(f"{where}: result {number} has no task")
    rows = [measure_row(row) for row in said["results"]]
    return Results(path=path, rows=rows, about=plain({k: v for k, v in said.items() if k != "results"}), sha256=sha256)


def measure_row(row: Row) -> Row:
    """A row that a page can draw: an interval without two finite ends is none."""
    found: Row = plain(row)
    ends = found.get("interval")
    whole = isinstance(ends, list) and len(ends) == 2 and all(isinstance(v, int | float) for v in ends)
    # Bits per byte are counted a source, and their rows have neither metric nor unit.
    unit = "bits per byte" if found.get("task") == "bpb" else "share"
    given = {"metric": str(found.get("source", "score")), "unit": unit}
    if whole and str(found.get("interval_by", "")).endswith("not a confidence interval"):
        # An old estimate of energy: what stood as its interval was a range of rated powers.
        return given | found | {"interval": None, "interval_by": "", "range": ends}
    return given | found | {"interval": ends if whole else None}


def read_samples(path: Path) -> dict[str, list[Row]]:
    """The rows of every task of an evaluation or an audit, by the task's name; journals are passed over.

    Raises DataError naming the file and the line that is not a row.
    """
    found: dict[str, list[Row]] = {}
    for file in sorted([*path.glob("*.jsonl"), *path.glob("samples/*.jsonl")]):
        rows: list[Row] = []
        for _, row in jsonl.read(file):
            if "journal" in row:
                break
            rows.append(plain(row))
        if rows:
            found[file.stem] = rows
    return found


def plain(value: Any) -> Any:
    """JSON without NaN and infinities, which no browser reads: they become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value
