"""The parts of data protection in one server: the vault, the key of receipts, the task that deletes what is too old."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from creuset.core.errors import ConfigError
from creuset.server.database import Database
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

Clock = Callable[[], float]


@dataclass(slots=True)
class Protection:
    settings: ProtectSettings
    database: Database
    vault: Vault
    directory: Directory | None = None
    clock: Clock = time.time
    on_error: Callable[[BaseException], object] = lambda _: None
    guards: Sequence[GuardSettings] = ()  # of every project
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

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
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.sweep)
            except Exception as error:
                self.on_error(error)
            await asyncio.sleep(self.settings.sweep_s)

    def sweep(self) -> Row:
        """Delete what is too old, and erase organizations whose time has come. What was done."""
        now = int(self.clock())
        with self.database.transaction() as connection:
            gone: Row = dict(sweep(connection, now))
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
    if settings.guards is not None:
        found.guards = parse_guards(json.dumps(read_guards(settings.guards)))
    return found
