"""The books of one server: what is counted and charged, in memory first or in a shared database, and how it gets there.

Reading order: `Books.open` (a request is let in), `Books.close` (it ended), `Books._flush` (the database is told).

- SQLite, or memory: this process alone counts. A request is decided in memory, at once; what happened goes to the
  database a few milliseconds later, many requests in one transaction.
- PostgreSQL: servers count together. Requests that come while a transaction runs are decided together in the next
  one, on counters that are locked there.

Usage is in the journal from the moment it is known, until the database has it. While the database cannot be written
nothing new is let in; what runs goes on, and its usage is written when the database is back.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.tenants.money import counting, rules
from creuset.server.tenants.money.alerts import AlertSender
from creuset.server.tenants.money.batch import Ask, WriteBatch, catch_up, claims_of, copied, end_dead, matching, seen
from creuset.server.tenants.money.counting import Key, Place, decide, settle
from creuset.server.tenants.money.journal import UsageJournal
from creuset.server.tenants.money.ledger import Closing, Opening, expire, record
from creuset.server.tenants.money.limits import Limit, LimitCounter, rescale
from creuset.server.tenants.money.refusals import LedgerUnavailable
from creuset.server.tenants.money.tables import HOLDS
from creuset.server.tenants.money.windows import Calendar, ClockJumps
from creuset.server.tenants.replicas.postgres import SharedLedger, Told
from creuset.types.tenants import Caller

if TYPE_CHECKING:
    from creuset.server.tenants.replicas.generation import RedisGeneration

FLUSH_S = 0.05  # what happened in this time goes to the database together; the journal has it at once
LOOK_S = 0.5  # how often it is looked whether limits have changed
ALONE_S = 5.0  # for a server before this one to end
LEASE_S = 30.0  # a server that was not seen for so long is dead, and its holds end
RETRY_S = (0.2, 5.0)  # first and longest wait for a database that is gone
AWAY = "usage cannot be written now, so nothing new is begun; try again in a moment"


class Books:
    def __init__(
        self,
        database: Database,
        *,
        journal: UsageJournal | None = None,
        clock: Callable[[], float] = time.time,
        on_error: Callable[[str, Exception], object] = lambda _what, _error: None,
        alerts: AlertSender | None = None,
        replica: str = "",
        lease_s: float = LEASE_S,
        redis: str = "",
    ) -> None:
        """`on_error` gets what went wrong in the background; `alerts` hears what is spent of budgets. `redis`: the
        address of where servers that share a database count limits; else they count in the database."""
        self.database, self.journal, self._clock = database, journal, clock
        self._on_error, self._alerts = on_error, alerts
        self._jumps = ClockJumps(time.monotonic if clock is time.time else None)
        self.replica, self._lease_s = replica or f"srv_{token_hex(8)}", lease_s
        self.shared = database.engine.dialect.name == "postgresql"
        self._redis_url = redis
        self._redis: RedisGeneration | None = None
        self._ledger = SharedLedger(database, self.replica) if self.shared else None
        self.settings, self.limits = rules.MoneySettings(), dict[str, Limit]()
        self.down = ""  # why nothing new is let in
        self._counters, self._changed = dict[Key, LimitCounter](), dict[Key, LimitCounter]()
        self._places: dict[Any, tuple[Place, ...]] = {}
        self.calendar = Calendar()
        self._open: dict[str, tuple[Opening, Caller, tuple[str, ...]]] = {}
        self._next, self._sent, self._batches = WriteBatch(), WriteBatch(), 0
        self._wake, self._hurry, self._ended = asyncio.Event(), asyncio.Event(), False
        self._tasks = list[asyncio.Task[None]]()

    @property
    def now(self) -> int:
        """Microseconds since 1970; where servers share a database, by its clock."""
        at = int(self._clock() * 1_000_000)
        if jump := self._jumps.by(at):
            self._jumped(jump)
        return at + (self._ledger.skew if self._ledger is not None else 0)

    def _jumped(self, jump: int) -> None:
        if self._ledger is not None:
            self._ledger.skew -= jump
            return
        for counter in self._counters.values():
            counter.full += 1000 * jump  # what is owed stays owed: nobody waits for the old hour to come again

    async def start(self) -> None:
        """Read limits and counters, settle what servers before this one have left, begin to write."""
        if self._alerts is not None:
            self._alerts.start()
        if self.journal is not None and not self.shared:
            await self.journal.alone(ALONE_S)
        await self.database.run(self._begin)
        if self.journal is not None:
            for closings, file in list(self.journal.orphans()):
                if closings:
                    await self.database.run(partial(self._settle_left, closings))
                file.empty()
                file.close()
        if self.shared and self._redis_url:
            from creuset.server.tenants.replicas.generation import RedisGeneration

            self._redis = RedisGeneration(self._redis_url, self.database, self._rows, self._on_error)
            await self._redis.look(self.settings.version, self.limits, ())
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._look())]

    async def stop(self) -> None:
        """Write all that is known. What cannot be written stays in the journal."""
        self._ended = True
        self._wake.set()
        self._hurry.set()
        if self._tasks:
            self._tasks[1].cancel()
            await asyncio.wait(self._tasks)
        if self._redis is not None:
            await self._redis.close()
        if self._ledger is not None:
            await self._ledger.close()
        if self._alerts is not None:
            await self._alerts.stop()
        if self.journal is not None:
            self.journal.close()

    def _begin(self, connection: Connection) -> None:
        self._adopt(rules.read_settings(connection))
        if self.shared:
            seen(connection, self.replica)
            return
        # This process counts alone: whoever held something here before is gone.
        self._counters = counting.read_counters(connection)
        left = [msgspec.json.decode(body, type=Opening) for body in connection.execute(select(HOLDS.c.body)).scalars()]
        expire(connection, left)
        for counter in self._counters.values():
            counter.held = 0
        counting.save_counters(connection, self._counters.values())

    def _settle_left(self, closings: list[Closing], connection: Connection) -> None:
        keys = {(claim.limit, claim.subject) for one in closings for claim in one.opening.claims}
        counters = counting.lock(connection, keys)[0] if self.shared else self._counters
        opened, new = record(connection, [], closings, self.replica, sure=False)
        changed: list[Place] = []
        for one in closings:
            id = one.opening.request
            changed += settle(self.limits, counters, one, opened=id in opened, new=id in new)
        self._told(changed)
        (counting.store if self.shared else counting.save_counters)(connection, [one for _, one in changed])

    def _adopt(self, settings: "rules.MoneySettings") -> None:
        before, self.limits = self.limits, {one.id: one for one in settings.limits}
        self.settings = settings
        for counter in self._counters.values():  # rows of a shared database were changed with the limit
            old, new = before.get(counter.limit), self.limits.get(counter.limit)
            if old is not None and new is not None:
                rescale(old, new, counter, self.now)
        self._places = {}
        if self._alerts is not None:
            self._alerts.adopt(settings.alerts)

    async def places(self, who: Caller, names: tuple[str, ...]) -> tuple[Place, ...]:
        """The limits that a request of `who` for the model with these names counts against, with their counters."""
        key = (who.key, who.user, who.service_account, who.groups, who.project, who.organization, names)
        found = self._places.get(key)
        if found is None:
            settings = self.settings
            found = await self._prepare(matching(self.settings.limits, who, names))
            if settings is self.settings:
                self._places[key] = found
        return found

    def known_places(self, who: Caller, names: tuple[str, ...] = ()) -> tuple[Place, ...]:
        """Those of them whose counters are known already; no names: limits on all models. It waits for nothing."""
        key = (who.key, who.user, who.service_account, who.groups, who.project, who.organization, names)
        found = self._places.get(key)
        if found is None:
            pairs = matching(self.settings.limits, who, names)
            some = [(limit, self._counters.get((limit.id, subject))) for limit, subject in pairs]
            found = tuple((limit, counter) for limit, counter in some if counter is not None)
            if len(found) == len(pairs):
                self._places[key] = found
        return found

    def counter(self, limit: Limit) -> LimitCounter | None:
        """What was counted for its subject, as far as this server knows."""
        return self._counters.get((limit.id, limit.subject))

    async def _prepare(self, pairs: list[tuple[Limit, str]]) -> tuple[Place, ...]:
        missing = [(limit, subject) for limit, subject in pairs if (limit.id, subject) not in self._counters]
        if missing:
            sent, at = self._batches, self.now
            try:
                made = await self.database.run(lambda connection: counting.begin_counters(connection, missing, at))
            except Exception as error:
                self._on_error("database", error)
                raise LedgerUnavailable(AWAY) from error
            for (limit, subject), counter in zip(missing, made, strict=True):
                if (limit.id, subject) not in self._counters:
                    self._counters[limit.id, subject] = counter
                    if not self.shared:
                        late = [*self._next.closings, *(self._sent.closings if self._batches > sent else ())]
                        running = [(opening, names) for opening, _who, names in self._open.values()]
                        catch_up(limit, counter, late, running, self.now)
        return tuple((limit, self._counters[limit.id, subject]) for limit, subject in pairs)

    async def open(self, opening: Opening, who: Caller, names: tuple[str, ...], tokens: int) -> tuple[Place, ...]:
        """Let a request in that may use so many tokens, and reserve what it may cost. Raises its refusal."""
        if self.down:
            raise LedgerUnavailable(self.down)
        places = opening.counted(await self.places(who, names))
        if self.shared:
            await self._ask(opening, places, tokens)
        else:
            opening.at = at = self.now
            opening.claims = decide(
                places, tokens=tokens, amount=opening.amount, currency=opening.currency, model=names[0], at=at,
                calendar=self.calendar,
            )  # fmt: skip
            self._note(places)
            self._next.openings.append(opening)
            self._wake.set()
        self._open[opening.request] = opening, who, names
        return places

    async def _ask(self, opening: Opening, places: tuple[Place, ...], tokens: int) -> None:
        """Be let in by Redis and what is shared there, and by the shared database. Raises its refusal."""
        redis = self._redis.limits if self._redis is not None else None
        granted = redis is not None and await redis.reserve(places, opening, tokens, self.calendar, self.now)
        ask = Ask(opening, places, tokens, asyncio.get_running_loop().create_future(), granted)
        ask.waits = not granted or any(limit.what == "money" for limit, _ in places)
        self._next.asks.append(ask)
        self._wake.set()
        opening.at, opening.claims = self.now, claims_of(places, tokens) if granted else []
        if not ask.waits:
            return
        self._hurry.set()
        try:
            await ask.told
        except BaseException:
            if granted and redis is not None:
                redis.expire(self.limits, [opening])
            raise

    def close(self, closing: Closing) -> None:
        """A request that was let in has ended. Its usage, where there is one, is kept before this returns."""
        if self._open.pop(closing.opening.request, None) is None:
            return
        if closing.usage is not None and self.journal is not None:
            try:
                self.journal.add(closing)
            except OSError as error:
                self._fail("journal", error)
        if not self.shared:
            new = closing.usage is not None
            self._note(self._told(settle(self.limits, self._counters, closing, opened=True, new=new)))
        elif self._redis is not None:
            self._redis.limits.settle(self.limits, closing)
        self._next.closings.append(closing)
        self._wake.set()

    def _note(self, places: Iterable[Place]) -> None:
        """Remember counters that have to be written. Those of a minute need not outlive this process."""
        for limit, counter in places:
            if limit.window not in ("", "minute"):
                self._changed[counter.limit, counter.subject] = counter

    def _told(self, places: list[Place]) -> list[Place]:
        for limit, counter in places:
            if limit.what == "money" and self._alerts is not None:
                self._alerts.spent(limit, counter.subject, counter.period, counter.spent)
        return places

    async def _run(self) -> None:
        wait = RETRY_S[0]
        while not (self._ended and not self._next):
            await self._wake.wait()
            if not self._ended and not any(
                ask.waits for ask in self._next.asks
            ):  # nobody waits for what is written now
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), FLUSH_S)
            self._wake.clear()
            self._hurry.clear()
            if not self._next:
                continue
            if await self._flush():
                self.down, wait = "", RETRY_S[0]
            elif self._ended:
                return  # the journal has it
            else:
                self._wake.set()
                await asyncio.sleep(wait)
                wait = min(2 * wait, RETRY_S[1])

    async def _flush(self) -> bool:
        """Write what happened. False: it cannot be written now, and is kept."""
        batch, self._next = self._next, WriteBatch()
        batch.counters = [copied(one) for one in self._changed.values()]
        self._changed, self._sent = {}, batch
        self._batches += 1
        if self.journal is not None:
            self.journal.turn()
        try:
            told = await (self._write_shared(batch) if self._ledger is not None else self._write_alone(batch))
        except Exception as error:
            self._fail("database", error)
            self._keep(batch)
            return False
        finally:
            self._sent = WriteBatch()
        if self.journal is not None:
            with suppress(OSError):
                self.journal.settled(all=not self._next.closings)
        for ask in (ask for ask in batch.asks if ask.waits):
            refusal = told[ask.opening.request]
            if not ask.told.done():
                ask.told.set_result(None) if refusal is None else ask.told.set_exception(refusal)
            elif refusal is None:  # who asked is gone
                self._next.closings.append(Closing(opening=ask.opening, status="left"))
                self._wake.set()
        return True

    def _keep(self, batch: WriteBatch) -> None:
        """What could not be written comes first next time. Who waits to be let in is told at once."""
        self._next.openings[:0], self._next.closings[:0] = batch.openings, batch.closings
        self._next.again = True
        for counter in batch.counters:
            key = (counter.limit, counter.subject)
            if key in self._counters:
                self._changed.setdefault(key, self._counters[key])
        self._next.asks[:0] = [ask for ask in batch.asks if not ask.waits]
        for ask in (ask for ask in batch.asks if ask.waits):  # it may have been written, though nobody heard of it
            self._next.closings.append(Closing(opening=ask.opening, status="refused"))
            if not ask.told.done():
                ask.told.set_exception(LedgerUnavailable(AWAY))

    def _fail(self, what: str, error: Exception) -> None:
        self.down = AWAY
        self._on_error(what, error)

    async def _write_alone(self, batch: WriteBatch) -> Told:
        def work(connection: Connection) -> None:
            record(connection, batch.openings, batch.closings, self.replica, sure=not batch.again)
            counting.save_counters(connection, batch.counters)

        await self.database.run(work)
        return {}

    async def _write_shared(self, batch: WriteBatch) -> Told:
        assert self._ledger is not None
        told, changed, rows = await self._ledger.write(batch, self.limits, self.calendar)
        self._told(changed)
        for key, row in rows.items():  # what was seen last, for headers and first looks
            if (mine := self._counters.get(key)) is not None:
                mine.period, mine.full, mine.spent, mine.held = row.period, row.full, row.spent, row.held
        return told

    async def _look(self) -> None:
        """Read limits that were changed, say that this server lives, and end the holds of those that do not."""
        turns = 0
        while True:
            await asyncio.sleep(LOOK_S)
            turns += 1
            with suppress(Exception):
                version = await self.database.read(rules.version_of)
                if version != self.settings.version:
                    await self.reload()
                if self._redis is not None:
                    running = [opening for opening, *_ in self._open.values()]
                    await self._redis.look(self.settings.version, self.limits, running)
                if self.shared and turns % max(1, int(self._lease_s / 6 / LOOK_S)) == 0:
                    await self.database.run(lambda connection: seen(connection, self.replica))
                    dead = await self.database.run(lambda link: end_dead(link, self.limits, self._lease_s))
                    if self._redis is not None:
                        self._redis.limits.expire(self.limits, dead)

    async def _rows(self, keys: Iterable[Key]) -> dict[Key, LimitCounter]:
        """Counters as the shared database has them, with what this server has counted."""
        while (self._next or self._sent) and not self.down:
            self._wake.set()
            self._hurry.set()
            await asyncio.sleep(FLUSH_S / 10)
        wanted = set(keys)
        return await self.database.run(lambda connection: counting.lock(connection, wanted)[0])

    async def reload(self) -> None:
        """Read limits, alerts and prices anew."""
        self._adopt(await self.database.read(rules.read_settings))
