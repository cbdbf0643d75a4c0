"""Running a server: bind, start the engine process, serve, and end all of it together."""

import asyncio
import errno
import json
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import uvicorn

from creuset.core.errors import ConfigError
from creuset.server.accounting.energy import EnergyBook
from creuset.server.accounting.telemetry import Telemetry
from creuset.server.app import create_app
from creuset.server.batches.runner import BatchRunner
from creuset.server.database import Database
from creuset.server.engines.client import EngineClient, State
from creuset.server.engines.needs import Need
from creuset.server.engines.pool import UNBOUNDED, AnyEngine, EnginePool, ServedEngine
from creuset.server.engines.upstream import UpstreamEngine, UpstreamSettings
from creuset.server.files.store import FileStore
from creuset.server.log import ToStructlog
from creuset.server.metrics import Metrics
from creuset.server.middleware import KeyStore
from creuset.server.model import ServedModel
from creuset.server.protect.place import unlawful
from creuset.server.protect.protection import protection_of
from creuset.server.protect.settings import UNPROTECTED, ProtectSettings
from creuset.server.responses.store import ItemStore
from creuset.server.routes.callers import NameCallers
from creuset.server.routes.config import NO_ROUTES, RoutesFile
from creuset.server.routes.leases import TargetLeases
from creuset.server.routes.own_keys import TenantKeys
from creuset.server.routes.router import ModelRouter, NewUpstream, build_router
from creuset.server.settings import ServeSettings
from creuset.server.state import ServerState
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.gate import Gate, MoneyGate, OpenGate
from creuset.server.tenants.money.alerts import AlertSender, MailServer
from creuset.server.tenants.money.books import Books
from creuset.server.tenants.money.journal import UsageJournal
from creuset.text.watermark import Watermark

GRACE_S = 1  # open connections may take this long to end after Ctrl-C


def worker_command(folder: Path, engine_settings: str) -> list[str]:
    """What starts the engine process; `{fd}` becomes its socket. `-P`: no file of the working folder is imported.

    Where this package was found in the working folder (`python -m creuset` in a checkout), the engine takes it from
    there too: the package that is installed may be another.
    """
    module, root = "creuset.server.engines.worker", str(Path(__file__).parents[2])
    start = ["-m", module]
    if root == os.getcwd() and root not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        start = [
            "-c",
            f"import sys; sys.path.insert(0, {root!r}); from {module} import main; sys.exit(main(sys.argv[1:]))",
        ]
    return [sys.executable, "-P", *start, "{fd}", str(folder), engine_settings]


def as_chosen(command: Sequence[str], facts: dict[str, Any]) -> list[str]:
    """The command of the next life of an engine: what the first one chose by timing is not chosen anew.

    So it is loaded sooner, and answers in the same arithmetic.
    """
    *words, settings = command
    choices = facts.get("choices", {})
    if not settings.startswith('{"') or "dtype" not in choices:
        return list(command)
    native = choices.get("backend") == "native"  # its `dtype` tells of the weights, and was not timed
    kept = {name: choices[name] for name in ("backend", "threads", *(() if native else ("dtype",))) if name in choices}
    return [*words, json.dumps(json.loads(settings) | kept)]


