"""What administrators see of routes, who still asks for old names, and keys that tenants bring for upstreams."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import NotFound
from creuset.server.routes.callers import read_calls
from creuset.server.routes.own_keys import listed
from creuset.server.routes.own_keys import shown as told_of
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.access import need
from creuset.server.tenants.audited import MoneyAudit, audit_of
from creuset.server.tenants.directory.projects import project_of
from creuset.types.fields import Fields, parse_object, show
from creuset.types.tenants import ADMIN_READ, ADMIN_WRITE, OPERATIONS_READ, PROJECT_READ, PROJECT_WRITE, USAGE_READ

Handler = Callable[[Request], Awaitable[Response]]


def route_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def shown(request: Request) -> Response:
        who = context_of(request).who
        if who is not None and OPERATIONS_READ not in who.scopes:
            need(who, ADMIN_READ, told=(OPERATIONS_READ,))
        return json_response({"object": "list", "data": state.router.shown()})

    async def old_names(request: Request) -> Response:
        """Calls of deprecated and ended names, by key and day."""
        who = context_of(request).who
        if who is not None and USAGE_READ not in who.scopes:
            need(who, ADMIN_READ, told=(USAGE_READ,))
        await state.callers.write()
        organization = who.organization if who is not None else None
        rows = await state.database.read(lambda connection: read_calls(connection, organization))
        for row in rows:
            life = state.router.life(row["name"])
            row["object"], row["ends"] = "creuset.name_calls", life.ends.isoformat() if life and life.ends else None
            row["successor"] = life.successor if life and life.successor else None
            row["last_at"] = row.pop("last") // 1_000_000
        return json_response({"object": "list", "data": rows})

    # -- keys that an organization or a project brings for an upstream

    async def place(request: Request, scope: str, near: str) -> tuple[str, str, MoneyAudit]:
        who, project = context_of(request).who, request.path_params.get("project_id", "")
        if who is None or state.directory is None:
            raise NotFound("this server has no organizations", code="no_organization")
        if not (project and who.project == project and near in who.scopes):
            need(who, scope, told=(near,) if project else ())
        if project:
            await state.database.read(lambda connection: project_of(connection, who.organization, project))
        return who.organization, project, audit_of(request)

    async def keys(request: Request) -> Response:
        organization, project, _ = await place(request, ADMIN_READ, PROJECT_READ)
        rows = await state.database.read(lambda connection: listed(connection, organization, project))
        return json_response({"object": "list", "data": rows})

    async def set_key(request: Request) -> Response:
        organization, project, audit = await place(request, ADMIN_WRITE, PROJECT_WRITE)
        fields = Fields(parse_object(await request.body()))
        upstream, key = fields.text("upstream", max_chars=64), fields.text("key")
        fields.refuse_rest()
        open_ones = state.router.takes_keys
        if upstream not in open_ones:
            words = f"must be an upstream that takes keys of tenants ({', '.join(sorted(open_ones)) or 'none does'})"
            raise fields.refuse("upstream", f"{words}, got {show(upstream)}")
        own = state.own_keys
        row = await asyncio.to_thread(own.sealed, organization, project, upstream, key or "", context_key(request))

        def work(connection: Connection) -> None:
            own.store(connection, row)
            audit.upstream_key(connection, project, {"id": row["id"], "upstream": upstream})

        await state.database.run(work)
        await asyncio.to_thread(own.refresh)
        return json_response(told_of(row))

    async def drop_key(request: Request) -> Response:
        organization, project, audit = await place(request, ADMIN_WRITE, PROJECT_WRITE)
        upstream = request.path_params["upstream"]

        def work(connection: Connection) -> bool:
            gone = state.own_keys.drop(connection, organization, project, upstream)
            if gone:
                audit.upstream_key(connection, project, {"upstream": upstream, "deleted": True})
            return gone

        if not await state.database.run(work):
            raise NotFound(f"there is no key for the upstream {show(upstream)} here", code="upstream_key_not_found")
        await asyncio.to_thread(state.own_keys.refresh)
        return json_response({"object": "creuset.upstream_key.deleted", "upstream": upstream, "deleted": True})

    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/organization/routes", shown),
        ("GET", "/v1/organization/usage/deprecated_models", old_names),
    ]
    for at in ("/v1/organization/upstream_keys", "/v1/organization/projects/{project_id}/upstream_keys"):
        table += [("GET", at, keys), ("POST", at, set_key), ("DELETE", f"{at}/{{upstream}}", drop_key)]
    return table


def context_key(request: Request) -> str:
    who = context_of(request).who
    return who.key if who is not None else ""
