"""Signing on at an OpenID Connect provider: the whole way at a mock of one, and ID tokens that are not believed."""

import base64
import hmac
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from creuset.core.errors import NotAllowed
from creuset.server.tenants.directory.people import create_group, create_user, update_user
from creuset.server.tenants.directory.projects import add_member, set_sign_on
from creuset.server.tenants.signon.oidc import OidcSettings, believed

from ..conftest import Running, start
from .conftest import House, build

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the mock's own, in its threads
SETTINGS = OidcSettings(issuer="https://idp.example", client_id="creuset")
KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
KEYS = {"keys": [KEY.as_dict(private=False)]}
NOW = 1_796_000_000
CLAIMS = {"iss": SETTINGS.issuer, "sub": "s1", "aud": "creuset", "nonce": "n", "iat": NOW - 5, "exp": NOW + 300}


def signed(claims: dict[str, Any] | None = None, key: Any = KEY, **header: Any) -> str:
    head = {"alg": "RS256", "kid": "one"} | header
    return jwt.encode(head, CLAIMS | (claims or {}), key, algorithms=[head["alg"]])


def test_a_token_of_the_provider_is_believed() -> None:
    assert believed(signed({"groups": ["a"]}), KEYS, SETTINGS, "n", NOW)["groups"] == ["a"]
    several = {"aud": ["creuset", "other"], "azp": "creuset"}
    assert believed(signed(several), KEYS, SETTINGS, "n", NOW)["azp"] == "creuset"


def forged(header: str, body: str, mark: str = "") -> str:
    return f"{header}.{body}.{mark}"


def _wrong() -> dict[str, str]:
    thief = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    head, body, mark = signed().split(".")
    none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    hs256 = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    mac = hmac.digest(KEY.as_pem(private=False), f"{hs256}.{body}".encode(), "sha256")
    return {
        "alg none": forged(none, body), "alg none with a mark": forged(none, body, mark),
        "signed by another key": signed(key=thief),
        "a key in its header": signed(key=thief, jwk=thief.as_dict(private=False)),
        "HMAC with the public key": forged(hs256, body, base64.urlsafe_b64encode(mac).rstrip(b"=").decode()),
        "for another client": signed({"aud": "other"}), "for several": signed({"aud": ["creuset", "other"]}),
        "of another issuer": signed({"iss": "https://evil.example"}), "another nonce": signed({"nonce": "m"}),
        "over": signed({"exp": NOW - 61}), "of tomorrow": signed({"iat": NOW + 86_400}),
        "changed": f"{head}.{body[:-2]}xx.{mark}", "nothing": "", "words": "a.b.c",
        "no subject": jwt.encode({"alg": "RS256", "kid": "one"}, {k: v for k, v in CLAIMS.items() if k != "sub"}, KEY),
    }  # fmt: skip


