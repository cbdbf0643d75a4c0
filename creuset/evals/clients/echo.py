"""A prompt's own log-probabilities, as /v1/completions tells them with `echo`; documents read through. No torch.

`ask` is one call. `by_ids` reads a document where the endpoint has a tokenizer to ask (/tokenize): the ids, the windows
and so the figure are those of a folder. `by_text` reads it where there is none: token boundaries are those that the
reply tells (`text_offset`), and a window begins at one of them. A window is a text cut somewhere, of which only the
tokens that fit the context are used, the last one, which the cut may have changed, left out.

Where the endpoint has no <|endoftext|>, nothing stands before a document and nothing ends it: its first token has no
probability, and its bytes are not counted (`Likelihood.unscored`).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from creuset.evals.clients.http import HttpClient, Json
from creuset.evals.model import Failure, Likelihood, LoglikelihoodRequest, RollingRequest
from creuset.model.windows import windows

CHARS_PER_TOKEN = 6  # of a text that is cut before its tokens are known: more than most have


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of each token of the prompt, and of the one generated behind it: ln p (None: nothing before it), the likeliest's
    ln p, where it begins in characters."""

    values: Sequence[float | None]
    tops: Sequence[dict[str, float] | None]
    offsets: Sequence[int]
    usage: Json = field(default_factory=dict)
    model: str = ""
    attempts: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def prompt_tokens(self) -> int | None:
        told = self.usage.get("prompt_tokens")
        return told if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


async def ask(client: HttpClient, model: str, prompt: str | list[int]) -> Told | Failure:
    """As lm-evaluation-harness asks it: one token is generated too, and is not ours."""
    body: Json = {
        "model": model,
        "prompt": [prompt] if isinstance(prompt, list) else prompt,
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": 1,
        "echo": True,
        "seed": 1234,
    }
    answer = await client.post("/completions", body)
    if isinstance(answer, Failure):
        return answer
    try:
        told = answer.body["choices"][0]["logprobs"]
        values = [None if v is None else float(v) for v in told["token_logprobs"]]
        tops: list[Any] = list(told["top_logprobs"])
        offsets = [int(o) for o in told.get("text_offset") or ()]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        return Failure(reason="no_logprobs", detail=f"{error!r}", attempts=answer.attempts)
    return Told(
        values=values,
        tops=tops,
        offsets=offsets,
        usage=answer.body.get("usage") or {},
        model=str(answer.body.get("model") or ""),
        attempts=answer.attempts,
    )


Asking = Callable[[str | list[int]], Awaitable[Told | Failure]]


async def by_ids(
    asking: Asking, ids: list[int], whole: RollingRequest, *, eot: int | None, context: int
) -> Likelihood | Failure:
    """`ids`: the text's. `context`: tokens read at once, 0: all of them."""
    row = [*([] if eot is None else [eot]), *ids, *([] if eot is None else [eot])]
    targets = len(row) - 1
    if targets < 1:
        return Likelihood(total=0.0, greedy=False, tokens=0, prompt_tokens=len(row), unscored=len(whole.text.encode()))
    cut = windows(targets, context=context or targets, overlap=whole.overlap if context else 0)
    found = await asyncio.gather(*(asking(row[w.start : w.end + 1]) for w in cut))
    sums = _Sums()
    for window, told in zip(cut, found, strict=True):
        if isinstance(told, Failure):
            return told
        if refused := sums.add(told, range(window.scored - window.start + 1, window.end + 1 - window.start)):
            return refused
    unscored = 0
    if eot is None:
        first = found[0]
        assert isinstance(first, Told)
        if len(first.offsets) < 2:
            return Failure(reason="no_logprobs", detail="the reply does not tell where tokens begin (text_offset)")
        unscored = len(whole.text[: first.offsets[1] - first.offsets[0]].encode())
    return sums.likelihood(unscored)


async def by_text(asking: Asking, whole: RollingRequest, *, eot: str, context: int) -> Likelihood | Failure:
    """`eot`: the text of <|endoftext|>, "" where the endpoint does not read it as one token."""
    document = f"{eot}{whole.text}{eot}"
    size = context * CHARS_PER_TOKEN or len(document)
    at = scored = unscored = 0  # where the window begins; up to where tokens are scored; all in characters
    sums = _Sums()
    while scored < len(document):
        found = await _window(asking, document, at, size, context)
        if isinstance(found, Failure):
            return found
        told, piece = found
        size = max(len(piece), 1) if context else size
        shift, starts = _tokens(told, piece)
        usable = min(len(starts), context + 1) if context else len(starts)
        if usable < len(starts) or at + len(piece) < len(document):
            usable = min(usable, len(starts) - 1)
            while usable > 0 and starts[usable] == starts[usable - 1]:  # tokens of one character stay together
                usable -= 1
            until = at + starts[usable] if usable > 0 else scored
        else:
            until = len(document)
        fresh = [i for i in range(usable) if at + starts[i] >= scored]
        if not fresh or until <= scored:
            return Failure(reason="no_logprobs", detail=f"no token of {len(piece)} characters could be scored")
        if scored == 0 and (eot or told.values[shift] is None):
            fresh = fresh[1:]  # <|endoftext|> is not of the document; without it nothing stands before this token
            unscored = 0 if eot else len(piece[: starts[1] if len(starts) > 1 else len(piece)].encode())
        if (refused := sums.add(told, [shift + i for i in fresh])) is not None:
            return refused
        scored, at = until, at + starts[max(0, usable - 1 - whole.overlap)]
    return sums.likelihood(unscored)


