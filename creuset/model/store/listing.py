"""All models that a name stands for on this machine: shipped, pulled, begun, or only known to the catalogue."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf
from creuset.model.count import parameters
from creuset.model.formats.hf_config import config_of
from creuset.model.store.catalogue import CatalogueEntry, catalogue
from creuset.model.store.origin import front_matter
from creuset.model.store.shelf import Pulled, all_partial, all_pulled, damaged
from creuset.model.store.wanted import find_wanted

State = Literal["shipped", "local", "pulled", "begun", "damaged", "available"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One line of `creuset list`. 0, "" and () are what is not known."""

    name: str
    state: State
    bytes: int = 0  # on this disk; of an available one, what will lie there
    licence: str = ""
    limits: str = ""
    open: bool = False
    context: int = 0  # tokens
    parameters: int = 0
    active_parameters: int = 0
    languages: tuple[str, ...] = ()
    card: str = ""
    source: str = ""  # where it comes from
    path: str = ""  # for everything that takes a model

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"languages": list(self.languages)}


def listed(shipped: Path, store: Path | None = None) -> list[Listed]:
    """Shipped models first, then what lies in the store, then the rest of the catalogue."""
    here = [*(shipped_model(f.parent) for f in sorted(shipped.glob("*/config.json")))]
    here += [pulled_model(one) for one in all_pulled(store)]
    here += [Listed(name=f.name, state="damaged", path=str(f)) for f in damaged(store)]
    begun = all_partial(store)
    here += [_begun(folder, size) for folder, size in begun.items()]
    names = {one.name for one in here}
    return here + [available(entry) for name, entry in catalogue().entries.items() if name not in names]


def shipped_model(folder: Path) -> Listed:
    return replace(local_model(folder), state="shipped", open=True, source="trained here; its chain is beside it")


def local_model(path: Path) -> Listed:
    """What the folder or GGUF file of a model says of itself. ArtifactError for one that does not run here."""
    config, file = config_of(path), path / "card.md"
    counted = parameters(config)
    front, _ = front_matter(file.read_text(encoding="utf-8")) if file.is_file() else ({}, "")
    return Listed(
        name=path.resolve().name,
        state="local",
        bytes=sum(f.stat().st_size for f in (path.glob("*") if path.is_dir() else [path]) if f.is_file()),
        licence=" ".join(front.get("license", ())),
        context=config.context,
        parameters=counted.total,
        active_parameters=counted.active if counted.active < counted.total else 0,
        languages=front.get("language", ()),
        path=str(path),
    )


def pulled_model(one: Pulled) -> Listed:
    entry, facts = catalogue().entries.get(one.name), one.origin
    licence = facts.get("licence") or {}
    source = (
        f"{facts['repository']}@{str(facts['commit'])[:12]}"
        if facts.get("from") == "hub"
        else f"package {facts.get('package')} {facts.get('version')}"
    )
    return Listed(
        name=one.name,
        state="pulled",
        bytes=one.bytes,
        licence=str(licence.get("id") or ""),
        limits=str(licence.get("limits") or ""),
        open=bool(licence.get("open")) and not licence.get("limits"),
        context=context_of(one.model) or (entry.context if entry else 0),
        parameters=entry.parameters if entry else 0,
        active_parameters=entry.active_parameters if entry else 0,
        languages=tuple(facts.get("languages") or ()),
        card=entry.card if entry else "",
        source=source,
        path=str(one.model),
    )


def available(entry: CatalogueEntry) -> Listed:
    terms, package = entry.terms, entry.package
    revision = f"@{entry.revision}" if entry.revision else ""
    return Listed(
        name=entry.name,
        state="available",
        bytes=package.bytes if package else 0,
        licence=entry.licence,
        limits=terms.limits or ("accounts that accepted its terms only" if terms.gated else ""),
        open=terms.free,
        context=entry.context,
        parameters=entry.parameters,
        active_parameters=entry.active_parameters,
        languages=entry.languages,
        card=entry.card,
        source=f"package {package.name} {package.version}" if package else entry.repository + revision,
    )


def _begun(folder: str, size: int) -> Listed:
    found = find_wanted(folder)
    entry = found.entry if found else None
    return Listed(
        name=entry.name if entry else folder,
        state="begun",
        bytes=size,
        licence=entry.licence if entry else "",
        context=entry.context if entry else 0,
        parameters=entry.parameters if entry else 0,
    )


def context_of(path: Path) -> int:
    """Tokens that the model's own file says it reads; 0 where it says nothing that we understand."""
    try:
        if is_gguf(path):
            metadata = GgufFile(path).metadata
            found = metadata.get(f"{metadata.get('general.architecture')}.context_length")
        else:
            found = json.loads((path / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
    except (ArtifactError, OSError, ValueError, AttributeError):
        return 0
    return found if isinstance(found, int) else 0
