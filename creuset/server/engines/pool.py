"""The engines of a server, each with the model that it runs, looked up by the name that a request uses.

An engine is one of ours, in a process of its own, or an upstream: another server behind the same API (upstream.py).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from creuset.core.errors import ConfigError, CreusetError, NotFound
from creuset.server.engines.client import ClientDisconnected, EngineClient, EngineMeter, Generation, State
from creuset.server.engines.needs import Need
from creuset.server.engines.residency import Residency, Resident
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.metrics import Gauges
from creuset.server.model import ServedModel
from creuset.types.fields import show
from creuset.types.generation import GenerationRequest

_WORST_FIRST: tuple[State, ...] = ("failed", "down", "starting", "closed", "ready", "unloaded")
UNBOUNDED = 1 << 62


class ServedEngine:
    """A model and the engine that runs it, which may be loaded or not.

    A model with an adapter may share the engine of the model that it was made from: `root` is that one's, or itself.
    """

    def __init__(
        self, model: ServedModel, client: EngineClient, *, need: Need | None = None, root: "ServedEngine | None" = None
    ) -> None:
        """`need`: the memory that the engine is thought to take when it is loaded; None: that does not matter."""
        self.model, self.client, self.root = model, client, root or self
        estimate = (0, "") if need is None else (need.total, str(need))
        self.place: Resident = Resident(self, *estimate) if root is None else root.place
        self.failure: CreusetError | None = None  # why the last loading failed
        self._promised = 0

    @property
    def promised(self) -> int:
        """Completions of requests that wait for the model."""
        return self.root._promised

    def promise(self, completions: int) -> None:
        self.root._promised += completions

    def submit(
        self, requests: Sequence[GenerationRequest], *, choices: int = 1, meter: EngineMeter | None = None
    ) -> Generation:
        """As the client of the engine does, each request with the model's own adapter."""
        if number := self.model.adapter_number:
            requests = [msgspec.structs.replace(one, adapter=number) for one in requests]
        return self.client.submit(requests, choices=choices, meter=meter)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def names(self) -> tuple[str, ...]:
        return self.model.names

    @property
    def state(self) -> State:
        return self.client.state

    @property
    def busy(self) -> bool:
        return self.client.open_requests > 0

    async def load(self) -> int:
        try:
            await self.client.load()
        except CreusetError as error:
            if self.state != "closed":  # a server that is stopped while it loads has not failed
                self.failure = error
            raise
        self.failure = None
        return int(self.client.facts.get("memory_bytes", 0))

    async def unload(self) -> None:
        await self.client.unload()

    @property
    def window(self) -> int:
        """Tokens that one prompt and its reply may have together."""
        return self.client.window(self.model.context)

    @property
    def fingerprint(self) -> str:
        """Says which weights answer, and in which arithmetic where that is not fp32."""
        dtype = self.client.facts.get("choices", {}).get("dtype", "fp32")
        return self.model.fingerprint + ("" if dtype == "fp32" else f"_{dtype}")

    def gauges(self) -> Gauges:
        return Gauges(
            open=self.client.open_requests + self.promised,
            waiting=len(self.place.waiters),
            ready=self.state == "ready",
            memory=self.place.need if self.place.place != "unloaded" and self.root is self else 0,
            engine=self.client.stats if self.state == "ready" else {},
        )

    def why_not(self) -> str:
        """Why nothing can be generated now."""
        return self.client.why_not()

    def health(self) -> dict[str, Any]:
        facts = self.client.facts
        found: dict[str, Any] = {"model": self.model.name, "state": self.state, "choices": facts.get("choices")}
        found["memory"] = {"estimated_bytes": self.place.estimate, "measured_bytes": facts.get("memory_bytes")}
        found["waiting"] = len(self.place.waiters)
        if self.root is not self:
            found["shares"] = self.root.name
        failure = self.root.failure
        return found if failure is None else found | {"reason": str(failure)}


AnyEngine = ServedEngine | UpstreamEngine


def worst_of(engines: Sequence[AnyEngine]) -> AnyEngine:
    return min(engines, key=lambda engine: _WORST_FIRST.index(engine.state))


