"""GET /v1/creuset/me: who a key stands for, which models it may use, and what is left of each limit, in each window."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from creuset.server.routes.choose import usable
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.gate import MoneyGate
from creuset.server.tenants.money.counting import Place, begin_of
from creuset.server.tenants.money.limits import LimitCounter, debt, left
from creuset.server.tenants.money.prices import Rates, Tariff
from creuset.server.tenants.money.windows import NEVER, US, Calendar, as_iso


def me_route(state: ServerState) -> tuple[str, str, Any]:
    async def me(request: Request) -> Response:
        who = context_of(request).who
        every = [tuple(engine.names) for engine in usable(state.engines, who)]
        if who is None or not isinstance(state.gate, MoneyGate):
            known: list[dict[str, Any]] = [
                {"id": names[0], "names": names, "price": None, "limits": []} for names in every
            ]
            return json_response({"object": "creuset.me", "key": None, "models": known, "limits": []})
        gate, at = state.gate, state.gate.books.now
        general = await gate.books.places(who, ())
        models: list[dict[str, Any]] = []
        for names in every:
            places = await gate.books.places(who, names)
            own = [limit_as_json(place, at) for place in places if place[0].model]
            price = price_as_json(gate.price(names))
            models.append({"id": names[0], "names": names, "price": price, "limits": own})
        found = {
            "object": "creuset.me", "key": who.key, "organization": who.organization or None,
            "project": who.project or None, "user": who.user or None, "service_account": who.service_account or None,
            "groups": who.groups, "scopes": sorted(who.scopes), "models": models,
            "limits": [limit_as_json(place, at) for place in general],
        }  # fmt: skip
        return json_response(found)

    return "GET", "/v1/creuset/me", me


def limit_as_json(place: Place, at: int) -> dict[str, Any]:
    """One limit and what is left of it: requests, tokens, or millionths of its currency."""
    limit, counter = place
    begin, end = begin_of(limit, Calendar(), at)
    if begin > counter.period:  # nothing was counted in this window
        counter = LimitCounter(counter.limit, counter.subject, period=begin)
    remaining = left(limit, counter, at)
    found: dict[str, Any] = {
        "what": limit.what, "of": limit.kind, "id": counter.subject, "model": limit.model or None,
        "window": limit.window or None, "limit": limit.amount, "remaining": remaining,
    }  # fmt: skip
    if limit.sliding:
        return found | {"resets": "sliding", "full_at": as_iso(at + debt(limit, counter, at) // 1000 + US - 1)}
    found |= {"spent": counter.spent, "reserved": counter.held}
    if limit.what == "money":
        found |= {"currency": limit.currency, "unit": "millionths"}
    if limit.window:
        found |= {"zone": limit.zone, "since": as_iso(begin), "renewed_at": None if end == NEVER else as_iso(end)}
    return found


def price_as_json(price: Tariff | None) -> dict[str, Any] | None:
    if price is None:
        return None
    tiers = {name: [_rates(one) for one in brackets] for name, brackets in price.tiers.items()}
    told = {"version": price.version, "currency": price.currency, "per_tokens": 1_000_000, "unit": "millionths"}
    return told | {"source": price.source, "tiers": tiers}


def _rates(rates: Rates) -> dict[str, int]:
    names = ("above", "input", "cached_input", "cache_write", "output", "reasoning")
    return {name: getattr(rates, name) for name in names}
