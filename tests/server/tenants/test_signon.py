"""Signing on with a password: the cookie, its session, the pages it is believed from, and how guesses get slower."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from creuset.server.tenants.cookies import cookie_of, set_cookie
from creuset.server.tenants.directory.people import invite, update_user
from creuset.server.tenants.keys import KeyRing, add_key
from creuset.server.tenants.signon import passwords
from creuset.server.tenants.signon.passwords import encoded, matches
from creuset.server.tenants.signon.throttle import Throttle, TooManyLogins

from ..conftest import NAME, Running, start
from .conftest import NOW, House, build

PASSWORD = "four ordinary words here"


@pytest.fixture(scope="module", autouse=True)
def fast() -> Iterator[None]:
    """Little work for each password: that of the library would take seconds of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path_factory.mktemp("signon") / "server.db", lambda: now[0], now)
    built.do(update_user, built.a, built.bob, password=encoded(PASSWORD))
    yield built
    built.directory.database.close()


@pytest.fixture(scope="module")
def server(folder: Path, house: House) -> Iterator[Running]:
    running = start(folder, people=house.directory)
    yield running
    running.close()


def login(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/auth/login", json={"email": "Bob@example.org", "password": PASSWORD} | fields)


def test_a_session_asks_models_makes_keys_and_ends(server: Running, house: House) -> None:
    client = server.client(headers={"origin": server.url})
    found = login(client)
    assert found.status_code == 200 and found.json()["user"]["email"] == "bob@example.org", found.text
    cookie = found.headers["set-cookie"]
    assert cookie.startswith("creuset_session=") and "; HttpOnly; SameSite=Lax" in cookie and "Max-Age=43200" in cookie
    chat = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}]}
    assert client.post("/v1/chat/completions", json=chat).json()["choices"][0]["message"]["content"] == "hi"
    told = client.get("/auth/session").json()
    assert told["signed_on"] and told["scopes"] == ["inference"] and told["project"] == house.project
    made = client.post("/v1/creuset/keys", json={"name": "own", "models": [NAME], "expires_in_seconds": 60}).json()
    key = {"x-api-key": made["value"]}
    assert server.own.get("/auth/session", headers=key).json()["signed_on"] is False
    assert [one["name"] for one in client.get("/v1/creuset/keys").json()["data"]] == ["own"]
    no = server.own.post("/v1/creuset/keys", headers=key, json={"name": "more"})
    assert (no.status_code, no.json()["error"]["code"]) == (403, "session_required"), "a key makes no keys"
    new = server.own.post(f"/v1/creuset/keys/{made['id']}/rotate", headers=key, json={"overlap_seconds": 0}).json()
    assert server.own.get("/v1/models", headers=key).status_code == 401
    assert server.own.get("/v1/models", headers={"x-api-key": new["value"]}).status_code == 200
    assert client.delete(f"/v1/creuset/keys/{new['id']}").json()["deleted"]
    assert client.post("/auth/logout", json={}).headers["set-cookie"].startswith("creuset_session=; Max-Age=0")
    client.cookies.set("creuset_session", cookie.partition("=")[2].partition(";")[0])
    over = client.get("/auth/session")
    assert (over.status_code, over.json()["error"]["code"]) == (401, "session_over"), "the token is dead, not only gone"


def test_a_login_gives_a_new_token_and_ends_the_old_one(server: Running) -> None:
    client = server.client(headers={"origin": server.url})
    tokens = []
    for _ in range(2):
        assert login(client).status_code == 200
        tokens.append(client.cookies["creuset_session"])
    assert tokens[0] != tokens[1] and len(client.get("/auth/sessions").json()["data"]) == 1
    stale = {"cookie": f"creuset_session={tokens[0]}"}
    assert server.own.get("/auth/session", headers=stale).status_code == 401
    assert tokens[1] not in server.log.getvalue()
    (here,) = client.get("/auth/sessions").json()["data"]
    assert here["this"] and client.delete(f"/auth/sessions/{here['id']}").json()["deleted"]
    assert client.get("/auth/session").status_code == 401


