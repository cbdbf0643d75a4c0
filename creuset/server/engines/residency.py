"""Which models are in memory: loaded when somebody asks, unloaded by least use when another needs the room.

Reading order: `Resident` (one model), `Residency.enter` (a request waits until its model is there),
`Residency._advance` (who is loaded next, and who must go for it).

    unloaded -> loading -> loaded -> unloading -> unloaded

What is promised, and tested with random histories: no model is loaded while the needs of all that are not `unloaded`
would exceed the budget; a model that is held or answers is never unloaded; whoever waits gets the model, the error of
its loading, or leaves; models are loaded in the order in which they were first asked for, so nobody waits for ever.
When idle models do not make enough room, the least used busy one lets its running requests end and takes no new ones:
those wait behind the model that needs the room. A model whose loading failed is not tried again at once: its requests
are refused for RETRY_S seconds, for twice as long after each further failure, and for LONGEST_RETRY_S at most.

Everything runs in one asyncio loop; nothing is locked.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol

from creuset.core.errors import CreusetError, EngineError
from creuset.core.memory import show_size

Place = Literal["unloaded", "loading", "loaded", "unloading"]
RETRY_S, LONGEST_RETRY_S = 5.0, 80.0


class Loadable(Protocol):
    """A model that can be brought into memory and taken out of it."""

    @property
    def name(self) -> str: ...
    @property
    def busy(self) -> bool:
        """Whether requests are being answered. Who owns it calls `Residency.settle` when that ends."""
        ...

    async def load(self) -> int:
        """Load it; the bytes that it really takes (0: not known). Raises CreusetError when that cannot be."""
        ...

    async def unload(self) -> None:
        """End it; its memory is free when this returns."""
        ...


class DoesNotFit(EngineError):
    code = "model_does_not_fit"

    def __init__(self, name: str, why: str, budget: int) -> None:
        """`why`: the memory that the model needs, in words; `budget`: bytes that all models together may take."""
        super().__init__(
            f"{name} needs {why}; all models together may take {show_size(budget)}",
            hint="give more by --memory, or a smaller cache by --kv-tokens or --kv-memory, or less --context",
        )


class CannotLoad(EngineError):
    code = "model_not_loaded"

    def __init__(self, name: str, why: str, wait_s: float) -> None:
        """`wait_s`: seconds from now, before which nobody tries again."""
        super().__init__(f"{name} cannot be loaded: {why}; a request in {math.ceil(wait_s)} s or later tries again")
        self.retry_after = wait_s


class Resident:
    """One model's place in memory. Only `Residency` writes it."""

    def __init__(self, model: Loadable, need: int, why: str = "") -> None:
        """`need`: bytes that it takes when loaded, and in words what for."""
        self.model, self.need, self.why = model, need, why
        self.estimate = need
        self.place: Place = "unloaded"
        self.leaving = False  # takes no new requests: another model needs its room
        self.holders = 0
        self.last_use = 0
        self.failures = 0  # loadings that failed, since the last one that did not
        self.failed_with, self.retry_at = "", 0.0  # why the last one failed, and until when nobody tries again
        self.waiters: list[asyncio.Future[None]] = []

    @property
    def idle(self) -> bool:
        return self.holders == 0 and not self.model.busy


