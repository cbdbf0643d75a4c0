"""Everything that a server needs installs from one folder of wheels, without an index."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import TREE

pytestmark = pytest.mark.slow


def test_a_server_installs_from_one_folder(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "wheel", "-c", "constraints.txt", "--wheel-dir", str(wheels), "torch", ".[serve,tenants]"]
    made = " ".join(["--quiet", *command[5:]]).replace(str(wheels), "wheels").replace(".[", "'.[").replace("]", "]'")
    assert made.partition("-c")[2] in (TREE / "Makefile").read_text(), "what `make wheels` does"
    subprocess.run(command, cwd=TREE, check=True)
    assert all(file.suffix == ".whl" for file in wheels.iterdir())
    fresh, plain = tmp_path / "venv", {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    install = [
        str(fresh / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        str(wheels),
    ]
    subprocess.run([*install, "creuset[serve,tenants]"], check=True, cwd=tmp_path, env=plain)
    told = subprocess.run(
        [str(fresh / "bin" / "creuset"), "privacy", "--help"], capture_output=True, text=True, cwd=tmp_path, env=plain
    )
    assert told.returncode == 0 and "legal hold" in told.stdout
