"""What a task is: samples from a file, questions to a model, rows from the answers, measures from the rows.

    samples(folder)           -> Sample, Sample, ...      reads the published file; DataError names a bad line
    play(sample, model)       -> [Outcome, ...]           asks; default: the sample's pairs or asks, once each
    score(sample, outcomes)   -> row                      pure: no model, no clock, no randomness but a seed's
    measures(rows)            -> [Measure, ...]           pure

The runner (evals/runner.py) journals outcomes sample by sample; `score` and `measures` can be run again on the
journal without asking anybody. The audit's questions are tasks too, and so is a user's own class (own.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from creuset.evals.model import Ability, GenerateRequest, LoglikelihoodRequest, ModelClient, Outcome, RollingRequest
from creuset.evals.shares import correct_measure
from creuset.types.measure import Measure

Form = Literal["loglikelihood", "generate", "chat", "static"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    id: str  # unique in the task, stable over runs: it is the key of the journal
    pairs: tuple[LoglikelihoodRequest, ...] = ()  # for loglikelihood
    asks: tuple[GenerateRequest, ...] = ()  # for generate and chat; several are independent of each other
    texts: tuple[RollingRequest, ...] = ()  # documents to be read through
    gold: Any = None  # what `score` needs to know; JSON
    cluster: str = ""  # samples of one template, passage or problem: intervals are clustered by it
    meta: dict[str, Any] = field(default_factory=dict)


class Task:
    """Subclass it; the class variables are the header that reports print.

    The least that a task needs: `name`, `samples`, and `score` with `correct` in its row.
    """

    name: ClassVar[str]
    form: ClassVar[Form] = "loglikelihood"
    forms: ClassVar[tuple[Form, ...]] = ()  # those it can be asked in, its own first; (): its own alone
    needs: ClassVar[frozenset[Ability]] = frozenset({"loglikelihood"})
    files: ClassVar[tuple[str, ...]] = ()  # below the benchmark folder; () where the data ships with the package
    licence: ClassVar[str] = ""
    reference: ClassVar[str] = ""  # a published score to compare with, and where it is from
    version: ClassVar[int] = 1  # raise it when questions change: journals of another are refused
    harmful: ClassVar[bool] = False  # runs only behind an explicit flag; prompts are never shown by default
    judged: ClassVar[bool] = False  # its replies are graded by another model: `judge`
    limits_itself: ClassVar[bool] = False  # a limit on the number of samples is the task's own business
    code: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of a user's task: its file and that file's sha256
    folder: Path | None = None  # its own data, a file or a folder, in the benchmark folder's place
    judge: ModelClient | None = None  # who grades the replies
    judged_by: Mapping[str, Any] = MappingProxyType({})  # its identity, or that of who judged what is scored again

    def settings(self) -> dict[str, Any]:
        """What else a journal must agree on: how questions are asked, where that is not in the questions."""
        return {}

    def check(self, client: ModelClient) -> None:
        """Raise ConfigError where this model cannot be asked in the way that the task is set to."""

    def samples(self, folder: Path) -> Iterator[Sample]:
        """Every sample, in order, from the benchmark folder (or the one file that was given instead)."""
        raise NotImplementedError

    async def play(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        """Ask the sample. Override it for conversations of several turns, and for judges."""
        if sample.pairs:
            return list(await subject.loglikelihood(sample.pairs))
        if sample.texts:
            return list(await subject.loglikelihood_rolling(sample.texts))
        return list(await subject.generate(sample.asks))

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        """One JSON row. Reports know these keys: correct (0 to 1), answer, gold, extracted (bool), failed (bool)."""
        raise NotImplementedError

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        """What the rows come to; by default the share of `correct`. A row also has the sample's `id` and `cluster`."""
        return [correct_measure(self, "acc", rows)]
