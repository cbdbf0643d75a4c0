"""The seam between the routes and money: a request is let in, holds what it may cost, and settles what it used.

Each hold is settled or released, exactly once: by the last event of its generation, whoever still listens, or by who
could not begin it. What was really produced is settled, also when the client left; what ended in an error is free.

A server without keys has no tenants. Its gate lets everything in and counts nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from creuset.core.errors import NotFound
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.books import Books
from creuset.server.tenants.money.counting import Place, begin_of
from creuset.server.tenants.money.ledger import Closing, Opening
from creuset.server.tenants.money.limits import debt, left, wait_for
from creuset.server.tenants.money.prices import FREE, OWN_KEY, PriceBook, Tariff
from creuset.server.tenants.money.refusals import LedgerUnavailable, duration, refuse_unpriced, refused
from creuset.server.tenants.money.windows import Calendar
from creuset.types.served import PLAIN, ServedBy
from creuset.types.tenants import Caller
from creuset.types.usage import TokenUsage

RateHeaders = Sequence[tuple[bytes, bytes]]


class Hold(Protocol):
    """What a request has reserved. The first of the two calls counts, and no other."""

    @property
    def headers(self) -> RateHeaders: ...
    def settle(
        self, usage: TokenUsage, *, status: str = "completed", estimated: bool = False, tier: str | None = None
    ) -> None: ...
    def release(self, status: str = "failed") -> None: ...


class Gate(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def precheck(self, who: Caller | None) -> None: ...
    def headers(self, who: Caller | None, names: Sequence[str]) -> RateHeaders: ...
    async def admit(
        self,
        who: Caller | None,
        names: Sequence[str],
        *,
        request: str,
        prompt_tokens: int,
        max_tokens: int,
        choices: int = 1,
        served: ServedBy = PLAIN,
        kind: str = "completions",
        charge_as: str = "",
    ) -> Hold: ...
    def would_cost(self, names: Sequence[str], prompt: int, output: int, tier: str) -> tuple[int, int, str]: ...


class NothingHeld:
    """The hold of a server without tenants."""

    headers: Sequence[tuple[bytes, bytes]] = ()

    def settle(
        self, usage: TokenUsage, *, status: str = "completed", estimated: bool = False, tier: str | None = None
    ) -> None:
        return

    def release(self, status: str = "failed") -> None:
        return


NOTHING_HELD: Hold = NothingHeld()


class OpenGate:
    """The gate of a server without tenants."""

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    def precheck(self, who: Caller | None) -> None:
        return

    def headers(self, who: Caller | None, names: Sequence[str]) -> RateHeaders:
        return []

    async def admit(
        self, who: Caller | None, names: Sequence[str], *, request: str, prompt_tokens: int, max_tokens: int,
        choices: int = 1, served: ServedBy = PLAIN, kind: str = "completions", charge_as: str = "",
    ) -> Hold:  # fmt: skip
        return NOTHING_HELD

    def would_cost(self, names: Sequence[str], prompt: int, output: int, tier: str) -> tuple[int, int, str]:
        return 0, 0, ""


@dataclass(slots=True, eq=False)
class MoneyHold:
    """`places`: the limits that it counts against."""

    books: Books
    opening: Opening
    tariff: Tariff | None
    places: tuple[Place, ...]
    over: bool = False

    @property
    def headers(self) -> RateHeaders:
        return rate_headers(self.places, self.books.now, self.books.calendar)

    def settle(
        self, usage: TokenUsage, *, status: str = "completed", estimated: bool = False, tier: str | None = None
    ) -> None:
        """`tier`: the one that another server says it has served."""
        if not self.over:
            self.over = True
            self.opening.tier = tier or self.opening.tier
            lines = [] if self.tariff is None else self.tariff.lines(usage, self.opening.tier)
            self.books.close(
                Closing(opening=self.opening, status=status, usage=usage, lines=lines, estimated=estimated)
            )

    def release(self, status: str = "failed") -> None:
        if not self.over:
            self.over = True
            self.books.close(Closing(opening=self.opening, status=status))


class MoneyGate:
    def __init__(self, books: Books, *, clock: Callable[[], float] = time.time) -> None:
        self.books, self._clock = books, clock
        self._settings, self._prices = books.settings, PriceBook()
        self._found: dict[tuple[str, ...], Tariff | None] = {}
        self._known: set[str] = set()
        self._day = ""

    async def start(self) -> None:
        await self.books.start()

    async def stop(self) -> None:
        await self.books.stop()

    def price(self, names: Sequence[str]) -> Tariff | None:
        """The price of the model with these names, today."""
        day = datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
        if self._settings is not self.books.settings or day != self._day:
            self._settings, self._day = self.books.settings, day
            self._prices, self._found = PriceBook(self._settings.prices), {}
        key = tuple(names)
        if key not in self._found:
            self._found[key] = self._prices.find(key, day)
        return self._found[key]

    def precheck(self, who: Caller | None) -> None:
        """A first look, before a body is read: is there a request left, and money? Raises as `admit` does."""
        if who is None:
            return
        if self.books.down:
            raise LedgerUnavailable(self.books.down)
        at = self.books.now
        for limit, counter in self.books.known_places(who):
            # Where servers share, what this one saw last of requests and money only grows: who is above stays above.
            if limit.what not in ("requests", "money") and (limit.what != "concurrent" or self.books.shared):
                continue
            begin, end = begin_of(limit, self.books.calendar, at)
            if begin > counter.period:
                continue  # a new window
            if (
                self.books.shared
                and limit.what == "requests"
                and not limit.sliding
                and counter.spent < (limit.amount or 0)
            ):
                continue  # what is held may have ended elsewhere
            need = 1
            if limit.what == "money" and (limit.amount is None or counter.spent < limit.amount):
                continue
            wait = wait_for(limit, counter, need, at, end)
            if wait:
                raise refused(limit, counter, need, at, wait, "")

    def headers(self, who: Caller | None, names: Sequence[str]) -> RateHeaders:
        """What is left, as headers, also for those who were refused."""
        return (
            []
            if who is None
            else rate_headers(self.books.known_places(who, tuple(names)), self.books.now, self.books.calendar)
        )

    async def admit(
        self, who: Caller | None, names: Sequence[str], *, request: str, prompt_tokens: int, max_tokens: int,
        choices: int = 1, served: ServedBy = PLAIN, kind: str = "completions", charge_as: str = "",
    ) -> Hold:  # fmt: skip
        """Reserve what a request may use: `prompt_tokens`, and `max_tokens` for each of `choices`.

        `names`: of the model, the one by which it is counted first. `request`: its id, by which it is charged once; or
        `charge_as`, where several requests are attempts at one thing.
        `served`: the name that was asked, and who answers; another attempt has an id of its own, `request#2`.
        Raises RateLimited, QuotaSpent, NotFound (a model that this caller may not use), ModelWithoutPrice,
        LedgerUnavailable.
        """
        if who is None:
            return NOTHING_HELD
        wanted = tuple(names) if served.asked in ("", *names) else (*names, served.asked)
        refuse_model(who, wanted)
        tariff = None if served.own_key else self.price(names)
        if tariff is None and not served.own_key:
            refuse_unpriced(wanted[0], await self.books.places(who, wanted))
        tier, place = served.tier, served.place
        output = max_tokens * choices
        id = request if served.attempt == 1 else f"{request}#{served.attempt}"
        opening = Opening(
            request=id, at=0, organization=who.organization, project=who.project, user=who.user,
            service_account=who.service_account, key=who.key, groups=who.groups, model=wanted[0], kind=kind, tier=tier,
            price=(OWN_KEY if served.own_key else FREE) if tariff is None else tariff.version,
            currency="" if tariff is None else tariff.currency,
            amount=0 if tariff is None else tariff.most(prompt_tokens, output, tier), charge_as=charge_as,
            asked=served.asked, target=served.target, country=place.country, operator=place.operator,
            law=",".join(place.law),
        )  # fmt: skip
        if tariff is not None and tariff.version not in self._known:
            self._known.add(tariff.version)
            await self.books.database.run(lambda connection: rules.know_price(connection, tariff))
        places = await self.books.open(opening, who, wanted, prompt_tokens + output)
        if served.attempt > 1:  # it counts against fewer, and tells of all
            places = await self.books.places(who, wanted)
        return MoneyHold(self.books, opening, tariff, places)

    def would_cost(self, names: Sequence[str], prompt: int, output: int, tier: str) -> tuple[int, int, str]:
        """The least and the most that such a request costs, and the currency."""
        tariff = self.price(names)
        if tariff is None:
            return 0, 0, ""
        return tariff.least(prompt, tier), tariff.most(prompt, output, tier), tariff.currency


def refuse_model(who: Caller, names: Sequence[str]) -> None:
    """NotFound for a model that `who` may not use, under whichever of its names: as for one that is not there."""
    allowed = who.models is None or any(name in who.models for name in names)
    if not allowed or any(name in who.denied for name in names):
        raise NotFound(
            f"the model `{names[0]}` is not served here, or this key may not use it", param="model",
            code="model_not_found",
        )  # fmt: skip


def rate_headers(places: Sequence[Place], at: int, calendar: Calendar) -> RateHeaders:
    """OpenAI's headers, of the limit on requests and of that on tokens of which the smallest share is left."""
    found: list[tuple[bytes, bytes]] = []
    for what in ("requests", "tokens"):
        some = [(left(limit, counter, at) or 0, limit, counter) for limit, counter in places
                if limit.what == what and limit.amount]  # fmt: skip
        if not some:
            continue
        remaining, limit, counter = min(some, key=lambda one: one[0] / (one[1].amount or 1))
        if limit.sliding:
            reset = debt(limit, counter, at) / 1e9
        else:
            reset = (begin_of(limit, calendar, at)[1] - at) / 1e6
        kind = what.encode()
        found += [
            (b"x-ratelimit-limit-" + kind, b"%d" % (limit.amount or 0)),
            (b"x-ratelimit-remaining-" + kind, b"%d" % max(0, remaining)),
            (b"x-ratelimit-reset-" + kind, duration(reset).encode()),
        ]
    return found
