"""Settings: frozen dataclasses that recipe functions build and `--set` copies with a difference.

Reading order: `recipe` (name -> settings), `with_overrides` (the one door for changes),
`resolved` (what is kept with the artifact).
"""

import dataclasses
import difflib
import importlib
import json
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from creuset.core.errors import ConfigError

S = TypeVar("S")


def recipe(name: str) -> Any:
    """Build the settings that `name` stands for.

    `mini` is `recipes.mini:pretrain`; `mini:sft` is `recipes.mini:sft`; any
    `package.module:function` on the import path works too.
    """
    module_name, _, function_name = name.partition(":")
    function_name = function_name or "pretrain"
    candidates = [module_name] if "." in module_name else [f"creuset.recipes.{module_name}", module_name]
    module = None
    for candidate in candidates:
        try:
            module = importlib.import_module(candidate)
            break
        except ModuleNotFoundError as missing:
            # A recipe whose own import fails must say so, not "no such recipe".
            if missing.name is None or not (candidate == missing.name or candidate.startswith(missing.name + ".")):
                raise
    if module is None:
        known = shipped_recipes()
        near = difflib.get_close_matches(module_name, known, n=1)
        raise ConfigError(
            f"`{name}` is not a recipe",
            hint=f"did you mean `{near[0]}`?" if near else f"shipped recipes: {', '.join(known)}",
        )
    function: Callable[[], Any] | None = getattr(module, function_name, None)
    if not callable(function):
        names = [n for n, f in vars(module).items() if callable(f) and getattr(f, "__module__", "") == module.__name__]
        near = difflib.get_close_matches(function_name, names, n=1)
        raise ConfigError(
            f"`{name}` is not a recipe: {module.__name__} has no function `{function_name}`",
            hint=f"did you mean `{module_name}:{near[0]}`?" if near else f"it has {', '.join(names)}",
        )
    return function()


def shipped_recipes() -> list[str]:
    """Names of the recipe modules inside the package."""
    folder = Path(__file__).parent.parent / "recipes"
    return sorted(f.stem for f in folder.glob("*.py") if f.stem != "__init__")


def with_overrides(settings: S, assignments: Iterable[str]) -> S:
    """Return a copy of `settings` with each `path.to.leaf=value` applied in order."""
    for text in assignments:
        path, equals, raw = text.partition("=")
        if not equals:
            raise ConfigError(f"`{text}` is not of the form `path=value`")
        settings = _replace(settings, path.split("."), raw, path)
    return settings


def _replace(node: Any, keys: list[str], raw: str, path: str) -> Any:
    key, *rest = keys
    known = [field.name for field in dataclasses.fields(node)] if dataclasses.is_dataclass(node) else []
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        raise ConfigError(
            f"`{path}` is not a setting: {type(node).__name__} has no `{key}`",
            hint=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known) or 'no settings'}",
        )
    if rest:
        new = _replace(getattr(node, key), rest, raw, path)
    else:
        new = _parse(raw, typing.get_type_hints(type(node))[key], path)
    try:
        return dataclasses.replace(node, **{key: new})
    except ValueError as refused:  # raised by __post_init__: keep its words, add the path
        raise ConfigError(f"`{path}={raw}` is refused: {refused}") from refused


def _parse(raw: str, hint: Any, path: str) -> Any:
    """Read `raw` as a value of type `hint` (str, bool, int, float, Path, Literal, optional, tuples and dicts of these)."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if raw in map(str, args):
            return next(a for a in args if str(a) == raw)
        near = difflib.get_close_matches(raw, [str(a) for a in args], n=1)
        raise ConfigError(
            f"`{path}={raw}` is refused: choose one of {', '.join(map(str, args))}",
            hint=f"did you mean `{near[0]}`?" if near else "",
        )
    if origin in (Union, types.UnionType):
        if raw in ("none", "None", "null") and type(None) in args:
            return None
        return _parse(raw, next(a for a in args if a is not type(None)), path)
    if hint is bool:
        if raw.lower() in ("true", "1", "yes"):
            return True
        if raw.lower() in ("false", "0", "no"):
            return False
        raise ConfigError(f"`{path}={raw}` is refused: expected true or false")
    if hint is int or hint is float:
        try:
            return hint(raw.replace("_", "")) if hint is int else float(raw)
        except ValueError:
            raise ConfigError(f"`{path}={raw}` is refused: expected {'an integer' if hint is int else 'a number'}") from None
    if hint is str:
        return raw
    if hint is Path:
        return Path(raw)
    if origin is tuple:
        parts = [p for p in raw.split(",") if p]
        return tuple(_parse(p, args[0], path) for p in parts)
    if origin is dict:
        pairs = dict(p.partition("=")[::2] if "=" in p else p.partition(":")[::2] for p in raw.split(",") if p)
        return {_parse(k, args[0], path): _parse(v, args[1], path) for k, v in pairs.items()}
    raise ConfigError(f"`{path}` cannot be set from the command line: its type is {hint}")


def resolved(settings: Any) -> Any:
    """`settings` as plain JSON values: what is printed by `--dry-run` and kept with the artifact."""
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return {f.name: resolved(getattr(settings, f.name)) for f in dataclasses.fields(settings)}
    if isinstance(settings, dict):
        return {str(k): resolved(v) for k, v in settings.items()}
    if isinstance(settings, list | tuple):
        return [resolved(v) for v in settings]
    if isinstance(settings, Path):
        return str(settings)
    return settings


def as_json(settings: Any) -> str:
    return json.dumps(resolved(settings), indent=2, sort_keys=True)
