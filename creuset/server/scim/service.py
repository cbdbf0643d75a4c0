"""What a SCIM request does: reads the resource or the query, changes the directory, and writes the answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    Group,
    ListResponse,
    NotFoundException,
    PatchOp,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    ScimProvider,
    SearchRequest,
)
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.scim import resources
from creuset.server.scim.resources import MOST, Person
from creuset.server.tenants.directory import people
from creuset.server.tenants.directory.audit import Actor
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.signon.passwords import encoded

Reply = tuple[int, dict[str, Any] | None, str]  # status, body, location
# By the last part of the address; "": both together.
MODELS: dict[str, Any] = {"Users": Person, "Groups": Group}
PATCHES: dict[str, Any] = {"Users": PatchOp[Person], "Groups": PatchOp[Group]}
PARAMETERS: dict[str, Any] = {"Users": ResponseParameters[Person], "Groups": ResponseParameters[Group]}
SEARCHES: dict[str, Any] = {
    "Users": SearchRequest[Person], "Groups": SearchRequest[Group], "": SearchRequest[Person | Group],
}  # fmt: skip
LISTS: dict[str, Any] = {
    "Users": ListResponse[Person], "Groups": ListResponse[Group], "": ListResponse[Person | Group],
    "Schemas": ListResponse[Schema], "ResourceTypes": ListResponse[ResourceType],
}  # fmt: skip


class ScimService:
    """For one organization; `base` is the address of the service."""

    def __init__(self, directory: Directory, organization: str, actor: Actor, base: str) -> None:
        self._directory, self._organization, self._actor, self._base = directory, organization, actor, base
        self._provider: ScimProvider = resources.provider(base)

    # -- resources

    async def create(self, kind: str, body: Any, query: dict[str, str]) -> Reply:
        model = MODELS[kind]
        given = model.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        password = await _password(given)

        def work(change: Change) -> Any:
            return self._one(change.connection, kind, self._keep(change, kind, given, None, password))

        made = await self._change(work)
        return 201, _dump(made, Context.RESOURCE_CREATION_RESPONSE, kind, query), made.meta.location

    async def read(self, kind: str, id: str, query: dict[str, str]) -> Reply:
        found = await self._directory.database.read(lambda connection: self._one(connection, kind, id))
        return 200, _dump(found, Context.RESOURCE_QUERY_RESPONSE, kind, query), found.meta.location

    async def replace(self, kind: str, id: str, body: Any, query: dict[str, str]) -> Reply:
        given = MODELS[kind].model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
        password = await _password(given)

        def work(change: Change) -> Any:
            given.replace(self._one(change.connection, kind, id))
            self._keep(change, kind, given, id, password)
            return self._one(change.connection, kind, id)

        found = await self._change(work)
        return 200, _dump(found, Context.RESOURCE_REPLACEMENT_RESPONSE, kind, query), found.meta.location

    async def patch(self, kind: str, id: str, body: Any, query: dict[str, str]) -> Reply:
        asked = PATCHES[kind].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
        probe = await self._directory.database.read(lambda connection: self._one(connection, kind, id))
        asked.patch(probe)
        password = await _password(probe)

        def work(change: Change) -> Any:
            found = self._one(change.connection, kind, id)
            asked.patch(found)
            self._keep(change, kind, found, id, password)
            return self._one(change.connection, kind, id)

        found = await self._change(work)
        return 200, _dump(found, Context.RESOURCE_PATCH_RESPONSE, kind, query), found.meta.location

    async def delete(self, kind: str, id: str) -> Reply:
        def work(change: Change) -> None:
            self._one(change.connection, kind, id)
            (people.remove_user if kind == "Users" else people.delete_group)(change, self._organization, id)

        await self._change(work)
        return 204, None, ""

    async def search(self, kind: str, given: dict[str, Any], *, posted: bool = False) -> Reply:
        """A page of users, of groups, or (`kind` empty) of both."""
        context = Context.SEARCH_REQUEST if posted else Context.RESOURCE_QUERY_REQUEST
        asked = SEARCHES[kind].model_validate(given, scim_ctx=context)

        def work(connection: Connection) -> list[Any]:
            kinds = [kind] if kind else [*MODELS]
            return [one for name in kinds for one in self._all(connection, name)]

        found = await self._directory.database.read(work)
        if asked.filter is not None:
            found = [one for one in found if asked.filter.match(one)]
        found = asked.sort(found) if asked.sort_by else found
        start, count = max(asked.start_index or 1, 1), MOST if asked.count is None else min(asked.count, MOST)
        page = found[start - 1 : start - 1 + count]
        answer = LISTS[kind](total_results=len(found), start_index=start, items_per_page=len(page), resources=page)
        way = Context.SEARCH_RESPONSE if posted else Context.RESOURCE_QUERY_RESPONSE
        return 200, answer.model_dump(scim_ctx=way, response_parameters=asked), ""

    # -- what the service says of itself

    def describe(self, what: str, id: str | None, query: dict[str, str]) -> Reply:
        if query.get("filter"):
            return 403, _error(403, "a filter is not allowed here (RFC 7644, section 4)"), ""
        way = Context.RESOURCE_QUERY_RESPONSE
        if what == "ServiceProviderConfig":
            assert self._provider.config is not None
            return 200, self._provider.config.model_dump(scim_ctx=way), ""
        every: list[Any] = list(self._provider.schemas if what == "Schemas" else self._provider.resource_types)
        if id is not None:
            for one in every:
                if one.id == id:
                    return 200, one.model_dump(scim_ctx=way), ""
            raise NotFoundException(detail=f"there is no {id[:80]} in {what}")
        answer = LISTS[what](total_results=len(every), start_index=1, items_per_page=len(every), resources=every)
        return 200, answer.model_dump(scim_ctx=way), ""

    # -- within

    def _all(self, connection: Connection, kind: str, id: str | None = None) -> list[Any]:
        read = resources.people_of if kind == "Users" else resources.groups_of
        return read(connection, self._organization, self._base, id)

    def _one(self, connection: Connection, kind: str, id: str) -> Any:
        found = self._all(connection, kind, id)
        if not found:
            raise NotFoundException(detail=f"there is no {id[:80]} in {kind}")
        return found[0]

    def _keep(self, change: Change, kind: str, given: Any, id: str | None, password: str | None) -> str:
        if kind == "Users":
            return resources.keep_person(change, self._organization, given, id, password)
        return resources.keep_group(change, self._organization, given, id)

    async def _change(self, work: Callable[[Change], Any]) -> Any:
        return await self._directory.change_later(self._actor, work)


async def _password(given: Any) -> str | None:
    """The password of a user that is told, encoded."""
    told = getattr(given, "password", None)
    return None if not told else await asyncio.to_thread(encoded, str(told))


def _dump(resource: Any, context: Context, kind: str, query: dict[str, str]) -> dict[str, Any]:
    told = {name: query[name] for name in ("attributes", "excludedAttributes") if name in query}
    asked = PARAMETERS[kind].model_validate(told) if told else None
    found: dict[str, Any] = resource.model_dump(scim_ctx=context, response_parameters=asked)
    return found


def refusal(error: Exception) -> Reply | None:
    """How an error is told in SCIM; None for one that is not the client's."""
    if isinstance(error, SCIMException):
        found = error.to_error()
    elif isinstance(error, ValidationError):
        found = Error.from_validation_error(error.errors()[0])
    elif isinstance(error, RequestError):
        return error.status, _error(error.status, str(error)), ""
    else:
        return None
    return int(found.status or 400), found.model_dump(), ""


def _error(status: int, words: str) -> dict[str, Any]:
    found: dict[str, Any] = Error(status=status, detail=words).model_dump()
    return found
