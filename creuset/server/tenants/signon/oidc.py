"""Signing on by OpenID Connect: the code flow with PKCE, nonce and state; who comes back, what their groups give.

The ID token is believed when a key of the issuer's own set has signed it by an asymmetric algorithm, for our client,
with our nonce, now. Its header is never asked for a key.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from creuset.core.errors import EngineError, NotAllowed
from creuset.server.tenants.directory import people
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import Row, every, find
from creuset.server.tenants.directory.tables import GROUP_USERS, GROUPS, USERS

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
LEEWAY_S = 60  # clocks differ
TIMEOUT_S = 10.0
OWNER = "owner"


class ProviderFailed(EngineError):
    """The provider does not answer, or answers what it must not."""

    status = 502
    code = "sign_on_provider_failed"


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one organization signs on."""

    issuer: str
    client_id: str
    secret_env: str = ""  # the environment variable with the client's secret; empty: a public client
    url: str = ""  # of this server, as browsers know it; empty: as the request says
    groups_claim: str = "groups"
    groups: dict[str, str] = {}  # the provider's groups: `owner`, or the name of a group here
    create: bool = True  # whether people who were not known become users


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-on that has begun: what the browser keeps, signed, until it comes back."""

    organization: str
    state: str
    nonce: str
    verifier: str
    redirect: str
    until: int


async def begin(settings: OidcSettings, organization: str, redirect: str, now: int) -> tuple[str, Pending]:
    """Where to send the browser, and what it keeps meanwhile."""
    async with _client(settings, redirect) as client:
        told = await _described(client, settings)
        pending = Pending(
            organization=organization, state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24),
            verifier=generate_token(64), redirect=redirect, until=now + 600,
        )  # fmt: skip
        url, _ = client.create_authorization_url(
            told["authorization_endpoint"], state=pending.state, nonce=pending.nonce, code_verifier=pending.verifier
        )
        return str(url), pending


async def finish(settings: OidcSettings, secret: str, pending: Pending, code: str, now: int) -> dict[str, Any]:
    """The claims of whoever has signed on. NotAllowed for a token that is not to be believed."""
    async with _client(settings, pending.redirect, secret) as client:
        told = await _described(client, settings)
        try:
            found = await client.fetch_token(told["token_endpoint"], code=code, code_verifier=pending.verifier)
            keys = (await client.request("GET", told["jwks_uri"], withhold_token=True)).raise_for_status().json()
        except OAuthError as error:
            raise NotAllowed(f"the provider refused the sign-on: {str(error.error)[:80]}") from None
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            raise ProviderFailed(f"the provider `{settings.issuer}` failed: {type(error).__name__}") from None
    return believed(str(found.get("id_token") or ""), keys, settings, pending.nonce, now)


def believed(token: str, keys: Mapping[str, Any], settings: OidcSettings, nonce: str, now: int) -> dict[str, Any]:
    """The claims of an ID token. NotAllowed with the reason."""
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS).claims  # type: ignore[arg-type]
        jwt.JWTClaimsRegistry(
            now=now, leeway=LEEWAY_S, iss={"essential": True, "value": settings.issuer}, sub={"essential": True},
            aud={"essential": True, "value": settings.client_id}, exp={"essential": True}, iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)  # fmt: skip
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise NotAllowed(f"the ID token is not believed: {type(error).__name__}", code="invalid_id_token") from None
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != settings.client_id:
        raise NotAllowed("the ID token is not believed: it is for several, and not by our client")
    return dict(claims)


def known(change: Change, settings: OidcSettings, organization: str, claims: Mapping[str, Any]) -> Row:
    """The user of these claims: known by the subject, or by an address that the provider has verified, or new."""
    subject, email = f"{settings.issuer} {claims['sub']}", str(claims.get("email") or "")
    user = find(change.connection, USERS, organization, USERS.c.subject == subject)
    if user is None and email and claims.get("email_verified") is True:
        user = find(change.connection, USERS, organization, USERS.c.email == email.strip().lower())
        if user is not None and user["subject"] is None:
            user = people.update_user(change, organization, user["id"], subject=subject)
        elif user is not None:
            raise NotAllowed("this address belongs to somebody else at the provider", code="invalid_login")
    if user is None:
        if not settings.create or not email or claims.get("email_verified") is False:
            raise NotAllowed("nobody here is known by that name", code="invalid_login")
        name = str(claims.get("name") or "")[:256]
        user = people.create_user(change, organization, email, name, subject=subject)
    if not user["active"]:
        raise NotAllowed("nobody here is known by that name", code="invalid_login")
    return _with_groups(change, settings, organization, user, claims)


def _with_groups(
    change: Change, settings: OidcSettings, organization: str, user: Row, claims: Mapping[str, Any]
) -> Row:
    """The provider says who is in the groups that are mapped, and who is an owner where that is mapped."""
    told = claims.get(settings.groups_claim)
    told = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    given = {settings.groups[one] for one in told if isinstance(one, str) and one in settings.groups}
    mapped = set(settings.groups.values())
    inside = {
        row["group"] for row in every(change.connection, GROUP_USERS, organization, GROUP_USERS.c.user == user["id"])
    }
    for group in every(change.connection, GROUPS, organization, GROUPS.c.name.in_(mapped - {OWNER})):
        if group["name"] in given:
            people.join_group(change, organization, group["id"], user["id"])
        elif group["id"] in inside:
            people.leave_group(change, organization, group["id"], user["id"])
    role = OWNER if OWNER in given else "reader"
    if OWNER in mapped and user["role"] != role:
        user = people.update_user(change, organization, user["id"], role=role)
    return user


def _client(settings: OidcSettings, redirect: str, secret: str = "") -> Any:
    return AsyncOAuth2Client(
        settings.client_id, secret or None, scope="openid email profile", redirect_uri=redirect,
        code_challenge_method="S256", timeout=TIMEOUT_S,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
    )  # fmt: skip


async def _described(client: Any, settings: OidcSettings) -> dict[str, Any]:
    """What the provider says of itself."""
    try:
        url = settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        told = (await client.request("GET", url, withhold_token=True)).raise_for_status().json()
        if told["issuer"] != settings.issuer:
            raise ProviderFailed(f"the provider calls itself `{str(told['issuer'])[:200]}`, not `{settings.issuer}`")
        return {name: str(told[name]) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ProviderFailed(f"the provider `{settings.issuer}` failed: {type(error).__name__}") from None
