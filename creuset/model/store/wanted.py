"""What a name stands for: an entry of the catalogue, or a repository of the hub with a revision and a file."""

import difflib
import re
from dataclasses import dataclass

from creuset.core.errors import ArtifactError
from creuset.model.store.catalogue import CatalogueEntry, catalogue

_REPOSITORY = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?"
)
FORMS = "names of the catalogue (`creuset list`), `owner/name`, `owner/name@revision` and `owner/name:file.gguf`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A model that somebody asks for."""

    name: str
    entry: CatalogueEntry | None = None
    repository: str = ""
    revision: str = ""  # "" is the newest
    file: str = ""  # a GGUF file, or a part of its name that only one file has, such as Q4_K_M

    @property
    def folder(self) -> str:
        """Where it lies in the store: the name of the catalogue, or owner/name and what was asked for of it."""
        if self.entry:
            return self.entry.name
        revision = "@" + self.revision.replace("/", "_") if self.revision else ""
        file = "--" + self.file.replace("/", "_").removesuffix(".gguf") if self.file else ""
        return self.repository + revision + file


def wanted(name: str) -> Wanted:
    """Raises ArtifactError for what is no name: with a near one, and the forms that names have."""
    if entry := catalogue().find(name):
        return Wanted(
            name=entry.name, entry=entry, repository=entry.repository, revision=entry.revision, file=entry.file
        )
    form = _REPOSITORY.fullmatch(name)
    if form is None or ".." in name or name.endswith("/"):
        near = difflib.get_close_matches(name.lower(), catalogue().entries, n=1, cutoff=0.5)
        raise ArtifactError(
            f"`{name}` is not the name of a model", hint=f"did you mean `{near[0]}`?" if near else f"there are {FORMS}"
        )
    repository, revision, file = (form[part] or "" for part in ("repository", "revision", "file"))
    return Wanted(name=name, repository=repository, revision=revision, file=file)


def find_wanted(name: str) -> Wanted | None:
    """As `wanted`, with None for what is no name."""
    try:
        return wanted(name)
    except ArtifactError:
        return None