def bind(settings: ServeSettings) -> socket.socket:
    """The listening socket: a port that is taken is known before anything is started."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM
        )[0]
    except socket.gaierror as error:
        raise ConfigError(f"`{settings.host}` is not an address of this machine: {error.strerror}") from None
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {settings.port} of {settings.host} is in use", hint="choose another with --port, or 0 for any"
            ) from None
        raise ConfigError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listener


def address(listener: socket.socket, *, tls: bool = False) -> str:
    host, port = listener.getsockname()[:2]
    return f"http{'s' if tls else ''}://" + (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


class EngineLog:
    """Observes one engine: counts in the metrics, tells state changes to the log."""

    def __init__(self, metrics: Metrics, log: Any, model: str, energy: EnergyBook) -> None:
        self._metrics, self._log, self._model, self._energy = metrics.of(model), log, model, energy
        self._joules, self.on_event = metrics.energy.labels(model), self._metrics.on_event
        self._ready = False  # whether this loading of the model has had a life that was ready

    def accepted(self, ids: Sequence[str]) -> None:
        self._metrics.accepted(ids)
        self._energy.accepted(ids)

    def ended(self, id: str, reason: str) -> None:
        self._metrics.ended(id, reason)
        if (use := self._energy.ended(id)) is not None:
            self._joules.inc(use.joules)
        if reason in ("error", "lost"):
            self._log.warning("completion", reply=id, ended=reason)

    def on_state(self, state: State, **facts: Any) -> None:
        if state == "starting":
            self._ready = False
        elif state == "ready":
            (self._metrics.restarts if self._ready else self._metrics.loads).inc()
            self._ready = True
        say = self._log.warning if state in ("down", "failed") else self._log.info
        say("engine", model=self._model, state=state, **facts)


class _Server(uvicorn.Server):
    """uvicorn. On SIGTERM nothing new is taken, and what runs has `drain_s` seconds to end; every other signal, and a
    second one, ends the engines and all open streams at once."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], object], drain_s: float) -> None:
        super().__init__(config)
        self._stop, self._drain_s = stop, drain_s
        self.drains_until = 0.0  # of time.monotonic

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, without raising the signal again at the end: stopping a server is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        first = not self.should_exit
        super().handle_exit(sig, frame)
        if sig != signal.SIGTERM or not first or not self._drain_s:
            self.drains_until = 0.0
            self._stop()
            return
        self.drains_until = time.monotonic() + self._drain_s
        self.config.timeout_graceful_shutdown = math.ceil(self._drain_s) + GRACE_S
        loop = asyncio.get_event_loop()
        loop.call_soon_threadsafe(loop.call_later, self._drain_s, self._stop)


async def serve(
    models: Sequence[tuple[ServedModel, Sequence[str]]],
    settings: ServeSettings,
    *,
    log: Any,
    keys: KeyStore | None = None,
    listener: socket.socket | None = None,
    on_listening: Callable[[str], None] = lambda _: None,
    on_server: Callable[[Callable[[], object]], None] = lambda _: None,
    client_options: dict[str, Any] | None = None,
    watermark: Watermark | None = None,
    needs: Sequence[Need | None] = (),
    upstreams: Sequence[UpstreamSettings] = (),
    memory: int = UNBOUNDED,
    database: Database | None = None,
    directory: Directory | None = None,
    protect: ProtectSettings = UNPROTECTED,
    routes: RoutesFile = NO_ROUTES,
) -> None:
    """Serve until a signal, or until the engine of the only model says that it cannot be loaded (raised here).

    `models`: each with the command that starts its engine process. One with an `adapter_number` asks the engine of its
    parent, which stands before it. One alone is started at once, one of several when it
    is first asked. `needs`: memory that each takes when it is loaded; all together may take `memory`.
    `upstreams`: models of other servers. `database` is closed at the end; without one, that of `settings` is opened.
    `routes`: public names over these models and over further upstreams.
    `directory`: of people and their keys, in that database; it takes the place of `keys`. `protect`: how data in it are
    protected.
    `on_listening` gets the address as soon as requests are answered: the page at once, the models a moment later.
    `watermark` is what the detector looks for; that an engine marks is a setting of its command.
    `on_server` gets a function that stops the server, for those who run it without signals.
    """
    energy, telemetry = EnergyBook.here(), Telemetry.from_environment()
    metrics, tls = Metrics(), protect.tls.outgoing()
    limit, options = settings.max_concurrency + settings.max_queue, client_options or {}
    alone = sum(not model.adapter_number for model, _ in models) == 1
    state_at_first: State = "starting" if alone else "unloaded"

    def engine(model: ServedModel, command: Sequence[str], need: Need | None) -> ServedEngine:
        observer = EngineLog(metrics, log, model.name, energy)
        client = EngineClient(command, observer, limit=limit, state=state_at_first, renew=as_chosen, **options)
        return ServedEngine(model, client, need=need)

    def upstream(one: UpstreamSettings) -> UpstreamEngine:
        counted = metrics.of((one.names or (one.model,))[0])
        places = one.at_a_time or settings.max_concurrency
        return UpstreamEngine(one, counted, log, max_concurrency=places, max_queue=settings.max_queue, tls=tls)

    ours: list[ServedEngine] = []
    for (model, command), need in zip(models, needs or [None] * len(models), strict=True):
        root = next((one for one in ours if model.adapter_number and one.name == model.parent), None)
        ours.append(engine(model, command, need) if root is None else ServedEngine(model, root.client, root=root))
    database = database or Database(settings.database)
    far = [upstream(one) for one in upstreams]
    router = routed(routes, [*ours, *far], upstream, database, log)
    router.lawful = unlawful
    engines = EnginePool([*ours, *far], memory=memory, behind=router.behind)
    callers = NameCallers(database, on_error=lambda error: log.error("name_calls", error=type(error).__name__))
    protection = protection_of(protect, database, directory)
    protection.on_error = lambda error: log.error("protection", error=type(error).__name__)
    own_keys = router.keys = TenantKeys(database, protection.vault)
    files = FileStore(database, vault=protection.vault)
    batches = BatchRunner(files, engines, settings, keys=directory or keys, log=log)
    items = ItemStore(
        database, on_error=lambda error: log.error("item_store", error=type(error).__name__), vault=protection.vault,
        organization=protection.organization_of,
    )  # fmt: skip
    state = ServerState(
        batches=batches, energy=energy, telemetry=telemetry, engines=engines, settings=settings, metrics=metrics,
        log=log, keys=directory or keys, watermark=watermark,
        database=database, items=items, directory=directory, router=router, callers=callers,
        gate=gate_of(database, settings, directory or keys, log), protection=protection, own_keys=own_keys,
    )  # fmt: skip
    listener = listener or bind(settings)
    await state.gate.start()
    protection.start()
    loop = asyncio.get_running_loop()
    server = _Server(_uvicorn(state, log), lambda: loop.call_soon_threadsafe(engines.close), settings.drain_s)

    def stop() -> None:
        server.should_exit = True
        engines.close()

    if directory is not None:
        directory.start(on_error=lambda error: log.error("directory", error=type(error).__name__))
    on_server(lambda: loop.call_soon_threadsafe(stop))
    await batches.start()
    if telemetry is not None:
        telemetry.start()
    await router.start()
    callers.start()
    lives = asyncio.create_task(engines.run(lambda: setattr(server, "should_exit", True)))
    try:
        with server.capture_signals():  # from before anybody is told where: a signal may come at once
            on_listening(address(listener, tls=protect.tls.cert is not None))
            await server.serve(sockets=[listener])
            while time.monotonic() < server.drains_until and any(one.gauges().open for one in engines.engines):
                await asyncio.sleep(0.05)  # responses in the background
    finally:
        engines.close()
        listener.close()
        await lives
        await protection.stop()
        if directory is not None:
            directory.close()
        await batches.stop()
        if telemetry is not None:
            await telemetry.stop()
        await router.stop()
        await callers.stop()
        await state.gate.stop()
        database.close()
    if engines.failure is not None:
        raise engines.failure


