"""Compile the sources beside this file into one shared library: `python native/build.py [OUT]`.

`setup.py` and the Makefile use it. It needs Python and a C++17 compiler: `CXX`, else g++, c++ or clang++.

A source called `NAME_LEVEL.cpp` is compiled with the flags of that level of the processor (`LEVELS`), every other one
with flags that each processor of the machine's kind has. What a compiler does not know, it leaves out: every source is
told by `CREUSET_HAS_AVX2` and so on which levels there are. Objects are kept in `.cache/native`, or where
`CREUSET_OBJECTS` says, so that only what changed is compiled again. A note is appended to the library, which its
reader checks before it loads it (creuset/core/native/library.py).
"""

import argparse
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "creuset" / "engine" / "backend" / "native" / "_core.so"
KEPT = Path(os.environ.get("CREUSET_OBJECTS") or HERE.parent / ".cache" / "native")

ABI = 2  # raised with each change of the plain C interface; creuset/core/native/library.py names the same
MARK = b"creuset-note:"  # before the note, which is one line of JSON at the end of the file

FLAGS = [
    "-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fno-math-errno",
    "-fno-plt", "-Wall", "-Wextra",
    # A product and a sum become one operation only where the source says so: otherwise two copies of one loop round
    # differently, and an answer depends on its neighbours.
    "-ffp-contract=off",
]  # fmt: skip
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
VNNI = [*AVX512, "-mavx512vnni"]
BF16 = [*VNNI, "-mavx512bf16"]
X86 = ("x86_64", "AMD64")
ARM = ("aarch64", "arm64")
# level: (machines, flags). Each level of x86-64 has all that those before it have.
LEVELS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "avx2": (X86, AVX2),
    "avx512": (X86, AVX512),
    "vnni": (X86, VNNI),
    "bf16": (X86, BF16),
    "amx": (X86, [*BF16, "-mamx-tile", "-mamx-int8", "-mamx-bf16"]),
    "neon": (ARM, []),
    "neondot": (ARM, ["-march=armv8.2-a+dotprod"]),  # used by the level neon where the processor has it
}


class CannotBuild(Exception):
    """Why there is no library: one line, or what the compiler said."""


def sources() -> list[Path]:
    """All files that decide what the library is, in a fixed order."""
    return sorted(f for f in HERE.iterdir() if f.suffix in (".cpp", ".h", ".inc"))


def sources_hash() -> str:
    """One hash of the names and contents of `sources()`."""
    total = hashlib.sha256()
    for file in sources():
        total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def compiler() -> list[str]:
    """The command of the C++ compiler. Raises CannotBuild."""
    if named := os.environ.get("CXX"):
        command = shlex.split(named)
        if shutil.which(command[0]) is None:
            raise CannotBuild(f"the compiler `{command[0]}`, which CXX names, is not there")
        return command
    for name in ("g++", "c++", "clang++"):
        if shutil.which(name):
            return [name]
    raise CannotBuild("there is no C++ compiler (g++, c++ or clang++)")


