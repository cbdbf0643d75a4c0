"""What a run costs at several providers, and the carbon of its energy."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.plan.facts import gpu, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A row of the reader's price file."""

    provider: str
    gpu: str
    usd: float  # a GPU hour
    gpus: int | None = None  # at most so many together
    country: str | None = None  # two letters: where the machines are
    seen: str = ""  # date and place of the price


@dataclass(frozen=True, slots=True)
class OfferedRun:
    offer: Offer
    usd: float
    enough: bool  # whether the provider has so many GPUs


def offers(file: Path) -> tuple[Offer, ...]:
    """The `[[offer]]` rows of a TOML file. ConfigError names the row and the field that is wrong."""
    try:
        rows = tomllib.loads(file.read_text(encoding="utf-8")).get("offer")
    except OSError as error:
        raise ConfigError(f"the price file `{file}` cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{file}` is not TOML: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"`{file}` has no [[offer]]", hint="each has provider, gpu and usd (of one GPU hour)")
    return tuple(_offer(row, number, file) for number, row in enumerate(rows, 1))


_FIELDS: dict[str, tuple[type, ...]] = {
    "provider": (str,), "gpu": (str,), "usd": (int, float), "gpus": (int,), "country": (str,), "seen": (str,),
}  # fmt: skip


def _offer(row: Any, number: int, file: Path) -> Offer:
    where = f"offer {number} of `{file}`"
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is no table")
    for name in ("provider", "gpu", "usd"):
        if name not in row:
            raise ConfigError(f"{where} has no `{name}`")
    for name, value in row.items():
        if name not in _FIELDS:
            raise ConfigError(f"{where}: `{name}` is not a field of an offer", hint=f"they are {', '.join(_FIELDS)}")
        if isinstance(value, bool) or not isinstance(value, _FIELDS[name]):
            raise ConfigError(f"{where}: `{name}` must be a {_FIELDS[name][-1].__name__}, got {value!r}")
    if not 0 <= row["usd"] < float("inf"):
        raise ConfigError(f"{where}: `usd` must not be negative, got {row['usd']}")
    gpu(row["gpu"])
    return Offer(**{**row, "gpu": row["gpu"].lower()})


def quoted(given: tuple[Offer, ...], hours: float, gpu_name: str, gpus: int) -> list[OfferedRun]:
    """Offers of the planned GPU, cheapest first."""
    runs = [
        OfferedRun(one, hours * one.usd, one.gpus is None or one.gpus >= gpus) for one in given if one.gpu == gpu_name
    ]
    return sorted(runs, key=lambda run: (not run.enough, run.usd))


def grid(country: str) -> float:
    """Grams of CO2 a kilowatt-hour in a country, by its two letters. ConfigError: it is not in the table."""
    known = table("facts.toml")["grid"]["country"]
    if country.upper() not in known:
        raise ConfigError(
            f"`{country}` is not a country whose electricity the planner knows",
            hint=f"it knows {', '.join(known)}; or say the grams a kilowatt-hour with --grid",
        )
    return float(known[country.upper()])


def carbon(mwh: float, grams: float) -> float:
    """Tonnes of CO2 of so much energy at so many grams a kilowatt-hour."""
    return mwh * grams / 1000
