"""Where pulled models lie: one folder each, an artifact, found by the name it was pulled with.

    $CREUSET_HOME/models/smollm2/                    a name of the catalogue
    $CREUSET_HOME/models/owner/name@revision/        a repository of the hub

Without CREUSET_HOME it is `creuset` in the user's folder of data ($XDG_DATA_HOME, or ~/.local/share).
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.store.wanted import Wanted, find_wanted

PARTIAL = ".partial"  # what a pull that was stopped left behind: core.artifact's name for it
_LOCKS, _TRASH = ".locks", ".trash"


def store_folder(store: Path | None = None) -> Path:
    """`store` itself, or the folder of models of this user."""
    if store is not None:
        return store.expanduser()
    if home := os.environ.get("CREUSET_HOME"):
        return Path(home).expanduser() / "models"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "creuset" / "models"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model in the store."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def origin(self) -> dict[str, Any]:
        found: dict[str, Any] = self.manifest["facts"]["origin"]
        return found

    @property
    def model(self) -> Path:
        """What runs: the folder, or the one GGUF file in it."""
        return model_in(self.folder, self.manifest)

    @property
    def bytes(self) -> int:
        return _bytes(self.folder)


def model_in(folder: Path, manifest: dict[str, Any]) -> Path:
    """The folder where it has a config.json, else its GGUF file: the first part of one that was cut."""
    if "config.json" in manifest["files"]:
        return folder
    files: list[str] = sorted(name for name in manifest["files"] if name.lower().endswith(".gguf"))
    if not files:
        raise ArtifactError(f"`{folder}` has neither a config.json nor a GGUF file: it is not a model")
    return folder / files[0]


def pulled(name: str, store: Path | None = None) -> Pulled | None:
    """The model that was pulled by this name, or None."""
    found = find_wanted(name)
    return None if found is None else _at(store_folder(store) / found.folder)


def all_pulled(store: Path | None = None) -> list[Pulled]:
    """Every whole model of the store, by name. Folders with a damaged manifest are left out: `damaged` has them."""
    found = []
    for folder in _folders(store):
        with suppress(ArtifactError):
            found += [one for one in [_at(folder)] if one is not None]
    return sorted(found, key=lambda one: one.name)


def damaged(store: Path | None = None) -> list[Path]:
    """Folders of the store whose manifest cannot be read any more."""
    bad = []
    for folder in _folders(store):
        try:
            _at(folder)
        except ArtifactError:
            bad.append(folder)
    return bad


def _folders(store: Path | None) -> list[Path]:
    root = store_folder(store)
    folders = [file.parent for depth in ("*", "*/*") for file in root.glob(f"{depth}/{MANIFEST}")]
    return sorted(f for f in folders if not f.relative_to(root).parts[0].startswith("."))


def all_partial(store: Path | None = None) -> dict[str, int]:
    """Name and bytes of each pull that was stopped before its end."""
    root = store_folder(store)
    folders = [f for depth in ("*", "*/*") for f in root.glob(depth + PARTIAL) if f.is_dir()]
    return {f.relative_to(root).as_posix().removesuffix(PARTIAL): _bytes(f) for f in sorted(folders)}


def _at(folder: Path) -> Pulled | None:
    """The pulled model in `folder`; None where there is no whole one. A damaged manifest is an error."""
    if folder.name.endswith(PARTIAL) or not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    origin = (manifest.get("facts") or {}).get("origin")
    if not isinstance(origin, dict) or not isinstance(origin.get("name"), str):
        return None  # an artifact that somebody put there
    return Pulled(origin["name"], folder, manifest)


@contextmanager
def alone(wanted: Wanted, store: Path | None = None, *, on_wait: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """The folder of a model, while no other process fetches or removes it. Waits for the one that does."""
    root = store_folder(store)
    locks = root / _LOCKS
    try:
        locks.mkdir(parents=True, exist_ok=True)
        # The lock belongs to the open file: it ends with the process, however that ends.
        lock = (locks / wanted.folder.replace("/", "--")).open("w")
    except OSError as error:
        raise ConfigError(
            f"`{root}` cannot hold models: {error.strerror}", hint="choose another with --store DIR or $CREUSET_HOME"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield root / wanted.folder


def remove(wanted: Wanted, store: Path | None = None) -> int:
    """Delete a pulled model, and what a stopped pull of it left. Returns the bytes that are free again."""
    freed = 0
    with alone(wanted, store) as folder:
        for one in (folder, folder.with_name(folder.name + PARTIAL)):
            if one.is_dir():
                freed += _bytes(one)
                _discard(one, store_folder(store))
        if folder.parent != store_folder(store):
            with suppress(OSError):  # other models of the same owner are there
                folder.parent.rmdir()
    return freed


def _discard(folder: Path, root: Path) -> None:
    """Out of the way by one rename, so that nobody finds half a model; then deleted."""
    trash = root / _TRASH / secrets.token_hex(6)
    trash.parent.mkdir(exist_ok=True)
    os.rename(folder, trash)
    shutil.rmtree(trash)


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
