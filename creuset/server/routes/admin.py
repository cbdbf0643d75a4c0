"""What administrators see of routes: targets and their health, and who still asks for old names."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from creuset.server.routes.callers import read_calls
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.access import need
from creuset.types.tenants import ADMIN_READ, OPERATIONS_READ, USAGE_READ

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

    return [("GET", "/v1/organization/routes", shown), ("GET", "/v1/organization/usage/deprecated_models", old_names)]
