"""Which model a request names, and whether its caller may ask for it. Every address that takes a name asks here.

A model that a caller may not use is told as one that was never there, in the same words.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec
from starlette.requests import Request

from creuset.core.errors import NotFound, RequestError
from creuset.server.carry import Answer
from creuset.server.engines.pool import AnyEngine, EnginePool, ServedEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.routes.answer import RoutedAnswer, as_header
from creuset.server.routes.router import ModelRoute
from creuset.server.state import ServerState, context_of
from creuset.server.tenants.gate import refuse_model
from creuset.types.fields import Fields, checked_fields, show
from creuset.types.served import TIERS, Jurisdiction, ServedBy
from creuset.types.tenants import Caller

Chosen = AnyEngine | ModelRoute
Once = Callable[[Fields, str, AnyEngine], Awaitable[Answer]]  # the fields that are left, the name that a reply says
FALLBACKS = "allow_fallbacks"  # the field of a body; the header is x-creuset-allow-fallbacks


def may_use(who: Caller | None, names: Sequence[str]) -> bool:
    if who is None:
        return True
    try:
        refuse_model(who, names)
    except NotFound:
        return False
    return True


def usable(engines: EnginePool, who: Caller | None) -> list[AnyEngine]:
    """The engines that `who` may ask, in the order of the server."""
    return [engine for engine in engines.engines if may_use(who, engine.names)]


def named(state: ServerState, request: Request, name: str) -> Chosen:
    """What serves `name`: an engine or a route. NotFound: nothing does, not any more, or not for this caller.

    What is to be known of the name's life is noted for the reply's headers, and that it was asked for.
    """
    context, router = context_of(request), state.router
    who, life = context.who, router.life(name)
    real = life.alias_of or name if life is not None else name
    if life is not None and life.ends is not None and life.is_over(state.clock()):
        if may_use(who, (name, real)):
            state.callers.note(name, who, refused=True)
            context.told |= life.headers()
            life.refuse_ended(state.clock())
        real = ""
    further = router.life(real)
    found: Chosen | None = router.routes.get(real) or state.engines.known(real)
    if further is not None and further.is_over(state.clock()):
        found = None
    if found is None or not may_use(who, tuple(dict.fromkeys((name, *found.names)))):
        hidden = " or this key may not use it;" if who is not None else ""
        said = "is not served here," if hidden else "is not served here;"
        raise NotFound(
            f"the model {show(name)} {said}{hidden} {there(state, who)}", param="model", code="model_not_found"
        )
    for one in (further, life):
        if one is not None:
            context.told |= one.headers()
            if one.is_deprecated(state.clock()):
                state.callers.note(one.name, who)
    return found


def chosen(
    state: ServerState, request: Request, fields: Fields, *, optional: bool = False, tiers: tuple[str, ...] = ()
) -> tuple[str, Chosen]:
    """The name that a reply says, and what serves it. With `optional`, none or null stands for the first model.

    `tiers`: the words that `service_tier` may be, in a dialect that has it. The tier is noted in the context.
    """
    context = context_of(request)
    if optional and fields.peek("model") is None:
        fields.take("model")
        found: Chosen = first(state, request)
        asked = found.names[0]
    else:
        given = fields.text("model")
        if given is None:
            raise fields.refuse("model", f"is required; {there(state, context.who)}")
        asked, found = given, named(state, request, given)
    tier = take_tier(fields, tiers) if tiers else context.served.tier
    place = state.router.here if isinstance(found, ServedEngine) else Jurisdiction()
    context.served = ServedBy(asked="" if asked == found.names[0] else asked, tier=tier, place=place)
    life = state.router.life(asked)
    return (life.alias_of if life is not None and life.alias_of else asked), found  # a reply names what answered


def first(state: ServerState, request: Request) -> AnyEngine:
    """The first model that the caller may use: the one that is meant where nothing is said."""
    models = usable(state.engines, context_of(request).who)
    if not models:
        raise NotFound("this key may use no model of this server", param="model", code="model_not_found")
    return models[0]


def with_tokens(state: ServerState, request: Request, fields: Fields, *, optional: bool = False) -> ServedEngine:
    """The engine of the model in `model`, whose tokens must be known here. RequestError, NotFound."""
    name, found = chosen(state, request, fields, optional=optional)
    engine = found.first if isinstance(found, ModelRoute) else found
    if isinstance(engine, UpstreamEngine):
        words = f"{name} is a model of another server: its tokens are not known here"
        raise RequestError(words, param="model", code="unsupported_value")
    return engine


def take_tier(fields: Fields, served: tuple[str, ...]) -> str:
    """The class that a request is to be served in. A batch is none: whoever wants its price sends a batch."""
    value = fields.peek("service_tier")
    fields.only("service_tier", *served)
    return TIERS.get(value or "auto", "default")


def listed(state: ServerState, request: Request) -> Iterator[tuple[str, Chosen, dict[str, Any]]]:
    """Each name that the caller may ask for, what serves it, and what is to be known of its life."""
    who, router, now = context_of(request).who, state.router, state.clock()
    every: list[tuple[str, Chosen]] = [(name, engine) for engine in usable(state.engines, who) for name in engine.names]
    every += [(name, route) for name, route in router.routes.items() if may_use(who, route.names)]
    known = dict(every)
    for name, life in router.lives.items():
        found = router.routes.get(life.alias_of) or state.engines.known(life.alias_of)
        if life.alias_of and found is not None and may_use(who, (name, *found.names)):
            known[name] = found
    for name, found in known.items():
        life_of = router.life(name)
        if life_of is None or not life_of.is_over(now):
            yield name, found, {} if life_of is None else life_of.as_json(now)


def there(state: ServerState, who: Caller | None) -> str:
    names = [name for engine in usable(state.engines, who) for name in engine.names]
    names += [name for name, route in state.router.routes.items() if may_use(who, route.names)]
    return f"this server has {', '.join(names)}" if names else "there is none that this key may use"


def fallback_allowed(request: Request, fields: Fields) -> bool:
    """Whether another model than the first may answer: the field of the body, or the header."""
    value = request.headers.get("x-creuset-allow-fallbacks")
    if value not in (None, "true", "false"):
        raise RequestError(f"the header x-creuset-allow-fallbacks must be true or false, got {show(value)}")
    return fields.flag(FALLBACKS) is not False and value != "false"


async def answered(
    state: ServerState, request: Request, body: dict[str, Any], kind: type[msgspec.Struct], once: Once, *,
    optional: bool = False, tiers: tuple[str, ...] = (),
) -> Answer:  # fmt: skip
    """The answer to `body`, by the model that it names: `once` asks one engine.

    Of a route `once` may be called several times, each time for another target.
    """
    fields = checked_fields(body, kind)
    name, found = chosen(state, request, fields, optional=optional, tiers=tiers)
    fallback = fallback_allowed(request, fields)
    body.pop(FALLBACKS, None)  # another server does not know it
    if not isinstance(found, ModelRoute):
        context_of(request).told[b"x-creuset-model"] = as_header(found.name)
        return await once(fields, name, found)

    async def attempt(name: str, engine: AnyEngine) -> Answer:
        fresh = checked_fields(body, kind)
        for read in ("model", *(("service_tier",) if tiers else ())):
            fresh.take(read)
        return await once(fresh, name, engine)

    served = context_of(request).served
    return RoutedAnswer(state.router, found, request, served, attempt, body.get("stream") is True, fallback)
