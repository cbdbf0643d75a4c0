"""How fast an endpoint is under a stated load, measured by asking it. The clock is this machine's, the network counts.

Load: a closed loop of `concurrency` streams over the chat dialect of OpenAI's API, one warm-up request that is not
counted (it loads what is loaded at first use), temperature 0. Each prompt begins differently, so that no cache of
prefixes answers for the model. Tokens are those of the endpoint's `usage`; where it gives none, streamed pieces are
counted and the figure says so.

    first token     s, from sending the request to the first piece of text
    per stream      tokens/s of one reply, its first token left out: (tokens - 1) / (last piece - first piece)
    together        tokens/s of all streams: tokens of the counted requests / wall time of the counted requests
    whole           s, from sending to the end of the reply
"""

import asyncio
import json
import math
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from creuset.core import jsonl
from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ArtifactError, EngineError
from creuset.core.stats.special import binomial_cdf
from creuset.evals.clients.http import CallSettings, HttpClient
from creuset.evals.clients.openai import bearer
from creuset.types.usage import Load

FILE = "speed.json"
SAID = (
    "river stone garden winter letter copper market window orchard harbour lantern bridge silver meadow engine paper"
    " valley ribbon thunder needle forest candle marble island mirror saddle barrel anchor feather kettle"
)
WORDS = tuple(SAID.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `failed` says why it does not count, or nothing."""

    first_s: float = 0.0
    whole_s: float = 0.0
    stream_s: float = 0.0  # first piece to last piece
    tokens: int = 0
    pieces: int = 0
    prompt_tokens: int = 0
    by_usage: bool = False
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What `measure` found. Seconds and tokens a second; None where no call lets it be said."""

    url: str
    model: str
    load: dict[str, Any]
    date: str
    calls: int
    failed: int
    wall_s: float
    tokens_mean: float
    prompt_tokens_mean: float
    tokens_by: str  # usage, or pieces: then a token may be several or half of one
    first_p50_s: float | None
    first_p95_s: float | None
    whole_p50_s: float | None
    whole_p95_s: float | None
    stream_p50: float | None
    together: float | None
    failures: dict[str, int]
    # Interval of a median, from the order of the values alone, and the quartiles: [low, high, quarter, three quarters].
    first_spread_s: list[float] | None = None
    whole_spread_s: list[float] | None = None
    stream_spread: list[float] | None = None
    warm_up: int = 1  # requests before the counted ones


def read(folder: Path) -> dict[str, Any]:
    """speed.json of an artifact of `creuset compare speed`. Raises ArtifactError naming what is wrong with it."""
    if read_manifest(folder)["kind"] != "speed":
        raise ArtifactError(f"`{folder}` is not what `creuset compare speed` leaves")
    try:
        return asdict(Speed(**json.loads((folder / FILE).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"`{folder / FILE}` is not a measured speed: {error}") from error


def keep(out: Path, speed: Speed, calls: list[Call]) -> None:
    """Publish a measured speed with each of its calls."""
    with new_artifact(out, kind="speed", settings=speed.load, facts={"url": speed.url, "model": speed.model}) as folder:
        (folder / FILE).write_text(json.dumps(asdict(speed), indent=2) + "\n", encoding="utf-8")
        jsonl.write(folder / "calls.jsonl", map(asdict, calls), ascii_only=True)


def prompt(index: int, words: int, *, seed: int = 20) -> str:
    """`words` words and a question; two indices share no beginning."""
    draw = random.Random(f"{seed}:{index}")
    return f"{index}: {' '.join(draw.choices(WORDS, k=words))}.\nContinue this list of words."


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest of `values` that at least `share` of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def spread(values: Sequence[float]) -> list[float] | None:
    """95 % interval of the median (binomial: no shape is assumed) and the quartiles; None below six values."""
    n, found = len(values), sorted(values)
    out = 0  # values to leave out at each end
    while binomial_cdf(out, n) <= 0.025:
        out += 1
    if out == 0:
        return None
    quarter, three = percentile(found, 0.25), percentile(found, 0.75)
    assert quarter is not None and three is not None
    return [found[out - 1], found[n - out], quarter, three]


def summarise(calls: Sequence[Call], wall_s: float, *, url: str, model: str, load: Load, date: str) -> Speed:
    good = [c for c in calls if not c.failed]
    rates = [(c.tokens - 1) / c.stream_s for c in good if c.tokens > 1 and c.stream_s > 0]
    reasons = sorted({c.failed for c in calls if c.failed})
    tokens = sum(c.tokens for c in good)
    return Speed(
        url=url,
        model=model,
        load=asdict(load),
        date=date,
        calls=len(calls),
        failed=len(calls) - len(good),
        wall_s=wall_s,
        tokens_mean=tokens / max(1, len(good)),
        prompt_tokens_mean=sum(c.prompt_tokens for c in good) / max(1, len(good)),
        tokens_by="usage" if all(c.by_usage for c in good) else "pieces",
        first_p50_s=percentile([c.first_s for c in good], 0.5),
        first_p95_s=percentile([c.first_s for c in good], 0.95),
        whole_p50_s=percentile([c.whole_s for c in good], 0.5),
        whole_p95_s=percentile([c.whole_s for c in good], 0.95),
        stream_p50=percentile(rates, 0.5),
        together=tokens / wall_s if good and wall_s > 0 else None,
        failures={r: sum(c.failed == r for c in calls) for r in reasons},
        first_spread_s=spread([c.first_s for c in good]),
        whole_spread_s=spread([c.whole_s for c in good]),
        stream_spread=spread(rates),
    )


async def measure(
    url: str,
    model: str,
    load: Load,
    *,
    key_env: str = "",
    date: str,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[int, int], None] = lambda done, of: None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> tuple[Speed, list[Call]]:
    """Ask `url` (…/v1) as `load` says. EngineError where not even the warm-up request is answered."""
    calling = CallSettings(key_env=key_env, concurrency=1, timeout_s=load.timeout_s, retries=1)
    finder = HttpClient(url, calling, bearer)
    try:
        model = model or await finder.first_model()
    finally:
        await finder.close()
    headers = bearer(os.environ[key_env]) if key_env else {}
    limits = httpx.Limits(max_connections=load.concurrency, max_keepalive_connections=load.concurrency)
    async with httpx.AsyncClient(headers=headers, timeout=load.timeout_s, limits=limits, transport=transport) as client:
        warm = await _call(client, url, model, prompt(-1, load.prompt_words), load, clock)
        if warm.failed:
            raise EngineError(f"`{url}` does not answer: {warm.failed}", hint="is the address that of the API, …/v1?")
        waiting = iter(range(load.requests))
        calls: list[Call] = []

        async def stream() -> None:
            for index in waiting:
                calls.append(await _call(client, url, model, prompt(index, load.prompt_words), load, clock))
                progress(len(calls), load.requests)

        begun = clock()
        await asyncio.gather(*(stream() for _ in range(load.concurrency)))
        wall = clock() - begun
    return summarise(calls, wall, url=url, model=model, load=load, date=date), calls


async def _call(
    client: httpx.AsyncClient, url: str, model: str, text: str, load: Load, clock: Callable[[], float]
) -> Call:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": load.max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun, first, last, pieces = clock(), 0.0, 0.0, 0
    usage: dict[str, Any] = {}
    try:
        async with client.stream("POST", f"{url.rstrip('/')}/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                await answer.aread()
                return Call(failed=f"http {answer.status_code}")
            async for event in events(answer.aiter_lines()):
                if "error" in event:
                    return Call(failed="an error in the stream")
                usage = event.get("usage") or usage
                if any((c.get("delta") or {}).get("content") for c in event.get("choices") or []):
                    last = clock()
                    first = first or last
                    pieces += 1
    except httpx.TimeoutException:
        return Call(failed="timeout")
    except httpx.HTTPError as error:
        return Call(failed=type(error).__name__)
    except (ValueError, AttributeError):
        return Call(failed="broken stream")
    told = usage.get("completion_tokens", 0)
    if not pieces:
        return Call(failed="no text")
    return Call(
        first_s=first - begun,
        whole_s=clock() - begun,
        stream_s=last - first,
        tokens=told or pieces,
        pieces=pieces,
        prompt_tokens=usage.get("prompt_tokens", 0),
        by_usage=bool(told),
    )


async def events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """The JSON events of a stream up to `[DONE]`; ValueError where one is no JSON object or the end is missing."""
    async for line in lines:
        if not line.startswith("data:"):
            continue
        if (said := line[5:].strip()) == "[DONE]":
            return
        event = json.loads(said)
        if not isinstance(event, dict):
            raise ValueError(f"{said[:40]} is no event")
        yield event
    raise ValueError("the stream ended without [DONE]")
