"""What a million tokens cost: a dated price file, and the arithmetic. No torch.

The file (prices.toml, or the user's own) has one table a price. A model may have several: of several dates, or of
several hosts. `find` takes the newest whose names match; its source and date go with every cost that is printed.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError

SHIPPED = Path(__file__).parent / "prices.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of a million tokens, in `currency`."""

    id: str
    name: str  # as people call it
    names: tuple[str, ...]  # under which an endpoint may serve it
    provider: str
    input: float
    output: float
    currency: str = "USD"
    cached_input: float | None = None  # of tokens read from a cache
    batch_input: float | None = None  # of requests that may wait
    batch_output: float | None = None
    cache_write: float | None = None  # of tokens that are written to a cache; None: as input
    reasoning: float | None = None  # of tokens of thought; None: as output
    priority: Mapping[str, float] = field(default_factory=dict)  # input, output, cached_input of requests that go first
    flex: Mapping[str, float] = field(default_factory=dict)  # the same of requests that may wait a little
    brackets: tuple[Mapping[str, float], ...] = ()  # above (tokens of the whole input), input, output, cached_input
    since: str = ""  # ISO date from which it was seen or held
    until: str = ""
    source: str = ""
    grade: str = ""  # documentation, secondary, own: how far to trust the source
    note: str = ""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """In `currency`; cached tokens are counted at the full price."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    as_of: str
    prices: tuple[Price, ...]

    def find(self, model: str) -> Price | None:
        """The price with the id `model`, or else the newest of those served under that name."""
        known = [p for p in self.prices if model == p.id] or [p for p in self.prices if model in p.names]
        return max(known, key=lambda p: p.since, default=None)


def load(path: Path | None = None) -> Prices:
    """The price file; the shipped one without `path`. DataError names what is wrong in it."""
    file = path or SHIPPED
    if not file.is_file():
        raise ConfigError(f"`{file}` does not exist: it should be a price file")
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"`{file}` is not TOML: {error}") from error
    rows = said.get("price", [])
    if not isinstance(rows, list) or not rows:
        raise DataError(f"`{file}` has no [[price]]")
    prices = [_price(row, f"`{file}` price {number}") for number, row in enumerate(rows, 1)]
    return Prices(str(said.get("as_of", "")), tuple(prices))


def _price(row: Any, where: str) -> Price:
    try:
        price = Price(**{**row, **{name: tuple(row.get(name, ())) for name in ("names", "brackets")}})
    except (TypeError, AttributeError) as error:
        raise DataError(f"{where}: {error}") from error
    for name in ("input", "output", "cached_input", "batch_input", "batch_output", "cache_write", "reasoning"):
        value = getattr(price, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise DataError(f"{where}: {name} must be a price of a million tokens, got {value!r}")
    return price
