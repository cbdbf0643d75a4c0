"""The arguments that say how data are protected, for `serve` and the verbs on its database."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.errors import ConfigError
from creuset.model.store.shelf import store_folder

if TYPE_CHECKING:
    from creuset.server.protect.settings import ProtectSettings


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


def protect_settings(args: argparse.Namespace, url: str) -> "ProtectSettings":
    from creuset.server.protect.settings import ProtectSettings, signing_file

    more = {
        name: getattr(args, name) for name in ("guards", "audit_to", "audit_days")
        if args.verb == "serve" and getattr(args, name, None) is not None
    }  # fmt: skip
    try:
        return ProtectSettings(
            master_key=args.master_key, signing=signing_file(url, store_folder().parent), **more
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error)) from None
