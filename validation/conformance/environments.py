"""Environments of their own for programs of others, made under .cache/conformance where they are missing."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
CACHE = TREE / ".cache" / "conformance"
PINNED = TREE / "bench" / "frameworks" / "requirements"
PYTHON = {
    "schemathesis": ["schemathesis"],
    "pydantic-ai": ["-r", str(PINNED / "pydantic-ai.txt"), "anthropic"],
    "agents": ["-r", str(PINNED / "openai-agents.txt")],
    "langchain": ["-r", str(PINNED / "langchain.txt"), "langchain-anthropic"],
    "llamaindex": ["-r", str(PINNED / "llama-index.txt"), "llama-index-embeddings-openai-like"],
    "autogen": ["-r", str(PINNED / "autogen.txt")],
    "instructor": ["-r", str(PINNED / "instructor.txt")],
    "peers": [
        "pytest",
        "pytest-asyncio",
        "openai",
        "anthropic",
        "requests",
        "numpy",
        "filelock",
        "wget",
        "httpx",
        "pybase64",
    ],
}
NODE = ["openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai", "@ai-sdk/anthropic", "zod", "bun"]
LLAMA = "llama-cpp-python==0.3.36"  # its source distribution holds the tests of llama.cpp's server
VLLM = "vllm==0.32.0"


def python(name: str) -> Path:
    """The interpreter of an environment."""
    folder = CACHE / name
    found = folder / "bin" / "python"
    if not (folder / "made").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "--quiet", *PYTHON[name]], check=True)
        (folder / "made").touch()
    return found


def node() -> Path:
    """The folder with the packages of node."""
    folder = CACHE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in NODE if not (folder / "node_modules" / name).is_dir()]
    if missing:
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *missing], cwd=folder, check=True)
    return folder


def versions(name: str, packages: list[str]) -> str:
    """What of these is installed in an environment, as `name version, ...`."""
    ask = (
        "import sys; from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    command = [str(CACHE / name / "bin" / "python"), "-c", ask, *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def llama_tests() -> Path:
    """The folder of the tests of llama.cpp's server."""
    folder = CACHE / "src" / "llama-server-tests"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fetch = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", LLAMA, "-d", str(folder.parent)]
        subprocess.run([sys.executable, "-m", "pip", *fetch], check=True)
        archive = next(folder.parent.glob("llama_cpp_python-*.tar.gz"))
        with tarfile.open(archive) as packed:
            inner = next(one.name for one in packed if one.name.endswith("tools/server/tests/utils.py")).rpartition(
                "/"
            )[0]
            packed.extractall(folder.parent, [m for m in packed if m.name.startswith(inner + "/")], filter="data")
        shutil.move(folder.parent / inner, folder)
    return folder
