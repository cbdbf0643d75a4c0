"""The routes file: upstreams, routes with their targets, and names with their life. TOML, or JSON by its ending.

    [here]                         where the models of this server run
    country = "FR"
    operator = "Example SAS"
    law = ["FR", "EU"]

    [upstreams.paris]              another server
    url = "https://llm.example.fr/v1"
    key_env = "PARIS_KEY"

    [routes.smart]                 a public name
    targets = [
      { model = "mini", weight = 3 },                       # one of ours
      { upstream = "paris", model = "large", weight = 1 },
      { upstream = "paris", model = "long", order = 2, on = ["context"] },
    ]

    [names.smart-2025]             the life of a name
    alias_of = "smart"
    deprecated = 2026-01-01
    ends = 2026-07-01
    successor = "smart"

What is wrong is a ConfigError that names the file and the place in it.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from creuset.core.errors import ConfigError
from creuset.server.engines.upstream import UpstreamSettings
from creuset.types.served import Jurisdiction

Reason = Literal["failure", "overload", "context", "policy"]
SAFE: tuple[Reason, ...] = ("failure", "overload", "context")
Positive = Annotated[float, Meta(gt=0)]
Country = Annotated[str, Meta(pattern="^([A-Z]{2})?$")]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object all of whose fields are known."""


class PlaceSpec(Strict, frozen=True, kw_only=True):
    country: Country = ""
    operator: str = ""
    law: tuple[str, ...] = ()

    @property
    def place(self) -> Jurisdiction:
        return Jurisdiction(country=self.country, operator=self.operator, law=self.law)


class UpstreamSpec(PlaceSpec, frozen=True, kw_only=True):
    """Another server. `own_keys`: "no", "allowed" or "required" keys of tenants."""

    url: str
    key_env: str = ""
    key_file: str = ""
    own_keys: Literal["no", "allowed", "required"] = "no"
    at_a_time: Annotated[int, Meta(ge=1)] = 64  # requests that run there for this server
    connect_s: Positive = 5.0
    silence_s: Positive = 300.0
    probe_s: Positive = 10.0


class TargetSpec(PlaceSpec, frozen=True, kw_only=True):
    """`model`: one of this server, or with `upstream` the name there. `order`: 1 is asked first.

    `on`: why it may be asked after another one; a policy is passed by only where somebody wrote so.
    """

    model: Annotated[str, Meta(min_length=1)]
    upstream: str = ""
    name: str = ""  # that replies and usage say; empty: `model`
    weight: Positive = 1.0
    order: Annotated[int, Meta(ge=1)] = 1
    on: tuple[Reason, ...] = SAFE

    @property
    def id(self) -> str:
        return f"{self.upstream}/{self.model}" if self.upstream else self.model


class RouteSpec(Strict, frozen=True, kw_only=True):
    """`first_byte_s`: a stream that has not begun by then is asked of the next target. `retries`: rounds after the
    first, when every target has failed."""

    targets: Annotated[tuple[TargetSpec, ...], Meta(min_length=1)]
    retries: Annotated[int, Meta(ge=0, le=10)] = 1
    first_byte_s: Positive | None = None
    failures: Annotated[int, Meta(ge=1)] = 5  # in a row, after which a target rests
    rest_s: Positive = 10.0  # at first; each time twice as long, up to 16 times


class NameSpec(Strict, frozen=True, kw_only=True):
    """The life of a name. `alias_of`: it stands for another; else it is one that is served or a route."""

    alias_of: str = ""
    deprecated: date | None = None
    ends: date | None = None  # from this day on (UTC) it is not served
    successor: str = ""


class RoutesFile(Strict, frozen=True, kw_only=True):
    here: PlaceSpec = PlaceSpec()
    upstreams: dict[str, UpstreamSpec] = {}
    routes: dict[str, RouteSpec] = {}
    names: dict[str, NameSpec] = {}

    def place_of(self, target: TargetSpec) -> Jurisdiction:
        """What the target says; where it says nothing, its upstream, or this server."""
        around = self.upstreams[target.upstream] if target.upstream else self.here
        return Jurisdiction(
            country=target.country or around.country, operator=target.operator or around.operator,
            law=target.law or around.law,
        )  # fmt: skip

    def models(self) -> list[str]:
        """Names of this server's models that routes and names need, in the order of the file."""
        found = [target.model for route in self.routes.values() for target in route.targets if not target.upstream]
        found += [one.alias_of or name for name, one in self.names.items()]
        return [name for name in dict.fromkeys(found) if name not in self.routes]


