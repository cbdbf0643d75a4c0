"""The routes of one server: which targets a public name has, which of them are asked, in which order."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from creuset.core.errors import ConfigError
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.upstream import UpstreamEngine, UpstreamSettings
from creuset.server.routes.config import Reason, RoutesFile, RouteSpec, TargetSpec, key_of, settings_of
from creuset.server.routes.health import CHAT, Circuits, RetryBudget
from creuset.server.routes.leases import TargetLeases
from creuset.server.routes.life import NameLife
from creuset.types.served import Jurisdiction
from creuset.types.tenants import Caller

NewUpstream = Callable[[UpstreamSettings], UpstreamEngine]
MOST_OWN = 64  # accounts of tenants whose connections are kept


class OwnKeys(Protocol):
    """Keys that tenants brought, by upstream."""

    def find(self, who: Caller | None, upstream: str) -> str | None:
        """The key of `who` there. Answers from memory."""
        ...


@dataclass(slots=True, eq=False)
class Target:
    """One model that may answer for a route."""

    id: str
    engine: AnyEngine
    spec: TargetSpec
    place: Jurisdiction
    circuits: Circuits
    at_a_time: int = 0  # requests that run there; 0: the engine itself says when it is full
    upstream: str = ""
    own_keys: str = "no"
    own_key: bool = False  # this is the account of a tenant

    @property
    def down(self) -> bool:
        return self.engine.state in ("down", "failed", "closed")


@dataclass(slots=True, eq=False)
class ModelRoute:
    name: str
    targets: tuple[Target, ...]
    spec: RouteSpec
    budget: RetryBudget

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def first(self) -> AnyEngine:
        return min(self.targets, key=lambda one: one.spec.order).engine

    @property
    def state(self) -> str:
        """Ready when any of its first targets is."""
        return "ready" if any(not one.down and not one.circuits.resting for one in self.targets) else "down"


@dataclass(slots=True)
class ModelRouter:
    """`lawful` says why a caller may not be answered at a place, or nothing: data protection has a word there."""

    routes: Mapping[str, ModelRoute] = field(default_factory=dict)
    lives: Mapping[str, NameLife] = field(default_factory=dict)
    here: Jurisdiction = field(default_factory=Jurisdiction)
    behind: Sequence[UpstreamEngine] = ()  # engines that have no name of their own
    leases: TargetLeases = field(default_factory=lambda: TargetLeases("alone"))
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    clock: Callable[[], float] = time.time
    keys: OwnKeys | None = None
    lawful: Callable[[Caller | None, Jurisdiction], str] = lambda _who, _place: ""
    new_upstream: NewUpstream | None = None
    _own: dict[tuple[str, str, str], Target] = field(default_factory=dict)

    def order(self, route: ModelRoute, who: Caller | None) -> list[Target]:
        """The targets as they are asked: by `order`; among equals by chance, where those with more weight and more
        room come first more often. A share of requests is then as its weight, while nobody is full."""
        mine = [found for one in route.targets if (found := self._for(one, who)) is not None]

        def key(one: Target) -> tuple[int, float]:
            room = 1 - self.leases.running(one.id) / one.at_a_time if one.at_a_time else 1.0
            # The smallest of exponentials with these rates is each with the share of its rate (Efraimidis, Spirakis).
            return one.spec.order, self.rng.expovariate(one.spec.weight * max(room, 1e-9))

        return sorted(mine, key=key)

    def _for(self, target: Target, who: Caller | None) -> Target | None:
        """`target` as it is for this caller: with a key of their own; None: not for them."""
        if who is not None and any(name in who.denied for name in target.engine.names):
            return None
        key = self.keys.find(who, target.upstream) if self.keys is not None and target.own_keys != "no" else None
        if key is None:
            return None if target.own_keys == "required" else target
        return self._own_account(target, who.organization if who else "", key)

    def _own_account(self, target: Target, organization: str, key: str) -> Target:
        """The tenant's own account: its health, its connections and its place are its own."""
        assert isinstance(target.engine, UpstreamEngine) and self.new_upstream is not None
        at = (target.id, organization, key)
        if at not in self._own:
            while len(self._own) >= MOST_OWN:
                oldest = self._own.pop(next(iter(self._own)))
                if not oldest.engine.open:  # type: ignore[union-attr]
                    oldest.engine.close()  # type: ignore[union-attr]
            engine = self.new_upstream(replace(target.engine.settings, key=key))
            engine.listed = target.engine.listed
            self._own[at] = replace(target, engine=engine, circuits=target.circuits.fresh(), own_key=True)
        return self._own[at]

    def objection(self, target: Target, who: Caller | None, reason: Reason | None, kind: str = CHAT) -> Reason | None:
        """Why `target` is not asked now; `reason`: why one before it was not enough; `kind`: of request."""
        if reason is not None and reason not in target.spec.on:
            return reason
        if target.down or not target.circuits.of(kind).admits():
            return "failure"
        if target.at_a_time and self.leases.running(target.id) >= target.at_a_time:
            return "overload"
        return None

    @property
    def takes_keys(self) -> frozenset[str]:
        """The upstreams that tenants may bring keys for."""
        every = (one for route in self.routes.values() for one in route.targets)
        return frozenset(one.upstream for one in every if one.own_keys != "no")

    def life(self, name: str) -> NameLife | None:
        return self.lives.get(name)

    def shown(self) -> list[dict[str, Any]]:
        """All routes and their health, for administrators."""
        return [
            {
                "object": "creuset.route", "id": route.name, "state": route.state,
                "targets": [
                    {
                        "id": one.id, "model": one.engine.name, "order": one.spec.order, "weight": one.spec.weight,
                        "on": one.spec.on, "state": one.engine.state, "circuit": one.circuits.state,
                        "running": self.leases.running(one.id), "country": one.place.country,
                        "operator": one.place.operator, "law": one.place.law,
                    }
                    for one in route.targets
                ],
            }
            for route in self.routes.values()
        ]  # fmt: skip

    async def start(self) -> None:
        self.leases.start()

    async def stop(self) -> None:
        await self.leases.stop()
        for target in self._own.values():
            if isinstance(target.engine, UpstreamEngine):
                await target.engine.shut()


