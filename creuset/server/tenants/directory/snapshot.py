"""Everything that decides who a key stands for, read at once and looked up in memory.

The snapshot of a version of the directory never changes: a newer one takes its place.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection

from creuset.server.protect.privacy.rules import Policies, closed_organizations
from creuset.server.tenants.directory import tables as t
from creuset.server.tenants.directory.keys import ADMIN, FIXED
from creuset.server.tenants.directory.roles import OWNER, own_permissions, permissions_of
from creuset.server.tenants.directory.rows import Row, from_json
from creuset.types.tenants import INFERENCE, Caller

NO_ACCESS = "the owner of this API key has no access to its project any more"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key, or a session, that was not revoked."""

    caller: Caller
    expires: int | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] | None = None
    refused: str = ""  # why it does not work though it was not revoked

    def admits(self, address: str) -> bool:
        """Whether it may be used from `address`; an IPv4 address within IPv6 counts as IPv4."""
        if self.networks is None:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Snapshot:
    version: int
    keys: dict[bytes, KeyEntry] = field(default_factory=dict)  # by digest
    sessions: dict[bytes, KeyEntry] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)  # the organization of each


def read_snapshot(connection: Connection) -> Snapshot:
    version = connection.execute(select(t.STATE.c.version)).scalar() or 0
    people = _People(connection)
    keys = {row["digest"]: people.entry(row) for row in _rows(connection, t.KEYS) if row["revoked"] is None}
    sessions = {row["digest"]: people.session(row) for row in _rows(connection, t.SESSIONS)}
    projects = {row["id"]: row["organization"] for row in people.projects.values()}
    known = {digest: entry for digest, entry in sessions.items() if entry is not None}
    return Snapshot(version, keys, known, projects)


class _People:
    """The rows of the directory by id, and what follows from them for one key."""

    def __init__(self, connection: Connection) -> None:
        self.users = {row["id"]: row for row in _rows(connection, t.USERS)}
        self.projects = {row["id"]: row for row in _rows(connection, t.PROJECTS)}
        self.accounts = {row["id"]: row for row in _rows(connection, t.SERVICE_ACCOUNTS)}
        self.groups = {row["id"]: row for row in _rows(connection, t.GROUPS)}
        self.own = own_permissions(_rows(connection, t.ROLES))
        self.policies = Policies(connection)
        self.closed = closed_organizations(connection)
        self.groups_of: dict[str, list[str]] = defaultdict(list)
        for row in _rows(connection, t.GROUP_USERS):
            self.groups_of[row["user"]].append(row["group"])
        self.members: dict[tuple[str, str], str] = {}  # (project, user or group): role
        for row in _rows(connection, t.MEMBERS):
            self.members[row["project"], row["member"]] = row["role"]
        self.roles: dict[tuple[str, str], list[str]] = defaultdict(list)  # (principal, project): roles
        for row in _rows(connection, t.ASSIGNMENTS):
            self.roles[row["principal"], row["project"]].append(row["role"])

    def entry(self, key: Row) -> KeyEntry:
        addresses = from_json(key["addresses"])
        networks = None if addresses is None else tuple(ip_network(one) for one in addresses)
        caller, refused = self._caller(key)
        return KeyEntry(caller, key["expires"], networks, refused)

    def session(self, session: Row) -> KeyEntry | None:
        """A session acts in the first project of its user; NotAllowed says so where there is none."""
        user = self.users.get(session["user"])
        if user is None or not user["active"] or user["organization"] in self.closed:
            return None
        mine = [p for p in self.projects.values() if p["organization"] == user["organization"] and not p["archived"]]
        mine.sort(key=lambda row: (row["created"], row["id"]))
        project = next((row["id"] for row in mine if self._may_enter(user, row["id"])), None)
        of: dict[str, Any] = {"project": project, "user": user["id"], "service_account": None, "kind": "session"}
        key = {"id": session["id"], "organization": user["organization"], "scopes": None, "models": None} | of
        caller, _ = self._caller(key)
        return KeyEntry(caller, session["expires"])

    def _caller(self, key: Row) -> tuple[Caller, str]:
        organization, project, kind = key["organization"], key["project"] or "", key["kind"]
        user, account = self.users.get(key["user"] or ""), self.accounts.get(key["service_account"] or "")
        groups = tuple(sorted(self.groups_of.get(key["user"] or "", ())))
        place, refused = self.projects.get(project), ""
        if kind in FIXED:
            scopes = FIXED[kind]
        elif account is not None:
            scopes = permissions_of([account["role"]], self.own, of_project=True)
        elif user is not None and user["active"]:
            scopes = self._scopes(user, groups, project)
            if kind == ADMIN:
                scopes -= {INFERENCE}
            elif project and not self._may_enter(user, project):
                refused = NO_ACCESS
        else:
            scopes, refused = frozenset(), NO_ACCESS
        if project and (place is None or place["archived"]):
            refused = "the project of this API key is archived"
        if organization in self.closed:
            refused = "the organization of this API key is closed"
        own = from_json(key["scopes"])
        allowed, denied = self._models(place, groups, from_json(key["models"]))
        principal = key["user"] or key["service_account"] or key["id"]
        caller = Caller(
            owner=f"{project or organization}/{principal}", key=key["id"], organization=organization, project=project,
            user=key["user"] or "", service_account=key["service_account"] or "", groups=groups,
            scopes=scopes if own is None else scopes & frozenset(own), models=allowed, denied=denied,
            policy=self.policies.of(organization, project),
        )  # fmt: skip
        return caller, refused

    def _may_enter(self, user: Row, project: str) -> bool:
        inside = [user["id"], *self.groups_of.get(user["id"], ())]
        return user["role"] == OWNER or any((project, one) in self.members for one in inside)

    def _scopes(self, user: Row, groups: tuple[str, ...], project: str) -> frozenset[str]:
        inside = (user["id"], *groups)
        wide = [user["role"], *(role for one in inside for role in self.roles.get((one, ""), ()))]
        near = [self.members[project, one] for one in inside if (project, one) in self.members]
        near += [role for one in inside if project for role in self.roles.get((one, project), ())]
        return permissions_of(wide, self.own, of_project=False) | permissions_of(near, self.own, of_project=True)

    def _models(
        self, project: Row | None, groups: tuple[str, ...], own: list[str] | None
    ) -> tuple[frozenset[str] | None, frozenset[str]]:
        """Models that may be asked for, and those that may not: the key's, the project's and the groups' lists hold
        together. Of several groups that have a list, each adds to what may be asked for."""
        lists = [] if own is None else [frozenset(own)]
        denied: frozenset[str] = frozenset()
        rule = from_json(project["models"]) if project is not None else None
        if rule is not None and rule["mode"] == "allow_list":
            lists.append(frozenset(rule["ids"]))
        elif rule is not None:
            denied = frozenset(rule["ids"])
        of_groups = [from_json(self.groups[one]["models"]) for one in groups if self.groups[one]["models"] is not None]
        if of_groups:
            lists.append(frozenset(name for names in of_groups for name in names))
        return (frozenset.intersection(*lists) if lists else None), denied


def _rows(connection: Connection, table: Table) -> list[Row]:
    return [dict(row) for row in connection.execute(select(table)).mappings()]
