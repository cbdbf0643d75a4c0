"""What to compare: one TOML file of the reader, read into typed values. Bad input names the file, the key, the value.

title = "..."                   # or { en = "...", fr = "..." }
measures = ["mmlu.acc"]         # which measures of the artifacts are rows; left out: the first of each task
remark = { en = "...", fr = "..." }     # printed above everything else
[volume]                        # what is asked of the chosen system in a month
requests = 100_000
input_tokens = 800              # a request
output_tokens = 250
cached_share = 0.3              # of the input tokens, read from a cache
batch_share = 0.0               # of the requests, sent as a batch
[load]                          # how speed is measured, where a system has an endpoint
requests = 24
concurrency = 2
max_tokens = 64
prompt_words = 120
[[system]]
name = "Model A"
provider = "..."                # all but `name` may be left out
evaluations = ["runs/eval-a"]   # artifacts of `creuset eval`, below the TOML file's folder
audits = ["runs/audit-a"]       # artifacts of `creuset audit`
speed = "runs/speed-a"          # artifact of `creuset compare speed`
portability = "runs/api-a"      # artifact of `creuset compare portability`
endpoint = "http://.../v1"      # measured when there is no `speed` or no `portability`
model = "..."                   # its name there, and in the price file
key_env = "NAME"                # the variable that holds the key
price = "qwen-max"              # row of the price file; or:
hourly = { value = 1.9, currency = "EUR", source = "...", date = "2026-11-01" }     # of a rented machine; or:
operator = { hardware = 9000, years = 4, watts = 700, kwh = 0.2, utilisation = 0.3, currency = "EUR",
             source = "...", date = "2026-11-01" }  # of one's own (money.py); `upkeep` a year may be added
reported = "Qwen2.5-Max"        # brings what was published of it, from creuset/governance/compare/reported.toml
[system.declared.weights]       # criteria of creuset/governance/compare/criteria.toml
value = "yes"
source = "https://..."
date = "2026-11-01"
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError
from creuset.governance.compare.money import Operator, Volume
from creuset.report.blocks import Words
from creuset.report.language import Text
from creuset.types.usage import Load

HERE = Path(__file__).parent
SYSTEM_KEYS = {
    "name", "provider", "evaluations", "audits", "speed", "portability", "endpoint", "model", "key_env", "price",
    "hourly", "operator", "reported", "declared", "note",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    value: str
    source: str
    date: str
    note: str = ""
    fr: str = ""  # the answer in French, where it is no word of the scale
    note_fr: str = ""
    own: bool = True  # read on its maker's or host's own page; what third parties say of it is shown and never weighed


@dataclass(frozen=True, slots=True)
class Hourly:
    value: float
    currency: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Criterion:
    id: str
    group: str
    label: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSystem:
    """One column, as the reader described it."""

    name: str
    provider: str = ""
    model: str = ""
    note: str = ""
    endpoint: str = ""
    key_env: str = ""
    evaluations: tuple[Path, ...] = ()
    audits: tuple[Path, ...] = ()
    speed: Path | None = None
    portability: Path | None = None
    price: str = ""
    hourly: Hourly | None = None
    operator: Operator | None = None
    reported: str = ""
    declared: Mapping[str, Declared]


@dataclass(frozen=True, slots=True)
class Comparison:
    title: Text
    volume: Volume
    load: Load
    systems: tuple[AskedSystem, ...]
    measures: tuple[str, ...]  # ids; (): the first of each task
    file: Path
    remark: Words = ""


@cache
def criteria() -> tuple[dict[str, tuple[Text, float]], tuple[Criterion, ...]]:
    """The words of the scale with their points, and the criteria in the order of the page."""
    found = tomllib.loads((HERE / "criteria.toml").read_text(encoding="utf-8"))
    words = {w: (Text(v["en"], v["fr"]), float(v["points"])) for w, v in found["words"].items()}
    return words, tuple(Criterion(c["id"], c["group"], Text(c["en"], c["fr"])) for c in found["criterion"])


@cache
def book() -> dict[str, Any]:
    """What ships about systems of others: scores (reported.toml), practice (facts.toml), and the sources of both."""
    scores, facts = (tomllib.loads((HERE / f).read_text(encoding="utf-8")) for f in ("reported.toml", "facts.toml"))
    systems = {name: {**about, "declared": facts["system"].get(name, {})} for name, about in scores["system"].items()}
    return {**scores, "source": scores["source"] | facts["source"], "system": systems}


def read(file: Path) -> Comparison:
    """The reader's file. ConfigError where it asks for what cannot be, DataError where it is not TOML."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise ConfigError(f"`{file}`: there is no such file") from missing
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"`{file}` is not TOML: {error}") from error
    _known(found, {"title", "volume", "load", "system", "measures", "remark"}, f"`{file.name}`")
    systems = tuple(_system(s, i, file) for i, s in enumerate(found.get("system", [])))
    names = [s.name for s in systems]
    if len(systems) < 2:
        raise ConfigError(f"`{file.name}` names {len(systems)} system: a comparison has at least two [[system]]")
    if len(set(names)) < len(names):
        raise ConfigError(f"`{file.name}` names a system twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    measures = found.get("measures", [])
    if not isinstance(measures, list) or any(not isinstance(m, str) for m in measures):
        raise ConfigError(f"`{file.name}`: measures is {measures!r}, not a list of names such as `mmlu.acc`")
    return Comparison(
        _words(found, "title", file) or Text(file.stem, file.stem),
        _table(Volume, found.get("volume", {}), file, "volume"),
        _table(Load, found.get("load", {}), file, "load"),
        systems,
        tuple(measures),
        file,
        _words(found, "remark", file) or "",
    )


def _words(found: dict[str, Any], key: str, file: Path) -> Text | None:
    """Text, or text in two languages."""
    said = found.get(key)
    if isinstance(said, str):
        said = {"en": said, "fr": said}
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) != {"en", "fr"} or any(not isinstance(v, str) for v in said.values()):
        raise ConfigError(f"`{file.name}`: {key} is {said!r}, not a table of `en` and `fr`")
    return Text(said["en"], said["fr"])


