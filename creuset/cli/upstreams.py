"""What `creuset serve` is told of other servers: the options of one upstream each, and the file of routes."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.server.routes.config import RoutesFile


def add_upstreams(add: Callable[..., Any]) -> None:
    add(
        "--upstream", action=UpstreamOption, default=[], metavar="URL",
        help="the API of another server, such as http://localhost:8001/v1, one of whose models is served here as well; "
        "may be given several times, each with its --upstream-model",
    )  # fmt: skip
    add(
        "--upstream-model", action=UpstreamOption, dest="upstream", metavar="[ALIAS=]NAME",
        help="the model's name at the --upstream before it",
    )  # fmt: skip
    add(
        "--upstream-key-env", action=UpstreamOption, dest="upstream", metavar="VAR",
        help="the environment variable that holds the key of the --upstream before it",
    )  # fmt: skip
    add(
        "--routes", type=Path, metavar="FILE",
        help="public names over these models and further upstreams, with fallbacks and the life of names: TOML or JSON "
        "(check one with `creuset routes check FILE`)",
    )  # fmt: skip


class UpstreamOption(argparse.Action):
    """`--upstream URL --upstream-model NAME --upstream-key-env VAR`: what follows a URL belongs to it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        word = (option_string or "").removeprefix("--upstream").removeprefix("-").replace("-", "_") or "url"
        found = [dict(one) for one in namespace.upstream]
        if word == "url":
            found.append({})
        elif not found or word in found[-1]:
            why = "the --upstream before it has one already" if found else "no --upstream stands before it"
            parser.error(f"{option_string} {values}: {why}. Write --upstream URL {option_string} {values}")
        found[-1][word] = values
        namespace.upstream = found


def upstreams_of(args: argparse.Namespace) -> list[Any]:
    """The models of other servers. `--served-name` is for the first of them where no model is served here."""
    if not args.upstream:
        return []
    from creuset.server.engines.upstream import UpstreamSettings

    first = [] if args.model or args.all else args.served_name
    found = []
    for one in args.upstream:
        alias, equals, name = one.get("model", "").partition("=")
        names, first = tuple(first) or ((alias,) if equals else ()), []
        variable = one.get("key_env")
        if variable is not None and not os.environ.get(variable):
            raise ConfigError(f"--upstream-key-env {variable}: there is no such variable in the environment")
        key = os.environ[variable].strip() if variable else ""
        model = name if equals else alias
        found.append(UpstreamSettings(url=one["url"], model=model, names=names, key=key))
    return found


def routes_of(args: argparse.Namespace) -> "RoutesFile":
    """The routes of `--routes`; none without it."""
    from creuset.server.routes.config import NO_ROUTES, read_routes

    return NO_ROUTES if args.routes is None else read_routes(args.routes)
