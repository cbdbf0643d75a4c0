"""The compiled kernels are loaded, or one line says why not."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from creuset.core.errors import ConfigError
from creuset.core.native.library import ABI, FILE, ISA_LEVELS, MARK, NativeUnavailable, library, load
from tests.tree import TREE

COMPILER = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler: apt-get install g++")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(FILE, tmp_path / FILE.name))


def with_note(file: Path, **changed: object) -> None:
    body, _, text = file.read_bytes().rpartition(b"\n" + MARK)
    file.write_bytes(body + b"\n" + MARK + json.dumps(json.loads(text) | changed).encode() + b"\n")


def refusal(file: Path) -> str:
    with pytest.raises(NativeUnavailable) as refused:
        load(file)
    assert refused.value.reason == str(refused.value) and "\n" not in refused.value.reason
    assert "native/build.py" in refused.value.hint
    return refused.value.reason


def test_the_library_says_its_levels_and_the_best_is_used() -> None:
    found = library()
    assert found.functions.creuset_abi() == ABI == found.note["abi"]
    assert found.levels[0] == "scalar" and set(found.levels) <= {"scalar", *found.note["levels"]} <= set(ISA_LEVELS)
    assert found.isa == os.environ.get("CREUSET_ISA", found.levels[-1])


def test_each_level_of_this_machine_can_be_forced_and_others_are_refused_by_name() -> None:
    found = library()
    before = found.isa
    try:
        for level in found.levels:
            found.force(level)
            assert found.isa == level
        for level in set(ISA_LEVELS) - set(found.levels):
            with pytest.raises(
                NativeUnavailable,
                match=f"`{level}` cannot be used here, since the machine lacks them; choose among scalar",
            ):
                found.force(level)
        with pytest.raises(NativeUnavailable, match="no kernels are called `sse9`; choose among scalar, neon"):
            found.force("sse9")
    finally:
        found.force(before)


def test_the_environment_forces_a_level_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library()
    before = found.isa
    try:
        monkeypatch.setenv("CREUSET_ISA", "scalar")
        assert library().isa == "scalar"
        monkeypatch.setenv("CREUSET_ISA", "quantum")
        with pytest.raises(ConfigError, match="CREUSET_ISA=quantum is not a level of processors") as refused:
            library()
        assert refused.value.hint == "there are scalar, neon, avx2, avx512, vnni, bf16, amx"
        if absent := set(ISA_LEVELS) - set(found.levels):
            monkeypatch.setenv("CREUSET_ISA", missing := min(absent))
            with pytest.raises(ConfigError, match=f"CREUSET_ISA: the kernels `{missing}` cannot be used here"):
                library()
        monkeypatch.delenv("CREUSET_ISA")
        monkeypatch.setenv("CREUSET_NATIVE", "0")
        with pytest.raises(NativeUnavailable, match="CREUSET_NATIVE is 0"):
            library()
    finally:
        monkeypatch.undo()
        library().force(before)


def test_what_cannot_be_loaded_is_refused_before_it_is_loaded(copy: Path) -> None:
    whole = copy.read_bytes()
    # A file of its own: what is loaded must not change until this process ends.
    assert load(Path(shutil.copyfile(copy, copy.with_name("loaded.so")))).levels == library().levels
    copy.write_bytes(whole[: len(whole) // 2])
    assert refusal(copy) == "`_core.so` is damaged, or not ours: the note at its end is missing"
    copy.write_bytes(whole[:5000] + b"\0\1\2\3" + whole[5004:])
    assert refusal(copy) == "`_core.so` is damaged: its hash is not the one it was built with"
    copy.write_bytes(whole)
    with_note(copy, machine="vax")
    assert refusal(copy).startswith("`_core.so` is for vax, and this machine is ")
    with_note(copy, machine=json.loads(whole.rpartition(MARK)[2])["machine"], abi=0)
    assert refusal(copy) == f"`_core.so` has interface 0, and this version needs {ABI}"
    copy.write_bytes(whole)
    with_note(copy, sources="0" * 64)
    assert refusal(copy) == "`_core.so` was built from other sources than those in `native/`"
    copy.unlink()
    assert refusal(copy) == "the native library was not built: there is no `_core.so` in the package"
    copy.mkdir()
    assert refusal(copy) == "`_core.so` cannot be read: Is a directory"


def build(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TREE / "native" / "build.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_without_a_compiler_the_build_says_so_and_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "x.so"
    out.write_bytes(b"old")
    ran = build(str(out), PATH=str(tmp_path), CXX="")
    assert ran.returncode == 1 and "there is no C++ compiler (g++, c++ or clang++)" in ran.stderr
    ran = build(str(out), "--optional", CXX="nosuch++")
    assert ran.returncode == 0 and "the compiler `nosuch++`, which CXX names, is not there" in ran.stderr
    ran = build(str(out), CXX="false")
    assert ran.returncode == 1 and "`false --version` failed" in ran.stderr
    assert out.read_bytes() == b"old" and list(tmp_path.iterdir()) == [out]


def test_code_of_one_level_leaks_into_no_other() -> None:
    """An inline function that two levels share is linked once, from either: a machine without that level would stop."""
    sys.path.insert(0, str(TREE / "native"))
    try:
        import build as native
    finally:
        sys.path.remove(str(TREE / "native"))
    leveled = {source.stem for source in native.sources() if native.level_of(source)}
    for kept in map(Path, native.objects(None, None)[0]):
        if kept.stem.rpartition("-")[0] in leveled:
            said = subprocess.run(["nm", "-C", str(kept)], capture_output=True, text=True, check=True).stdout
            weak = [line[19:] for line in said.splitlines() if line[17:18] in "WVu"]
            assert not weak, f"{kept.name}: make these static, or keep them out of files that have a level"


def source_tree(folder: Path) -> Path:
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copyfile(TREE / name, folder / name)
    shutil.copytree(TREE / "native", folder / "native", ignore=shutil.ignore_patterns("__pycache__"))
    package = folder / "creuset" / "engine" / "backend" / "native"
    package.mkdir(parents=True)
    for file in package.parents[2], package.parents[1], package.parents[0], package:
        (file / "__init__.py").write_text('__version__ = "0"\n')
    return folder


@pytest.mark.slow
def test_a_wheel_for_arm64_can_be_built_here(tmp_path: Path) -> None:
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("`aarch64-linux-gnu-g++` is not here: apt-get install g++-aarch64-linux-gnu")
    (tmp_path / "source").mkdir()
    arm = {"CXX": "aarch64-linux-gnu-g++", "CREUSET_MACHINE": "aarch64"}
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path),
         str(source_tree(tmp_path / "source"))],
        capture_output=True, text=True, check=False,
        env=os.environ | arm | {"CREUSET_OBJECTS": str(TREE / ".cache" / "native")},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-1000:] + ran.stderr[-1000:]
    (wheel,) = tmp_path.glob("*-py3-none-linux_aarch64.whl")
    zipfile.ZipFile(wheel).extract("creuset/engine/backend/native/_core.so", tmp_path)
    assert refusal(tmp_path / "creuset/engine/backend/native/_core.so").startswith("`_core.so` is for aarch64, and")


@pytest.mark.parametrize("compiler", ["g++", "nosuch++"])
def test_wheel_and_source_package_with_and_without_a_compiler(compiler: str, tmp_path: Path) -> None:
    source = source_tree(tmp_path / "source") if (tmp_path / "source").mkdir() is None else tmp_path
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *(["--wheel"] if compiler == "nosuch++" else []),
         "--outdir", str(tmp_path / "out"), str(source)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"CXX": compiler, "CREUSET_OBJECTS": str(TREE / ".cache" / "native")},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-1000:] + ran.stderr[-1000:]
    (wheel,) = (tmp_path / "out").glob("*.whl")
    held = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("_core.so")]
    if compiler == "nosuch++":
        assert not held and wheel.name.endswith("-py3-none-any.whl")
        return
    (packed,) = (tmp_path / "out").glob("*.tar.gz")
    with tarfile.open(packed) as files:
        listed = " ".join(files.getnames())
    assert "native/build.py" in listed and "native/isa.cpp" in listed and "_core.so" not in listed
    assert held == ["creuset/engine/backend/native/_core.so"] and "-py3-none-linux_" in wheel.name
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    assert load(tmp_path / "unpacked" / held[0]).levels == library().levels


def test_without_the_library_torch_computes_and_says_why(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    from creuset.core.native import library as module
    from creuset.engine.backend.choose import choose
    from creuset.model.formats.weights import ModelWeights
    from creuset.testing import tiny_config, tiny_model

    def chosen(backend: Literal["auto", "native"]) -> dict[str, object]:
        source = ModelWeights(tiny_model(tiny_config()))
        return choose(source, backend=backend, dtype="fp32", threads=1, max_batch_tokens=32).choices

    assert chosen("auto")["backend"] == "native"
    copy.write_bytes(copy.read_bytes()[:-9])
    monkeypatch.setattr(module, "FILE", copy)
    module._kept.cache_clear()
    try:
        found = chosen("auto")
        assert found["backend"] == "torch" and found["not_native"] == (
            "`_core.so` is damaged, or not ours: the note at its end is missing"
        )
        with pytest.raises(ConfigError, match="`native` cannot be had: `_core"):
            chosen("native")
    finally:
        module._kept.cache_clear()
