"""The parts of data protection in one server: the vault, the key of receipts, the task that deletes what is too old."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.protect.audit.keep import READS, note_read, prune
from creuset.server.protect.audit.outlet import Outlet, read_outlet, send_new
from creuset.server.protect.guards.settings import GuardSettings, parse_guards, read_guards
from creuset.server.protect.privacy.erase import due, erase_organization
from creuset.server.protect.privacy.receipts import make_signing_key
from creuset.server.protect.privacy.retention import sweep, wipe
from creuset.server.protect.settings import ProtectSettings
from creuset.server.protect.vault.master import read_master
from creuset.server.protect.vault.vault import Vault
from creuset.server.tenants.directory.audit import SYSTEM
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.rows import Row
from creuset.types.tenants import Caller

Clock = Callable[[], float]
SEND_S = 1.0  # the audit log goes out this often


@dataclass(slots=True)
class Protection:
    settings: ProtectSettings
    database: Database
    vault: Vault
    directory: Directory | None = None
    clock: Clock = time.time
    on_error: Callable[[BaseException], object] = lambda _: None
    guards: Sequence[GuardSettings] = ()  # of every project
    tls: "ssl.SSLContext | None" = None  # with which guards of somebody's own are asked
    outlet: Outlet | None = None  # where the audit log goes
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list, init=False)

    @property
    def signing_key(self) -> Any:
        if self.settings.signing is None:
            raise ConfigError("this server has no place for the key of its receipts")
        return make_signing_key(self.settings.signing)

    def organization_of(self, owner: str) -> str:
        return self.directory.organization_of(owner) if self.directory is not None else ""

    def start(self) -> None:
        """Delete what is too old from now on."""
        if self.directory is not None:
            self._tasks = [asyncio.create_task(self._run(self.sweep, self.settings.sweep_s))]
            if self.outlet is not None:
                self._tasks.append(asyncio.create_task(self._run(self.send, SEND_S)))

    def read(self, who: Caller | None, address: str, route: str, places: Mapping[str, Any]) -> None:
        """Note in the audit log that `who` has read something that is kept, where it is kept for somebody."""
        if who is None or self.directory is None or not self.settings.reads or route not in READS:
            return
        now = int(self.clock())
        done = self.database.submit(lambda one: note_read(one, who, address, route, dict(places), now))
        done.add_done_callback(lambda found: found.exception() and self.on_error(found.exception()))  # type: ignore[arg-type]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, work: Callable[[], object], every_s: float) -> None:
        while True:
            try:
                await asyncio.to_thread(work)
            except Exception as error:
                self.on_error(error)
            await asyncio.sleep(every_s)

    def send(self) -> None:
        assert self.outlet is not None
        tls = self.settings.tls.outgoing()
        send_new(self.database, self.outlet, context=None if tls is None else lambda: tls)

    def sweep(self) -> Row:
        """Delete what is too old, and erase organizations whose time has come. What was done."""
        now = int(self.clock())
        with self.database.transaction() as connection:
            gone: Row = dict(sweep(connection, now))
            if old := prune(connection, now, self.settings.audit_days):
                gone["audit_log"] = old
            waiting = due(connection, now)
        erased = []
        for organization in waiting if self.directory is not None else ():
            erased.append(self.erase(organization))
        if gone or erased:
            wipe(self.database.engine, rewrite=bool(erased))
        return {"deleted": gone, "erased": erased}

    def erase(self, organization: str) -> Row:
        """Erase a closed organization. Its receipt, or why it cannot be erased now."""
        from creuset.core.errors import RequestError

        assert self.directory is not None
        key = self.signing_key
        try:
            return self.directory.change(SYSTEM, lambda change: erase_organization(change, organization, key))
        except RequestError as error:
            self.on_error(error)
            return {"organization": organization, "waits": str(error)}


def protection_of(
    settings: ProtectSettings, database: Database, directory: Directory | None = None, *, clock: Clock = time.time
) -> Protection:
    """Raises ConfigError where the master key cannot be used, or is not the one that content was sealed with."""
    master = read_master(settings.master_key) if settings.master_key else None
    vault = Vault(database, master, clock=clock)
    vault.check()
    found = Protection(settings, database, vault, directory, clock)
    found.tls = settings.tls.outgoing()
    if settings.audit_to:
        found.outlet = read_outlet(settings.audit_to)
    if settings.guards is not None:
        found.guards = parse_guards(json.dumps(read_guards(settings.guards)))
    return found
