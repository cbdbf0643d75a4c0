"""Administration by OpenAI's own client: a project, its people and keys, roles, invites, models, the audit log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.people import accept

from ..conftest import Running, start
from .conftest import NOW, House, build


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path_factory.mktemp("admin") / "server.db", lambda: now[0], now)
    yield built
    built.directory.database.close()


@pytest.fixture(scope="module")
def server(folder: Path, house: House, keys: dict[str, str]) -> Iterator[Running]:
    running = start(folder, people=house.directory)
    yield running
    running.close()


@pytest.fixture(scope="module")
def admin(server: Running, house: House, keys: dict[str, str]) -> Any:
    """The client's own view of an organization, with strict validation of every reply."""
    key = keys["admin"]
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    client = openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", admin_api_key=key, max_retries=0, http_client=plain,
        _strict_response_validation=True,
    )  # fmt: skip
    server.clients.append(client)
    return client.admin.organization


@pytest.fixture(scope="module")
def keys(house: House) -> dict[str, str]:
    """Keys of the owner, made before the server starts."""
    admin = house.do(issue, house.a, "admin", kind="admin", user=house.ann)[1]
    return {"ann": house.key(house.ann)[1], "admin": admin}


def works(server: Running, key: str) -> int:
    return server.own.get("/v1/models", headers={"x-api-key": key}).status_code


def test_a_project_gets_people_and_programs(server: Running, house: House, admin: Any) -> None:
    project = admin.projects.create(name="search")
    assert project.status == "active" and project.id in [one.id for one in admin.projects.list()]
    assert admin.projects.update(project.id, name="find").name == "find"
    user = admin.projects.users.create(project.id, user_id=house.bob, role="member")
    assert (user.email, user.role) == ("bob@example.org", "member")
    assert admin.projects.users.update(house.bob, project_id=project.id, role="owner").role == "owner"
    account = admin.projects.service_accounts.create(project.id, name="robot")
    assert works(server, account.api_key.value) == 200
    second = admin.projects.service_accounts.api_keys.create(account.id, project_id=project.id, name="second")
    listed = admin.projects.api_keys.list(project.id).data
    assert {one.name for one in listed} == {"robot", "second"} and listed[0].owner.service_account.name == "robot"
    admin.projects.api_keys.delete(second.id, project_id=project.id)
    assert works(server, second.value) == 401, "a deleted key works no more, at once"
    assert admin.projects.model_permissions.retrieve(project.id).api_model_ids == []
    admin.projects.model_permissions.update(project.id, mode="allow_list", model_ids=["other"])
    assert house.directory.identify(account.api_key.value).models == {"other"}
    admin.projects.archive(project.id)
    assert works(server, account.api_key.value) == 401
    assert project.id not in [one.id for one in admin.projects.list()]


def test_a_project_owner_administers_their_project_and_no_other(server: Running, house: House, admin: Any) -> None:
    near, far = admin.projects.create(name="near"), admin.projects.create(name="far")
    admin.projects.users.create(near.id, user_id=house.bob, role="owner")
    key = house.key(project=near.id)[1]
    asked = {
        path: server.own.get(f"/v1/organization/{path}", headers={"x-api-key": key}).status_code
        for path in (f"projects/{near.id}/users", f"projects/{far.id}/users", "users", f"projects/{near.id}/api_keys")
    }
    assert list(asked.values()) == [200, 403, 403, 200], asked


def test_roles_and_groups(house: House, admin: Any) -> None:
    group = admin.groups.create(name="staff")
    admin.groups.users.create(group.id, user_id=house.bob)
    assert [one.email for one in admin.groups.users.list(group.id)] == ["bob@example.org"]
    role = admin.roles.create(role_name="books", permissions=["usage.read"], description="for accounting")
    assert admin.groups.roles.create(group.id, role_id=role.id).role.name == "books"
    assert "usage.read" in house.directory.identify(house.key()[1]).scopes
    assert {one.name for one in admin.roles.list()} == {"owner", "reader", "books"}
    with pytest.raises(openai.BadRequestError, match="`permissions` has `everything`; a role can have"):
        admin.roles.create(role_name="x", permissions=["everything"])
    with pytest.raises(openai.BadRequestError, match="the role `owner` is given"):
        admin.roles.delete("role_organization_owner")
    with pytest.raises(openai.ConflictError, match="there is a role called `books` already"):
        admin.roles.create(role_name="books", permissions=[])
    admin.groups.delete(group.id)
    assert "usage.read" not in house.directory.identify(house.key()[1]).scopes


