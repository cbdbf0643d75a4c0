"""The catalogue: models that people ask for by a short name. The facts are in catalogue.toml; no code knows a model."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.model.store.licence import Terms, terms_of


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSource:
    """A file inside a wheel of a package index. The hashes were computed from the published wheel."""

    name: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    file: str  # of the model, as the wheel names it
    sha256: str
    bytes: int
    licence_file: str = ""
    made_from: str = ""  # what the package says of where its file comes from


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """What is published of a model. Empty, or 0, is what is not known to us."""

    name: str
    card: str  # one line
    licence: str  # SPDX in lower case, or the name its makers use
    repository: str = ""  # on the hub: owner/name
    revision: str = ""
    file: str = ""  # the GGUF file that is wanted of the repository
    package: PackageSource | None = None
    limits: str = ""  # what the licence, or the terms of its page, ask beyond that
    gated: bool = False  # the hub gives the files only to accounts whose owners accepted the terms
    languages: tuple[str, ...] = ()
    context: int = 0  # tokens
    parameters: int = 0
    active_parameters: int = 0  # of a Mixture-of-Experts model: those that one token uses
    sampling: Mapping[str, float] = field(default_factory=dict)  # that its card recommends, where its files do not
    data: str = ""  # what its makers publish of its training data
    family: str = ""  # model_type of its config.json

    @property
    def terms(self) -> Terms:
        return terms_of(self.licence, limits=self.limits, gated=self.gated)


@dataclass(frozen=True, slots=True)
class Catalogue:
    entries: Mapping[str, CatalogueEntry] = field(default_factory=dict)

    def find(self, name: str) -> CatalogueEntry | None:
        """The entry of a short name, in any case of letters, or of the whole repository that an entry names."""
        if found := self.entries.get(name.lower()):
            return found
        whole = (e for e in self.entries.values() if e.repository and not e.file)
        return next((e for e in whole if e.repository.lower() == name.lower()), None)


@functools.cache
def catalogue() -> Catalogue:
    return read_catalogue(Path(__file__).with_suffix(".toml"))


def read_catalogue(file: Path) -> Catalogue:
    rows: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    entries = {}
    for name, row in rows.items():
        package = PackageSource(**row.pop("package")) if "package" in row else None
        entries[name] = CatalogueEntry(name=name, languages=tuple(row.pop("languages", ())), package=package, **row)
    return Catalogue(entries)
