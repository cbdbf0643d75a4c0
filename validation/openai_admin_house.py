"""A server with a directory whose things have the ids that openai-python's tests ask for."""

import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Table, delete, insert, update

from creuset.server.database import META
from creuset.server.tenants.directory import tables as t
from creuset.server.tenants.directory.audit import COMMAND_LINE
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.rules import Channel, SpendAlert, add_alert, set_limit
from creuset.server.tenants.money.tables import ALERTS, LIMITS
from tests.server.conftest import scripted_folder, start
from tests.server.tenants.conftest import House as TwoOrganizations
from tests.server.tenants.conftest import build

NOW = 1_796_000_000


class House:
    def __init__(self) -> None:
        self.room = tempfile.TemporaryDirectory()
        folder = Path(self.room.name)
        (folder / "model").mkdir()
        self.file = folder / "server.db"
        self.own: TwoOrganizations = build(self.file, time.time, [])
        self.key = self.own.key(self.own.ann)[1]
        self.rows = self._rows()
        self.server = start(scripted_folder(folder / "model"), people=self.own.directory)
        self.url = f"{self.server.url}/v1"

    def fill(self, *, of_project: bool) -> None:
        """Delete what the last test made, and put the things with these ids back.

        `of_project`: the role is one of the project, and not of the organization.
        """

        def work(change: Change) -> None:
            c = change.connection
            for table in META.sorted_tables:
                if table in self.rows:
                    mine = (self.own.ann, self.own.bob, self.own.project, self.admin)
                    c.execute(delete(table).where(table.c.organization == self.own.a, *(
                        [table.c.id.not_in(mine)] if "id" in table.c else []
                    )))  # fmt: skip
                    c.execute(insert(table), self.rows[table])
            if of_project:
                c.execute(t.ROLES.update().where(t.ROLES.c.id == "role_id").values(project="project_id"))

        self.own.directory.change(COMMAND_LINE, work)
        with self.own.directory.database.transaction() as connection:
            connection.execute(delete(LIMITS))
            connection.execute(delete(ALERTS))
            kind, subject = ("project", "project_id") if of_project else ("organization", self.own.a)
            budget = Limit(id="", organization=self.own.a, kind=kind, subject=subject, what="money", window="month",
                           zone="UTC", amount=10**9, currency="USD")  # fmt: skip
            made = set_limit(connection, budget)
            channel = Channel(mail=("a@b.org",))
            alert = SpendAlert(id="", organization=self.own.a, limit=made.id, threshold=1, channel=channel)
            made_alert = add_alert(connection, alert)
            connection.execute(update(ALERTS).where(ALERTS.c.id == made_alert.id).values(id="alert_id"))

    @property
    def admin(self) -> str:
        return self._admin

    def _rows(self) -> dict[Table, list[dict[str, Any]]]:
        a, p, u, g, r, s = self.own.a, "project_id", "user_id", "group_id", "role_id", "service_account_id"
        self._admin = self.own.directory.identify(self.key).key
        times = {"created": NOW}
        key = {
            "organization": a, "hint": "crs-...", "scopes": None, "addresses": None, "models": None, "expires": None,
            "revoked": None, "used": None, "successor": None, "name": "k", **times,
        }  # fmt: skip
        assigned = [("user", u, ""), ("group", g, ""), ("user", u, p), ("group", g, p)]
        return {
            t.PROJECTS: [{"id": p, "organization": a, "name": "p", "archived": None, "models": None, **times}],
            t.USERS: [{
                "id": u, "organization": a, "email": "u@example.org", "name": "u", "role": "reader", "active": True,
                "scim": False, **times,
            }],
            t.GROUPS: [{"id": g, "organization": a, "name": "g", "scim": False, **times}],
            t.GROUP_USERS: [{"group": g, "user": u, "organization": a, "added": NOW}],
            t.SERVICE_ACCOUNTS: [{"id": s, "organization": a, "project": p, "name": "s", "role": "member", **times}],
            t.ROLES: [{
                "id": r, "organization": a, "project": None, "name": "r", "permissions": '["inference"]', **times,
            }],
            t.ASSIGNMENTS: [
                {"organization": a, "kind": kind, "principal": who, "project": where, "role": r, **times}
                for kind, who, where in assigned
            ],
            t.MEMBERS: [
                {"project": p, "kind": kind, "member": who, "organization": a, "role": "member", "added": NOW}
                for kind, who in (("user", u), ("group", g))
            ],
            t.KEYS: [
                key | {"id": "api_key_id", "kind": "project", "project": p, "user": u, "digest": b"1" * 32},
                key | {"id": "key_id", "kind": "admin", "project": None, "user": u, "digest": b"2" * 32},
            ],
            t.INVITES: [{
                "id": "invite_id", "organization": a, "email": "i@example.org", "role": "reader", "projects": "[]",
                "digest": b"3" * 32, "expires": NOW * 2, "accepted": None, **times,
            }],
        }  # fmt: skip

    def close(self) -> None:
        self.server.close()
        self.own.directory.database.close()
        self.room.cleanup()