def build_router(
    file: RoutesFile,
    models: Sequence[AnyEngine],
    new_upstream: NewUpstream,
    *,
    leases: TargetLeases,
    rng: random.Random | None = None,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> ModelRouter:
    """The routes of `file` over the `models` of this server. ConfigError where they do not fit together."""
    known = {name: engine for engine in models for name in engine.names}
    here = file.here.place
    behind: dict[str, UpstreamEngine] = {}
    keys = {name: key_of(one, f"upstreams.{name}") for name, one in file.upstreams.items()}

    def target(route: str, at: int, spec: TargetSpec, of: RouteSpec) -> Target:
        circuits = Circuits(steady, of.failures, of.rest_s)
        if not spec.upstream:
            if spec.model not in known:
                raise ConfigError(
                    f"`routes.{route}.targets[{at}]`: no model here is called `{spec.model}`; there are "
                    f"{', '.join(known)}",
                    hint="serve it with --model, or name the upstream that has it",
                )
            engine = known[spec.model]
            stated = spec.place if isinstance(engine, UpstreamEngine) else file.place_of(spec)
            return Target(engine.name, engine, spec, stated, circuits)
        there = file.upstreams[spec.upstream]
        if spec.id not in behind:
            settings = settings_of(
                there, f"upstreams.{spec.upstream}", spec.model, key=keys[spec.upstream], name=spec.name
            )
            behind[spec.id] = new_upstream(settings)
        return Target(
            spec.id,
            behind[spec.id],
            spec,
            file.place_of(spec),
            circuits,
            there.at_a_time,
            spec.upstream,
            there.own_keys,
        )

    routes: dict[str, ModelRoute] = {}
    for name, spec in file.routes.items():
        if name in known:
            raise ConfigError(f"`routes.{name}`: a model here is called `{name}`", hint="give one another name")
        targets = tuple(target(name, at, one, spec) for at, one in enumerate(spec.targets))
        routes[name] = ModelRoute(name, targets, spec, RetryBudget(steady))
    lives = {name: NameLife.of(name, one) for name, one in file.names.items()}
    _check_names(lives, {*known, *routes})
    return ModelRouter(
        routes, lives, here, tuple(behind.values()), leases, rng or random.Random(), clock, new_upstream=new_upstream
    )


def _check_names(lives: Mapping[str, NameLife], served: Iterable[str]) -> None:
    there = {*served}
    known = {*there, *lives}
    for name, life in lives.items():
        if life.alias_of and name in there:
            raise ConfigError(f"`names.{name}`: it is a model or a route, and no alias of `{life.alias_of}`")
        for role, other in (("alias_of", life.alias_of), ("successor", life.successor)):
            if other and other not in known:
                raise ConfigError(f"`names.{name}.{role}`: nothing here is called `{other}`")
        if not life.alias_of and name not in there and life.ends is None:
            raise ConfigError(
                f"`names.{name}`: nothing here is called so; say what it is an alias of, or when it ended"
            )
