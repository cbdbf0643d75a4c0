"""SCIM: scim2-tester's checks of the protocol, and what it does to people's keys and groups."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.tables import USERS

from ..conftest import Running, start
from .conftest import NOW, House, build

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path_factory.mktemp("scim") / "server.db", lambda: now[0], now)
    yield built
    built.directory.database.close()


@pytest.fixture(scope="module")
def token(house: House) -> str:
    return house.do(issue, house.a, "idp", kind="scim")[1]


@pytest.fixture(scope="module")
def server(folder: Path, house: House, token: str) -> Iterator[Running]:
    running = start(folder, people=house.directory)
    yield running
    running.close()


@pytest.fixture(scope="module")
def idp(server: Running, token: str) -> Any:
    media = {"authorization": f"Bearer {token}", "content-type": "application/scim+json"}
    client = server.client(headers=media)
    client.base_url = httpx.URL(f"{server.url}/scim/v2")
    return client


@pytest.mark.slow
def test_the_protocol_holds_what_its_tester_checks(server: Running, token: str) -> None:
    import httpx2
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import Status, check_server

    with httpx2.Client(
        base_url=f"{server.url}/scim/v2", headers={"authorization": f"Bearer {token}"}, trust_env=False, verify=False
    ) as client:
        results = check_server(SyncSCIMClient(client), raise_exceptions=False)
    wrong = [(one.title, one.reason) for one in results if one.status in (Status.ERROR, Status.CRITICAL)]
    assert not wrong and sum(one.status is Status.SUCCESS for one in results) > 20, wrong


def person(user_name: str, /, **more: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": user_name, "emails": [{"value": user_name, "primary": True}]} | more


def patch(*operations: tuple[str, str, Any]) -> dict[str, Any]:
    told = [{"op": op, "path": path} | ({} if value is None else {"value": value}) for op, path, value in operations]
    return {"schemas": [PATCH], "Operations": told}


def test_a_person_comes_works_is_paused_and_goes(idp: httpx.Client, house: House, server: Running) -> None:
    made = idp.post("Users", json=person("Cy@example.org", name={"givenName": "Cy", "familyName": "Nil"}, active=True))
    assert made.status_code == 201 and made.headers["location"].endswith(made.json()["id"]), made.text
    assert made.headers["content-type"] == "application/scim+json"
    id = made.json()["id"]
    group = idp.post("Groups", json={"displayName": "staff", "members": [{"value": id}]}).json()["id"]
    assert [one["value"] for one in idp.get(f"Users/{id}").json()["groups"]] == [group]
    admin = {"x-api-key": house.key(house.ann)[1]}
    into = {"group_id": group, "role": "member"}
    add = server.own.post(f"/v1/organization/projects/{house.project}/groups", headers=admin, json=into)
    assert add.status_code == 200, add.text
    _, key = house.key(id)
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 200
    told = idp.patch(f"Users/{id}", json=patch(("replace", "active", False)))
    assert told.status_code == 200 and told.json()["active"] is False
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 401, "at once"
    assert idp.patch(f"Users/{id}", json=patch(("replace", "active", True))).json()["active"] is True
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 200
    idp.patch(f"Groups/{group}", json=patch(("remove", f'members[value eq "{id}"]', None)))
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 401, "out of the group"
    idp.patch(f"Groups/{group}", json=patch(("add", "members", [{"value": id}])))
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 200
    assert idp.delete(f"Users/{id}").status_code == 204
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 401, "a removed person"
    assert idp.get(f"Users/{id}").status_code == 404 and idp.get(f"Groups/{group}").json().get("members") is None
    assert idp.delete(f"Groups/{group}").status_code == 204


def test_people_are_found_by_filter_and_in_pages(idp: httpx.Client) -> None:
    ids = [idp.post("Users", json=person(f"p{n}@example.org", externalId=f"x{n}")).json()["id"] for n in range(3)]
    found = idp.get("Users", params={"filter": 'userName eq "P1@example.org"'}).json()
    assert found["totalResults"] == 1 and found["Resources"][0]["id"] == ids[1]
    assert idp.get("Users", params={"filter": 'externalId eq "x2"'}).json()["Resources"][0]["id"] == ids[2]
    page = idp.get("Users", params={"filter": 'userName sw "p"', "sortBy": "userName", "startIndex": 2, "count": 1})
    assert [one["id"] for one in page.json()["Resources"]] == [ids[1]] and page.json()["totalResults"] == 3
    known = idp.get("Users", params={"filter": 'userName eq "ann@example.org"', "attributes": "userName"}).json()
    assert set(known["Resources"][0]) == {"schemas", "id", "userName"}, "who was there before is found too"
    for id in ids:
        idp.delete(f"Users/{id}")


def test_a_password_is_kept_as_argon2_and_never_told(idp: httpx.Client, house: House) -> None:
    told = idp.post("Users", json=person("pw@example.org", password="four ordinary words"))
    assert "password" not in told.json()
    with house.directory.database.reading() as connection:
        row = connection.execute(USERS.select().where(USERS.c.email == "pw@example.org")).mappings().one()
    assert row["password"].startswith("$argon2id$") and "ordinary" not in row["details"]
    assert idp.delete(f"Users/{row['id']}").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "Users", {"schemas": [USER]}, 400, "userName"),
        ("POST", "Users", person("ann@example.org"), 409, "there is a user with the userName"),
        ("POST", "Users", person("other", emails=[{"value": "ann@example.org"}]), 409, "there is a user called"),
        ("POST", "Groups", {"displayName": "g", "members": [{"value": "user_none"}]}, 404, "no user with the id"),
        ("POST", "Groups", {"displayName": "g", "members": [{"value": "EVE"}]}, 404, "no user with the id"),
        ("GET", "Users?filter=userName%20is%20x", None, 400, ""),
        ("GET", "Users/EVE", None, 404, "there is no"),
        ("PATCH", "Users/EVE", patch(("replace", "active", False)), 404, "there is no"),
        ("DELETE", "Users/EVE", None, 404, "there is no"),
        ("DELETE", "Users/ANN", None, 400, "an organization needs an owner"),
        ("PATCH", "Users/ANN", patch(("replace", "active", False)), 400, "an organization needs an owner"),
        ("PATCH", "Users/ANN", patch(("replace", "id", "x")), 400, ""),
        ("POST", "Users", [], 400, "must be a JSON object"),
        ("GET", "Nothing", None, 404, "there is nothing"),
    ],
)
def test_what_cannot_be_is_a_scim_error(
    idp: httpx.Client, house: House, method: str, path: str, body: Any, status: int, words: str
) -> None:
    def named(text: str) -> str:
        return text.replace("EVE", house.eve).replace("ANN", house.ann)

    more = {} if body is None else {"content": named(httpx.Request("POST", "http://x", json=body).content.decode())}
    found = idp.request(method, named(path), **more)
    told = found.json()
    assert found.status_code == status and told["status"] == str(status) and words in told["detail"], found.text
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


def test_only_a_key_for_it_may_provision(server: Running, house: House, token: str) -> None:
    assert server.own.get("/scim/v2/Users").status_code == 401
    assert server.own.get("/scim/v2/Users", headers={"x-api-key": token}).status_code == 200
    _, key = house.key(house.ann)
    assert server.own.get("/v1/models", headers={"x-api-key": key}).status_code == 200
    assert server.own.get("/scim/v2/Users", headers={"x-api-key": key}).json()["status"] == "403"
    for path in ("/v1/models", "/v1/organization/users"):
        assert server.own.get(path, headers={"x-api-key": token}).status_code == 403
