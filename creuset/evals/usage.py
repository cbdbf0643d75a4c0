"""What a run consumed and what was odd about it: counted, priced, and said in words. No torch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from creuset.evals.model import Failure, Outcome, Reply, Usage
from creuset.evals.prices import Price

# Reasons of failures and kinds of warnings, as people read them; `http_503` and `refused_400` are said by their code.
WORDS = {
    "timeout": "no reply in time",
    "connection": "no connection",
    "disconnected": "the connection was closed before a reply",
    "truncated": "the reply ended early",
    "broken_json": "the reply is not the JSON of this dialect",
    "stream_error": "the stream told an error",
    "no_logprobs": "the log-probabilities that were asked for are not in the reply",
    "context_length": "longer than the context",
    "quota": "the account has no quota left",
    "engine": "the engine could not answer",
    "empty": "a reply without text; it counts as one without an answer",
    "filtered": "held back by a filter of the endpoint; it counts as a reply without an answer",
    "usage_zero": "text with a usage of 0 tokens: cost and tokens are higher than printed",
    "usage_missing": "no usage: cost and tokens are higher than printed",
    "usage_over": "a usage above the limit that was set: it is wrong, or the limit is not kept",
    "model_changed": "another model name than at first: the scores may be those of two models",
    "parameter_dropped": "the endpoint refuses a parameter, which was left out: its own default is in its place",
    "no_room": "the thought took all tokens and no answer came: give more with --max-tokens",
    "too_large": "the reply is larger than any that is read",
    "not_streamed": "a stream was asked for: there is no time to the first token",
}


def said_of(kind: str) -> str:
    """`timeout: no reply in time`; a code alone where it says enough."""
    return f"{kind}: {WORDS[kind]}" if kind in WORDS else kind


def usage_lines(usage: dict[str, Any], who: str = "") -> Iterator[str]:
    """`usage` as results.json has it, for people: calls, tokens, cost; then each kind of failure and of doubt, with
    the first one's own words."""
    cost = f", {usage['cost']:.4f} {usage['currency']}" if usage["cost"] is not None else ""
    yield (
        f"{who}{usage['calls']:,} calls, {usage['failed']:,} failed, {usage['retried']:,} retried; "
        f"{usage['prompt_tokens']:,} + {usage['completion_tokens']:,} tokens{cost}"
    )
    for title, counts in (("failed", usage["reasons"]), ("warning", usage["warnings"])):
        for kind, count in counts.items():
            shown = f" ({usage['examples'][kind]})" if usage["examples"].get(kind) else ""
            yield f"{title}: {who}{count:,} {said_of(kind)}{shown}"
    if usage["failed"]:
        yield "what failed is in the denominator as wrong; --retry-failed asks it again"
    if usage["judge"] is not None:
        yield from usage_lines(usage["judge"], "judge: ")


def cost_of(usage: Usage) -> float:
    """Of the subject and of the judge, as far as prices are known."""
    return (usage.cost or 0.0) + (cost_of(usage.judge) if usage.judge is not None else 0.0)


def usage_of(outcomes: Iterable[Outcome], price: Price | None = None, judge_price: Price | None = None) -> Usage:
    """What the calls behind `outcomes` consumed, as far as they say. Attempts that failed may have been billed too."""
    every = list(outcomes)
    judged = [isinstance(o, Reply | Failure) and o.by == "judge" for o in every]
    mine = _usage([o for o, apart in zip(every, judged, strict=True) if not apart], price)
    if not any(judged):
        return mine
    return replace(mine, judge=_usage([o for o, apart in zip(every, judged, strict=True) if apart], judge_price))


def _usage(outcomes: Sequence[Outcome], price: Price | None) -> Usage:
    calls = failed = retried = prompt = completion = 0
    warnings: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for outcome in outcomes:
        if not outcome.attempts:  # a call that was not made, because one before it had failed
            continue
        calls += 1
        retried += outcome.attempts - 1
        if isinstance(outcome, Failure):
            failed += 1
            reasons[outcome.reason] += 1
            examples.setdefault(outcome.reason, outcome.detail)
            continue
        prompt += outcome.prompt_tokens
        completion += outcome.completion_tokens if isinstance(outcome, Reply) else 0
        for warning in outcome.warnings:
            kind, _, words = warning.partition(": ")
            warnings[kind] += 1
            examples.setdefault(kind, words)
    return Usage(
        calls=calls,
        failed=failed,
        retried=retried,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=price.cost(prompt, completion) if price else None,
        currency=price.currency if price else "",
        warnings=dict(sorted(warnings.items())),
        reasons=dict(sorted(reasons.items())),
        examples=examples,
    )


def total_usage(parts: Sequence[Usage]) -> Usage:
    costs = [p.cost for p in parts if p.cost is not None]
    judges = [p.judge for p in parts if p.judge is not None]
    warnings: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for part in parts:
        warnings.update(part.warnings)
        reasons.update(part.reasons)
        examples = part.examples | examples
    return Usage(
        **{n: sum(getattr(p, n) for p in parts)
           for n in ("calls", "failed", "retried", "prompt_tokens", "completion_tokens")},
        cost=sum(costs) if costs else None, currency=next((p.currency for p in parts if p.currency), ""),
        warnings=dict(sorted(warnings.items())), reasons=dict(sorted(reasons.items())), examples=examples,
        judge=total_usage(judges) if judges else None,
    )  # fmt: skip
