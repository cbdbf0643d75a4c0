"""Every route of /openapi.json, asked by the owner, a colleague, another organization, a revoked key and nobody.

The table is made from the document, so that a new route is in it. What is somebody else's must be told as what never
was: the reply to its id is the reply to an id that was never given.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from creuset.server.protect.privacy.erase import erase_project
from creuset.server.protect.privacy.holds import place_hold
from creuset.server.protect.privacy.receipts import make_signing_key
from creuset.server.tenants.directory.keys import issue, revoke
from creuset.server.tenants.directory.people import create_group, create_user, invite, join_group
from creuset.server.tenants.directory.projects import add_member, create_project, create_service_account
from creuset.server.tenants.directory.roles import assign, create_role
from creuset.server.tenants.directory.sessions import begin, sessions_of
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.rules import Channel, SpendAlert, add_alert, set_limit

from ..conftest import NAME, Running, start
from .conftest import NOW, House, build

OPEN = {
    "/",
    "/health",
    "/admin",
    "/admin/{file}",
    "/favicon.svg",
    "/assets/{file}",
    "/auth/login",
    "/auth/accept",
    "/auth/oidc/login",
}
ADMIN = re.compile(r"/v1/(organization|projects|creuset/privacy)(?!/usage/|/costs)(/|$)")  # bob may read usage
BUCKETS = re.compile(r"/v1/organization/(usage/|costs)")
KEPT = re.compile(r"/v1/(responses|conversations)/")  # belongs to a person, and to no administrator
SCIM = "/scim/"
BODY = {"content-type": "application/json"}


@dataclass
class Scene:
    server: Running
    house: House
    keys: dict[str, str]
    ids: dict[str, str]
    routes: list[tuple[str, str]]
    issued: list[str]

    def ask(self, who: str, method: str, path: str, *, header: str = "x-api-key", real: bool = True) -> httpx.Response:
        """With bob's and ann's things, or (`real` False) with ids that were never given."""

        def value(place: re.Match[str]) -> str:
            name = place[1]
            if name == "role_id" and path.startswith("/v1/projects"):
                name = "project_role"
            if name == "alert_id" and "/projects/" not in path:
                name = "organization_alert"
            if name == "id":
                name = "conversation" if "conversations" in path else "response"
            return self.ids.get(name, NAME) if real else "never_" + "0" * 24

        address = re.sub(r"\{(\w+)\}", value, path) + (f"?start_time={NOW}" if BUCKETS.match(path) else "")
        key = self.keys[who]
        headers = {header: f"Bearer {key}" if header == "authorization" else key} if key else {}
        more: dict[str, Any] = (
            {"headers": headers | BODY, "content": b"{}"} if method != "GET" else {"headers": headers}
        )
        return self.server.own.request(method, address, **more)


@pytest.fixture(scope="module")
def scene(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    now = [float(NOW)]
    house = build(tmp_path_factory.mktemp("matrix") / "server.db", lambda: now[0], now)
    cy = house.do(create_user, house.a, "cy@example.org")["id"]
    house.do(add_member, house.a, house.project, "user", cy)
    group, role = house.do(create_group, house.a, "g")["id"], house.do(create_role, house.a, "r", ["usage.read"])["id"]
    house.do(join_group, house.a, group, house.bob)
    near = house.do(create_role, house.a, "p", ["inference"], None, house.project)["id"]
    house.do(add_member, house.a, house.project, "group", group)
    for kind, principal in (("user", house.bob), ("group", group)):
        house.do(assign, house.a, kind, principal, role)
        house.do(assign, house.a, kind, principal, near, house.project)
    account = house.do(create_service_account, house.a, house.project, "robot")["id"]
    revoked, gone = house.key()
    house.do(revoke, house.a, revoked)
    key_id, bobs = house.key()
    row, admin = house.do(issue, house.a, "admin", kind="admin", user=house.ann)
    theirs = house.do(issue, house.b, "k", project=house.other_project, user=house.eve)[1]
    keys = {
        "owner": bobs, "administrator": house.key(house.ann)[1], "colleague": house.key(cy)[1], "other": theirs,
        "revoked": gone, "anonymous": "",
    }  # fmt: skip
    ids = {
        "scim_user": house.bob, "scim_group": group, "scim_name": "User",
        "project_id": house.project, "user_id": house.bob, "group_id": group, "role_id": role, "project_role": near,
        "service_account_id": account, "api_key_id": key_id, "key_id": row["id"],
        "invite_id": house.do(invite, house.a, "new@example.org", "reader")[0]["id"],
    }  # fmt: skip
    ids["own_key_id"] = key_id
    house.do(lambda change: begin(change, {"id": house.bob, "organization": house.a}))
    with house.directory.database.reading() as connection:
        ids["session_id"] = sessions_of(connection, house.a, house.bob)[0]["id"]
    with house.directory.database.transaction() as connection:
        for kind, subject in (("organization", house.a), ("project", house.project)):
            budget = Limit(id="", organization=house.a, kind=kind, subject=subject, what="money", window="month",
                           amount=10**9, currency="USD")  # fmt: skip
            made = set_limit(connection, budget)
            ids["limit_id"] = made.id
            channel = Channel(mail=("ann@example.org",))
            alert = SpendAlert(id="", organization=house.a, limit=made.id, threshold=1, channel=channel)
            ids["alert_id" if kind == "project" else "organization_alert"] = add_alert(connection, alert).id
    ids["rate_limit_id"] = "rl-all"
    ids["upstream"] = "paris_" + "1" * 24
    key = make_signing_key(house.file.with_name("server.db.signing"))
    empty = house.do(create_project, house.a, "empty")["id"]
    ids["receipt_id"] = house.do(erase_project, house.a, empty, key)["id"]
    ids["erased_project_id"] = empty
    ids["hold_id"] = house.do(place_hold, house.a, "project", empty, "a case")["id"]
    server = start(folder, people=house.directory)
    mine = server.client(headers={"x-api-key": bobs})
    ids["response"] = mine.post("/v1/responses", json={"model": NAME, "input": "say hi"}).json()["id"]
    item = {"type": "message", "role": "user", "content": "say hi"}
    ids["conversation"] = mine.post("/v1/conversations", json={"items": [item]}).json()["id"]
    ids["item"] = mine.get(f"/v1/conversations/{ids['conversation']}/items").json()["data"][0]["id"]
    ids["file_id"] = mine.post("/v1/files", files={"file": b"{}"}, data={"purpose": "batch"}).json()["id"]
    upload = {"bytes": 1, "filename": "a", "mime_type": "text/plain", "purpose": "batch"}
    ids["upload_id"] = mine.post("/v1/uploads", json=upload).json()["id"]
    batch = {"input_file_id": ids["file_id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    ids["batch_id"] = mine.post("/v1/batches", json=batch).json()["id"]
    document = mine.get("/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in document.items() for method in methods]
    yield Scene(server, house, keys, ids, routes, [*filter(None, keys.values()), admin])
    server.close()
    house.directory.database.close()


def test_the_document_has_the_routes_of_every_room(scene: Scene) -> None:
    starts = ("/v1/chat", "/v1/responses", "/v1/conversations", "/v1/messages", "/v1/organization", "/v1/projects")
    assert all(any(path.startswith(one) for _, path in scene.routes) for one in starts) and len(scene.routes) > 90
    places = {name for _, path in scene.routes for name in re.findall(r"\{(\w+)\}", path)}
    assert places <= {*scene.ids, "id", "name", "file"}, f"say in `ids` what stands for {places - set(scene.ids)}"


@pytest.mark.parametrize("who", ["anonymous", "revoked"])
def test_without_a_key_that_works_there_is_nothing(scene: Scene, who: str) -> None:
    for method, path in scene.routes:
        status = scene.ask(who, method, path).status_code
        assert (status != 401) if path in OPEN else (status == 401), f"{method} {path}: {status}"


def test_what_is_anothers_is_told_as_what_never_was(scene: Scene) -> None:
    for who in ("other", "colleague"):
        for method, path in scene.routes:
            if "{" not in path or path in OPEN or "{name}" in path:
                continue
            there, never = (scene.ask(who, method, path, real=real) for real in (True, False))
            words = [re.sub(r"\b(?:never|\w+)[_-][0-9a-f]{24,}\b", "ID", reply.text) for reply in (there, never)]
            assert (there.status_code, words[0]) == (never.status_code, words[1]), f"{who}: {method} {path}"
            expected = (415,) if path.endswith("/parts") else (400, 403, 404)  # a file comes as a form
            assert there.status_code in expected, f"{who}: {method} {path}: {there.status_code}"
            if method == "GET":
                closed = path.startswith(SCIM) or (who == "colleague" and ADMIN.match(path))
                assert there.status_code == (403 if closed else 404), path


def test_the_database_is_asked_the_same_for_anothers_id_as_for_one_that_never_was(scene: Scene) -> None:
    """So it takes the same time: the statements are equal in number, in kind and in order."""
    said: list[str] = []
    engine = scene.house.directory.database.engine
    mine = threading.current_thread()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread() is not mine and not statement.startswith(("BEGIN", "SELECT money_state")):
            said.append(statement)

    # What the server does by itself meanwhile: it looks for changes, for batches to run, and writes usage.
    background = re.compile(
        r"directory|ledger|counters|holds|usage_lines|UPDATE \"?(api_)?keys|FROM sessions|batches.replica !="
    )
    event.listen(engine, "before_cursor_execute", note)
    try:
        looked = 0
        for who in ("other", "colleague", "administrator"):
            for method, path in scene.routes:
                if (
                    "{" not in path
                    or path in OPEN
                    or "{name}" in path
                    or (who == "administrator" and not KEPT.match(path))
                ):
                    continue
                for _ in range(5):  # a batch of the scene may run meanwhile: what differs each time is told
                    asked = []
                    for real in (True, False):
                        said.clear()
                        scene.ask(who, method, path, real=real)
                        asked.append([one for one in said if not background.search(one)])
                    if asked[0] == asked[1]:
                        break
                assert asked[0] == asked[1], f"{who}: {method} {path}: {asked}"
                looked += len(asked[0]) > 0
        assert looked > 20
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_administration_is_for_those_who_have_the_scope(scene: Scene) -> None:
    for method, path in scene.routes:
        if ADMIN.match(path):
            for who in ("owner", "colleague"):
                reply = scene.ask(who, method, path)
                assert (reply.status_code, reply.json()["error"]["code"]) == (403, "missing_scope"), f"{method} {path}"
            if method == "GET":
                assert scene.ask("administrator", "GET", path).status_code == 200, path
    listed = scene.ask("other", "GET", "/v1/organization/projects").json()["data"]
    assert [one["id"] for one in listed] == [scene.house.other_project]


def test_the_owner_gets_what_is_theirs_whichever_header_has_the_key(scene: Scene) -> None:
    for method, path in scene.routes:
        if method != "GET" or ADMIN.match(path) or path.startswith((SCIM, "/auth/oidc/")) or path == "/metrics":
            continue
        found = {
            scene.ask("owner", method, path, header=h).status_code for h in ("authorization", "x-api-key", "api-key")
        }
        assert found in ({200}, {404} if path in OPEN else {200}), f"{method} {path}: {found}"


def test_no_key_is_in_the_database_or_the_log(scene: Scene) -> None:
    kept = (
        b"".join(file.read_bytes() for file in scene.house.file.parent.iterdir()) + scene.server.log.getvalue().encode()
    )
    for key in scene.issued:
        assert key.encode() not in kept and key[8:-4].encode() not in kept
