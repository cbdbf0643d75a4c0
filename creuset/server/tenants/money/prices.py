"""What tokens cost: whole millionths of a currency, from a dated price list. Only the cost of a request is rounded.

A price is of a million tokens. It may have tiers: a batch, a priority; and brackets by the total input, of which one,
chosen by the whole input of a request, prices the whole request. The list that is shipped (evals/prices.toml) has the
list prices of early 2025 with their sources; an administrator's own prices stand before it.

A version of a price is its name, its date, and a hash of all it says. Lines of the ledger name it.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from creuset.core.errors import DataError
from creuset.evals.prices import Price, load
from creuset.types.usage import TokenUsage

MICRO = 1_000_000
TIERS = ("default", "batch", "flex", "priority")
FREE = "free"  # the version of what has no price
OWN_KEY = "own-key"  # and of what the caller's own account at another server pays for


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Millionths of the currency for a million tokens."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    reasoning: int
    above: int = 0  # tokens of input from which on this bracket holds


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    names: tuple[str, ...]
    currency: str
    tiers: dict[str, tuple[Rates, ...]]  # brackets by rising `above`
    since: str = ""
    until: str = ""
    source: str = ""

    def rates(self, tier: str, tokens: int) -> Rates:
        """Of a request with so many `tokens` of input. A tier without prices of its own costs as the default one, and
        a batch without them half of that."""
        own = self.tiers.get(tier)
        brackets = own or self.tiers["default"]
        found = next((one for one in reversed(brackets) if tokens > one.above), brackets[0])
        return _halved(found) if tier == "batch" and own is None else found

    def lines(self, usage: TokenUsage, tier: str) -> list[tuple[str, int, int]]:
        """(item, tokens, cost) of each kind of token that was used. The cost of all is rounded once, half up."""
        rates = self.rates(tier, usage.input)
        plain = usage.input - usage.cached - usage.cache_write
        found, exact, told = [], 0, 0
        for item, tokens, rate in (
            ("input", plain, rates.input), ("cached input", usage.cached, rates.cached_input),
            ("cache write", usage.cache_write, rates.cache_write),
            ("output", usage.output - usage.reasoning, rates.output), ("reasoning", usage.reasoning, rates.reasoning),
        ):  # fmt: skip
            if tokens:
                exact += tokens * rate
                whole = (exact + MICRO // 2) // MICRO
                found.append((item, tokens, whole - told))
                told = whole
        return found

    def cost(self, usage: TokenUsage, tier: str) -> int:
        return sum(amount for *_, amount in self.lines(usage, tier))

    def least(self, prompt: int, tier: str) -> int:
        """What a request costs at least that reads `prompt` tokens: nothing is written, and all was in the cache."""
        rates = self.rates(tier, prompt)
        return (prompt * min(rates.input, rates.cached_input) + MICRO // 2) // MICRO

    def most(self, prompt: int, output: int, tier: str) -> int:
        """What a request can cost at most that reads `prompt` tokens and writes up to `output`."""
        rates = self.rates(tier, prompt)
        dearest = prompt * max(rates.input, rates.cached_input, rates.cache_write)
        return -(-(dearest + output * max(rates.output, rates.reasoning)) // MICRO)


class PriceBook:
    """Prices by the names of models. Those that stand first win; of one place, the newest that has begun."""

    def __init__(self, own: Iterable[Tariff] = (), *, shipped: bool = True) -> None:
        self._places = (tuple(own), shipped_prices() if shipped else ())

    def find(self, names: Iterable[str], today: str) -> Tariff | None:
        """The price of the model with these names, on the day `today` (ISO)."""
        wanted = set(names)
        for place in self._places:
            held = [one for one in place if wanted & set(one.names) and one.since <= today <= (one.until or today)]
            if held:
                return max(held, key=lambda one: one.since)
        return None


@cache
def shipped_prices() -> tuple[Tariff, ...]:
    """The prices that are shipped."""
    return read_prices(None)


def read_prices(file: Path | None) -> tuple[Tariff, ...]:
    """The prices of a price file; None: of the shipped one."""
    return tuple(tariff(price) for price in load(file).prices)


def tariff(price: Price) -> Tariff:
    """A row of a price file as whole numbers."""
    default = _rates(price.id, price.input, price.output, price.cached_input, price.cache_write, price.reasoning)
    brackets = [default, *(_bracket(price.id, one) for one in price.brackets)]
    if sorted(one.above for one in brackets) != [one.above for one in brackets]:
        raise DataError(f"price `{price.id}`: its brackets must stand by rising `above`")
    tiers = {"default": tuple(brackets)}
    if price.batch_input is not None and price.batch_output is not None:
        tiers["batch"] = (_rates(price.id, price.batch_input, price.batch_output),)
    for tier in ("priority", "flex"):
        if said := getattr(price, tier):
            tiers[tier] = (_bracket(price.id, said),)
    said = msgspec.json.encode([price.names, price.currency, {k: tiers[k] for k in sorted(tiers)}])
    names = tuple(dict.fromkeys((price.id, *price.names)))
    version = f"{price.id}@{price.since or 'undated'}#{hashlib.blake2s(said, digest_size=4).hexdigest()}"
    return Tariff(
        version=version, names=names, currency=price.currency, tiers=tiers, since=_day(price.since),
        until=price.until, source=price.source,
    )  # fmt: skip


def _halved(rates: Rates) -> Rates:
    half = {name: -(-getattr(rates, name) // 2) for name in
            ("input", "output", "cached_input", "cache_write", "reasoning")}  # fmt: skip
    return msgspec.structs.replace(rates, **half)


def _day(since: str) -> str:
    """`2025` and `2025-04` are the first of their days."""
    return since + "-01-01"[len(since) - 4 :] if 4 <= len(since) < 10 else since


def _bracket(id: str, said: Any) -> Rates:
    known = {"above", "input", "output", "cached_input", "cache_write", "reasoning"}
    if not isinstance(said, dict) or not {"input", "output"} <= set(said) <= known:
        raise DataError(f"price `{id}`: a bracket or a tier has input, output, and perhaps {', '.join(sorted(known))}")
    rest = {name: value for name, value in said.items() if name != "above"}
    return msgspec.structs.replace(_rates(id, **rest), above=int(said.get("above", 0)))


def _rates(
    id: str, input: float, output: float, cached_input: float | None = None, cache_write: float | None = None,
    reasoning: float | None = None,
) -> Rates:  # fmt: skip
    return Rates(
        input=_micro(id, input), output=_micro(id, output),
        cached_input=_micro(id, input if cached_input is None else cached_input),
        cache_write=_micro(id, input if cache_write is None else cache_write),
        reasoning=_micro(id, output if reasoning is None else reasoning),
    )  # fmt: skip


def _micro(id: str, value: float) -> int:
    """A price as it is written, in millionths."""
    found = Decimal(str(value)) * MICRO
    if isinstance(value, bool) or found != int(found) or found < 0:
        raise DataError(f"price `{id}`: {value} has more than six digits behind the point, or is no price")
    return int(found)


def parse_money(text: str) -> int:
    """`12.50` in millionths. ValueError for what is no amount."""
    try:
        found = Decimal(text) * MICRO
    except ArithmeticError:
        raise ValueError(f"`{text}` is no amount of money") from None
    if not found.is_finite() or found != int(found) or found < 0:
        raise ValueError(f"`{text}` is no amount of money with at most six digits behind the point")
    return int(found)


def as_money(amount: int, currency: str) -> str:
    """Millionths as people write them: two digits behind the point, or as many as there are."""
    whole, rest = divmod(abs(amount), MICRO)
    digits = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{digits} {currency}"