def _table(kind: Any, found: Any, file: Path, where: str) -> Any:
    if not isinstance(found, dict):
        raise ConfigError(f"`{file.name}`: `{where}` is {found!r}, not a table")
    kinds = {f.name: f.type for f in fields(kind)}
    _known(found, set(kinds), f"`{file.name}`: [{where}]")
    for key, value in found.items():
        whole = kinds[key] is int
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value < 0:
            raise ConfigError(f"`{file.name}`: {where}.{key} is {value!r}, not a {'whole ' if whole else ''}number")
    try:
        return kind(**found)
    except ValueError as refused:
        raise ConfigError(f"`{file.name}`: [{where}]: {refused}") from refused


def _system(found: Any, index: int, file: Path) -> AskedSystem:
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        raise ConfigError(f"`{file.name}`: system {index + 1} has no name")
    where = f"`{file.name}`: system `{name}`"
    _known(found, SYSTEM_KEYS, where)
    base: dict[str, Any] = {}
    if brought := found.get("reported", ""):
        if brought not in book()["system"]:
            raise ConfigError(
                f"{where}: nothing published is known of `{brought}`", hint=f"known: {', '.join(book()['system'])}"
            )
        base = book()["system"][brought]
    declared = {k: _published(v) for k, v in base.get("declared", {}).items()}
    declared |= {k: _declared(v, f"{where}: declared.{k}") for k, v in found.get("declared", {}).items()}
    _known(declared, {c.id for c in criteria()[1]}, f"{where}: declared")
    said = {k: _text(found, k, where) for k in ("endpoint", "key_env")} | {
        k: _text(found, k, where) or str(base.get(k, "")) for k in ("provider", "model", "price")
    }
    return AskedSystem(
        name=name,
        provider=said["provider"],
        model=said["model"],
        price=said["price"],
        endpoint=said["endpoint"],
        key_env=said["key_env"],
        note=_text(found, "note", where) or str(base.get("version", "")),
        declared=declared,
        reported=brought,
        evaluations=_paths(found, "evaluations", file, where),
        audits=_paths(found, "audits", file, where),
        speed=_path(found["speed"], file, f"{where}: speed") if "speed" in found else None,
        portability=_path(found["portability"], file, f"{where}: portability") if "portability" in found else None,
        hourly=_hourly(found["hourly"], where) if "hourly" in found else None,
        operator=_operator(found["operator"], where) if "operator" in found else None,
    )


