"""Which model a request names, and whether its caller may ask for it. Every route that takes a name asks here.

A model that a caller may not use is told as one that was never there, in the same words.
"""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

from creuset.core.errors import NotFound, RequestError
from creuset.server.engines.pool import AnyEngine, EnginePool, ServedEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.state import ServerState, context_of
from creuset.server.tenants.gate import refuse_model
from creuset.types.fields import Fields, show
from creuset.types.served import TIERS, ServedBy
from creuset.types.tenants import Caller


def may_use(who: Caller | None, engine: AnyEngine) -> bool:
    if who is None:
        return True
    try:
        refuse_model(who, engine.names)
    except NotFound:
        return False
    return True


def usable(engines: EnginePool, who: Caller | None) -> list[AnyEngine]:
    """The engines that `who` may ask, in the order of the server."""
    return [engine for engine in engines.engines if may_use(who, engine)]


def named(state: ServerState, request: Request, name: str) -> AnyEngine:
    """The engine that serves `name`. NotFound: nobody does, or not for this caller."""
    who = context_of(request).who
    engine = state.engines.known(name)
    if engine is None or not may_use(who, engine):
        raise NotFound(
            f"the model {show(name)} is not served here, or this key may not use it; {_there(state, who)}"
            if who is not None
            else f"the model {show(name)} is not served here; {_there(state, who)}",
            param="model", code="model_not_found",
        )  # fmt: skip
    return engine


def chosen(
    state: ServerState, request: Request, fields: Fields, *, optional: bool = False, tiers: tuple[str, ...] = ()
) -> tuple[str, AnyEngine]:
    """The name in a request's `model`, and its engine. With `optional`, none or null stands for the first model.

    `tiers`: the words that `service_tier` may be, in a dialect that has it. The tier is noted in the context.
    """
    context = context_of(request)
    if optional and fields.peek("model") is None:
        fields.take("model")
        engine = first(state, request)
        name = engine.name
    else:
        given = fields.text("model")
        if given is None:
            raise fields.refuse("model", f"is required; {_there(state, context.who)}")
        name, engine = given, named(state, request, given)
    if tiers:
        context.served = ServedBy(asked=name if name != engine.name else "", tier=take_tier(fields, tiers))
    return name, engine


def first(state: ServerState, request: Request) -> AnyEngine:
    """The first model that the caller may use: the one that is meant where nothing is said."""
    there = usable(state.engines, context_of(request).who)
    if not there:
        raise NotFound("this key may use no model of this server", param="model", code="model_not_found")
    return there[0]


def with_tokens(state: ServerState, request: Request, fields: Fields, *, optional: bool = False) -> ServedEngine:
    """The engine of the model in `model`, whose tokens must be known here. RequestError, NotFound."""
    name, engine = chosen(state, request, fields, optional=optional)
    if isinstance(engine, UpstreamEngine):
        words = f"{name} is a model of another server: its tokens are not known here"
        raise RequestError(words, param="model", code="unsupported_value")
    return engine


def take_tier(fields: Fields, served: tuple[str, ...]) -> str:
    """The class that a request is to be served in. A batch is none: whoever wants its price sends a batch."""
    value = fields.peek("service_tier")
    fields.only("service_tier", *served)
    return TIERS.get(value or "auto", "default")


def listed(state: ServerState, request: Request) -> Iterator[tuple[str, Any]]:
    """Each name that the caller may ask for, and its engine."""
    for engine in usable(state.engines, context_of(request).who):
        for name in engine.names:
            yield name, engine


def _there(state: ServerState, who: Caller | None) -> str:
    names = [name for engine in usable(state.engines, who) for name in engine.names]
    return f"this server has {', '.join(names)}" if names else "there is none that this key may use"