class Residency:
    def __init__(
        self, budget: int, residents: Sequence[Resident], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`budget`: bytes for all models together. `clock`: seconds."""
        self.budget, self.residents, self._clock = budget, tuple(residents), clock
        self._queue: list[Resident] = []  # wanted and not there, first asked first
        self._tasks: set[asyncio.Task[None]] = set()
        self._uses = 0
        self._closed = False

    @property
    def taken(self) -> int:
        """Bytes of all models that are in memory, on their way in, or on their way out."""
        return sum(one.need for one in self.residents if one.place != "unloaded")

    def enter_now(self, one: Resident) -> bool:
        """What `enter` does, where nothing has to be waited for; False where something has."""
        self._uses += 1
        one.last_use = self._uses
        if one.place != "loaded" or one.leaving:
            return False
        one.holders += 1
        return True

    async def enter(self, one: Resident) -> None:
        """Wait until the model is loaded. It stays loaded until `leave` is called, and while it is busy.

        Raises EngineError where it cannot be loaded. A caller that is cancelled while it waits leaves its place to
        others.
        """
        if self._closed:
            raise EngineError("the server is stopping")
        if self.enter_now(one):
            return
        if one.need > self.budget:
            raise DoesNotFit(one.model.name, one.why or show_size(one.need) + " of memory", self.budget)
        if one.place == "unloaded" and (wait_s := one.retry_at - self._clock()) > 0:
            raise CannotLoad(one.model.name, one.failed_with, wait_s)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        one.waiters.append(place)
        if one.place != "loading" and one not in self._queue:
            self._queue.append(one)
        self._advance()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                one.holders -= 1  # it was just given: give it back
            elif place in one.waiters:
                one.waiters.remove(place)
            self.settle()
            raise

    def leave(self, one: Resident) -> None:
        """The caller of `enter` needs the model no longer, or its requests are now among those that are answered."""
        one.holders -= 1
        self.settle()

    def settle(self) -> None:
        """Something ended: look whether somebody who waits can go on."""
        if not self._closed:
            self._advance()

    def _advance(self) -> None:
        leaving = self._over()
        while self._queue:
            first = self._queue[0]
            if not first.waiters:  # all of them left
                self._queue.pop(0)
            elif first.place == "loaded":  # it was to leave, but who needed its room left first
                self._queue.pop(0)
                self._admit(first)
            elif first.place == "unloading":
                break
            elif first.need <= self.budget - self.taken:
                self._queue.pop(0)
                self._begin(first, self._load(first), "loading")
            else:
                leaving |= self._victims(first)
                break
        for one in self.residents:
            one.leaving = id(one) in leaving
            if one.leaving and one.idle:
                self._begin(one, self._unload(one), "unloading")
            elif one.place == "loaded" and not one.leaving and one.waiters:
                self._admit(one)

    def _missing(self, need: int) -> int:
        """Bytes that `need` lacks once those who are on their way out are gone."""
        going = sum(one.need for one in self.residents if one.place == "unloading")
        return need + self.taken - going - self.budget

    def _over(self) -> set[int]:
        """Idle models that have to go because the others turned out to take more than was thought."""
        over, chosen = self._missing(0), set[int]()
        for one in sorted(self.residents, key=lambda one: one.last_use):
            if over > 0 and one.place == "loaded" and one.idle:
                chosen.add(id(one))
                over -= one.need
        return chosen

    def _victims(self, first: Resident) -> set[int]:
        """Who has to go for `first`: idle ones before busy ones, the least lately used before others."""
        missing, chosen = self._missing(first.need), set[int]()
        loaded = [one for one in self.residents if one.place == "loaded"]
        for one in sorted(loaded, key=lambda one: (not one.idle, one.last_use)):
            if missing <= 0:
                break
            chosen.add(id(one))
            missing -= one.need
        return chosen

    def _admit(self, one: Resident) -> None:
        for place in one.waiters:
            if not place.done():
                one.holders += 1
                place.set_result(None)
        one.waiters.clear()
        one.leaving = False

    def _begin(self, one: Resident, work: Coroutine[Any, Any, None], place: Place) -> None:
        one.place = place
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, one: Resident) -> None:
        try:
            measured = await one.model.load()
        except Exception as error:
            one.place = "unloaded"
            known = isinstance(error, CreusetError)
            one.failed_with = str(error) if known else f"it failed with {type(error).__name__}"
            wait_s = min(RETRY_S * 2**one.failures, LONGEST_RETRY_S)
            one.failures, one.retry_at = one.failures + 1, self._clock() + wait_s
            self._refuse(one, CannotLoad(one.model.name, one.failed_with, wait_s))
        else:
            one.place, one.failures = "loaded", 0
            one.need = min(max(one.estimate, measured), self.budget)  # what was measured counts from now on
            self._admit(one)
        self.settle()

    async def _unload(self, one: Resident) -> None:
        try:
            await one.model.unload()
        finally:
            one.place, one.need, one.leaving = "unloaded", one.estimate, False
            if one.waiters and one not in self._queue:
                self._queue.append(one)
            self.settle()

    def _refuse(self, one: Resident, error: Exception) -> None:
        for place in one.waiters:
            if not place.done():
                place.set_exception(error)
        one.waiters.clear()

    async def close(self) -> None:
        """Refuse whoever waits and give up what is being loaded. The engines themselves are ended by their owner."""
        self._closed = True
        self._queue.clear()
        for one in self.residents:
            self._refuse(one, EngineError("the server is stopping"))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