async def _window(asking: Asking, document: str, at: int, size: int, context: int) -> tuple[Told, str] | Failure:
    """A piece from `at` on, about `size` characters long, that fills the context or ends the document.

    Pieces that are refused as too long and pieces of too few tokens close in on it.
    """
    many = 0
    best: tuple[Told, str] | None = None
    while True:
        piece = document[at : at + size]
        told = await asking(piece)
        if isinstance(told, Failure):
            few = len(best[1]) if best is not None else 0
            if told.reason != "context_length" or not context or (best is None and size < 2):
                return told
            if best is not None and size - few <= 1:
                return best
            many = size
        elif not told.offsets or len(told.offsets) < len(told.values) - 1:
            return Failure(reason="no_logprobs", detail="the reply does not tell where tokens begin (text_offset)")
        else:
            best = told, piece
            ends = at + len(piece) == len(document)
            few = len(piece)
            if ends or not context or len(_tokens(told, piece)[1]) >= context + 2 or (many and many - few <= 1):
                return best
        size = (few + many) // 2 if many else 2 * size


@dataclass(slots=True)
class _Sums:
    total: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    attempts: int = 1
    warnings: tuple[str, ...] = ()

    def add(self, told: Told, which: Sequence[int]) -> Failure | None:
        values = [told.values[i] for i in which if i < len(told.values)]
        known = [v for v in values if v is not None and math.isfinite(v)]
        if len(known) < len(which):
            said = f"{len(known)} log-probabilities of {len(which)} tokens"
            return Failure(reason="no_logprobs", detail=said, attempts=told.attempts)
        self.total += math.fsum(known)
        self.tokens += len(known)
        self.prompt_tokens += told.prompt_tokens or len(told.values)
        self.attempts += told.attempts - 1
        self.warnings += tuple(w for w in told.warnings if w not in self.warnings)
        return None

    def likelihood(self, unscored: int) -> Likelihood:
        return Likelihood(
            total=self.total,
            greedy=False,
            tokens=self.tokens,
            prompt_tokens=self.prompt_tokens,
            unscored=unscored,
            attempts=self.attempts,
            warnings=self.warnings,
        )


def _tokens(told: Told, piece: str) -> tuple[int, list[int]]:
    """How many tokens the server put before `piece`, and where those of `piece` begin in it."""
    last, end = end_of(told.offsets, told.usage, len(piece))
    starts = [offset - (end - len(piece)) for offset in told.offsets[:last]]
    shift = next((i for i, start in enumerate(starts) if start >= 0), last)
    if starts[shift : shift + 2] == [0, 0] and told.values[shift] is None:  # one that takes no room in the count
        shift += 1
    return shift, starts[shift:]


def begins_with(told: Told, text: str, prompt: str) -> bool:
    """Whether `text`, at the beginning of `prompt`, is one token."""
    starts = _tokens(told, prompt)[1] if told.offsets else []
    return starts[:2] == [0, len(text)]


def end_of(offsets: Sequence[int], usage: Json, size: int) -> tuple[int, int]:
    """One past the last token of a prompt of `size` characters, and where that one ends by the reply's own count.

    The offsets may begin after a token that the server put before the text: they are counted from the end.
    """
    told = usage.get("prompt_tokens")
    if isinstance(told, int) and 0 < told < len(offsets):
        return told, offsets[told]
    end = offsets[0] + size
    return next((i for i, offset in enumerate(offsets) if offset >= end), len(offsets)), end


def boundary(offsets: Sequence[int], pair: LoglikelihoodRequest, usage: Json) -> tuple[int, int]:
    """First and one past the last token of the continuation, in a prompt sent as text; at least one token."""
    last, end = end_of(offsets, usage, len(pair.context) + len(pair.continuation))
    begin = end - len(pair.continuation)
    first = next((i for i, offset in enumerate(offsets[:last]) if offset >= begin), last - 1)
    return max(1, min(first, last - 1)), last


def has_scores(body: Json) -> bool:
    """Whether the reply to an echoed prompt tells log-probabilities and the likeliest tokens."""
    try:
        told = body["choices"][0]["logprobs"]
        return any(isinstance(v, float) for v in told["token_logprobs"][1:]) and bool(told["top_logprobs"])
    except (KeyError, IndexError, TypeError):
        return False


def shifted(body: Json) -> bool:
    """Whether the last entry of an echoed prompt tells what comes behind it: the generated token is its likeliest.

    llama-cpp-python 0.3.36 does so, and lists no entry for the generated token.
    """
    try:
        told, text = body["choices"][0]["logprobs"], body["choices"][0]["text"]
        generated = text[len("".join(told["tokens"])) :]
        likeliest = max(told["top_logprobs"][-1].items(), key=lambda pair: float(pair[1]))[0]
        return bool(likeliest) and generated.startswith(likeliest)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return False