def _published(found: Mapping[str, str]) -> Declared:
    source = book()["source"][found["source"]]
    note, note_fr = (
        "; ".join(s for s in (found.get(k, ""), source.get(grade, "")) if s)
        for k, grade in (("note", "grade"), ("note_fr", "grade_fr"))
    )
    return Declared(
        found["value"],
        f"{source['title']}: {source['url']}",
        source.get("date") or book()["read"],
        note,
        found.get("fr", ""),
        note_fr,
        own="grade" not in source,
    )


def _declared(found: Any, where: str) -> Declared:
    if not isinstance(found, dict) or any(not isinstance(v, str) for v in found.values()):
        raise ConfigError(f"{where} is {found!r}, not a table of `value`, `source` and `date`")
    _known(found, {"value", "source", "date", "note", "fr", "note_fr"}, where)
    for key in ("value", "source", "date"):
        if not found.get(key):
            raise ConfigError(f"{where} has no `{key}`", hint="what is declared says by whom and when")
    return Declared(
        found["value"],
        found["source"],
        found["date"],
        found.get("note", ""),
        found.get("fr", ""),
        found.get("note_fr", ""),
    )


def _hourly(found: Any, where: str) -> Hourly:
    shape = {"value": (int, float), "currency": str, "source": str, "date": str}
    if (
        not isinstance(found, dict)
        or set(found) != set(shape)
        or any(
            not isinstance(found[k], t)  # type: ignore[arg-type]
            for k, t in shape.items()
        )
    ):
        raise ConfigError(f"{where}: hourly is {found!r}; it has value, currency, source and date")
    return Hourly(float(found["value"]), found["currency"], found["source"], found["date"])


def _operator(found: Any, where: str) -> Operator:
    kinds = {f.name: f.type for f in fields(Operator)}
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: operator is {found!r}, not a table")
    _known(found, set(kinds), f"{where}: operator")
    for key, value in found.items():
        if kinds[key] is str:
            if not isinstance(value, str) or not value:
                raise ConfigError(f"{where}: operator.{key} is {value!r}, not text")
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ConfigError(f"{where}: operator.{key} is {value!r}, not a number")
    if missing := [k for k in kinds if k not in found and k != "upkeep"]:
        raise ConfigError(
            f"{where}: operator has no `{missing[0]}`",
            hint="no cost is assumed: state it, or leave the operator out and the cost is unknown",
        )
    try:
        return Operator(**found)
    except ValueError as refused:
        raise ConfigError(f"{where}: operator: {refused}") from refused


def _text(found: dict[str, Any], key: str, where: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} is {value!r}, not text")
    return value


def _paths(found: dict[str, Any], key: str, file: Path, where: str) -> tuple[Path, ...]:
    if not isinstance(value := found.get(key, []), list):
        raise ConfigError(f"{where}: {key} is {value!r}, not a list of folders")
    return tuple(_path(p, file, f"{where}: {key}") for p in value)


def _path(value: Any, file: Path, where: str) -> Path:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {value!r} is not a path")
    if not (path := file.parent / value).is_dir():
        raise ConfigError(f"{where}: `{value}` is not a folder")
    return path


def _known(found: Any, keys: set[str], where: str) -> None:
    for key in found:
        if key not in keys:
            near = difflib.get_close_matches(str(key), sorted(keys), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(keys))}"
            raise ConfigError(f"{where} has no `{key}`", hint=hint)
