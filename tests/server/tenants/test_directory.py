"""Keys and the people they belong to: what a key may do, when it stops, and that nothing tells it."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from creuset.core.errors import ConfigError, CreusetError, NotAllowed, NotFound, RequestError
from creuset.server.database import Database
from creuset.server.tenants.directory import directory as module
from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.directory import Directory, is_set_up
from creuset.server.tenants.directory.keys import issue, key_of, revoke, rotate, update_key
from creuset.server.tenants.directory.people import (
    accept,
    create_group,
    create_user,
    invite,
    join_group,
    leave_group,
    remove_user,
    update_group,
    update_user,
)
from creuset.server.tenants.directory.projects import (
    add_member,
    archive_project,
    create_project,
    create_service_account,
    delete_service_account,
    remove_member,
    set_project_models,
)
from creuset.server.tenants.directory.roles import assign, create_role, delete_role
from creuset.server.tenants.directory.tables import AUDIT, KEYS, ROLES
from creuset.server.tenants.keys import new_key, well_formed
from creuset.types.tenants import GRANTABLE

from ..test_middleware import HOST, Asked
from .conftest import NOW, House, build

UNKNOWN = "this API key is not known here"


def refused(house: House, key: str, words: str, address: str = "") -> None:
    with pytest.raises(NotAllowed, match=re.escape(words)) as no:
        house.directory.identify(key, address)
    assert no.value.status == 401 and key[4:] not in str(no.value)


def test_a_key_tells_who_asks_and_what_they_may(house: House) -> None:
    id, key = house.key()
    who = house.directory.identify(key)
    assert well_formed(key)
    assert (who.key, who.organization, who.project, who.user) == (id, house.a, house.project, house.bob)
    assert who.owner == f"{house.project}/{house.bob}" and who.scopes == {"inference"} and who.models is None
    assert who.subjects() == (
        ("key", id), ("user", house.bob), ("project", house.project), ("organization", house.a)
    )  # fmt: skip
    owner = house.directory.identify(house.key(house.ann)[1])
    assert owner.scopes == GRANTABLE


def test_nothing_that_is_kept_or_told_has_a_key_in_it(house: House) -> None:
    keys = [house.key()[1] for _ in range(3)]
    row, _ = house.do(rotate, house.a, house.key()[0])
    with house.directory.database.reading() as connection:
        assert key_of(connection, house.a, row["id"])["hint"].count(".") == 3
    house.directory.database.close()
    kept = b"".join(file.read_bytes() for file in house.file.parent.iterdir())
    for key in keys:
        assert key.encode() not in kept and key[4:24].encode() not in kept
    pepper = house.file.with_name("server.db.pepper")
    assert pepper.stat().st_mode & 0o777 == 0o600
    assert pepper.read_bytes().strip() not in house.file.read_bytes()


def test_a_key_ends_when_it_expires_and_when_it_is_revoked(house: House) -> None:
    id, key = house.key(expires=NOW + 60)
    house.now[0] += 59
    assert house.directory.identify(key).key == id
    house.now[0] += 1
    refused(house, key, "this API key has expired")
    id, key = house.key()
    house.do(revoke, house.a, id)
    refused(house, key, UNKNOWN)
    with pytest.raises(NotFound):
        house.do(revoke, house.a, id)


@pytest.mark.parametrize(
    ("address", "let_in"),
    [
        ("192.0.2.7", True), ("192.0.2.8", False), ("10.1.2.3", True), ("11.1.2.3", False), ("2001:db8::5", True),
        ("2001:db9::5", False), ("::ffff:10.1.2.3", True), ("::ffff:11.1.2.3", False), ("", False), ("host", False),
    ],
)  # fmt: skip
def test_a_key_with_addresses_works_from_there_only(house: House, address: str, let_in: bool) -> None:
    _, key = house.key(addresses=["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"])
    if let_in:
        house.directory.identify(key, address)
    else:
        refused(house, key, "may not be used from this address", address)


def test_what_a_key_may_is_what_its_owner_may_less_what_it_leaves_out(house: House) -> None:
    _, narrow = house.key(house.ann, scopes=["inference", "admin.read"])
    assert house.directory.identify(narrow).scopes == {"inference", "admin.read"}
    _, wide = house.key(scopes=["inference", "admin.write"])
    assert house.directory.identify(wide).scopes == {"inference"}, "a key gives its owner nothing"
    _, admin = house.key(house.ann, kind="admin")
    who = house.directory.identify(admin)
    assert who.scopes == GRANTABLE - {"inference"} and who.project == ""
    for kind, scope in (("scim", "scim"), ("operator", "operations.read")):
        _, key = house.key(kind=kind, user=None, project=None)
        assert house.directory.identify(key).scopes == {scope}


def test_roles_give_scopes_to_people_and_to_groups(house: House) -> None:
    _, key = house.key()
    group = house.do(create_group, house.a, "analysts")["id"]
    role = house.do(create_role, house.a, "accounting", ["usage.read"])["id"]
    house.do(assign, house.a, "group", group, role)
    assert house.directory.identify(key).scopes == {"inference"}
    house.do(join_group, house.a, group, house.bob)
    assert house.directory.identify(key).scopes == {"inference", "usage.read"}
    assert house.directory.identify(key).groups == (group,)
    house.do(delete_role, house.a, role)
    assert house.directory.identify(key).scopes == {"inference"}
    house.do(add_member, house.a, house.project, "user", house.bob, "owner")
    assert house.directory.identify(key).scopes == {"inference", "project.read", "project.write"}


def test_a_role_within_a_project_gives_nothing_beyond_it(house: House) -> None:
    with pytest.raises(RequestError, match="`; a role of a project can have"):
        house.do(create_role, house.a, "p", ["admin.write"], None, house.project)
    wide = house.do(create_role, house.a, "wide", ["admin.write"])["id"]
    with pytest.raises(RequestError, match="or the id of a role of the project"):
        house.do(add_member, house.a, house.project, "user", house.bob, wide)
    near = house.do(create_role, house.a, "near", ["project.read"], None, house.project)["id"]
    house.do(add_member, house.a, house.project, "user", house.bob, near)
    assert house.directory.identify(house.key()[1]).scopes == {"project.read"}
    with house.directory.database.transaction() as connection:  # as if it had been written by another way
        connection.execute(update(ROLES).where(ROLES.c.id == near).values(permissions='["admin.write", "scim"]'))
    house.do(update_user, house.a, house.bob, name="Bob")
    assert house.directory.identify(house.key()[1]).scopes == frozenset()


def test_models_are_those_that_key_project_and_groups_allow_together(house: House) -> None:
    _, key = house.key(models=["m1", "m2", "m3"])
    project = (house.a, house.project)
    who = house.directory.identify(key)
    assert who.models == {"m1", "m2", "m3"} and who.allows("m1") and not who.allows("m4")
    house.do(set_project_models, *project, "allow_list", ["m2", "m3", "m9"])
    assert house.directory.identify(key).models == {"m2", "m3"}
    groups = [house.do(create_group, house.a, name)["id"] for name in ("one", "two", "none")]
    for group, models in zip(groups, (["m3"], ["m9"], None), strict=True):
        house.do(update_group, house.a, group, models=models)
        house.do(join_group, house.a, group, house.bob)
    assert house.directory.identify(key).models == {"m3"}, "groups with a list add up; one without says nothing"
    house.do(set_project_models, *project, "deny_list", ["m3"])
    who = house.directory.identify(key)
    assert not who.allows("m3") and who.denied == {"m3"}
    house.do(set_project_models, *project, None, [])
    house.do(leave_group, house.a, groups[0], house.bob)
    assert house.directory.identify(key).models == frozenset()


def test_a_rotated_key_goes_on_for_its_overlap(house: House) -> None:
    id, old = house.key(models=["m1"], addresses=["10.0.0.0/8"], scopes=["inference"])
    row, new = house.do(rotate, house.a, id, overlap_s=100)
    one, other = house.directory.identify(old, "10.0.0.1"), house.directory.identify(new, "10.0.0.1")
    assert one.owner == other.owner and one.models == other.models and one.scopes == other.scopes
    house.now[0] += 100
    refused(house, old, "expired", "10.0.0.1")
    assert house.directory.identify(new, "10.0.0.1").key == row["id"]
    with pytest.raises(RequestError, match="was rotated before"):
        house.do(rotate, house.a, id)


@pytest.mark.parametrize(
    "stop",
    [
        lambda h: h.do(remove_user, h.a, h.bob),
        lambda h: h.do(update_user, h.a, h.bob, active=False),
        lambda h: h.do(remove_member, h.a, h.project, "user", h.bob),
        lambda h: h.do(archive_project, h.a, h.project),
    ],
    ids=["removed", "inactive", "left the project", "archived"],
)
def test_keys_stop_with_their_owner_or_project(house: House, stop: Any) -> None:
    _, key = house.key()
    house.directory.identify(key)
    stop(house)
    with pytest.raises(NotAllowed):
        house.directory.identify(key)


def test_a_user_who_came_in_by_a_group_leaves_with_it(house: House) -> None:
    group = house.do(create_group, house.a, "guests")["id"]
    project = house.do(create_project, house.a, "second")["id"]
    _, key = house.key(project=project)
    refused(house, key, "no access to its project")
    house.do(add_member, house.a, project, "group", group)
    house.do(join_group, house.a, group, house.bob)
    assert house.directory.identify(key).scopes == {"inference"}
    house.do(leave_group, house.a, group, house.bob)
    refused(house, key, "no access to its project")


def test_a_service_account_has_keys_of_its_own(house: House) -> None:
    account = house.do(create_service_account, house.a, house.project, "robot")["id"]
    _, key = house.key(user=None, service_account=account)
    who = house.directory.identify(key)
    assert (who.service_account, who.user, who.scopes) == (account, "", {"inference"})
    house.do(delete_service_account, house.a, house.project, account)
    refused(house, key, UNKNOWN)


@pytest.mark.parametrize("key", ["", "crs-", "nothing", "\udcff é", "x" * 5000, "a new one"])
def test_what_is_no_key_is_refused(house: House, key: str) -> None:
    house.key()
    with pytest.raises(NotAllowed):
        house.directory.identify(new_key() if key == "a new one" else key)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"scopes": ["admin.all"]}, "`scopes` has `admin.all`; a key can have admin.read"),
        ({"scopes": ["operations.read"]}, "`scopes` has `operations.read`"),
        ({"addresses": ["10.0.0.1/8"]}, "`addresses` has `10.0.0.1/8`: 10.0.0.1/8 has host bits set"),
        ({"addresses": ["300.1.1.1"]}, "does not appear to be an IPv4 or IPv6 network"),
        ({"expires": NOW}, f"must expire later than now, got {NOW}"),
        ({"user": None}, "belongs to a user or to a service account"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_name(house: House, more: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=re.escape(words)):
        house.key(**more)
    with pytest.raises(RequestError, match=re.escape("`scopes` has `x`")):
        house.do(update_key, house.a, house.key()[0], scopes=["x"], expires=None)


def test_what_belongs_to_another_organization_is_as_if_it_never_was(house: House) -> None:
    id, _ = house.key()
    theirs: list[tuple[Any, ...]] = [
        (revoke, house.b, id), (rotate, house.b, id), (remove_user, house.b, house.bob),
        (add_member, house.b, house.project, "user", house.eve), (archive_project, house.b, house.project),
        (issue, house.b, "k"),
    ]  # fmt: skip
    for function, *args in theirs:
        more = {"project": house.project, "user": house.eve} if function is issue else {}
        with pytest.raises(NotFound) as one:
            house.do(function, *args, **more)
        made_up = [arg if arg in (house.b, "user", house.eve, "k") else "id_000" for arg in args]
        more = {"project": "id_000", "user": house.eve} if function is issue else {}
        with pytest.raises(NotFound) as other:
            house.do(function, *made_up, **more)
        assert re.sub(r"`\w+`", "", str(one.value)) == re.sub(r"`\w+`", "", str(other.value))


def test_the_last_owner_stays(house: House) -> None:
    for function, more in ((remove_user, {}), (update_user, {"role": "reader"}), (update_user, {"active": False})):
        with pytest.raises(RequestError, match="needs an owner"):
            house.do(function, house.a, house.ann, **more)
    house.do(update_user, house.a, house.bob, role="owner")
    house.do(remove_user, house.a, house.ann)
    with pytest.raises(RequestError, match="already"):
        house.do(create_user, house.a, " BOB@example.org ")
    with pytest.raises(RequestError, match="must be an e-mail address, got `bob`"):
        house.do(create_user, house.a, "bob")


def test_an_invite_makes_one_user_once_and_in_time(house: House) -> None:
    projects = [{"id": house.project, "role": "member"}]
    _, token = house.do(invite, house.a, "cy@example.org", "reader", projects)
    user = house.do(accept, token, "Cy", None)
    assert house.directory.identify(house.key(user["id"])[1]).scopes == {"inference"}
    with pytest.raises(RequestError, match="was used"):
        house.do(accept, token, "Cy", None)
    _, token = house.do(invite, house.a, "di@example.org", "reader")
    house.now[0] += 8 * 86_400
    with pytest.raises(RequestError, match="is over"):
        house.do(accept, token, "Di", None)


def test_the_audit_log_is_a_chain_that_shows_what_was_changed(house: House) -> None:
    house.do(revoke, house.a, house.key()[0])
    with house.directory.database.transaction() as connection:
        assert problems(connection, house.a) == []
        connection.execute(update(AUDIT).where(AUDIT.c.type == "api_key.deleted").values(body='{"id": "x"}'))
        assert [one.partition(" ")[2] for one in problems(connection, house.a)] == ["was changed"]
        connection.execute(AUDIT.delete().where(AUDIT.c.type == "api_key.created"))
        assert any("removed" in one for one in problems(connection, house.a))
        assert problems(connection, house.b) == []


def test_a_change_that_fails_changes_nothing(house: House) -> None:
    def work(change: Any) -> None:
        create_user(change, house.a, "new@example.org")
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        house.change(work)
    house.do(create_user, house.a, "new@example.org")


def test_another_replica_sees_a_change_within_a_second(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Directory(Database(f"sqlite:///{house.file}"), house.file.with_name("server.db.pepper"))
    replica.start()
    try:
        id, key = house.key()
        end = time.monotonic() + 1
        while True:
            try:
                replica.identify(key)
                break
            except NotAllowed:
                assert time.monotonic() < end, "the new key was not seen within a second"
                threading.Event().wait(0.01)
        house.do(revoke, house.a, id)
        end = time.monotonic() + 1
        with pytest.raises(NotAllowed):
            while True:
                replica.identify(key)
                assert time.monotonic() < end, "the revoked key worked for more than a second"
                threading.Event().wait(0.01)
        _, key = house.key()
        replica.refresh()
        monkeypatch.setattr(module, "STALE_S", -1.0)
        with pytest.raises(RequestError) as unsure:
            replica.identify(key)
        assert (unsure.value.status, unsure.value.code) == (503, "directory_unavailable")
    finally:
        replica.close()
        replica.database.close()
    with house.directory.database.reading() as connection:
        assert connection.execute(KEYS.select().where(KEYS.c.used.is_not(None))).first() is not None


def test_a_pepper_that_is_missing_damaged_open_or_another_one_is_named(house: House, tmp_path: Path) -> None:
    file, database = house.file.with_name("server.db.pepper"), house.directory.database
    own = file.read_text()
    for text, mode, words in (
        ("zz", 0o600, "is not a pepper: it must hold 64 hexadecimal digits"), ("ab", 0o600, "digits, got 2"),
        (own, 0o640, "can be read by others (mode 640)"), ("ab" * 32, 0o600, "is not the one that the keys"),
    ):  # fmt: skip
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(ConfigError, match=re.escape(words)):
            Directory(database, file)
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Directory(database, file)
    empty = Database()
    assert is_set_up(database) and not is_set_up(empty)
    with pytest.raises(CreusetError, match="has no directory of people and keys"):
        Directory(empty, file)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    directory = build(tmp_path_factory.mktemp("fuzz") / "server.db", time.time, []).directory
    yield directory
    directory.database.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_the_header_says_it_is_a_key_or_it_is_refused(kept: Directory, value: bytes) -> None:
    for scheme in (b"", b"Bearer "):
        for name in (b"authorization", b"x-api-key", b"api-key", b"cookie"):
            asked = Asked(headers=[HOST, (name, scheme + value)], keys=kept)
            assert asked.status == 401 and asked.error["code"] in ("invalid_api_key", "session_over")
