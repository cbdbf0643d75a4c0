"""Builds the native library with the package; everything else about it is in pyproject.toml.

Where there is no C++ compiler the package is installed without the library and computes with torch. A wheel for other
machines: `CXX=aarch64-linux-gnu-g++ CREUSET_MACHINE=aarch64 python -m build --wheel`.
"""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent / "native"))
from build import CannotBuild, build

NAME = "creuset.engine.backend.native._core"
MACHINE = os.environ.get("CREUSET_MACHINE") or platform.machine()  # that the library is compiled for


class BuildNative(build_ext):
    """Compile by native/build.py. The file does not depend on the version of Python, so its name does not say one."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")).with_suffix(".so"))

    def build_extension(self, ext: Any) -> None:
        out = Path(self.get_ext_fullpath(ext.name))
        try:
            build(out, machine=MACHINE)
        except CannotBuild as error:
            out.unlink(missing_ok=True)
            print(f"The native library was not built: {error}\ncreuset computes with torch, which is slower.")


class PlatformWheel(bdist_wheel):
    """For this platform and each Python 3; for every platform where there was no compiler."""

    def get_tag(self) -> tuple[str, str, str]:
        built = any(Path(self.bdist_dir).rglob("_core.so"))
        return "py3", "none", super().get_tag()[2].replace(platform.machine(), MACHINE) if built else "any"


setup(
    ext_modules=[Extension(NAME, sources=[], optional=True)],
    cmdclass={"build_ext": BuildNative, "bdist_wheel": PlatformWheel},
)