NO_ROUTES = RoutesFile()


def read_routes(file: Path) -> RoutesFile:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"the routes file `{file}` cannot be read: {error.strerror}") from None
    try:
        said = json.loads(raw) if file.suffix == ".json" else tomllib.loads(raw.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{file}` is not {'JSON' if file.suffix == '.json' else 'TOML'}: {error}") from None
    try:
        found = msgspec.convert(said, RoutesFile)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `")
        at = place.removesuffix("`").removeprefix("$.") or "the top"
        raise ConfigError(f"`{file}`, {_place(said, at)}: {words[:1].lower() + words[1:]}") from None
    try:
        _check(found)
    except ConfigError as error:
        raise ConfigError(f"`{file}`, {error}", hint=error.hint) from None
    return found


def _place(said: Any, at: str) -> str:
    """msgspec writes `[...]` for a key of a table: the first one that is wrong."""
    table, star, rest = at.partition("[...]")
    entries = said.get(table) if star else None
    for key, value in entries.items() if isinstance(entries, dict) else ():
        try:
            msgspec.convert({table: {key: value}}, RoutesFile)
        except msgspec.ValidationError:
            return f"`{table}.{key}{rest}`"
    return f"`{at}`"


def _check(found: RoutesFile) -> None:
    for name, upstream in found.upstreams.items():
        settings_of(upstream, f"upstreams.{name}", "checked", key="")
        if upstream.key_env and upstream.key_file:
            raise ConfigError(f"`upstreams.{name}`: `key_env` and `key_file` are two places for one key")
        if upstream.own_keys == "required" and (upstream.key_env or upstream.key_file):
            raise ConfigError(f"`upstreams.{name}`: `own_keys` is required, so a key of this server is never used")
    for name, route in found.routes.items():
        seen = set()
        for at, target in enumerate(route.targets):
            where = f"`routes.{name}.targets[{at}]`"
            if target.upstream and target.upstream not in found.upstreams:
                there = ", ".join(found.upstreams) or "none"
                raise ConfigError(f"{where}: there is no upstream `{target.upstream}`; there are {there}")
            if not target.upstream and target.model in found.routes:
                raise ConfigError(f"{where}: `{target.model}` is a route, and a route cannot lead to another")
            if not target.upstream and target.name:
                raise ConfigError(f"{where}: `name` is for upstreams; a model of this server has its own")
            if target.id in seen:
                raise ConfigError(f"{where}: `{target.id}` is a target of this route already")
            seen.add(target.id)
    for name, life in found.names.items():
        where = f"`names.{name}`"
        if life.alias_of in found.names and found.names[life.alias_of].alias_of:
            raise ConfigError(f"{where}: `{life.alias_of}` is an alias itself; name what it stands for")
        if life.alias_of and name in found.routes:
            raise ConfigError(f"{where}: it is a route, and no alias of `{life.alias_of}`")
        if life.deprecated and life.ends and life.ends < life.deprecated:
            raise ConfigError(f"{where}: it ends on {life.ends}, before it is deprecated on {life.deprecated}")
        if life.successor == name:
            raise ConfigError(f"{where}: its successor is itself")
        after = found.names.get(life.successor)
        if after is not None and after.ends and life.ends and after.ends <= life.ends:
            raise ConfigError(f"{where}: its successor `{life.successor}` ends on {after.ends}, no later than it does")


def settings_of(one: UpstreamSpec, where: str, model: str, *, key: str, name: str = "") -> UpstreamSettings:
    """How to speak to the server of `one`; it is tried again by the route, so not here."""
    try:
        return UpstreamSettings(
            url=one.url, model=model, names=(name or model,), key=key, retries=0, connect_s=one.connect_s,
            silence_s=one.silence_s, probe_s=one.probe_s, at_a_time=one.at_a_time,
        )  # fmt: skip
    except ConfigError as error:
        raise ConfigError(f"`{where}`: {str(error).replace('--upstream', 'its `url`', 1)}") from None


def key_of(one: UpstreamSpec, where: str, environment: Mapping[str, str] = os.environ) -> str:
    """The key of this server there. ConfigError where it is named and is not there."""
    if one.key_env:
        if not environment.get(one.key_env):
            raise ConfigError(f"`{where}.key_env`: there is no variable `{one.key_env}` in the environment")
        return environment[one.key_env].strip()
    if one.key_file:
        try:
            return Path(one.key_file).read_text().strip()
        except OSError as error:
            raise ConfigError(f"`{where}.key_file`: `{one.key_file}` cannot be read: {error.strerror}") from None
    return ""
