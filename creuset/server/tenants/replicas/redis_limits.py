"""Limits that servers share, counted in Redis or Valkey: one atomic script decides a request on all of them.

Redis is fast and forgets; PostgreSQL is the truth. What is decided here is told to PostgreSQL some milliseconds later,
so whoever loses Redis goes on there with what all have counted. Budgets are never decided here.

- Requests and tokens: the numbers of `LimitCounter`, in a hash. One that is not there begins with PostgreSQL's row.
- Requests at a time: a set of ids, each with a moment at which it ends by itself. A server renews those of its
  requests that run, so one that was killed leaves no load behind.

The script says yes or no. It is the second place that says so, after `counting.decide`, and a test holds both to each
other. The words of a refusal come from `decide`, which is asked with the numbers that the script saw. Numbers in Redis'
scripts are doubles: of the moment at which a bucket is full, they keep a quarter of a microsecond.

`prefix` names a generation. A new one begins when limits change, and after Redis was lost to anybody: nothing that was
counted before is then believed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from creuset.server.tenants.money.batch import claims_of, copied
from creuset.server.tenants.money.counting import Key, Place, begin_of, decide
from creuset.server.tenants.money.ledger import Closing, Opening
from creuset.server.tenants.money.limits import Limit, LimitCounter
from creuset.server.tenants.money.refusals import RateLimited
from creuset.server.tenants.money.windows import Calendar

WAIT_S = 0.5  # for Redis to answer; one that takes longer is gone
KEEP_S = 40 * 86400  # a counter that nobody touched for so long is forgotten
LEASE_S = 30.0  # after which a running request that nobody renews is not counted
_ROW = 7  # numbers of one limit in the arguments

_HEAD = """
local function row(key)
  local found = redis.call('HMGET', key, 'period', 'full', 'spent', 'held')
  if not found[1] then return nil end
  return {tonumber(found[1]), tonumber(found[2]), tonumber(found[3]), tonumber(found[4])}
end
local function keep(key, r, seconds)
  redis.call('HSET', key, 'period', string.format('%.0f', r[1]), 'full', string.format('%.0f', r[2]),
             'spent', string.format('%.0f', r[3]), 'held', string.format('%.0f', math.max(0, r[4])))
  redis.call('EXPIRE', key, seconds)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
"""
# ARGV: id, lease (microseconds), seconds to keep; of each key: kind (0 calendar, 1 sliding, 2 at a time), amount (-1:
# none), what may come at once, interval, need, begin of the window, and one that is not used here.
_RESERVE = (
    _HEAD
    + """
local rows, fits = {}, 1
for i = 1, #KEYS do
  if tonumber(ARGV[3 + 7 * (i - 1) + 1]) == 2 then
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    rows[i] = {0, 0, 0, redis.call('ZCARD', KEYS[i])}
  else
    rows[i] = row(KEYS[i])
    if not rows[i] then return {-1} end
  end
end
for i = 1, #KEYS do
  local at, r = 3 + 7 * (i - 1), rows[i]
  local kind, amount, once = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local interval, need, begin = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  if r[1] < begin then r[1], r[3], r[4] = begin, 0, 0 end
  if kind == 1 then
    r[5] = math.min(math.max(0, r[2] - now * 1000), once * interval)
    if need > 0 and (amount <= 0 or need > once or r[5] + (need - once) * interval > 0) then fits = 0 end
  elseif amount >= 0 and r[3] + r[4] + need > amount then fits = 0 end
end
if fits == 1 then
  for i = 1, #KEYS do
    local at, r = 3 + 7 * (i - 1), rows[i]
    local kind, need = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 5])
    if kind == 2 then
      redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1])
      redis.call('EXPIRE', KEYS[i], ARGV[3])
      r[4] = r[4] + need
    else
      if kind == 1 then r[2] = now * 1000 + r[5] + need * tonumber(ARGV[at + 4]) else r[4] = r[4] + need end
      keep(KEYS[i], r, ARGV[3])
    end
  end
