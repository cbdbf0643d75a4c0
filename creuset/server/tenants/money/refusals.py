"""What a caller is told who may not go on, in the words and codes that clients of OpenAI's API look for."""

import math
from collections.abc import Sequence

from creuset.core.errors import EngineError, Forbidden, RequestError
from creuset.server.tenants.money.limits import Limit, LimitCounter, left
from creuset.server.tenants.money.prices import as_money
from creuset.server.tenants.money.windows import as_time

LAST = 1e9  # seconds: a later moment is never


class RateLimited(RequestError):
    """A limit on requests, tokens or requests at a time is reached."""

    status = 429
    code = "rate_limit_exceeded"
    kind = "requests"


class QuotaSpent(RequestError):
    """A budget is spent."""

    status = 429
    code = kind = "insufficient_quota"


class ModelWithoutPrice(Forbidden):
    """Money limits the caller, and nobody can say what the model costs."""

    code = "model_without_price"


class LedgerUnavailable(EngineError):
    """Nothing can be charged now, so nothing new is begun."""

    code = "ledger_unavailable"


def refused(limit: Limit, counter: LimitCounter, amount: int, at: int, wait: float, model: str) -> RequestError:
    """The error for a request that needs `amount` and may have it in `wait` seconds."""
    whose = f"{limit.kind.replace('_', ' ')} {counter.subject}"
    after = wait if 0 < wait < LAST else None
    if limit.what == "money":
        return _spent(limit, counter, amount, at, after, whose)
    most, what = limit.amount or 0, limit.what
    per = f" per {limit.window}" if limit.window not in ("", "total") else (" at a time" if not limit.window else "")
    words = "requests" if what == "concurrent" else what
    used = counter.held if what == "concurrent" else most - (left(limit, counter, at) or 0)
    of = f" for {limit.model}" if limit.model else ""
    if wait == math.inf and what != "concurrent" and most:
        said = f"Request too large{of} in {whose} on {words}{per}: Limit {most}, Requested {amount}."
        if limit.burst is not None and amount <= most:
            said += f" At most {limit.burst} may come at once."
        error = RateLimited(said + " The input or the longest output must be shorter to run.")
    else:
        said = f"Rate limit reached{of} in {whose} on {words}{per}: Limit {most}, Used {used}, Requested {amount}."
        error = RateLimited(said + (f" Please try again in {duration(after)}." if after else ""), retry_after=after)
    error.kind = "tokens" if what == "tokens" else "requests"
    return error


def refuse_unpriced(model: str, places: Sequence[tuple[Limit, LimitCounter]]) -> None:
    """ModelWithoutPrice where one of `places` is an amount of money: what has no price would pass it by."""
    for limit, counter in places:
        if limit.what == "money" and limit.amount is not None:
            whose = f"{limit.kind.replace('_', ' ')} {counter.subject}"
            raise ModelWithoutPrice(
                f"the model `{model}` has no price, and the budget of {whose} is in {limit.currency}",
                param="model", hint="an administrator sets its price with `creuset prices set`",
            )  # fmt: skip


def _spent(limit: Limit, counter: LimitCounter, amount: int, at: int, after: float | None, whose: str) -> QuotaSpent:
    def money(value: int) -> str:
        return as_money(value, limit.currency)

    when = "" if limit.window == "total" else f" for one {limit.window}"
    held = f", {money(counter.held)} are reserved by requests that run" if counter.held else ""
    said = (
        f"You exceeded your current quota: the budget of {whose}{when} is {money(limit.amount or 0)}, "
        f"{money(counter.spent)} are spent{held}; this request may cost up to {money(amount)}."
    )
    if counter.spent + amount <= (limit.amount or 0):
        return QuotaSpent(f"{said} Please try again in {duration(after or 1.0)}.", retry_after=after)
    if after is not None and limit.window != "total":
        said += f" It is renewed on {as_time(at + int(after * 1e6), limit.zone)} ({limit.zone})."
    return QuotaSpent(said)


def duration(seconds: float | None) -> str:
    """As OpenAI's headers have it: 12ms, 1.5s, 6m0s, 2h5m0s. Rounded up: who comes then is not too early."""
    millis = math.ceil(1000 * (seconds or 0.0))
    if millis < 1000:
        return f"{millis}ms"
    if millis < 60_000:
        return f"{millis / 1000:g}s"
    whole = -(-millis // 1000)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return (f"{hours}h" if hours else "") + f"{minutes}m{rest}s"