@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in _wrong().items()])
def test_a_token_that_is_not_to_be_believed_is_refused(token: str) -> None:
    with pytest.raises(NotAllowed, match="the ID token is not believed") as refused:
        believed(token, KEYS, SETTINGS, "n", NOW)
    assert token not in str(refused.value) or not token


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    def user(sub: str, **claims: Any) -> oidc_provider_mock.User:
        return oidc_provider_mock.User(sub=sub, claims=claims)

    people = [
        user("s-cy", email="cy@example.org", email_verified=True, name="Cy", groups=["staff", "admins"]),
        user("s-bob", email="bob@example.org", email_verified=True, groups=["staff"]),
        user("s-thief", email="ann@example.org", email_verified=False),
        user("s-gone", email="gone@example.org", email_verified=True),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OIDC_SECRET", "secret-of-the-client")
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the mock speaks no TLS
        with oidc_provider_mock.run_server_in_thread(user_claims=people) as running:
            yield f"http://localhost:{running.server_port}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[House]:
    built = build(tmp_path_factory.mktemp("oidc") / "server.db", time.time, [])
    group = built.do(create_group, built.a, "people")["id"]
    built.do(add_member, built.a, built.project, "group", group)
    gone = built.do(create_user, built.a, "gone@example.org")["id"]
    built.do(update_user, built.a, gone, active=False)
    groups = {"staff": "people", "admins": "owner"}
    built.do(set_sign_on, built.a, {"issuer": provider, "client_id": "creuset", "groups": groups,
                                          "secret_env": "OIDC_SECRET"})  # fmt: skip
    yield built
    built.directory.database.close()


@pytest.fixture(scope="module")
def server(folder: Path, house: House) -> Iterator[Running]:
    running = start(folder, people=house.directory)
    yield running
    running.close()


def sign_on(server: Running, subject: str) -> tuple[httpx.Client, httpx.Response]:
    """What a browser does, and the answer to the way back."""
    client = server.client()
    to = client.get("/auth/oidc/login")
    assert to.status_code == 302, to.text
    asked = parse_qs(urlsplit(to.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["nonce"] and asked["state"]
    with httpx.Client(trust_env=False, verify=False) as browser:
        back = browser.post(to.headers["location"], data={"sub": subject})
    assert back.status_code == 302, back.text
    return client, client.get(back.headers["location"], headers={"sec-fetch-site": "cross-site"})


def test_people_of_the_provider_come_in_with_their_groups(server: Running, house: House) -> None:
    client, done = sign_on(server, "s-cy")
    assert (done.status_code, done.headers.get("location")) == (303, "/"), done.text
    told = client.get("/auth/session").json()
    assert told["user"]["email"] == "cy@example.org" and told["user"]["role"] == "owner"
    assert "admin.write" in told["scopes"] and told["project"] == house.project
    client, done = sign_on(server, "s-bob")
    told = client.get("/auth/session").json()
    assert told["user"]["id"] == house.bob, "known by the address that the provider has verified"
    assert told["user"]["role"] == "reader" and told["scopes"] == ["inference"]


@pytest.mark.parametrize(("subject", "status"), [("s-thief", 401), ("s-gone", 401)])
def test_an_address_that_is_not_verified_and_a_person_who_is_not_active_stay_out(
    server: Running, subject: str, status: int
) -> None:
    client, done = sign_on(server, subject)
    assert done.status_code == status and "nobody here is known" in done.json()["error"]["message"]
    assert client.get("/auth/session").status_code == 401


def test_a_way_back_that_was_not_begun_here_is_refused(server: Running) -> None:
    client = server.client()
    to = client.get("/auth/oidc/login")
    state = parse_qs(urlsplit(to.headers["location"]).query)["state"][0]
    for query in ({"code": "x", "state": "other"}, {"code": "x"}):
        assert client.get("/auth/oidc/callback", params=query).status_code == 401
    stranger = server.client()
    assert stranger.get("/auth/oidc/callback", params={"code": "x", "state": state}).status_code == 401
    kept = client.cookies["creuset_oidc"]
    stranger.cookies.set("creuset_oidc", re.sub(r"^..", "ey", kept)[:-1] + ("0" if kept[-1] != "0" else "1"))
    assert stranger.get("/auth/oidc/callback", params={"code": "x", "state": state}).status_code == 401
    refused = client.get("/auth/oidc/callback", params={"error": "access_denied", "state": state})
    assert refused.status_code == 400 and "access_denied" in refused.json()["error"]["message"]
    assert client.get("/auth/oidc/callback", params={"code": "x", "state": state}).status_code == 401, "no such code"
    assert client.get("/auth/oidc/login", params={"organization": "org_none"}).status_code == 404


def test_a_provider_that_is_down_or_another_one_is_named(server: Running, house: House, provider: str) -> None:
    house.do(set_sign_on, house.b, {"issuer": "http://127.0.0.1:9", "client_id": "x"})
    down = server.own.get("/auth/oidc/login", params={"organization": house.b})
    assert down.status_code == 502
    assert "127.0.0.1:9" in down.json()["error"]["message"]
    house.do(set_sign_on, house.b, {"issuer": provider + "/", "client_id": "x"})
    other = server.own.get("/auth/oidc/login", params={"organization": house.b})
    assert other.status_code == 502 and "calls itself" in other.json()["error"]["message"], other.text
    house.do(set_sign_on, house.b, None)
