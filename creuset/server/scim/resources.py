"""Users and groups of the directory as SCIM resources, and back.

What SCIM tells of a user beside what the directory needs (names, phones, addresses) is kept as it was told. A user who
is not active, or is deleted, has keys and sessions that work no more.
"""

import json
from datetime import UTC, datetime
from typing import Any

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Filter,
    Group,
    GroupMember,
    GroupMembership,
    Meta,
    Patch,
    ResourceType,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    UniquenessException,
    User,
)
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.tenants.directory import people
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import Row, every, new_id
from creuset.server.tenants.directory.tables import GROUP_USERS, GROUPS, USERS

Person = User[EnterpriseUser]
MOST = 200  # resources of a list
NOWHERE = "users.invalid"  # the domain of addresses of those who have none; no mail can go there (RFC 2606)


def provider(base: str) -> ScimProvider:
    """What the service says of itself. `base`: its address."""
    config = ServiceProviderConfig(
        patch=Patch(supported=True), bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST), change_password=ChangePassword(supported=True),
        sort=Sort(supported=True), etag=ETag(supported=False),
        authentication_schemes=[AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken, name="Bearer token",
            description="a key made with `creuset keys create NAME --kind scim`", primary=True,
        )],
        meta=Meta(resource_type="ServiceProviderConfig", location=f"{base}/ServiceProviderConfig"),
    )  # fmt: skip
    types = [ResourceType.from_resource(Person), ResourceType.from_resource(Group)]
    for one in types:
        one.meta = Meta(resource_type="ResourceType", location=f"{base}/ResourceTypes/{one.id}")
    return ScimProvider(models=[User, EnterpriseUser, Group], resource_types=types, config=config)


# -- users


def person_of(row: Row, groups: list[Row], base: str) -> Any:
    """The resource of a user; `groups`: theirs."""
    told = json.loads(row["details"]) if row["details"] else {}
    if not told:
        told = {"schemas": [str(User.__schema__)], "userName": row["email"], "displayName": row["name"]}
        told |= {"emails": [{"value": row["email"], "primary": True}], "active": True}
    person = Person.model_validate(told, scim_ctx=None)
    person.id, person.external_id = row["id"], row["external_id"]
    person.active = row["active"] if "active" in told or not row["active"] else None  # None: nobody said so
    person.groups = [
        GroupMembership.model_validate({
            "value": one["id"], "$ref": f"{base}/Groups/{one['id']}", "display": one["name"],
        })
        for one in groups
    ] or None  # fmt: skip
    person.meta = _meta("User", row, f"{base}/Users/{row['id']}")
    return person


def people_of(connection: Connection, organization: str, base: str, id: str | None = None) -> list[Any]:
    """The resources of all users, or of the one with this `id`."""
    groups = {row["id"]: row for row in every(connection, GROUPS, organization)}
    of: dict[str, list[Row]] = {}
    for row in every(connection, GROUP_USERS, organization, order=[GROUP_USERS.c.added]):
        of.setdefault(row["user"], []).append(groups[row["group"]])
    where = [] if id is None else [USERS.c.id == id]
    rows = every(connection, USERS, organization, *where, order=[USERS.c.created, USERS.c.id])
    return [person_of(row, of.get(row["id"], []), base) for row in rows]


def keep_person(change: Change, organization: str, person: Any, id: str | None, password: str | None) -> str:
    """Make or change a user; the id. `password`: as argon2 encodes it."""
    for other in people_of(change.connection, organization, ""):
        if other.id != id and str(other.user_name).casefold() == str(person.user_name).casefold():
            raise UniquenessException(detail=f"there is a user with the userName {person.user_name!r} already")
    of = id or new_id("user")
    values: dict[str, Any] = {
        "email": _email(person, of), "name": _name(person), "active": person.active is not False, "scim": True,
        "external_id": person.external_id, "details": _told(person),
    } | ({} if password is None else {"password": password})  # fmt: skip
    try:
        if id is None:
            people.create_user(change, organization, id=of, **values)
        else:
            people.update_user(change, organization, id, **values)
    except RequestError as error:
        raise UniquenessException(detail=str(error)) if error.status == 409 else error from None
    return of


def _told(person: Any) -> str:
    """What is kept as it was told: without what the directory says, and without a password."""
    told = person.model_dump(scim_ctx=None, by_alias=True, exclude_none=True, mode="json")
    for name in ("id", "externalId", "meta", "groups", "password"):
        told.pop(name, None)
    return json.dumps(told)


def _email(person: Any, id: str) -> str:
    """The main address, or the user's name where it is an address, or one that no mail reaches."""
    emails = sorted(person.emails or [], key=lambda one: not one.primary)
    for found in [*(one.value for one in emails), person.user_name]:
        try:
            return people.checked_email(str(found or ""))
        except RequestError:
            continue
    return f"{id}@{NOWHERE}"


def _name(person: Any) -> str:
    name = person.name
    whole = name and (name.formatted or " ".join(filter(None, (name.given_name, name.family_name))))
    return str(person.display_name or whole or person.user_name)[:256]


# -- groups


def groups_of(connection: Connection, organization: str, base: str, id: str | None = None) -> list[Any]:
    """The resources of all groups, or of the one with this `id`."""
    where = [] if id is None else [GROUPS.c.id == id]
    found = []
    for row in every(connection, GROUPS, organization, *where, order=[GROUPS.c.created, GROUPS.c.id]):
        members = [
            GroupMember.model_validate(
                {
                    "value": user["id"],
                    "$ref": f"{base}/Users/{user['id']}",
                    "display": user["display"] or user["name"],
                    "type": "User",
                }
            )
            for user in people.users_of(connection, organization, row["id"])
        ]
        group = Group(id=row["id"], external_id=row["external_id"], display_name=row["name"], members=members or None)
        group.meta = _meta("Group", row, f"{base}/Groups/{row['id']}")
        found.append(group)
    return found


def keep_group(change: Change, organization: str, group: Any, id: str | None) -> str:
    """Make or change a group and who is in it; the id."""
    name = str(group.display_name)
    try:
        if id is None:
            of = people.create_group(change, organization, name, scim=True, external_id=group.external_id)["id"]
        else:
            people.update_group(change, organization, id, name=name, external_id=group.external_id, scim=True)
            of = id
    except RequestError as error:
        raise UniquenessException(detail=str(error)) if error.status == 409 else error from None
    now = {row["id"] for row in people.users_of(change.connection, organization, of)}
    wanted = {str(member.value): member.display for member in group.members or [] if member.value}
    for user in sorted(now - set(wanted)):
        people.leave_group(change, organization, of, user)
    for user, display in wanted.items():
        people.join_group(change, organization, of, user, display)
    return str(of)


def _meta(kind: str, row: Row, location: str) -> Meta:
    made = datetime.fromtimestamp(row["created"], UTC)
    return Meta(resource_type=kind, created=made, last_modified=made, location=location)
