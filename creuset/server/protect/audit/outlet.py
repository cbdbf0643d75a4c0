"""Sending the audit log elsewhere: each entry at least once, in order, however often the server or the receiver stops.

`syslog+udp`, `syslog+tcp`, `syslog+tls` and the same of `cef` go to HOST:PORT; `otlp+http` and `otlp+https` to a URL.
What was sent last is kept in the database; a receiver that gets an entry twice knows it by its id.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import ConfigError, EngineError
from creuset.server.database import Database
from creuset.server.protect.audit.forms import cef, otlp, syslog
from creuset.server.protect.tables import OUTLETS
from creuset.server.tenants.directory.rows import Row
from creuset.server.tenants.directory.tables import AUDIT

FORMS = {"syslog": syslog, "cef": cef}
WAYS = ("udp", "tcp", "tls")
TOGETHER = 100
WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Outlet:
    form: str
    way: str
    host: str
    port: int
    url: str = ""  # of OTLP

    @property
    def name(self) -> str:
        return self.url or f"{self.form}+{self.way}://{self.host}:{self.port}"


def read_outlet(url: str) -> Outlet:
    """ConfigError for what is none."""
    parts = urlsplit(url)
    form, _, way = parts.scheme.partition("+")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if form == "otlp" and way in ("http", "https") and host:
        return Outlet(form, way, host, port or 4318, f"{way}://{parts.netloc}{parts.path or '/v1/logs'}")
    if form in FORMS and way in WAYS and host and not parts.path.strip("/"):
        return Outlet(form, way, host, port or (6514 if way == "tls" else 514))
    raise ConfigError(
        f"--audit-to must be like syslog+udp://HOST:514, cef+tcp://HOST:514, syslog+tls://HOST:6514 or "
        f"otlp+http://HOST:4318/v1/logs, got `{url[:80]}`"
    )


def send_new(database: Database, outlet: Outlet, *, context: Callable[[], ssl.SSLContext] | None = None) -> int:
    """Send what was not sent yet. How many entries. OSError or EngineError where the receiver does not take them."""
    sent = 0
    while True:
        with database.transaction() as connection:
            at = _cursor(connection, outlet)
        with database.reading() as connection:
            query = select(AUDIT).where(AUDIT.c.at > at).order_by(AUDIT.c.at).limit(TOGETHER)
            rows: list[Row] = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return sent
        _send(outlet, rows, context or ssl.create_default_context)
        with database.transaction() as connection:  # unless another replica has gone further meanwhile
            here = (OUTLETS.c.target == outlet.name, OUTLETS.c.at < rows[-1]["at"])
            connection.execute(update(OUTLETS).where(*here).values(at=rows[-1]["at"]))
        sent += len(rows)


def _cursor(connection: Connection, outlet: Outlet) -> int:
    found = connection.execute(select(OUTLETS.c.at).where(OUTLETS.c.target == outlet.name)).scalar()
    if found is None:
        connection.execute(insert(OUTLETS).values(target=outlet.name, at=0))
    return int(found or 0)


def _send(outlet: Outlet, rows: list[Row], context: Callable[[], ssl.SSLContext]) -> None:
    host = socket.gethostname()
    if outlet.form == "otlp":
        _post(outlet.url, otlp(rows, host), context if outlet.way == "https" else None)
        return
    messages = [FORMS[outlet.form](row, host) for row in rows]
    if outlet.way == "udp":
        family, kind, proto, _, address = socket.getaddrinfo(outlet.host, outlet.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as out:
            for message in messages:
                out.sendto(message, address)
        return
    with socket.create_connection((outlet.host, outlet.port), timeout=WAIT_S) as plain:
        stream = context().wrap_socket(plain, server_hostname=outlet.host) if outlet.way == "tls" else plain
        try:
            # A number of octets before each message: RFC 6587, 5425.
            stream.sendall(b"".join(b"%d %s" % (len(message), message) for message in messages))
            stream.shutdown(socket.SHUT_WR)
            while stream.recv(1024):
                pass  # until the receiver has read all of it and closes
        except TimeoutError:
            pass  # a receiver that keeps the connection open
        finally:
            stream.close()


def _post(url: str, body: Any, context: Callable[[], ssl.SSLContext] | None) -> None:
    import httpx

    verify: Any = context() if context is not None else False
    try:
        reply = httpx.post(url, json=body, timeout=WAIT_S, trust_env=False, verify=verify)
    except httpx.HTTPError as error:
        raise EngineError(f"the receiver of the audit log cannot be asked ({type(error).__name__})") from None
    if reply.status_code != 200:
        raise EngineError(f"the receiver of the audit log answered {reply.status_code}")
