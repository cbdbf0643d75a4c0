"""What the page of administration asks beside OpenAI's organization API: spending in one table, every limit with what
is spent of it, the last requests, and who still asks for names that end."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import ConfigError, NotFound, RequestError
from creuset.server.carry import Handler
from creuset.server.routes.tables import NAME_CALLS
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.access import need
from creuset.server.tenants.audited import audit_of
from creuset.server.tenants.gate import MoneyGate
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import KINDS, Limit, LimitCounter
from creuset.server.tenants.money.prices import parse_money
from creuset.server.tenants.money.report import UsageQuery, decimal, usage
from creuset.server.tenants.money.tables import COUNTERS
from creuset.server.tenants.money.windows import SECONDS, US
from creuset.types.fields import Fields, checked_fields, parse_object, show
from creuset.types.tenants import ADMIN_READ, ADMIN_WRITE, USAGE_READ

AT = "/v1/creuset/organization"
MOST_DAYS = 400
WHO = ("project_id", "user_id", "service_account_id", "api_key_id", "model")


class LimitBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/creuset/organization/limits"""

    kind: str
    subject: str
    what: str
    amount: str | int
    window: str | None = None
    model: str | None = None
    zone: str | None = None
    currency: str | None = None


def accounting_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    def organization(request: Request, *scopes: str) -> str:
        caller = context_of(request).who
        if caller is None:
            raise NotFound("this server has no keys, so it has no organizations", code="no_organization")
        if not caller.scopes.intersection(scopes):
            need(caller, scopes[0], told=scopes[1:])
        return caller.organization

    async def spending(request: Request) -> Response:
        whose = organization(request, USAGE_READ, ADMIN_READ)
        text = request.query_params.get("days", "30")
        if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
            raise RequestError(f"`days` must be between 1 and {MOST_DAYS}, got {show(text)}", param="days")
        day = SECONDS["day"]
        end = (int(state.clock()) // day + 1) * day
        query = UsageQuery(organization=whose, start=(end - int(text) * day) * US, end=end * US, by=WHO)
        rows = await state.database.read(lambda connection: usage(connection, query))
        data = [_spent(row, query.start // US, day) for row in rows]
        return json_response({"object": "list", "start": query.start // US, "end": end, "data": data})

    async def limits(request: Request) -> Response:
        whose = organization(request, ADMIN_READ, USAGE_READ)

        def work(connection: Connection) -> list[dict[str, Any]]:
            found = rules.find_limits(connection, whose)
            query = select(COUNTERS).where(COUNTERS.c.limit.in_([one.id for one in found]))
            kept = [LimitCounter(**row) for row in connection.execute(query).mappings()]
            return [_limit(one, [counter for counter in kept if counter.limit == one.id]) for one in found]

        return json_response({"object": "list", "data": await state.database.read(work)})

    async def set_limit(request: Request) -> Response:
        whose, audit = organization(request, ADMIN_WRITE), audit_of(request)
        limit = _read_limit(checked_fields(parse_object(await request.body()), LimitBody), whose)

        def work(connection: Connection) -> Limit:
            made = rules.set_limit(connection, limit)
            audit.limit(connection, made)
            return made

        return json_response(_limit(await changed(work), []))

    async def drop_limit(request: Request) -> Response:
        whose, audit, id = organization(request, ADMIN_WRITE), audit_of(request), request.path_params["limit_id"]

        def work(connection: Connection) -> bool:
            found = rules.find_limits(connection, whose, id=id)
            if found:
                audit.limit(connection, found[0], gone=True)
            return bool(found) and rules.drop_limit(connection, whose, id)

        if not await changed(work):
            raise NotFound(f"there is no limit with the id {show(id)}", param="limit_id")
        return json_response({"object": "creuset.limit.deleted", "id": id, "deleted": True})

    async def changed(work: Any) -> Any:
        found = await state.database.run(work)
        if isinstance(state.gate, MoneyGate):
            await state.gate.books.reload()
        return found

    async def traffic(request: Request) -> Response:
        return json_response(state.traffic.summary(organization(request, USAGE_READ, ADMIN_READ)))

    async def names(request: Request) -> Response:
        whose = organization(request, ADMIN_READ, USAGE_READ)

        def work(connection: Connection) -> list[dict[str, Any]]:
            query = select(NAME_CALLS).where(NAME_CALLS.c.organization == whose)
            rows = connection.execute(query.order_by(NAME_CALLS.c.last.desc()).limit(1000)).mappings()
            return [
                {
                    "model": row["name"], "api_key_id": row["key"], "project_id": row["project"] or None,
                    "user_id": row["user"] or None, "day": row["day"], "calls": row["calls"],
                    "refused": row["refused"], "last": row["last"] // US,
                }
                for row in rows
            ]  # fmt: skip

        await state.callers.write()
        rows = await state.database.read(work)
        for row in rows:
            life = state.router.life(row["model"])
            known = {} if life is None else life.as_json(state.clock())
            row |= {name: known.get(name) for name in ("deprecation_date", "shutdown_date", "successor")}
        return json_response({"object": "list", "data": rows})

    return [
        ("GET", f"{AT}/spending", spending), ("GET", f"{AT}/limits", limits), ("POST", f"{AT}/limits", set_limit),
        ("DELETE", f"{AT}/limits/{{limit_id}}", drop_limit), ("GET", f"{AT}/traffic", traffic),
        ("GET", f"{AT}/names", names),
    ]  # fmt: skip


def _spent(row: dict[str, Any], start: int, day: int) -> dict[str, Any]:
    counts = {name: row[name] for name in ("requests", "input", "cached", "output", "reasoning")}
    who = {name: row[name] or None for name in WHO}
    return {"day": start + row["bucket"] * day, **who, **counts, "cost": decimal(row["cost"]),
            "currency": row["currency"] or None}  # fmt: skip


def _limit(limit: Limit, counters: list[LimitCounter]) -> dict[str, Any]:
    """`spent` and `held` of a window that a calendar begins: what the database has, some moments old."""
    money = limit.what == "money"

    def shown(value: int) -> Any:
        return decimal(value) if money else value

    spent = [
        {"subject": one.subject, "spent": shown(one.spent), "held": shown(one.held), "period": one.period // US}
        for one in counters
        if not limit.sliding and limit.what != "concurrent"
    ]
    return {
        "object": "creuset.limit", "id": limit.id, "kind": limit.kind, "subject": limit.subject, "what": limit.what,
        "window": limit.window or None, "model": limit.model or None, "zone": limit.zone,
        "amount": None if limit.amount is None else shown(limit.amount), "currency": limit.currency or None,
        "spent": spent,
    }  # fmt: skip


def _read_limit(fields: Fields, organization: str) -> Limit:
    kind, subject, what = fields.text("kind"), fields.text("subject", max_chars=64), fields.text("what")
    amount, window = fields.take("amount"), fields.text("window")
    model, zone, currency = fields.text("model", max_chars=256), fields.text("zone"), fields.text("currency")
    fields.refuse_rest()
    try:
        number = parse_money(str(amount)) if what == "money" else int(amount)
        if what != "concurrent" and window is None:
            window = "month" if what == "money" else "minute"
        return Limit(
            id="", organization=organization, kind=kind or "",
            subject=organization if kind == "organization" else subject or "", what=what or "", window=window or "",
            model=model or "", zone=zone or "UTC", amount=number,
            currency=(currency or "USD").upper() if what == "money" else "",
        )  # fmt: skip
    except (ConfigError, ValueError, TypeError) as error:
        raise RequestError(f"this is no limit: {error}", param="amount" if kind in KINDS else "kind") from None
