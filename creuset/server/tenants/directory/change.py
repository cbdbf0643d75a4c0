"""One change of the directory: its transaction, its time, and who makes it."""

from dataclasses import dataclass

from sqlalchemy.engine import Connection

from creuset.server.tenants.directory.audit import Actor, record
from creuset.server.tenants.directory.pepper import Pepper
from creuset.server.tenants.directory.rows import Row


@dataclass(frozen=True, slots=True)
class Change:
    connection: Connection
    now: int  # Unix seconds
    actor: Actor
    pepper: Pepper

    def audit(self, organization: str, type: str, body: Row, project: str | None = None) -> None:
        """Write into the audit log what is done."""
        record(self.connection, organization, self.actor, type, body, self.now, project)
