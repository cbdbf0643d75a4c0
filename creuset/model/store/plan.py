"""What a pull is going to fetch, known before anything is fetched."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError, DiskFull
from creuset.model.store.licence import Terms
from creuset.model.store.wanted import Wanted

SPARE = 256 * 2**20  # bytes that a pull leaves free on the disk
INCOMPLETE = ".incomplete"  # folder of files that are being fetched, inside the folder of a pull


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A file as it is published. One of the hashes is "" where the place publishes only the other, or none."""

    name: str
    bytes: int
    sha256: str = ""
    git: str = ""  # sha1 of a git blob

    @property
    def key(self) -> str:
        """What names this very content: parts of other content are never put together with it."""
        return self.sha256 or self.git or hashlib.sha256(f"{self.name} {self.bytes}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    wanted: Wanted
    source: str  # "hub" or "package"
    where: str  # in words, for people
    licence: Terms
    files: tuple[Remote, ...]
    download_bytes: int
    room_bytes: int  # that the disk needs for it, all together
    facts: dict[str, Any]  # of the origin, for the manifest

    def sentences(self) -> list[str]:
        """What a person is told before the model is fetched."""
        count = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        size = f"size: {human(self.download_bytes)} in {count}"
        return [f"{self.wanted.name}, from {self.where}", *self.licence.sentences(), size]


Show = Callable[[str, int, int], None]  # file, bytes of all files that are here, bytes of all files


def refuse_other_content(file: Path, remote: Remote, where: str) -> str:
    """The sha256 of `file`. Where it is not what was published the file is removed and ArtifactError says so."""
    digest, blob = hashlib.sha256(), hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            if not remote.sha256:
                blob.update(block)
    wrong = remote.sha256 and digest.hexdigest() != remote.sha256
    if wrong or (not wrong and remote.git and not remote.sha256 and blob.hexdigest() != remote.git):
        found, told = (digest, remote.sha256) if wrong else (blob, remote.git)
        file.unlink()
        raise ArtifactError(
            f"`{remote.name}` from {where} has the hash {found.hexdigest()[:12]}, published is {told[:12]}: "
            "it was removed",
            hint="pull again; if it happens again, what lies between you and that place changes files",
        )
    return digest.hexdigest()


def refuse_without_room(folder: Path, needed: int, name: str) -> None:
    """Before anything is fetched: DiskFull where the disk of `folder` has not `needed` bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DiskFull(
            f"`{name}` needs {human(needed)}, and {human(SPARE)} to spare; the disk of `{folder}` has {human(free)}",
            hint="`creuset list` shows what lies there, `creuset rm NAME` deletes it; --store DIR uses another disk",
        )


def human(size: float) -> str:
    """Bytes for people: 98 MB, 16.1 GB."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB" if size < 999.95 else f"{size / 1000:.2f} TB"