def test_an_invite_is_accepted_by_its_token(house: House, admin: Any, server: Running) -> None:
    made = admin.invites.with_raw_response.create(email="Cy@example.org", role="reader")
    token, found = made.http_response.json()["token"], made.parse()
    assert found.status == "pending" and admin.invites.retrieve(found.id).email == "cy@example.org"
    user = house.do(accept, token, "Cy", None)
    assert admin.users.retrieve(user["id"]).name == "Cy" and admin.invites.retrieve(found.id).status == "accepted"
    assert admin.users.update(user["id"], role="owner").role == "owner"
    admin.users.delete(user["id"])
    with pytest.raises(openai.NotFoundError):
        admin.users.retrieve(user["id"])
    with pytest.raises(openai.BadRequestError, match="an organization needs an owner"):
        admin.users.delete(house.ann)


def test_lists_come_in_pages(admin: Any) -> None:
    names = [f"page {n}" for n in range(5)]
    for name in names:
        admin.projects.create(name=name)
    page = admin.projects.list(limit=2)
    assert len(page.data) == 2 and page.has_more and page.last_id == page.data[-1].id
    assert sorted(one.name for one in admin.projects.list(limit=2) if one.name.startswith("page")) == names
    assert len({one.id for one in admin.projects.list(limit=2)}) == len(admin.projects.list(limit=100).data)


def test_the_audit_log_says_who_did_what(house: House, admin: Any) -> None:
    project = admin.projects.create(name="audited")
    entries = admin.audit_logs.list(event_types=["project.created"], resource_ids=[project.id]).data
    assert len(entries) == 1 and entries[0].actor.api_key.user.id == house.ann
    assert entries[0].project_created.data.name == "audited"
    assert admin.audit_logs.list(actor_emails=["ann@example.org"], limit=1).data[0].id
    assert admin.audit_logs.list(actor_emails=["eve@example.org"]).data == []
    with house.directory.database.reading() as connection:
        assert problems(connection, house.a) == []


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("projects", {}, "`name` is required"),
        ("projects", {"name": 5}, "`name` must be a string, got 5"),
        ("projects", {"name": "a\u202eb"}, "`name` has a character that cannot be seen"),
        ("projects", {"name": "\0"}, "`name` has a character that cannot be seen"),
        ("projects", {"name": "x", "geography": "EU"}, "`geography` is not served here"),
        ("projects", {"name": "x", "colour": 1}, "`colour` is not a field that this server knows"),
        ("invites", {"email": "x", "role": "reader"}, "`email` must be an e-mail address, got `x`"),
        ("invites", {"email": "x@example.org", "role": "king"}, "`role` must be owner or reader, got `king`"),
        ("admin_api_keys", {"name": "x", "expires_in_seconds": 0}, "`expires_in_seconds` must be between 1 and"),
        ("roles", {"role_name": "x", "permissions": [1]}, "`permissions` must be a list of strings"),
        ("groups/nothing/users", {"user_id": "x"}, "there is no group with the id `nothing`"),
    ],
)
def test_a_wrong_field_is_named(keys: dict[str, str], server: Running, path: str, body: Any, words: str) -> None:
    found = server.own.post(f"/v1/organization/{path}", json=body, headers={"x-api-key": keys["ann"]})
    assert found.status_code in (400, 404) and words in found.json()["error"]["message"], found.text


def test_a_moment_that_no_database_holds_is_refused(keys: dict[str, str], server: Running) -> None:
    asked = "/v1/organization/audit_logs?effective_at[gte]=9223372036854775808"
    found = server.own.get(asked, headers={"x-api-key": keys["ann"]})
    assert found.status_code == 400 and "`effective_at[gte]` must be Unix seconds" in found.json()["error"]["message"]
