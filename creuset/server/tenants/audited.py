"""Changes of limits, budgets, alerts and prices in the audit log of the directory, in OpenAI's event names.

OpenAI has no event of a budget, an alert or a price: they are changes of the project or the organization.
"""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection
from starlette.requests import Request

from creuset.server.admin.call import actor_of
from creuset.server.state import context_of
from creuset.server.tenants.directory.audit import COMMAND_LINE, Actor, record
from creuset.server.tenants.directory.tables import STATE
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.prices import Tariff
from creuset.server.tenants.money.rules import SpendAlert

Row = dict[str, Any]


def audit_of(request: Request) -> "MoneyAudit":
    """In the name of whoever asks; it was looked at before that they may."""
    caller = context_of(request).who
    assert caller is not None
    return MoneyAudit(caller.organization, actor_of(request, caller))


@dataclass(frozen=True, slots=True)
class MoneyAudit:
    """Who changes something, in which organization."""

    organization: str
    actor: Actor = COMMAND_LINE

    def limit(self, connection: Connection, limit: Limit, *, gone: bool = False) -> None:
        """A limit, or a budget, was set or taken away."""
        told: Row = {name: value for name, value in limit.row().items() if value not in (None, "")}
        del told["organization"], told["created"], told["id"]
        if limit.what == "money":
            self._of(connection, limit, {"spend_limit": {"id": limit.id} | (told if not gone else {"deleted": True})})
        elif gone:
            self._write(connection, "rate_limit.deleted", {"id": limit.id}, limit)
        else:
            self._write(connection, "rate_limit.updated", {"id": limit.id, "changes_requested": told}, limit)

    def alert(self, connection: Connection, alert: SpendAlert, limit: Limit, *, gone: bool = False) -> None:
        told: Row = {"id": alert.id, "limit": limit.id}
        if gone:
            told["deleted"] = True
        else:
            channel = alert.channel
            told |= {"threshold": alert.threshold, "share": alert.share, "mail": list(channel.mail)}
            told["webhook"] = bool(channel.webhook)  # its address may hold a secret
        self._of(connection, limit, {"spend_alert": told})

    def prices(self, connection: Connection, prices: tuple[Tariff, ...]) -> None:
        told = {"id": self.organization, "changes_requested": {"prices": [one.version for one in prices]}}
        self._write(connection, "organization.updated", told)

    def upstream_key(self, connection: Connection, project: str, told: Row) -> None:
        """A key for another server was stored or deleted; it is not told."""
        body = {"id": project or self.organization, "changes_requested": {"upstream_key": told}}
        self._write(connection, "project.updated" if project else "organization.updated", body)

    def _of(self, connection: Connection, limit: Limit, asked: Row) -> None:
        kind = "project" if limit.kind == "project" else "organization"
        id = limit.subject if kind == "project" else self.organization
        self._write(connection, f"{kind}.updated", {"id": id, "changes_requested": asked}, limit)

    def _write(self, connection: Connection, type: str, body: Row, limit: Limit | None = None) -> None:
        # Changes of the directory hold this row too: the entries of an organization stand in one chain.
        connection.execute(select(STATE.c.id).with_for_update())
        project = limit.subject if limit is not None and limit.kind == "project" else None
        record(connection, self.organization, self.actor, type, body, int(time.time()), project)