def routed(
    file: RoutesFile, models: Sequence[AnyEngine], new: NewUpstream, database: Database, log: Any
) -> ModelRouter:
    """The routes of `file`. Where several servers share a database, they count what runs at a target together."""
    shared = database if file.routes and database.engine.dialect.name == "postgresql" else None
    leases = TargetLeases(
        f"srv_{token_hex(8)}", shared, on_error=lambda error: log.error("leases", error=type(error).__name__)
    )
    return build_router(file, models, new, leases=leases)


def gate_of(database: Database, settings: ServeSettings, keys: KeyStore | None, log: Any) -> Gate:
    """What counts and charges; without keys there is nobody to charge."""
    if keys is None:
        return OpenGate()
    replica = f"srv_{token_hex(8)}"
    journal = UsageJournal(settings.journal, replica) if settings.journal is not None else None

    def failed(what: str, error: Exception) -> None:
        log.error("ledger", part=what, error=type(error).__name__)

    mail = None
    if settings.mail:
        mail = MailServer(settings.mail, settings.mail_sender, os.environ.get("CREUSET_MAIL_PASSWORD", ""))
    alerts = AlertSender(database, mail=mail, on_error=failed)
    return MoneyGate(
        Books(database, journal=journal, alerts=alerts, on_error=failed, replica=replica, redis=settings.redis)
    )


def _uvicorn(state: ServerState, log: Any) -> uvicorn.Config:
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [ToStructlog(log)], False
        logger.setLevel(logging.WARNING)
    return uvicorn.Config(
        create_app(state),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=state.settings.body_limit_bytes,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        **({} if state.protection is None else state.protection.settings.tls.incoming()),
    )
