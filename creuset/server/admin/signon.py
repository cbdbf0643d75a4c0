"""Signing on and off, invites, sessions, and the keys that a person makes for themself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.errors import Forbidden, RequestError
from creuset.server.admin.call import AdminCall, Routes, actor_of, admin_route
from creuset.server.admin.shapes import key_object, new_key_object, user_object
from creuset.server.state import json_response
from creuset.server.tenants.cookies import cookie_of, set_cookie
from creuset.server.tenants.directory import keys, people, sessions
from creuset.server.tenants.directory.audit import Actor
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.rows import Row, by_id, every
from creuset.server.tenants.directory.tables import KEYS, USERS
from creuset.types.fields import Fields, parse_object

AT_ONCE = 2  # passwords that are checked together: each takes 64 MiB
KEY_KIND = "organization.project.api_key"


def signon_routes(directory: Directory) -> Routes:
    checking = asyncio.Semaphore(AT_ONCE)
    throttles: list[Any] = []

    def throttle() -> Any:
        from creuset.server.tenants.signon.throttle import Throttle

        if not throttles:
            throttles.append(Throttle())
        return throttles[0]

    async def login(request: Request) -> Response:
        from creuset.server.tenants.signon.passwords import LONGEST, matches

        fields = Fields(parse_object(await request.body()))
        email, password = fields.text("email", max_chars=256), fields.text("password", max_chars=LONGEST)
        organization = fields.text("organization", max_chars=64)
        fields.refuse_rest()
        if not email or not password:
            raise fields.refuse("password" if email else "email", "is required")
        address, account = _address(request), email.strip().lower()
        throttle().check(account, address)
        found = await directory.database.read(lambda c: sessions.candidates(c, email, organization))
        async with checking:
            fits = [
                await asyncio.to_thread(matches, row["password"], password) for row in found or [{"password": None}]
            ]
        users = [row for row, fit in zip(found, fits, strict=False) if fit]
        actor = Actor(kind="session", address=address, email=account)
        if not users:
            throttle().failed(account, address)
            await directory.change_later(actor, lambda change: sessions.failed(change, found))
            raise sessions.wrong()
        if len(users) > 1:
            words = "this address is in several organizations: say which, by its id"
            raise RequestError(words, param="organization")
        throttle().succeeded(account)
        return await begun(directory, request, users[0])

    async def accept(request: Request) -> Response:
        from creuset.server.tenants.signon.passwords import encoded

        fields = Fields(parse_object(await request.body()))
        token, password = fields.text("token", max_chars=256), fields.text("password")
        name = fields.text("name", max_chars=256) or ""
        fields.refuse_rest()
        if not token or password is None:
            raise fields.refuse("password" if token else "token", "is required")
        throttle().check(token, _address(request))
        async with checking:
            hashed = await asyncio.to_thread(encoded, password)
        actor = Actor(kind="session", address=_address(request))
        try:
            user = await directory.change_later(actor, lambda change: people.accept(change, token, name, hashed))
        except RequestError:
            throttle().failed(token, _address(request))
            raise
        return await begun(directory, request, user)

    found = [("POST", "/auth/login", login), ("POST", "/auth/accept", accept)]
    return [
        *found,
        *(admin_route(directory, *row, own=True) for row in _OWN),
        ("POST", "/auth/logout", _logout(directory)),
    ]


async def begun(directory: Directory, request: Request, user: Row, headers: dict[str, str] | None = None) -> Response:
    """The reply that begins a session of `user`: the token is new, and the browser's old session ends."""
    before = cookie_of(request.headers.get("cookie", ""), request.headers["host"])
    actor = Actor(kind="session", user=user["id"], email=user["email"], address=_address(request))
    token = await directory.change_later(actor, lambda change: sessions.begin(change, user, before))
    cookie = {"set-cookie": set_cookie(request.headers["host"], token, sessions.LASTS_S), "cache-control": "no-store"}
    return json_response({"user": user_object(user), "expires_in": sessions.LASTS_S}, headers=cookie | (headers or {}))


def _logout(directory: Directory) -> Callable[[Request], Awaitable[Response]]:
    async def logout(request: Request) -> Response:
        who = request.scope["context"].who
        if who.key.startswith("session_"):
            actor = actor_of(request, who)
            await directory.change_later(actor, lambda c: sessions.end(c, who.organization, who.user, who.key))
        cookie = {"set-cookie": set_cookie(request.headers["host"], "", 0)}
        return json_response({"signed_on": False}, headers=cookie)

    return logout


