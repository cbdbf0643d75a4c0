"""Usage, costs, rate limits, spend limits and spend alerts over HTTP, in OpenAI's organization schema.

OpenAI counts spend limits in US cents, by the month. Here the currency is whichever the request names, and the month is
that of UTC. Finer limits (of keys, users and groups, other windows and zones) are set by `creuset limits` and
`creuset budgets`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import ConfigError, NotFound, RequestError
from creuset.server.accounting.buckets import (
    BUCKETS,
    COST_GROUPED,
    GROUPED,
    MOST_DAYS,
    UNUSED,
    USAGE_KINDS,
    bucket_page,
    bucket_query,
    cost_row,
    usage_row,
)  # fmt: skip
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.access import need
from creuset.server.tenants.audited import audit_of
from creuset.server.tenants.directory.projects import project_of
from creuset.server.tenants.gate import MoneyGate
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.report import costs, usage
from creuset.server.tenants.money.rules import Channel, SpendAlert
from creuset.types.fields import Fields, parse_object, show
from creuset.types.tenants import ADMIN_READ, ADMIN_WRITE, PROJECT_READ, PROJECT_WRITE, USAGE_READ

Row = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
AT, ONE = "/v1/organization", "/v1/organization/projects/{project_id}"
CENT = 10_000  # millionths


def money_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def who(request: Request, *scopes: str, project: str = "") -> str:
        """The organization of whoever asks and has one of `scopes`, or the project's where it is their own.

        NotFound for a `project` that is another organization's, as for one that never was.
        """
        caller = context_of(request).who
        if caller is None:
            raise NotFound("this server has no keys, so it has no organizations", code="no_organization")
        near = (PROJECT_WRITE if ADMIN_WRITE in scopes else PROJECT_READ,) if project else ()
        if not caller.scopes.intersection((*scopes, *(near if caller.project == project else ()))):
            need(caller, scopes[0], told=(*scopes[1:], *near))
        if project and state.directory is not None:
            await state.database.read(lambda connection: project_of(connection, caller.organization, project))
        return caller.organization

    async def changed(work: Callable[[Any], Any]) -> Any:
        try:
            found = await state.database.run(work)
        except ConfigError as error:
            raise RequestError(str(error), hint=error.hint) from None
        if isinstance(state.gate, MoneyGate):
            await state.gate.books.reload()
        return found

    def used(kind: str, kinds: tuple[str, ...]) -> Handler:
        async def answer(request: Request) -> Response:
            organization = await who(request, USAGE_READ, ADMIN_READ)
            query, after = bucket_query(request, organization, BUCKETS, GROUPED, kinds, int(state.clock()) + 1)
            rows = await state.database.read(lambda connection: usage(connection, query)) if kinds else []
            return json_response(bucket_page(query, after, rows, lambda row: usage_row(kind, row)))

        return answer

    async def cost(request: Request) -> Response:
        organization = await who(request, USAGE_READ, ADMIN_READ)
        query, after = bucket_query(
            request, organization, {"1d": (7, MOST_DAYS)}, COST_GROUPED, (), int(state.clock()) + 1
        )
        rows = await state.database.read(lambda connection: costs(connection, query))
        return json_response(bucket_page(query, after, rows, cost_row))

    # -- rate limits of a project: one entry for each model, and one for all together

    async def rate_limits(request: Request) -> Response:
        project = request.path_params["project_id"]
        organization = await who(request, ADMIN_READ, project=project)
        found = await state.database.read(lambda c: rules.find_limits(c, organization, kind="project", subject=project))
        names = ["", *(engine.names[0] for engine in state.engines.engines)]
        data = [_rate_limit(name, found) for name in names]
        return json_response(paged(request, data))

    async def set_rate_limit(request: Request) -> Response:
        project, id = request.path_params["project_id"], request.path_params["rate_limit_id"]
        organization = await who(request, ADMIN_WRITE, project=project)
        model = id.removeprefix("rl-")
        model = "" if model == ALL else state.engines.find(model).names[0]
        fields = Fields(parse_object(await request.body()))
        given = {name: fields.integer(name, 0, 1 << 40) for name in RATES}
        fields.not_served("max_images_per_1_minute", "max_audio_megabytes_per_1_minute", "batch_1_day_max_input_tokens")
        fields.refuse_rest()
        audit = audit_of(request)

        def work(connection: Any) -> list[Limit]:
            for name, value in given.items():
                if value is not None:
                    what, window = RATES[name]
                    limit = Limit(id="", organization=organization, kind="project", subject=project, model=model,
                                  what=what, window=window, amount=value)  # fmt: skip
                    audit.limit(connection, rules.set_limit(connection, limit))
            return rules.find_limits(connection, organization, kind="project", subject=project)

        return json_response(_rate_limit(model, await changed(work)))

    # -- spend limits and alerts, of the organization or of a project

    async def place(request: Request, *scopes: str) -> tuple[str, str, str, str]:
        """Organization, kind, subject, and what the object is called."""
        project = request.path_params.get("project_id", "")
        organization = await who(request, *scopes, project=project)
        return (organization, "project", project, "project") if project else (
            organization, "organization", organization, "organization")  # fmt: skip

    def month(organization: str, kind: str, subject: str) -> dict[str, Any]:
        return {"kind": kind, "subject": subject, "what": "money", "window": "month", "zone": "UTC", "model": ""}

    async def spend_limit(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_READ)
        where = month(organization, kind, subject)
        found = await state.database.read(lambda c: rules.find_limits(c, organization, **where))
        if not found or found[0].amount is None:
            raise NotFound(f"there is no spend limit of this {called}", code="spend_limit_not_found")
        return json_response(await _spend_limit(found[0], called))

    async def _spend_limit(limit: Limit, called: str) -> Row:
        spent = 0
        if isinstance(state.gate, MoneyGate):
            counter = state.gate.books.counter(limit)
            spent = 0 if counter is None else counter.spent
        status = "enforcing" if limit.amount is not None and spent >= limit.amount else "inactive"
        return {"object": f"{called}.spend_limit", "currency": limit.currency, "interval": "month",
                "threshold_amount": (limit.amount or 0) // CENT, "enforcement": {"status": status}}  # fmt: skip

    async def set_spend_limit(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_WRITE)
        fields = Fields(parse_object(await request.body()))
        amount, currency = _threshold(fields)
        fields.refuse_rest()
        where, audit = month(organization, kind, subject), audit_of(request)
        limit = Limit(id="", organization=organization, amount=amount, currency=currency, **where)

        def work(connection: Any) -> Limit:
            made = rules.set_limit(connection, limit)
            audit.limit(connection, made)
            return made

        return json_response(await _spend_limit(await changed(work), called))

    async def drop_spend_limit(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_WRITE)
        where, audit = month(organization, kind, subject), audit_of(request)

        def work(connection: Any) -> bool:
            found = rules.find_limits(connection, organization, **where)
            if not found or not rules.drop_limit(connection, organization, found[0].id):
                return False
            audit.limit(connection, found[0], gone=True)
            return True

        if not await changed(work):
            raise NotFound(f"there is no spend limit of this {called}", code="spend_limit_not_found")
        return json_response({"object": f"{called}.spend_limit.deleted", "deleted": True})

    async def alerts(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_READ)
        found = await state.database.read(lambda c: _alerts(c, organization, kind, subject))
        data = [_alert(one, limit, called) for one, limit in found]
        return json_response(paged(request, data))

    async def alert(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_READ)
        id = request.path_params["alert_id"]
        for one, limit in await state.database.read(lambda c: _alerts(c, organization, kind, subject)):
            if one.id == id:
                return json_response(_alert(one, limit, called))
        raise _no_alert(id)

    async def set_alert(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_WRITE)
        id = request.path_params.get("alert_id", "")
        fields = Fields(parse_object(await request.body()))
        threshold, currency = _threshold(fields)
        channel = _channel(fields)
        fields.refuse_rest()
        where, audit = month(organization, kind, subject), audit_of(request)

        def work(connection: Any) -> Row:
            if id and id not in [one.id for one, _ in _alerts(connection, organization, kind, subject)]:
                raise _no_alert(id)
            found = rules.find_limits(connection, organization, **where)
            limit = (
                found[0]
                if found
                else rules.set_limit(
                    connection, Limit(id="", organization=organization, amount=None, currency=currency, **where)
                )
            )
            if limit.currency != currency:
                raise RequestError(f"the budget is in {limit.currency}, and the alert in {currency}", param="currency")
            alert = SpendAlert(id=id, organization=organization, limit=limit.id, threshold=threshold, channel=channel)
            made = rules.add_alert(connection, alert)
            audit.alert(connection, made, limit)
            return _alert(made, limit, called)

        return json_response(await changed(work))

    async def drop_alert(request: Request) -> Response:
        organization, kind, subject, called = await place(request, ADMIN_WRITE)
        id, audit = request.path_params["alert_id"], audit_of(request)

        def work(connection: Any) -> bool:
            mine = {one.id: (one, limit) for one, limit in _alerts(connection, organization, kind, subject)}
            if id not in mine or not rules.drop_alert(connection, organization, id):
                return False
            audit.alert(connection, *mine[id], gone=True)
            return True

        if not await changed(work):
            raise _no_alert(id)
        return json_response({"object": f"{called}.spend_alert.deleted", "id": id, "deleted": True})

    table: list[tuple[str, str, Handler]] = [("GET", f"{AT}/costs", cost)]
    for kind in (*USAGE_KINDS, *UNUSED):
        table.append(("GET", f"{AT}/usage/{kind}", used(kind, USAGE_KINDS.get(kind, ()))))
    table += [
        ("GET", f"{ONE}/rate_limits", rate_limits),
        ("POST", f"{ONE}/rate_limits/{{rate_limit_id}}", set_rate_limit),
    ]
    for at in (AT, ONE):
        table += [
            ("GET", f"{at}/spend_limit", spend_limit), ("POST", f"{at}/spend_limit", set_spend_limit),
            ("DELETE", f"{at}/spend_limit", drop_spend_limit), ("GET", f"{at}/spend_alerts", alerts),
            ("POST", f"{at}/spend_alerts", set_alert), ("GET", f"{at}/spend_alerts/{{alert_id}}", alert),
            ("POST", f"{at}/spend_alerts/{{alert_id}}", set_alert),
            ("DELETE", f"{at}/spend_alerts/{{alert_id}}", drop_alert),
        ]  # fmt: skip
    return table


ALL = "all"  # models together, as an id of a rate limit
RATES = {
    "max_requests_per_1_minute": ("requests", "minute"), "max_tokens_per_1_minute": ("tokens", "minute"),
    "max_requests_per_1_day": ("requests", "day"),
}  # fmt: skip
UNLIMITED = (1 << 31) - 1  # what a limit is said to be that is not set; the schema has no word for none


def _rate_limit(model: str, limits: list[Limit]) -> Row:
    found: Row = {"object": "project.rate_limit", "id": f"rl-{model or ALL}", "model": model or ALL}
    for name, (what, window) in RATES.items():
        mine = [one.amount for one in limits if (one.model, one.what, one.window) == (model, what, window)]
        found[name] = mine[0] if mine else UNLIMITED
    return found


def _alerts(connection: Any, organization: str, kind: str, subject: str) -> list[tuple[SpendAlert, Limit]]:
    limits = {one.id: one for one in rules.find_limits(connection, organization, kind=kind, subject=subject)}
    return [(one, limits[one.limit]) for one in rules.find_alerts(connection, organization) if one.limit in limits]


def _no_alert(id: str) -> NotFound:
    return NotFound(f"there is no spend alert {show(id)} here", param="alert_id", code="spend_alert_not_found")


def _alert(alert: SpendAlert, limit: Limit, called: str) -> Row:
    channel: Row = {"type": "email", "recipients": alert.channel.mail, "subject_prefix": alert.channel.subject_prefix}
    return {
        "object": f"{called}.spend_alert", "id": alert.id, "currency": limit.currency, "interval": "month",
        "threshold_amount": (alert.due(limit) or 0) // CENT, "notification_channel": channel,
    }  # fmt: skip


def _threshold(fields: Fields) -> tuple[int, str]:
    amount = fields.integer("threshold_amount", 0, 1 << 36)
    if amount is None:
        raise fields.refuse("threshold_amount", "is required: whole cents")
    currency = fields.text("currency", max_chars=3)
    if currency is None or len(currency) != 3 or not currency.isalpha():
        raise fields.refuse("currency", f"must be a currency such as USD, got {show(currency)}")
    if fields.text("interval") != "month":
        raise fields.refuse("interval", 'must be "month"')
    return amount * CENT, currency.upper()


def _channel(fields: Fields) -> Channel:
    inner = fields.object("notification_channel")
    if inner is None:
        raise fields.refuse("notification_channel", "is required")
    if inner.text("type") != "email":
        raise inner.refuse("type", 'must be "email"; a webhook is set by `creuset budgets`')
    recipients = inner.items("recipients") or []
    if not recipients or not all(isinstance(one, str) and "@" in one and "\n" not in one for one in recipients):
        raise inner.refuse("recipients", f"must be a list of mail addresses, got {show(recipients)}")
    prefix = inner.text("subject_prefix", max_chars=100) or ""
    if any(ord(letter) < 32 for letter in prefix):
        raise inner.refuse("subject_prefix", "must be one line")
    inner.refuse_rest()
    return Channel(mail=tuple(recipients), subject_prefix=prefix)


def paged(request: Request, data: list[Row]) -> Row:
    """The page of a list that was read whole: `limit`, and `after` or `before` an id."""
    ids = [one["id"] for one in data]
    given = request.query_params
    text = given.get("limit", "100")
    if not text.isdecimal() or int(text) > 1000:
        raise RequestError(f"`limit` must be between 0 and 1000, got {show(text)}", param="limit")
    if given.get("after") in ids:
        data = data[ids.index(given["after"]) + 1 :]
    if given.get("before") in ids:
        data = [one for one in data if one["id"] in ids[: ids.index(given["before"])]]
    page = data[: int(text)]
    return {"object": "list", "data": page, "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None, "has_more": len(data) > len(page)}  # fmt: skip
