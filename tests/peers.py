"""Programs of others that the slow tests compare with: where one cannot be had, its tests are skipped and say why."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def download(words: Sequence[str], *, into: Path) -> None:
    """`pip download` in the folder `into`; skips where no index has it, with pip's last words."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *words]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        pytest.skip(f"no package index here has {' '.join(words)}: {last}")


def needs(python: str, package: str, how: str) -> None:
    """Skips where `python` cannot import `package`; `how` says how to get it."""
    if subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode:
        pytest.skip(f"`{package}` is not installed for {python}: {how}")
