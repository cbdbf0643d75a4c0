"""The two addresses of signing on by OpenID Connect: where it begins, and where the provider sends the browser back."""

import base64
import hmac
import os
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from creuset.core.errors import NotAllowed, NotFound, RequestError
from creuset.server.admin.call import Routes
from creuset.server.admin.signon import begun
from creuset.server.tenants.cookies import cookie_of, set_cookie
from creuset.server.tenants.directory.audit import Actor
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.rows import from_json
from creuset.server.tenants.directory.tables import ORGANIZATIONS

COOKIE = "creuset_oidc"
LASTS_S = 600


def oidc_routes(directory: Directory) -> Routes:
    async def settings_of(organization: str | None) -> tuple[str, Any]:
        """The organization's id and settings; of the only one that has some where none is named."""
        from creuset.server.tenants.signon.oidc import OidcSettings

        def work(connection: Any) -> list[tuple[str, Any]]:
            rows = connection.execute(ORGANIZATIONS.select()).mappings()
            return [(row["id"], (from_json(row["settings"]) or {}).get("oidc")) for row in rows]

        found = [(id, told) for id, told in await directory.database.read(work) if told]
        found = [one for one in found if organization is None or one[0] == organization]
        if len(found) != 1:
            words = "say which organization" if found else "nobody signs on by a provider here"
            raise NotFound(words, param="organization")
        return found[0][0], msgspec.convert(found[0][1], OidcSettings)

    async def login(request: Request) -> Response:
        from creuset.server.tenants.signon.oidc import begin

        organization, settings = await settings_of(request.query_params.get("organization"))
        start = settings.url.rstrip("/") or f"{request.scope['scheme']}://{request.headers['host']}"
        url, pending = await begin(settings, organization, f"{start}/auth/oidc/callback", directory.now)
        kept = base64.urlsafe_b64encode(msgspec.json.encode(pending)).decode()
        cookie = set_cookie(request.headers["host"], f"{kept}.{_sign(directory, kept)}", LASTS_S, COOKIE)
        return RedirectResponse(url, 302, {"set-cookie": cookie, "cache-control": "no-store"})

    async def callback(request: Request) -> Response:
        from creuset.server.tenants.signon.oidc import Pending, finish, known

        kept, _, mark = cookie_of(request.headers.get("cookie", ""), request.headers["host"], COOKIE).rpartition(".")
        if not kept or not hmac.compare_digest(mark.encode(), _sign(directory, kept).encode()):
            raise NotAllowed("this sign-on was not begun in this browser, or is over", code="invalid_login")
        pending = msgspec.json.decode(base64.urlsafe_b64decode(kept), type=Pending)
        query = request.query_params
        if pending.until <= directory.now or not hmac.compare_digest(
            query.get("state", "").encode(), pending.state.encode()
        ):
            raise NotAllowed("this sign-on was not begun in this browser, or is over", code="invalid_login")
        if (code := query.get("code")) is None:
            raise RequestError(f"the provider refused the sign-on: {query.get('error', 'no code')[:80]}", param="code")
        organization, settings = await settings_of(pending.organization)
        secret = os.environ.get(settings.secret_env, "") if settings.secret_env else ""
        claims = await finish(settings, secret, pending, code, directory.now)
        address = str(request.client.host) if request.client else ""
        user = await directory.change_later(
            Actor(kind="session", address=address, email=str(claims.get("email") or "")),
            lambda change: known(change, settings, organization, claims),
        )
        reply = await begun(directory, request, user)
        answer = RedirectResponse("/", 303)
        answer.raw_headers += [pair for pair in reply.raw_headers if pair[0] in (b"set-cookie", b"cache-control")]
        return answer

    return [("GET", "/auth/oidc/login", login), ("GET", "/auth/oidc/callback", callback)]


def _sign(directory: Directory, text: str) -> str:
    return directory.pepper.digest(f"sign-on {text}").hex()