async def _session(call: AdminCall) -> Row:
    """Who is signed on, or whose key it is."""
    who = call.who
    user = await call.read(lambda c: by_id(c, USERS, who.organization, who.user, "user")) if who.user else None
    return {
        "signed_on": who.key.startswith("session_"), "organization": who.organization, "project": who.project or None,
        "user": user and user_object(user), "service_account": who.service_account or None,
        "scopes": sorted(who.scopes),
    }  # fmt: skip


async def _sessions(call: AdminCall) -> Row:
    rows = await call.read(lambda c: sessions.sessions_of(c, call.organization, call.who.user))
    shown = ("id", "created", "expires", "address")
    data = [{name: row[name] for name in shown} | {"this": row["id"] == call.who.key} for row in rows]
    return {"object": "list", "data": data}


async def _end_session(call: AdminCall) -> Row:
    id = call.place("session_id")
    await call.change(lambda c: sessions.end(c, call.organization, call.who.user, id))
    return {"id": id, "deleted": True}


async def _password(call: AdminCall) -> Row:
    """A new password; all sessions end, this one too."""
    from creuset.server.tenants.signon.passwords import encoded, matches

    _signed_on(call)
    current, new = call.body.text("current") or "", call.name("new")
    user = await call.read(lambda c: by_id(c, USERS, call.organization, call.who.user, "user"))
    if not await asyncio.to_thread(matches, user["password"], current):
        raise sessions.wrong()
    hashed = await asyncio.to_thread(encoded, new)
    await call.change(lambda c: people.update_user(c, call.organization, user["id"], password=hashed))
    return {"changed": True}


async def _own_keys(call: AdminCall) -> Row:
    def work(connection: Connection) -> list[Row]:
        mine = (KEYS.c.user == (call.who.user or "nobody"), KEYS.c.revoked.is_(None))
        rows = every(connection, KEYS, call.organization, *mine, order=[KEYS.c.created, KEYS.c.id])
        return [key_object(connection, row) for row in rows]

    return {"object": "list", "data": await call.read(work)}


async def _create_key(call: AdminCall) -> Row:
    _signed_on(call)
    name, lasts = call.name(), call.body.integer("expires_in_seconds", 1, 10**9)
    scopes, models, addresses = call.texts("scopes"), call.texts("models"), call.texts("addresses")
    project = call.body.text("project") or call.who.project

    def work(change: Any) -> Row:
        row, secret = keys.issue(
            change, call.organization, name, project=project, user=call.who.user, scopes=scopes, models=models,
            addresses=addresses, expires=None if lasts is None else change.now + lasts,
        )  # fmt: skip
        return new_key_object(row, secret, KEY_KIND)

    return await call.change(work)


async def _rotate_key(call: AdminCall) -> Row:
    """The new key can do what the old one can: a key may rotate itself, and a signed-on person each of theirs."""
    id, overlap = call.place("own_key_id"), call.body.integer("overlap_seconds", 0, 365 * 86_400)
    if id != call.who.key:
        _signed_on(call)

    def work(change: Any) -> Row:
        keys.key_of(change.connection, call.organization, id, KEYS.c.user == (call.who.user or "nobody"))
        row, secret = keys.rotate(
            change, call.organization, id, overlap_s=keys.OVERLAP_S if overlap is None else overlap
        )
        return new_key_object(row, secret, KEY_KIND)

    return await call.change(work)


async def _delete_key(call: AdminCall) -> Row:
    id, mine = call.place("own_key_id"), KEYS.c.user == (call.who.user or "nobody")
    if id != call.who.key:
        _signed_on(call)
    await call.change(lambda c: keys.revoke(c, call.organization, id, mine))
    return {"id": id, "deleted": True}


def _signed_on(call: AdminCall) -> None:
    """A key makes no keys: one that was stolen could outlive its end."""
    if not call.who.key.startswith("session_"):
        raise Forbidden("this needs a person who has signed on, and not a key", code="session_required")


def _address(request: Request) -> str:
    return str(request.client.host) if request.client else ""


_OWN: list[tuple[str, str, Any]] = [
    ("GET", "/auth/session", _session), ("GET", "/auth/sessions", _sessions),
    ("DELETE", "/auth/sessions/{session_id}", _end_session), ("POST", "/auth/password", _password),
    ("GET", "/v1/creuset/keys", _own_keys), ("POST", "/v1/creuset/keys", _create_key),
    ("POST", "/v1/creuset/keys/{own_key_id}/rotate", _rotate_key),
    ("DELETE", "/v1/creuset/keys/{own_key_id}", _delete_key),
]  # fmt: skip
