"""The routes of SCIM, under /scim/v2. A key made with `creuset keys create NAME --kind scim` may ask them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import CreusetError, RequestError
from creuset.server.admin.call import Routes, actor_of
from creuset.server.errors import Dialect, error_object, status_of
from creuset.server.state import ServerState
from creuset.types.fields import parse_object

if TYPE_CHECKING:
    from creuset.server.scim.service import Reply, ScimService

BASE = "/scim/v2"
MEDIA = "application/scim+json"
KINDS = ("Users", "Groups")
DESCRIBED = ("ServiceProviderConfig", "ResourceTypes", "Schemas")


def _told(error: Exception, _id: str | None) -> dict[str, Any]:
    words = error_object(error)["error"]["message"]
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status_of(error)), "detail": words,
    }  # fmt: skip


DIALECT = Dialect(BASE, _told, media=MEDIA)


def scim_routes(state: ServerState) -> Routes:
    """(method, path, handler) of each route; none where the server has no directory."""
    if state.directory is None:
        return []
    directory = state.directory

    def answering(
        work: "Callable[[ScimService, Request], Awaitable[Reply]]",
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            from creuset.server.scim.service import ScimService, refusal

            who = request.scope["context"].who
            base = f"{request.scope['scheme']}://{request.headers['host']}{BASE}"
            service = ScimService(directory, who.organization, actor_of(request, who), base)
            try:
                status, body, location = await work(service, request)
            except CreusetError as error:
                if not isinstance(error, RequestError):
                    raise
                return _reply(refusal(error) or (error.status, _told(error, None), ""))
            except Exception as error:
                found = refusal(error)
                if found is None:
                    raise
                return _reply(found)
            return _reply((status, body, location))

        return answer

    found: Routes = []
    for kind in KINDS:
        at, one = f"{BASE}/{kind}", f"{BASE}/{kind}/{{scim_{kind.lower()[:-1]}}}"
        found += [(method, path, answering(work)) for method, path, work in _of(kind, at, one)]

    async def search_all(service: "ScimService", request: Request) -> "Reply":
        return await service.search("", parse_object(await request.body()), posted=True)

    found.append(("POST", f"{BASE}/.search", answering(search_all)))
    for what in DESCRIBED:
        found += [(method, path, answering(work)) for method, path, work in _described(what)]
    return found


def _of(kind: str, at: str, one: str) -> list[tuple[str, str, Any]]:
    def id_of(request: Request) -> str:
        return str(next(iter(request.path_params.values())))

    def query(request: Request) -> dict[str, str]:
        return dict(request.query_params)

    async def create(service: "ScimService", request: Request) -> "Reply":
        return await service.create(kind, parse_object(await request.body()), query(request))

    async def listed(service: "ScimService", request: Request) -> "Reply":
        return await service.search(kind, query(request))

    async def search(service: "ScimService", request: Request) -> "Reply":
        return await service.search(kind, parse_object(await request.body()), posted=True)

    async def read(service: "ScimService", request: Request) -> "Reply":
        return await service.read(kind, id_of(request), query(request))

    async def replace(service: "ScimService", request: Request) -> "Reply":
        return await service.replace(kind, id_of(request), parse_object(await request.body()), query(request))

    async def patch(service: "ScimService", request: Request) -> "Reply":
        return await service.patch(kind, id_of(request), parse_object(await request.body()), query(request))

    async def delete(service: "ScimService", request: Request) -> "Reply":
        return await service.delete(kind, id_of(request))

    return [
        ("GET", at, listed), ("POST", at, create), ("POST", f"{at}/.search", search), ("GET", one, read),
        ("PUT", one, replace), ("PATCH", one, patch), ("DELETE", one, delete),
    ]  # fmt: skip


def _described(what: str) -> list[tuple[str, str, Any]]:
    async def all_of(service: "ScimService", request: Request) -> "Reply":
        return service.describe(what, None, dict(request.query_params))

    async def one_of(service: "ScimService", request: Request) -> "Reply":
        return service.describe(what, request.path_params["scim_name"], dict(request.query_params))

    alone = [("GET", f"{BASE}/{what}", all_of)]
    return alone if what == DESCRIBED[0] else [*alone, ("GET", f"{BASE}/{what}/{{scim_name}}", one_of)]


def _reply(reply: "Reply") -> Response:
    status, body, location = reply
    headers = {"location": location} if location else {}
    return Response(b"" if body is None else msgspec.json.encode(body), status, headers, MEDIA)
