"""Kernels of every feature level against the scalar ones, here and on an emulated arm64 processor."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import TREE

CHECK = TREE / "native" / "tests" / "levels.cpp"
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"


def computed(
    folder: Path, *, emulator: tuple[str, ...] = (), words: tuple[str, ...] = (), **environment: str
) -> tuple[list[str], str, float]:
    """Build the check and run it: its levels, and hash and sum of what the scalar level computed."""
    program = folder / "levels"
    build = [sys.executable, str(TREE / "native" / "build.py"), str(program), "--program", str(CHECK), *words]
    made = subprocess.run(build, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([*emulator, str(program)], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    levels, bits, total = ran.stdout.splitlines()
    assert re.fullmatch(r"hash [0-9a-f]{16}", bits)
    return levels.split(), bits, float(total.removeprefix("sum "))


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler: apt-get install g++")
def test_every_level_of_this_machine_computes_what_the_scalar_one_does(tmp_path: Path) -> None:
    levels, _, total = computed(tmp_path)
    assert levels[0] == "scalar" and abs(total) > 1


@pytest.mark.slow
def test_the_code_around_the_tiles_of_amx_computes_the_same_on_emulated_tiles(tmp_path: Path) -> None:
    levels, *_ = computed(tmp_path, CXX="g++ -DCREUSET_TILES_EMULATED=1")
    if "bf16" not in levels:
        pytest.skip("this machine has no AVX-512 with dot products of bf16")
    assert levels[-1] == "amx"


@pytest.mark.slow
def test_arm64_computes_the_same_bits_with_codes_and_in_fp32(tmp_path: Path) -> None:
    for needed, package in ((ARM_COMPILER, "g++-aarch64-linux-gnu"), (ARM_EMULATOR, "qemu-user-static")):
        if shutil.which(needed) is None:
            pytest.skip(f"`{needed}` is not here: apt-get install {package}")
    (tmp_path / "here").mkdir()
    there = computed(tmp_path, emulator=(ARM_EMULATOR,), words=("--machine", "aarch64"), CXX=ARM_COMPILER)
    here = computed(tmp_path / "here")
    assert there[0] == ["scalar", "neon"] and there[1] == here[1]
    assert there[2] == pytest.approx(here[2], rel=1e-5)
