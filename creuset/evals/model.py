"""Who is examined: the one interface behind which local weights and endpoints look alike. No torch here.

Reading order: `Ask` and `Pair` (what is put to a subject), `Reply`, `Likelihood`, `Failure` (what comes back),
`Subject` (who answers). Everything that comes back is plain data, kept sample by sample in the journal of a run, so
that a run can go on where it stopped and be scored again without being asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from creuset.core.errors import CreusetError

Ability = Literal["chat", "completion", "loglikelihood", "weights"]


WIDTH = 16  # samples in play, where a client does not know better


class NotTestable(CreusetError):
    """The subject cannot answer this kind of question: no log-probabilities, no weights, no plain completion."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One generation. Exactly one of `messages` (chat) and `prompt` (plain completion) is given."""

    messages: tuple[dict[str, Any], ...] = ()  # {"role": ..., "content": ...}, as OpenAI's API has them
    prompt: str = ""
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = 1234
    tools: tuple[dict[str, Any], ...] = ()  # chat only: the functions it may call, as OpenAI's API has them

    def __post_init__(self) -> None:
        if bool(self.messages) == bool(self.prompt):
            raise ValueError("an GenerateRequest has either messages or a prompt")
        if self.tools and not self.messages:
            raise ValueError("an GenerateRequest with tools is a chat")


@dataclass(frozen=True, slots=True)
class LoglikelihoodRequest:
    """One likelihood: ln p of `continuation` behind `context`, tokenized together as in running text."""

    context: str
    continuation: str


@dataclass(frozen=True, slots=True)
class RollingRequest:
    """A document read from its beginning to its end, in windows (model/windows.py) where it is longer than a context.

    Scored: every token, and the <|endoftext|> behind the last; one stands before the first too.
    """

    text: str
    overlap: int = 0  # tokens that a window sees twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was generated, as received; `text` is untouched (thinking, if any, is in it or in `reasoning`)."""

    text: str
    finish: str  # stop, length, tool_calls, content_filter, or what the endpoint said
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0  # from the call that succeeded, first byte sent to last received
    first_token_s: float | None = None  # only where the reply was streamed
    model: str = ""  # the name the endpoint reports: it may change midway, and that is said
    attempts: int = 1
    reasoning: str = ""
    warnings: tuple[str, ...] = ()  # "KIND: words", counted by kind: "usage_zero: 0 tokens for 41 characters"
    tool_calls: tuple[dict[str, Any], ...] = ()  # as OpenAI's API has them: id, type, function {name, arguments}
    by: str = ""  # "judge" where not the subject said it: it has a price of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    total: float  # ln p, summed over the continuation's tokens
    greedy: bool  # whether each of them was the likeliest
    tokens: int
    token_logprobs: tuple[float, ...] = ()
    cut: bool = False  # the context did not fit and lost its beginning
    attempts: int = 1
    prompt_tokens: int = 0  # read for it, as an endpoint bills them
    unscored: int = 0  # of a whole document: UTF-8 bytes at its beginning with nothing before them
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that did not succeed after its retries. It stays in the denominator and is counted by its reason."""

    reason: str  # timeout, connection, http_500, empty, broken_json, refused_400, price_cap ...
    detail: str = ""
    attempts: int = 1
    by: str = ""  # as in Reply


Outcome = Reply | Likelihood | Failure
Done = Callable[[int, Outcome], None]  # told of each answer as soon as it is there: (position in the list, outcome)


@dataclass(slots=True)
class Budget:
    """What is spent, in one currency, by all who pay from it: a model and its judge share one."""

    spent: float = 0.0


class ModelClient(Protocol):
    """A model that can be examined. Every method returns one outcome per request, in the order of the requests.

    What fails comes back as a `Failure`, never as an exception; NotTestable is raised where the ability is missing.
    A class that inherits from this one has the defaults below.
    """

    @property
    def abilities(self) -> frozenset[Ability]: ...

    @property
    def why_not(self) -> Mapping[str, str]:
        """For an ability that is missing: the reason, where one is known."""
        return {}

    @property
    def width(self) -> int:
        """How many samples are worth having in play at once."""
        return WIDTH

    @property
    def context(self) -> int:
        """Tokens of a document that are read at once, at most; 0: not known."""
        return 0

    @property
    def path(self) -> Path | None:
        """The model's folder, where the model is on this machine."""
        return None

    @property
    def budget(self) -> Budget | None:
        """What its calls are paid from; None: they cost nothing."""
        return None

    def identity(self) -> dict[str, Any]:
        """name, kind (local or endpoint), sha256 or url, dialect, and what else tells one model from another.

        Never a key or another secret.
        """

    async def generate(self, asks: Sequence[GenerateRequest], done: Done | None = None) -> list[Reply | Failure]: ...

    async def loglikelihood(
        self, pairs: Sequence[LoglikelihoodRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]: ...

    async def loglikelihood_rolling(
        self, texts: Sequence[RollingRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run consumed, as the subject counted it and as the price file prices it."""

    calls: int = 0
    failed: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None  # None: no price is known
    currency: str = ""
    warnings: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)  # of the failures
    examples: dict[str, str] = field(default_factory=dict)  # the first one's words, by warning and by reason
    judge: "Usage | None" = None  # what a judge consumed, at its own price; in none of the figures above


async def each(questions: Sequence[Any], answer: Callable[[Any], Awaitable[Any]], done: Done | None) -> list[Any]:
    """Ask all at once; the answers in the order of the questions."""

    async def one(position: int, question: Any) -> Outcome:
        outcome: Outcome = await answer(question)
        if done is not None:
            done(position, outcome)
        return outcome

    return list(await asyncio.gather(*(one(i, q) for i, q in enumerate(questions))))