class EnginePool:
    """A list of engines. No two serve one name."""

    def __init__(
        self, engines: Sequence[AnyEngine], *, memory: int = UNBOUNDED, behind: Sequence[UpstreamEngine] = ()
    ) -> None:
        """`memory`: bytes for all engines of ours together. `behind`: upstreams without a name, which routes ask.

        An engine of ours alone is loaded at once, and one of several when it is first asked.
        """
        if not engines and not behind:
            raise ConfigError("a server needs at least one model")
        self.engines = tuple(engines)
        self._ours = [engine for engine in engines if isinstance(engine, ServedEngine) and engine.root is engine]
        self._upstream = [*(engine for engine in engines if isinstance(engine, UpstreamEngine)), *behind]
        self.residency = Residency(memory, [engine.place for engine in self._ours])
        self._ended = asyncio.Event()
        self._by_name: dict[str, AnyEngine] = {}
        for engine in engines:
            for name in engine.names:
                if name in self._by_name:
                    raise ConfigError(
                        f"two models are to be served as `{name}`",
                        hint="give one another name: --model NAME=PATH, or --served-name for the first",
                    )
                self._by_name[name] = engine

    @property
    def names(self) -> str:
        return ", ".join(self._by_name)

    @property
    def state(self) -> State:
        """The worst state of any engine: "ready" or "unloaded" when nothing is wrong with any."""
        return worst_of(self.engines).state

    def memory(self) -> dict[str, int | None]:
        """Bytes that all engines of ours may take together, and those that are counted for what is loaded."""
        budget = self.residency.budget
        return {"budget_bytes": None if budget == UNBOUNDED else budget, "taken_bytes": self.residency.taken}

    @property
    def alone(self) -> bool:
        return len(self.engines) == 1

    @property
    def single(self) -> bool:
        """Whether there is one engine only, with which the server stands and falls. Models may share it."""
        return len(self._ours) == 1 and not self._upstream

    def known(self, name: str) -> AnyEngine | None:
        return self._by_name.get(name)

    def find(self, name: str) -> AnyEngine:
        """The engine that serves `name`. Raises NotFound."""
        if name not in self._by_name:
            raise NotFound(
                f"the model {show(name)} is not served here; this server has {self.names}",
                param="model",
                code="model_not_found",
            )
        return self._by_name[name]

    @asynccontextmanager
    async def hold(
        self, engine: ServedEngine, completions: int, *, unless: Callable[[], Coroutine[Any, Any, None]]
    ) -> AsyncIterator[None]:
        """Wait until `engine` is loaded; it stays so while inside, and while it answers.

        Raises RequestError or Overloaded at once where it will not take so many `completions`, ClientDisconnected when
        `unless` ends before the model is there. Its place among those who wait is then free.
        """
        engine.client.refuse(completions, promised=engine.promised)
        engine.promise(completions)
        try:
            if not self.residency.enter_now(engine.place):
                await self._wait(engine.place, unless)
            try:
                yield
            finally:
                self.residency.leave(engine.place)
        finally:
            engine.promise(-completions)

    async def _wait(self, place: Resident, unless: Callable[[], Coroutine[Any, Any, None]]) -> None:
        entering, gone = asyncio.ensure_future(self.residency.enter(place)), asyncio.ensure_future(unless())
        try:
            await asyncio.wait((entering, gone), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the server stops
            entering.cancel()
            raise
        finally:
            gone.cancel()
        if not entering.done():
            entering.cancel()
            await asyncio.wait((entering,))
        if entering.cancelled():
            raise ClientDisconnected
        entering.result()

    async def run(self, on_end: Callable[[], object]) -> None:
        """Keep the engines alive until `close`. Ends early, after `on_end()`, when the only one cannot be started."""
        probes = [asyncio.create_task(engine.run()) for engine in self._upstream]
        for engine in self._ours:
            engine.client.on_idle = self.residency.settle
        if len(self._ours) == 1:
            await self._preload(self._ours[0], on_end)
        await self._ended.wait()
        await self.residency.close()
        await asyncio.gather(*(engine.client.ended() for engine in self._ours), *probes)

    async def _preload(self, engine: ServedEngine, on_end: Callable[[], object]) -> None:
        try:
            await self.residency.enter(engine.place)
            self.residency.leave(engine.place)
        except CreusetError as error:
            if engine.state != "closed":
                engine.failure = engine.failure or error
            if self.single:
                self._ended.set()
                on_end()

    def close(self) -> None:
        """End all engine processes and every open generation, now."""
        self._ended.set()
        for engine in self._ours:
            engine.client.close()
        for upstream in self._upstream:
            upstream.close()

    @property
    def failure(self) -> CreusetError | None:
        """Why the only engine could not be started at all."""
        return self._ours[0].failure if self.single else None
