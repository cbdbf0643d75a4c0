"""A directory in a file, with two organizations; its clock stands still unless a test moves it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from creuset.server.database import Database
from creuset.server.tenants.directory.audit import COMMAND_LINE
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.people import create_user
from creuset.server.tenants.directory.projects import add_member, create_organization

T = TypeVar("T")
NOW = 1_796_000_000


@dataclass
class House:
    """An organization `a` with its owner ann and its reader bob, and an organization `b` with its owner eve."""

    directory: Directory
    file: Path
    a: str
    project: str
    ann: str
    bob: str
    b: str
    other_project: str
    eve: str
    now: list[float]

    def change(self, work: Callable[[Change], T]) -> T:
        return self.directory.change(COMMAND_LINE, work)

    def do(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.change(lambda change: function(change, *args, **kwargs))

    def key(self, user: str | None = "", **more: Any) -> tuple[str, str]:
        """The id of a new key of bob in the first project, and the key."""
        of = {"user": self.bob if user == "" else user, "project": self.project} | more
        row, secret = self.do(issue, self.a, "a key", **of)
        return row["id"], secret


def build(file: Path, clock: Callable[[], float], now: list[float]) -> House:
    directory = Directory.create(Database(f"sqlite:///{file}"), file.with_name(file.name + ".pepper"), clock=clock)

    def work(change: Change) -> dict[str, str]:
        a, project = create_organization(change, "a")
        b, other_project = create_organization(change, "b")
        people = {
            "ann": create_user(change, a["id"], "ann@example.org", role="owner"),
            "bob": create_user(change, a["id"], "bob@example.org"),
            "eve": create_user(change, b["id"], "eve@example.org", role="owner"),
        }
        add_member(change, a["id"], project["id"], "user", people["bob"]["id"])
        ids = {name: row["id"] for name, row in people.items()}
        return ids | {"a": a["id"], "b": b["id"], "project": project["id"], "other_project": other_project["id"]}

    found = directory.change(COMMAND_LINE, work)
    return House(directory=directory, file=file, now=now, **found)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path / "server.db", lambda: now[0], now)
    yield built
    built.directory.close()
    built.directory.database.close()