end
local told = {fits, string.format('%.0f', now)}
for i = 1, #KEYS do for j = 1, 4 do told[#told + 1] = string.format('%.0f', rows[i][j]) end end
return told
"""
)
# ARGV as above; of each key: kind, period of the claim, interval, what is given back, what was used, two not used.
_SETTLE = (
    _HEAD
    + """
for i = 1, #KEYS do
  local at = 3 + 7 * (i - 1)
  local kind, period, interval = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local back, used = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  if kind == 2 then redis.call('ZREM', KEYS[i], ARGV[1])
  else
    local r = row(KEYS[i])
    if r then
      if kind == 1 then r[2] = r[2] + (used - back) * interval
      elseif r[1] == period then r[3], r[4] = r[3] + used, r[4] - back end
      keep(KEYS[i], r, ARGV[3])
    end
  end
end
return 1
"""
)
_SEED = _HEAD + "if not row(KEYS[1]) then keep(KEYS[1], {ARGV[1], ARGV[2], ARGV[3], 0}, ARGV[4]) end return 1"
_RENEW = (
    _HEAD + "for i = 1, #KEYS do redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1]) "
    "redis.call('EXPIRE', KEYS[i], ARGV[3]) end return 1"
)

Load = Callable[[Iterable[Key]], Awaitable[Mapping[Key, LimitCounter]]]


@dataclass(slots=True)
class _Call:
    script: str
    keys: list[str]
    words: list[Any]
    told: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RedisLimits:
    def __init__(self, url: str, load: Load, on_lost: Callable[[Exception], object]) -> None:
        """`load`: PostgreSQL's rows of some counters. `on_lost`: Redis does not answer."""
        self._redis = redis.from_url(
            url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S, single_connection_client=True,
        )  # fmt: skip
        self._load, self._on_lost = load, on_lost
        self.prefix = ""  # of a generation; "": it is not used now
        self._calls: list[_Call] = []
        self._wake, self._task = asyncio.Event(), asyncio.create_task(self._run())

    async def reserve(
        self, places: Sequence[Place], opening: Opening, tokens: int, calendar: Calendar, at: int
    ) -> bool:
        """Whether a request is let in by its limits, budgets left aside; they then count it. False: it is not known
        here. Raises its refusal."""
        limits = [place for place in places if place[0].what != "money"]
        for _ in range(3):
            if not self.prefix:
                return False
            if not limits:
                return True
            prefix, words = self.prefix, [opening.request, int(LEASE_S * 1e6), KEEP_S]
            for limit, _counter in limits:
                need = tokens if limit.what == "tokens" else 1
                amount = -1 if limit.amount is None else limit.amount
                begin = begin_of(limit, calendar, at)[0]
                words += [_kind(limit), amount, limit.at_once, limit.interval, need, begin, 0]
            keys = [self._key(limit.id, counter.subject) for limit, counter in limits]
            call = self._send(_RESERVE, keys, words)
            try:
                told = await asyncio.shield(call)
            except asyncio.CancelledError:  # who asked is gone: what is reserved then is given back
                opening.claims = claims_of(limits, tokens)
                call.add_done_callback(lambda done: self._undo(done.result(), limits, opening))
                raise
            if told is None:
                return False
            if int(told[0]) < 0:
                await self._seed(prefix, [place for place in limits if place[0].what != "concurrent"])
                continue
            self._see(limits, told[2:])
            if int(told[0]) == 0:
                _refuse(limits, opening, tokens, calendar, int(told[1]))
            return True
        return False

    def settle(self, limits: Mapping[str, Limit], closing: Closing) -> None:
        """A request has ended. Nobody waits for this."""
        self._give(limits, closing.opening, closing)

    def expire(self, limits: Mapping[str, Limit], openings: Iterable[Opening]) -> None:
        """Nobody carries these requests out any more; what was let in stays counted as let in."""
        for opening in openings:
            self._give(limits, opening, None)

    def _undo(self, told: Any, limits: Sequence[Place], opening: Opening) -> None:
        if told is not None and int(told[0]) == 1:
            self._give({limit.id: limit for limit, _ in limits}, opening, None)

    def _give(self, limits: Mapping[str, Limit], opening: Opening, closing: Closing | None) -> None:
        words: list[Any] = [opening.request, 0, KEEP_S]
        keys: list[str] = []
        for claim in opening.claims:
            limit = limits.get(claim.limit)
            if limit is None or limit.what == "money":
                continue
            used = claim.amount if limit.what == "requests" else 0
            if limit.what == "tokens" and closing is not None and closing.usage is not None:
                used = closing.usage.total
            keys.append(self._key(claim.limit, claim.subject))
            words += [_kind(limit), claim.period, limit.interval, claim.amount, used, 0, 0]
        if keys and self.prefix:
            self._send(_SETTLE, keys, words)

    def renew(self, limits: Mapping[str, Limit], openings: Iterable[Opening]) -> None:
        """These requests run still."""
        for one in openings:
            keys = [self._key(claim.limit, claim.subject) for claim in one.claims
                    if (limit := limits.get(claim.limit)) is not None and limit.what == "concurrent"]  # fmt: skip
            if keys and self.prefix:
                self._send(_RENEW, keys, [one.request, int(LEASE_S * 1e6), KEEP_S])

    async def answers(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        for call in self._calls:
            call.told.cancel()
        await self._redis.aclose()

    def _key(self, limit: str, subject: str) -> str:
        return f"{self.prefix}:{limit}:{subject}"

    async def _seed(self, prefix: str, places: Sequence[Place]) -> None:
        """Begin counters from PostgreSQL's rows. What running requests hold is not among them."""
        rows = await self._load([(limit.id, counter.subject) for limit, counter in places])
        if self.prefix == prefix:
            for limit, counter in places:
                row = rows.get((limit.id, counter.subject), counter)
                words = [row.period, row.full, row.spent, KEEP_S]
                await self._ask(_SEED, [self._key(limit.id, counter.subject)], words)

    @staticmethod
    def _see(limits: Sequence[Place], told: Sequence[Any]) -> None:
        """Remember what Redis has, for headers and for the words of a refusal."""
        for at, (limit, counter) in enumerate(limits):
            period, full, spent, held = (int(one) for one in told[4 * at : 4 * at + 4])
            if limit.what != "concurrent":
                counter.period, counter.full, counter.spent = period, full, spent
            counter.held = held

    # -- calls go out in order, those that came meanwhile together

    def _send(self, script: str, keys: list[str], words: list[Any]) -> "asyncio.Future[Any]":
        call = _Call(script, keys, words)
        self._calls.append(call)
        self._wake.set()
        return call.told

    async def _ask(self, script: str, keys: list[str], words: list[Any]) -> Any:
        """What Redis says; None where it is gone."""
        return await self._send(script, keys, words)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            calls, self._calls = self._calls, []
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for call in calls:
                        pipe.eval(call.script, len(call.keys), *call.keys, *call.words)
                    told = await pipe.execute()
            except (RedisError, OSError) as error:
                told = [None] * len(calls)
                self.prefix = ""
                self._on_lost(error)
            for call, one in zip(calls, told, strict=True):
                if not call.told.done():
                    call.told.set_result(one)


def _kind(limit: Limit) -> int:
    return 2 if limit.what == "concurrent" else 1 if limit.sliding else 0


def _refuse(limits: Sequence[Place], opening: Opening, tokens: int, calendar: Calendar, at: int) -> None:
    places = [(limit, copied(counter)) for limit, counter in limits]
    decide(places, tokens=tokens, amount=0, currency="", model=opening.model, at=at, calendar=calendar)
    raise RateLimited("Rate limit reached. Please try again in 10ms.", retry_after=0.01)  # it has passed meanwhile
