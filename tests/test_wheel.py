"""The wheel: what is in it, and that it serves model and page where nothing but its needs is installed."""

import os
import re
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from creuset.core.native.library import FILE as LIBRARY
from tests.tree import ROOT, TREE

PREPARED = (".py", ".json", ".jinja", ".toml", ".safetensors", ".html", ".js", ".css", ".woff2", ".ttf", ".txt", ".md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `python -m build --wheel` does it, from a copy, so that nothing is left in the tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copyfile(TREE / name, source / name)
    for name in ("creuset", "native", "tests", "datasets", "validation"):
        shutil.copytree(TREE / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "_core.so*"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "out"), str(source)]
    kept = os.environ | {"CREUSET_OBJECTS": str(TREE / ".cache" / "native")}
    ran = subprocess.run(build, capture_output=True, text=True, check=False, env=kept)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    (found,) = (source / "out").glob("*.whl")
    return found


def test_the_wheel_holds_the_package_with_all_its_files_and_nothing_else(wheel: Path) -> None:
    held = {n for n in zipfile.ZipFile(wheel).namelist() if not n.startswith("creuset-")}
    files = {f for f in ROOT.rglob("*") if f.is_file() and "__pycache__" not in f.parts} | {LIBRARY}
    assert held == {f.relative_to(TREE).as_posix() for f in files}, "a kind of file is not in package-data"
    assert {Path(name).suffix for name in held} >= set(PREPARED)
    for name in ("models/mini/model.q.safetensors", "server/static/index.html", "py.typed"):
        assert f"creuset/{name}" in held
    assert wheel.stat().st_size < 20_000_000


def test_serving_needs_no_packages_of_other_jobs(wheel: Path) -> None:
    found = {name.lower() for name in needed(wheel, "serve")}
    assert {"torch", "starlette", "numpy"} <= found
    assert not found & {"transformers", "datatrove", "scipy", "pandas", "pyarrow", "typst", "pytest"}


def needed(wheel: Path, extra: str) -> set[str]:
    """The installed distributions that `pip install creuset[EXTRA]` would bring: what they require, followed down."""
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as packed:
        (said,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
        ours = BytesParser().parsebytes(packed.read(said)).get_all("Requires-Dist")
    queue = [([str(text) for text in ours or []], frozenset({extra}))]
    while queue:
        texts, wanted = queue.pop()
        for text in texts:
            requirement = Requirement(text)
            if requirement.marker and not any(requirement.marker.evaluate({"extra": e}) for e in wanted or {""}):
                continue
            if requirement.name not in found:
                found.add(requirement.name)
                queue.append((metadata.requires(requirement.name) or [], frozenset(requirement.extras)))
    return found


def environment(folder: Path, wheel: Path) -> Path:
    """A new environment with the wheel and links to the packages that serving needs; its Python."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    for name in needed(wheel, "serve"):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder / "bin" / "python"


@pytest.fixture
def served(wheel: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    python = environment(tmp_path / "environment", wheel)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CREUSET"))}
    server = subprocess.Popen(
        [str(python), "-m", "creuset", "serve", "--port", "0"], cwd=tmp_path, env=clean,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None and server.stderr is not None
        line = server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + server.stderr.read()
        with httpx.Client(base_url=found[0], timeout=60, trust_env=False) as client:
            for _ in range(600):
                if client.get("/health").status_code == 200:
                    break
                time.sleep(0.1)
            yield client
    finally:
        server.terminate()
        server.communicate(timeout=20)


@pytest.mark.slow
def test_the_wheel_serves_model_and_page_where_only_its_needs_are_installed(served: httpx.Client) -> None:
    said = served.post("/v1/chat/completions", json={
        "model": "mini", "messages": [{"role": "user", "content": "Hello!"}], "temperature": 0, "max_tokens": 40,
    }).json()  # fmt: skip
    assert "help" in said["choices"][0]["message"]["content"].lower()
    page = served.get("/").text
    assets = re.findall(r"/assets/[\w.-]+", page)
    assert assets and all(served.get(path).status_code == 200 for path in assets)
