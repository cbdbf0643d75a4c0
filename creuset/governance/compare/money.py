"""What a stated volume costs in a month: list price x tokens, or hours of one's own machine. Pure; static/rank.js
computes the same for the volume that the reader types.

By tokens, of R requests with `i` tokens in and `o` out, a share c of the input read from a cache, a share b of the
requests sent as a batch:

    R x ((1-b) x (i x ((1-c) x input + c x cached_input) + o x output) + b x (i x batch_input + o x batch_output)) / 1e6

Where no price of cached input or of a batch is listed, the full price counts, and `gaps` names it. No cache discount is
taken off a batch; writing to a cache, fees and volume discounts are not in it.

By hours: output tokens / measured tokens a second / 3600 x price of a busy hour. Reading prompts is not in it, so it
is a lower bound. The busy hour of one's own machine carries the hours in which it stands idle:

    (hardware / years + upkeep) / 8760 / utilisation + watts / 1000 x price of a kWh
"""

from dataclasses import dataclass

HOURS_A_YEAR = 8760.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A month's use; tokens are those of one request. ValueError where a share is none."""

    requests: float = 100_000
    input_tokens: float = 800
    output_tokens: float = 250
    cached_share: float = 0.0  # of the input tokens: the same beginning asked again
    batch_share: float = 0.0  # of the requests: those that may wait a day

    def __post_init__(self) -> None:
        for name in ("cached_share", "batch_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not a share from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Prices of a million tokens, in `currency`."""

    currency: str
    input: float
    output: float
    cached_input: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A machine by the hour: the price of a busy one, and the tokens it wrote a second, all streams together."""

    currency: str
    hour: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What one's own machine costs. ValueError where nothing could be divided by it."""

    hardware: float  # what it cost
    years: float  # over which it is written off
    watts: float  # drawn under load, at the socket
    kwh: float  # price of one
    utilisation: float  # share of all hours in which it answers, 0 to 1
    upkeep: float = 0.0  # a year: place, network, people
    currency: str
    source: str
    date: str

    def __post_init__(self) -> None:
        if self.years <= 0 or not 0 < self.utilisation <= 1:
            raise ValueError("years are more than 0, and utilisation is from 0 (not itself) to 1")

    @property
    def busy_hour(self) -> float:
        """In `currency`."""
        fixed = (self.hardware / self.years + self.upkeep) / HOURS_A_YEAR / self.utilisation
        return fixed + self.watts / 1000 * self.kwh


def month(volume: Volume, offer: Tokens | Hours) -> float:
    """Currency units a month."""
    if isinstance(offer, Hours):
        return volume.requests * volume.output_tokens / offer.tokens_per_second / 3600 * offer.hour
    cached = offer.input if offer.cached_input is None else offer.cached_input
    batch_in = offer.input if offer.batch_input is None else offer.batch_input
    batch_out = offer.output if offer.batch_output is None else offer.batch_output
    read = volume.input_tokens * ((1 - volume.cached_share) * offer.input + volume.cached_share * cached)
    now = read + volume.output_tokens * offer.output
    later = volume.input_tokens * batch_in + volume.output_tokens * batch_out
    return volume.requests * ((1 - volume.batch_share) * now + volume.batch_share * later) / 1e6


def gaps(offer: Tokens) -> list[str]:
    """Discounts that the list does not have, so that the full price counts: "cached_input", "batch"."""
    found = ["cached_input"] if offer.cached_input is None else []
    return found + (["batch"] if offer.batch_input is None or offer.batch_output is None else [])
