"""The committed build is the one that the committed sources make, and it asks nothing of anybody."""

import gzip
import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
STATIC = ROOT / "creuset" / "server" / "static"
SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src")


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def fingerprint(root: Path, paths: list[Path]) -> str:
    """The same as `fingerprint` in web/vite.config.ts, so that no node is needed to compare."""
    hash = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        hash.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return hash.hexdigest()


def test_the_build_is_current() -> None:
    recorded = json.loads((STATIC / "build.json").read_text())
    sources = [file for name in SOURCES for file in files(WEB / name)]
    assert recorded["sources"] == fingerprint(WEB, sources), (
        "the page's sources changed: `npm ci && npm run build` in web/, and commit the build"
    )
    built = [file for file in files(STATIC) if file.name != "build.json"]
    assert recorded["build"] == fingerprint(STATIC, built), "the built page was changed by hand: build it again"


def test_the_page_has_no_inline_script_or_style_and_names_no_other_host() -> None:
    html = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=", html) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
    assert re.findall(r"(?:src|href)=\"(?!/)", html) == []
    for style in STATIC.rglob("*.css"):
        assert re.findall(r"url\((?!/assets/)", style.read_text()) == []
        assert "@import" not in style.read_text()


def test_the_page_stays_light() -> None:
    sizes = {file: len(gzip.compress(file.read_bytes(), mtime=0)) for file in files(STATIC)}
    assert sum(sizes.values()) < 500_000
    first = [file for file in sizes if file.name.startswith("index")]
    assert sum(sizes[file] for file in first) < 150_000, "what is needed before the first word"


def test_the_lock_file_names_no_registry_and_pins_every_hash() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