def run(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise CannotBuild(f"`{shlex.join(command)}` failed:\n{ran.stderr.strip()[-4000:]}")
    return ran.stdout.strip()


def level_of(source: Path) -> str:
    """The level that a source's name asks for; empty: every processor of this kind."""
    last = source.stem.rpartition("_")[2]
    return last if last in LEVELS else ""


def levels_known(cxx: list[str], machine: str) -> list[str]:
    """Levels of this kind of machine whose flags the compiler has."""
    found = []
    for name, (machines, flags) in LEVELS.items():
        if machine not in machines:
            continue
        test = [*cxx, *flags, "-x", "c++", "-fsyntax-only", os.devnull]
        if subprocess.run(test, capture_output=True, check=False).returncode == 0:
            found.append(name)
    return found


def objects(machine: str | None, extra: list[str] | None) -> tuple[list[str], list[str], str]:
    """The compiled sources, the levels among them, and the compiler's version. Raises CannotBuild."""
    machine = machine or platform.machine()
    cxx = compiler()
    version = run([*cxx, "--version"]).splitlines()[0]
    levels = levels_known(cxx, machine)
    base = [*FLAGS, *(f"-DCREUSET_HAS_{name.upper()}=1" for name in levels), *(extra or [])]
    base += [f"-DCREUSET_ABI={ABI}", "-pthread"]
    headers = b"".join(f.read_bytes() for f in sources() if f.suffix != ".cpp")
    wanted = []
    for source in sources():
        level = level_of(source)
        if source.suffix == ".cpp" and (not level or level in levels):
            wanted.append((source, [*base, *(LEVELS[level][1] if level else [])]))
    try:
        KEPT.mkdir(parents=True, exist_ok=True)
        keep = KEPT
    except OSError:  # a source tree that may not be written
        keep = Path(tempfile.mkdtemp())

    def object_of(one: tuple[Path, list[str]]) -> str:
        source, flags = one
        key = hashlib.sha256(headers + source.read_bytes() + repr((version, cxx, machine, flags)).encode()).hexdigest()
        kept = keep / f"{source.stem}-{key[:24]}.o"
        if not kept.is_file():
            part = kept.with_suffix(f".{os.getpid()}.part")
            run([*cxx, *flags, "-c", str(source), "-o", str(part)])
            part.replace(kept)
        return str(kept)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(object_of, wanted)), levels, version


def build(out: Path = OUT, *, machine: str | None = None, extra: list[str] | None = None) -> dict[str, object]:
    """Compile and link the library into `out`; returns its note. Raises CannotBuild, and then `out` is as it was.

    `machine`: for which kind of processor `CXX` compiles, as `uname -m` says it; None: this one. `extra`: more flags.
    """
    compiled, levels, version = objects(machine, extra)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    link = [*compiler(), "-shared", "-pthread", *(extra or []), *compiled, "-o", str(part)]
    try:
        try:  # a library that needs no C++ runtime of the machine runs on older ones too
            run([*link, "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-Wl,-s"])
        except CannotBuild:
            run(link)
        body = part.read_bytes()
        note: dict[str, object] = {
            "abi": ABI, "machine": machine or platform.machine(), "levels": levels, "compiler": version,
            "sources": sources_hash(), "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
        }  # fmt: skip
        with part.open("ab") as stream:
            stream.write(b"\n" + MARK + json.dumps(note).encode() + b"\n")
        part.replace(out)  # whoever has the old one loaded keeps it
    finally:
        part.unlink(missing_ok=True)
    return note


def program(source: Path, out: Path, *, machine: str | None = None, extra: list[str] | None = None) -> None:
    """A program of `source`, which sees what the library hides, for `native/tests`. Static. Raises CannotBuild."""
    compiled, _, _ = objects(machine, extra)
    flags = ["-std=c++17", "-O1", "-pthread", "-static", f"-I{HERE}", *(extra or [])]
    run([*compiler(), *flags, str(source), *compiled, "-o", str(out)])


def note_of(file: Path) -> dict[str, object]:
    """The note of a library; empty where there is none."""
    try:
        text = file.read_bytes()
        found: dict[str, object] = json.loads(text[text.rindex(MARK) + len(MARK) :])
    except (OSError, ValueError):
        return {}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=OUT)
    parser.add_argument("--machine", help="kind of processor that CXX compiles for, as `uname -m` says it")
    parser.add_argument("--program", type=Path, metavar="SOURCE", help="link this test with the kernels, into OUT")
    parser.add_argument("--optional", action="store_true", help="exit 0 where it cannot be built")
    args = parser.parse_args()
    if args.program:
        program(args.program, args.out, machine=args.machine)
        return 0
    note = note_of(args.out)
    if note.get("sources") == sources_hash() and note.get("machine") == (args.machine or platform.machine()):
        return 0
    try:
        note = build(args.out, machine=args.machine)
    except CannotBuild as error:
        print(f"The native library was not built: {error}\ncreuset computes with torch, which is slower.",
              file=sys.stderr)  # fmt: skip
        return 0 if args.optional else 1
    print(f"{args.out.name}: {note['bytes']} bytes for {note['machine']}, levels: {' '.join(note['levels'])}")  # type: ignore[attr-defined]
    return 0


if __name__ == "__main__":
    sys.exit(main())
