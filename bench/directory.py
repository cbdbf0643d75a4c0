"""What a directory of people costs a server: to know whose a key is, to look for changes, to read everything anew.

Processor time of one thread, on SQLite in a temporary folder. The last line is one JSON document.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import common

from creuset.server.database import Database
from creuset.server.tenants.directory.audit import COMMAND_LINE
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.people import create_user
from creuset.server.tenants.directory.projects import add_member, create_organization
from creuset.server.tenants.directory.snapshot import read_snapshot


def fill(change: Change, people: int) -> list[str]:
    """One organization of so many people, each with a key."""
    organization, project = create_organization(change, "a")
    keys = []
    for at in range(people):
        user = create_user(change, organization["id"], f"u{at}@example.org")["id"]
        add_member(change, organization["id"], project["id"], "user", user)
        keys.append(issue(change, organization["id"], "k", project=project["id"], user=user)[1])
    return keys


def measure(people: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Directory.create(Database(f"sqlite:///{folder}/server.db"), Path(folder) / "pepper")
        keys = directory.change(COMMAND_LINE, lambda change: fill(change, people))
        begun = time.process_time()
        for at in range(20_000):
            directory.identify(keys[at % people], "192.0.2.1")
        identify = (time.process_time() - begun) / 20_000
        begun = time.process_time()
        for _ in range(200):
            directory.refresh()
        look = (time.process_time() - begun) / 200
        begun = time.process_time()
        for _ in range(3):
            with directory.database.reading() as connection:
                read_snapshot(connection)
        read = (time.process_time() - begun) / 3
        directory.database.close()
    return {
        "people": people, "identify_us": round(1e6 * identify, 2), "look_us": round(1e6 * look, 1),
        "read_ms": round(1e3 * read, 1),
    }  # fmt: skip


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[100, 1000])
    args = parser.parse_args()
    found = [measure(people) for people in args.people]
    for row in found:
        print("{people:>7,} people: a key {identify_us} us, a look {look_us} us, all anew {read_ms} ms".format(**row))
    common.keep("directory", args, {str(row["people"]): row for row in found})


if __name__ == "__main__":
    main()
