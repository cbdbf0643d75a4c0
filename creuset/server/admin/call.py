"""One administrative request: who asks, what they may, the fields of the body, and pages of lists."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import RequestError
from creuset.server.middleware import RequestContext
from creuset.server.state import json_response
from creuset.server.tenants.access import need
from creuset.server.tenants.directory.audit import Actor
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.rows import Row
from creuset.types.fields import Fields, parse_object, show
from creuset.types.tenants import ADMIN_READ, ADMIN_WRITE, PROJECT_READ, PROJECT_WRITE, Caller

T = TypeVar("T")
Handler = Callable[["AdminCall"], Awaitable[Any]]
Routes = list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]
MOST = 1000  # rows of a page
LONGEST = 256  # characters of a name


@dataclass(slots=True)
class AdminCall:
    directory: Directory
    request: Request
    who: Caller
    body: Fields

    @property
    def organization(self) -> str:
        return self.who.organization

    def place(self, name: str) -> str:
        """The value of a place in the address."""
        return str(self.request.path_params[name])

    @property
    def project(self) -> str:
        return self.place("project_id")

    def name(self, field: str = "name") -> str:
        """A text that must be given."""
        value = self.body.text(field, max_chars=LONGEST)
        if value is None or not value.strip():
            raise self.body.refuse(field, "is required")
        if not value.isprintable():
            raise self.body.refuse(field, f"has a character that cannot be seen, got {show(value)}")
        return value

    def texts(self, field: str) -> list[str] | None:
        """A list of texts."""
        values = self.body.items(field)
        if values is not None and not all(isinstance(one, str) for one in values):
            raise self.body.refuse(field, f"must be a list of strings, got {show(values)}")
        return values

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)

    @property
    def limit(self) -> int:
        given = self.query("limit") or "20"
        if not given.isascii() or not given.isdecimal() or int(given) > MOST:
            raise RequestError(f"`limit` must be between 0 and {MOST}, got `{given[:40]}`", param="limit")
        return int(given)

    @property
    def descending(self) -> bool:
        given = self.query("order") or "asc"
        if given not in ("asc", "desc"):
            raise RequestError(f"`order` must be asc or desc, got `{given[:40]}`", param="order")
        return given == "desc"

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.directory.database.read(work)

    async def change(self, work: Callable[[Change], T]) -> T:
        """A change in the name of whoever asks, once all fields of the body were taken."""
        self.body.refuse_rest()
        return await self.directory.change_later(actor_of(self.request, self.who), work)


def actor_of(request: Request, who: Caller) -> Actor:
    kind = "session" if who.key.startswith("session_") else "api_key"
    address = str(request.client.host) if request.client else ""
    return Actor(kind=kind, id=who.key, user=who.user, service_account=who.service_account, address=address)


def admin_route(
    directory: Directory, method: str, path: str, handler: Handler, *, writes: bool | None = None, own: bool = False
) -> tuple[str, str, Callable[[Request], Awaitable[Response]]]:
    """A route that needs admin.read or admin.write, or, for the own project, project.read or project.write.

    `writes`: whether it changes something, where the method does not tell. `own`: for whoever is signed on.
    """
    changes = method != "GET" if writes is None else writes

    async def answer(request: Request) -> Response:
        context: RequestContext = request.scope["context"]
        who = context.who
        assert who is not None  # the middleware lets nobody else in
        if not own:
            project = request.path_params.get("project_id")
            near = PROJECT_WRITE if changes else PROJECT_READ
            if project is None or project != who.project or near not in who.scopes:
                need(who, ADMIN_WRITE if changes else ADMIN_READ, told=() if project is None else (near,))
        raw = await request.body() if method == "POST" else b""
        body = Fields(parse_object(raw)) if raw else Fields({})
        return json_response(await handler(AdminCall(directory, request, who, body)))

    return method, path, answer


def listed(rows: list[Row], more: bool, *, id: str = "id") -> Row:
    """A page, in the shapes of all of OpenAI's cursors."""
    first, last = (rows[0][id], rows[-1][id]) if rows else (None, None)
    return {
        "object": "list", "data": rows, "first_id": first, "last_id": last, "has_more": more,
        "next": last if more else None,
    }  # fmt: skip


def cut(rows: list[Row], call: AdminCall, *, id: str = "id") -> Row:
    """The page of a list that was read whole."""
    if call.descending:
        rows = rows[::-1]
    after = call.query("after")
    at = next((at + 1 for at, row in enumerate(rows) if row[id] == after), 0)
    limit = call.limit
    return listed(rows[at : at + limit], len(rows) > at + limit, id=id)
