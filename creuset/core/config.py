"""Settings: frozen dataclasses that recipe functions build and `--set` copies with a difference.

Reading order: `recipe` (name -> settings), `with_overrides` (the one door for changes),
`resolved` (what is kept with the artifact).
"""

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import json
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from creuset.core.errors import ConfigError

S = TypeVar("S")


def recipe(name: str) -> Any:
    """Build the settings that `name` stands for.

    `mini` is `recipes.mini:pretrain`; `mini:sft` is `recipes.mini:sft`; any `package.module:function` on the import
    path works too, and so does a file of yours: `my_recipe.py:function`.
    """
    module_name, _, function_name = name.partition(":")
    function_name = function_name or "pretrain"
    if module_name.endswith(".py"):
        return _called(_loaded(Path(module_name)), module_name, function_name, name)
    if not re.fullmatch(r"\w+(\.\w+)*", module_name):
        raise ConfigError(f"`{name}` is not a recipe", hint="a recipe is `name`, `name:function` or `module:function`")
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
    return _called(module, module_name, function_name, name)


def _loaded(file: Path) -> types.ModuleType:
    """The module in a file, which is run under its own name without touching the import path."""
    if not file.is_file():
        raise ConfigError(f"`{file}` is not a recipe: there is no such file")
    spec = importlib.util.spec_from_file_location(f"recipe_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses of the file look their module up
    spec.loader.exec_module(module)
    return module


def _called(module: types.ModuleType, module_name: str, function_name: str, name: str) -> Any:
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
    """Return a copy of `settings` with every `path.to.leaf=value` applied; of two for one path the last counts.

    They are applied together, so that two settings which only fit each other can be changed in any order.
    """
    changes: dict[str, Any] = {}
    for text in assignments:
        path, equals, _ = text.partition("=")
        if not equals:
            raise ConfigError(f"`{text}` is not of the form `path=value`")
        _check(settings, path.split("."), path)
        *branch, leaf = path.split(".")
        node = changes
        for key in branch:
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        node[leaf] = text
    changed: S = _replaced(settings, changes)
    return changed


def _check(node: Any, keys: list[str], path: str) -> None:
    """Raise unless `keys` lead from `node` to a setting that exists."""
    for depth, key in enumerate(keys):
        known = [field.name for field in dataclasses.fields(node)] if dataclasses.is_dataclass(node) else []
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            owner = type(node).__name__ if known else f"`{'.'.join(keys[:depth])}`, which is {node!r},"
            raise ConfigError(
                f"`{path}` is not a setting: {owner} has no `{key}`",
                hint=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known) or 'no settings'}",
            )
        node = getattr(node, key)


def _replaced(node: Any, changes: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(type(node))
    new: dict[str, Any] = {}
    for key, change in changes.items():
        if isinstance(change, dict):
            new[key] = _replaced(getattr(node, key), change)
        else:
            path, _, raw = change.partition("=")
            new[key] = _parse(raw, hints[key], path)
    try:
        return dataclasses.replace(node, **new)
    except ValueError as refused:  # raised by __post_init__: keep its words, add the path
        raise ConfigError(f"`{' '.join(_texts(changes))}` is refused: {refused}") from refused


def _texts(changes: dict[str, Any]) -> list[str]:
    return [t for c in changes.values() for t in (_texts(c) if isinstance(c, dict) else [c])]


def _parse(raw: str, hint: Any, path: str) -> Any:
    """Read `raw` as a `hint`: str, bool, int, float, Path, Literal, optional, tuples and dicts of these."""
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
    if hint is int:
        try:
            return int(raw)
        except ValueError:
            with contextlib.suppress(ValueError):
                if float(raw).is_integer():  # 1e9, which people write for tokens
                    return int(float(raw))
            raise ConfigError(f"`{path}={raw}` is refused: expected an integer") from None
    if hint is float:
        with contextlib.suppress(ValueError):
            if math.isfinite(value := float(raw)):
                return value
        raise ConfigError(f"`{path}={raw}` is refused: expected a number")
    if hint is str:
        return raw
    if hint is Path:
        return Path(raw)
    if origin is tuple:
        parts = raw.split(",") if raw else []
        if args[-1] is Ellipsis:
            return tuple(_parse(p, args[0], path) for p in parts)
        if len(parts) != len(args):
            raise ConfigError(f"`{path}={raw}` is refused: expected {len(args)} values separated by commas")
        return tuple(_parse(p, a, path) for p, a in zip(parts, args, strict=True))
    if origin is dict:
        if bad := next((p for p in raw.split(",") if p and "=" not in p and ":" not in p), None):
            raise ConfigError(f"`{path}={raw}` is refused: `{bad}` is not of the form `name:value`")
        pairs = dict(p.partition("=")[::2] if "=" in p else p.partition(":")[::2] for p in raw.split(",") if p)
        return {_parse(k, args[0], path): _parse(v, args[1], path) for k, v in pairs.items()}
    if dataclasses.is_dataclass(hint):
        fields = ", ".join(f"{path}.{field.name}" for field in dataclasses.fields(hint))
        raise ConfigError(f"`{path}` is a group of settings", hint=f"set one of {fields}")
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


# Ranges: `[0, 1)` is from 0 to below 1, `(0, inf)` above 0.

_INTERVAL = re.compile(r"([\[(])(-?[\d.]+|-inf), ?(-?[\d.]+|inf)([\])])")


def within(value: float, interval: str) -> bool:
    """Whether `value` lies in `interval`. What is not a number, or not finite, lies in none."""
    parts = _INTERVAL.fullmatch(interval)
    assert parts is not None, f"{interval} is no interval"
    low, high = float(parts[2]), float(parts[3])
    above = value >= low if parts[1] == "[" else value > low
    below = value <= high if parts[4] == "]" else value < high
    return math.isfinite(value) and above and below


def words(interval: str) -> str:
    """The interval as people say it."""
    parts = _INTERVAL.fullmatch(interval)
    assert parts is not None, f"{interval} is no interval"
    low = "" if parts[2] == "-inf" else f"{'at least' if parts[1] == '[' else 'above'} {parts[2]}"
    high = "" if parts[3] == "inf" else f"{'at most' if parts[4] == ']' else 'below'} {parts[3]}"
    return " and ".join(part for part in (low, high) if part) or "any"


def refusal(value: float, interval: str) -> str:
    """`must be at least 0, got -3`; `must be a finite number, got nan`."""
    wanted = words(interval) if math.isfinite(value) else "a finite number"
    return f"must be {wanted}, got {value}"


def check_ranges(settings: Any, intervals: dict[str, str]) -> None:
    """Raise ValueError for the first field of `settings` that lies outside its interval. None is left alone."""
    for name, interval in intervals.items():
        value = getattr(settings, name)
        if value is not None and not within(value, interval):
            raise ValueError(f"{name} {refusal(value, interval)}")
