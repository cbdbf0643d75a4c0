"""Closed egress: a server connects to the hosts that its settings name, and to no others.

Python tells a hook of every name that is looked up and every connection that is opened by its own sockets, before it
happens; a hook that raises stops it. So a bug, or an address that somebody has smuggled in, does not get out.
libpq and uvloop have sockets of their own: the database is named anyway, and a closed server does not use uvloop.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.engine import Connection

from creuset.server.protect.tables import RULES
from creuset.server.tenants.directory.tables import ORGANIZATIONS
from creuset.server.tenants.money.tables import ALERTS

LOCAL = ("localhost", "127.0.0.1", "::1")


class EgressClosed(PermissionError):
    """Not allowed: to whoever asked, a connection that cannot be made."""


class EgressList:
    """`hosts`: those that may be asked, as they are named. `more` says others that were named since."""

    def __init__(self, hosts: Iterable[str], more: Callable[[], Iterable[str]] = lambda: ()) -> None:
        self._hosts, self._more = {host.lower() for host in hosts if host}, more
        if self._hosts & set(LOCAL):
            self._hosts |= set(LOCAL)
        self._found: set[str] = set()  # addresses of these
        self._asking = False

    def allows(self, host: str) -> bool:
        host = host.lower().rstrip(".").strip("[]")
        if host in self._hosts or host in self._found:
            return True
        if self._asking:  # what is looked up to answer this
            return False
        self._asking = True
        try:
            self._hosts |= {one.lower() for one in self._more() if one}
            if host in self._hosts:
                return True
            if _is_address(host):
                self._found = {found for name in self._hosts for found in _addresses(name)}
            return host in self._found
        finally:
            self._asking = False

    def refuse(self, event: str, args: tuple[Any, ...]) -> None:
        """Python's audit hook. Raises EgressClosed."""
        if event == "socket.getaddrinfo":
            host = args[0]
            host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            host = args[1][0] if isinstance(args[1], tuple) else None  # a path: a socket of this machine
        else:
            return
        if isinstance(host, str) and host and not self.allows(host):
            raise EgressClosed(f"this server may not connect to `{host[:100]}`: --egress does not name it")


def close_egress(allowed: EgressList) -> None:
    """From now on, for as long as this process lives."""
    sys.addaudithook(allowed.refuse)


def host_of(url: str) -> str:
    """The host of an address; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def named_in(connection: Connection) -> set[str]:
    """Hosts that administrators have named in the database: of webhooks, providers to sign on at, guards."""
    found: set[str] = set()
    for text in connection.execute(select(ALERTS.c.channel)).scalars():
        found.add(host_of(json.loads(text).get("webhook", "")))
    for text in connection.execute(select(ORGANIZATIONS.c.settings)).scalars():
        found.add(host_of(((json.loads(text) if text else {}).get("oidc") or {}).get("issuer", "")))
    for text in connection.execute(select(RULES.c.body)).scalars():
        found |= {host_of(guard.get("url", "")) for guard in json.loads(text).get("guards", ())}
    return found - {""}


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _addresses(name: str) -> set[str]:
    if _is_address(name):
        return {name}
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
    except OSError:
        return set()