def test_a_cookie_counts_for_pages_of_this_server_only(server: Running) -> None:
    client = server.client(headers={"origin": server.url})
    login(client)
    token = {"cookie": f"creuset_session={client.cookies['creuset_session']}"}
    for origin, status in ((server.url, 200), ("https://evil.example", 403), ("null", 403), (None, 403)):
        headers = token | ({"origin": origin} if origin else {})
        assert server.own.post("/tokenize", json={"prompt": "a"}, headers=headers).status_code == status, origin
    form = {"content-type": "application/x-www-form-urlencoded", "origin": server.url}
    assert server.own.post("/auth/logout", content=b"a=b", headers=token | form).status_code == 415
    assert server.own.get("/v1/models", headers=token).status_code == 200
    both = token | {"x-api-key": "crs-wrong"}
    assert server.own.get("/v1/models", headers=both).status_code == 401, "a key that is given is the one that counts"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"password": "wrong"}, 401, "the address or the password is wrong"),
        ({"email": "nobody@example.org"}, 401, "the address or the password is wrong"),
        ({"email": "ann@example.org"}, 401, "the address or the password is wrong"),
        ({"organization": "org_other"}, 401, "the address or the password is wrong"),
        ({"email": None}, 400, "`email` is required"),
        ({"password": 5}, 400, "`password` must be a string, got 5"),
        ({"remember": True}, 400, "`remember` is not a field"),
    ],
)
def test_a_login_that_fails_says_nothing_of_who_there_is(
    server: Running, fields: dict[str, Any], status: int, words: str
) -> None:
    found = login(server.client(), **fields)
    assert found.status_code == status and words in found.json()["error"]["message"]
    assert "set-cookie" not in found.headers and 'wrong"' not in server.log.getvalue()


def test_an_invite_becomes_a_person_who_has_signed_on(server: Running, house: House) -> None:
    _, token = house.do(invite, house.a, "cy@example.org", "reader", [{"id": house.project, "role": "member"}])
    client = server.client(headers={"origin": server.url})
    short = client.post("/auth/accept", json={"token": token, "password": "short"})
    assert short.status_code == 400 and "12 to 256 characters, got 5" in short.json()["error"]["message"]
    assert client.post("/auth/accept", json={"token": token, "password": PASSWORD, "name": "Cy"}).status_code == 200
    assert client.get("/auth/session").json()["user"]["name"] == "Cy"
    assert client.post("/auth/accept", json={"token": token, "password": PASSWORD}).status_code == 400
    wrong = client.post("/auth/password", json={"current": "no", "new": PASSWORD + "!"})
    assert wrong.status_code == 401
    assert client.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD + "!"}).json()["changed"]
    assert client.get("/auth/session").status_code == 401, "all sessions end with the password"
    assert login(client, email="cy@example.org").status_code == 401
    assert login(client, email="cy@example.org", password=PASSWORD + "!").status_code == 200


def test_guesses_get_slower_and_the_right_password_ends_that() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    waited = []
    for _ in range(14):
        throttle.failed("bob", "192.0.2.1")
        try:
            throttle.check("bob", "192.0.2.1")
            waited.append(0.0)
        except TooManyLogins as slow:
            assert slow.status == 429 and slow.retry_after is not None
            waited.append(slow.retry_after)
            now[0] += slow.retry_after
            throttle.check("bob", "192.0.2.1")
    assert waited == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    throttle.check("ann", "192.0.2.1")
    throttle.succeeded("bob")
    throttle.check("bob", "192.0.2.1")
    for n in range(17):
        throttle.failed(f"user{n}", "192.0.2.1")
    with pytest.raises(TooManyLogins):
        throttle.check("ann", "192.0.2.1")
    now[0] += 1000
    throttle.failed("ann", "192.0.2.1")
    throttle.check("ann", "192.0.2.1")


def test_passwords_are_argon2id_and_no_stored_one_matches_nothing() -> None:
    stored = encoded(PASSWORD)
    usual = PasswordHasher()
    assert (usual.memory_cost, usual.time_cost, usual.type.name) == (65536, 3, "ID"), "RFC 9106, second choice"
    assert stored.startswith("$argon2id$") and PASSWORD not in stored and encoded(PASSWORD) != stored
    assert matches(stored, PASSWORD) and not matches(stored, PASSWORD + "x")
    assert not matches(None, "") and not matches(None, PASSWORD) and not matches("damaged", PASSWORD)


def test_a_cookie_is_secure_everywhere_but_on_this_machine(tmp_path: Path) -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert set_cookie(host, "t", 9) == "creuset_session=t; Max-Age=9; Path=/; HttpOnly; SameSite=Lax"
    for host in ("ai.example", "ai.example:8443", "192.0.2.1:80", "localhost.evil.example"):
        assert set_cookie(host, "t", 9).startswith("__Host-creuset_session=t;") and "; Secure" in set_cookie(
            host, "t", 9
        )
    both = "creuset_session=planted; __Host-creuset_session=own"
    assert (cookie_of(both, "ai.example"), cookie_of(both, "localhost:1")) == ("own", "planted")
    assert cookie_of("creuset_session=planted", "ai.example") == "", "a neighbouring host can set that one"
    add_key(tmp_path / "keys", "ann")
    with pytest.raises(Exception, match="an API key is required"):
        KeyRing(tmp_path / "keys").session("t")
