"""The arguments that say how data are protected, for `serve` and the verbs on its database."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.errors import ConfigError
from creuset.model.store.shelf import store_folder

if TYPE_CHECKING:
    from creuset.server.database import Database
    from creuset.server.protect.settings import ProtectSettings
    from creuset.server.settings import ServeSettings

TLS = {
    "cert": "answer with HTTPS: the certificate of this server, PEM",
    "key": "its key",
    "client-ca": "answer only those who show a certificate of this CA",
    "client-cert": "the certificate that is shown to other servers, guards and receivers",
    "client-key": "its key",
    "ca": "the CA that must have signed theirs (default: those of the system)",
}


def add_master(add: Callable[..., Any]) -> None:
    add(
        "--master-key", default="", metavar="SPEC",
        help="encrypt content with keys that this one wraps: file:PATH, command:WORDS, or "
        "pkcs11:module=FILE;token=NAME;label=NAME",
    )  # fmt: skip


def add_protection(add: Callable[..., Any]) -> None:
    """Those of `serve`."""
    add_master(add)
    add("--guards", type=Path, metavar="FILE", help="mask and refuse before and after the model, in all projects")
    add(
        "--audit-to", default="", metavar="URL",
        help="send the audit log: syslog+udp://HOST:514 (or +tcp, +tls), cef+udp://HOST:514, or "
        "otlp+http://HOST:4318/v1/logs",
    )  # fmt: skip
    add(
        "--audit-days", type=int, default=366, metavar="N",
        help="keep the audit log so long, 183 to 366 days (default: %(default)s)",
    )  # fmt: skip
    for name, what in TLS.items():
        add(f"--tls-{name}", type=Path, metavar="FILE", help=what)
    add(
        "--egress", action="append", metavar="HOST",
        help="connect to no hosts but those that settings name, and these; `named`: but those that settings name",
    )  # fmt: skip


def close_door(
    args: argparse.Namespace, settings: "ServeSettings", addresses: Iterable[str], database: "Database"
) -> bool:
    """With `--egress`, this process connects to no host from now on but those that are named. Whether it is so.

    `addresses`: of the models of other servers.
    """
    if args.egress is None:
        return False
    from creuset.server.protect.egress import EgressList, close_egress, host_of, named_in
    from creuset.server.protect.guards.settings import read_guards

    guards = [one.get("url", "") for one in read_guards(args.guards)] if args.guards is not None else []
    urls = [*addresses, *guards, settings.database, settings.mail, args.audit_to, getattr(args, "redis", None) or ""]
    hosts = [*(host_of(url) for url in urls), *(host for host in args.egress if host != "named")]

    def more() -> set[str]:
        with database.reading() as connection:
            return named_in(connection)

    close_egress(EgressList(hosts, more))
    return True


def protect_settings(args: argparse.Namespace, url: str) -> "ProtectSettings":
    from creuset.server.protect.settings import ProtectSettings, signing_file
    from creuset.server.protect.tls import TlsFiles

    more = {
        name: getattr(args, name) for name in ("guards", "audit_to", "audit_days")
        if args.verb == "serve" and getattr(args, name, None) is not None
    }  # fmt: skip
    try:
        if args.verb == "serve":
            more["tls"] = TlsFiles(**{
                name.replace("-", "_"): getattr(args, f"tls_{name.replace('-', '_')}") for name in TLS
            })  # fmt: skip
        return ProtectSettings(
            master_key=args.master_key, signing=signing_file(url, store_folder().parent), **more
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error)) from None
