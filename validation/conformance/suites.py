"""The suites: what each needs, how it is run, and what came of each of its tests."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from environments import CACHE, TREE, llama_tests, node, python, versions

PROGRAMS = Path(__file__).parent / "programs"
LIMIT_S = 400


@dataclass
class Outcome:
    test: str
    outcome: str  # passed, failed, skipped
    why: str = ""


@dataclass(frozen=True)
class Suite:
    title: str
    run: Callable[[str], tuple[str, list[Outcome]]]


def _asked(command: list[str], url: str, *, cwd: Path | None = None, **more: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "ANTHROPIC"))}
    env |= {"CREUSET_URL": url, "CREUSET_MODEL": "gpt-4o-mini", "PYTHONPATH": str(PROGRAMS)} | more
    try:
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        return subprocess.CompletedProcess(command, 1, said, f"not done within {LIMIT_S} s")


def _programs(name: str, script: str, packages: list[str]) -> Callable[[str], tuple[str, list[Outcome]]]:
    """A Python script that says a line of each of its programs, in the environment `name`."""

    def run(url: str) -> tuple[str, list[Outcome]]:
        interpreter = sys.executable if name == "own" else str(python(name))
        ran = _asked([interpreter, str(PROGRAMS / script)], url)
        told = versions(name, packages) if name != "own" else _own(packages)
        return told, _lines(ran)

    return run


def _own(packages: list[str]) -> str:
    from importlib.metadata import version

    return ", ".join(f"{one} {version(one)}" for one in packages)


def _lines(ran: "subprocess.CompletedProcess[str]") -> list[Outcome]:
    rows = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"program"')]
    found = [Outcome(row["program"], "failed" if row["failed"] else "passed", row["failed"]) for row in rows]
    if ran.returncode or not found:
        why = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        found.append(Outcome("(the script itself)", "failed", why))
    return found


def node_clients(url: str) -> tuple[str, list[Outcome]]:
    folder = node()
    script = folder / "clients.mjs"  # node looks for packages beside the script
    script.write_text((PROGRAMS / "clients.mjs").read_text())
    names = ("openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai", "@ai-sdk/anthropic")
    told = [json.loads((folder / "node_modules" / name / "package.json").read_text())["version"] for name in names]
    return ", ".join(f"{n} {v}" for n, v in zip(names, told, strict=True)), _lines(_asked(["node", str(script)], url))


def openresponses(url: str) -> tuple[str, list[Outcome]]:
    folder = CACHE / "src" / "openresponses"
    if not (folder / "bin" / "compliance-test.ts").is_file():
        return "", [Outcome("(the suite)", "skipped", "put a checkout of openresponses/openresponses at "
                            ".cache/conformance/src/openresponses, with `npm install zod`")]  # fmt: skip
    bun = node() / "node_modules" / ".bin" / "bun"
    command = [str(bun), "run", "bin/compliance-test.ts", "--base-url", f"{url}/v1", "--api-key", "none",
               "--model", "gpt-4o-mini", "--json"]  # fmt: skip
    ran = _asked(command, url, cwd=folder)
    report = json.loads(ran.stdout[ran.stdout.index("{") :])
    outcomes = []
    for one in report.get("results", []):
        why = "; ".join(str(word) for word in one.get("errors") or [])
        outcomes.append(Outcome(one["name"], one["status"], " ".join(why.split())[:300]))
    mark = folder / "VERSION"  # written by who put the checkout there
    return mark.read_text().strip() if mark.is_file() else "not known", outcomes


def _junit(file: Path) -> list[Outcome]:
    found = []
    for case in ET.parse(file).getroot().iter("testcase"):
        bad = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        name = f"{case.get('classname', '').rpartition('.')[2]}: {case.get('name')}"
        outcome = "passed" if bad is None else "skipped" if bad.tag == "skipped" else "failed"
        why = "" if bad is None else " ".join((bad.get("message") or "").split())[:300]
        found.append(Outcome(name, outcome, _plain(why)))
    return found


def _plain(why: str) -> str:
    """Without addresses in memory, which differ from run to run, and without hosts."""
    if "Max retries exceeded" in why:
        return "it fetches a file from elsewhere"
    return re.sub(r" (?:object )?at 0x[0-9a-f]+", "", why)


def llama(url: str) -> tuple[str, list[Outcome]]:
    folder = llama_tests()
    files = [f"unit/test_{name}.py" for name in ("compat_oai_responses", "compat_anthropic", "embedding")]
    report = CACHE / "llama.xml"
    report.unlink(missing_ok=True)
    command = [
        str(python("peers")),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "llama_plugin",
        f"--junit-xml={report}",
        *files,
    ]
    ran = _asked(command, url, cwd=folder, DEBUG_EXTERNAL="1", PORT=url.rpartition(":")[2])
    if not report.is_file():
        return "", [Outcome("(the suite)", "failed", (ran.stderr or ran.stdout).strip()[-300:])]
    return "of llama-cpp-python 0.3.36", _junit(report)


def vllm(url: str) -> tuple[str, list[Outcome]]:
    source = CACHE / "src" / "vllm" / "tests"
    if not source.is_dir():
        words = "put the folder `tests` of vLLM's source distribution at .cache/conformance/src/vllm/tests"
        return "", [Outcome("(the suite)", "skipped", words)]
    folder, report = CACHE / "vllm-tests", CACHE / "vllm.xml"
    report.unlink(missing_ok=True)
    names = ["entrypoints/anthropic/test_messages.py", "entrypoints/pooling/embed/test_online.py"]
    names += [f"entrypoints/openai/responses/test_{one}.py" for one in
              ("simple", "basic", "errors", "function_call", "stateful", "structured_output")]  # fmt: skip
    for name in [*names, "entrypoints/openai/responses/conftest.py"]:
        place = folder / "tests" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_file():
            place.write_bytes((source / name).read_bytes())
        for parent in place.parents:
            if parent.is_relative_to(folder / "tests"):
                (parent / "__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "tests" / "utils.py").write_text((PROGRAMS / "vllm_utils.py").read_text())
    known = [f"tests/{name}" for name in names if (source / name).is_file()]
    command = [str(python("peers")), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}",
               "--continue-on-collection-errors", *known]  # fmt: skip
    ran = _asked(command, url, cwd=folder, PYTHONPATH=str(folder))
    if not report.is_file():
        return "", [Outcome("(the suite)", "failed", (ran.stderr or ran.stdout).strip()[-300:])]
    return "vLLM 0.32.0", _junit(report)


def agents(url: str) -> tuple[str, list[Outcome]]:
    """Codex and Claude Code write a file; validation/coding_agents.py starts a server of its own."""
    folder = CACHE / "agents"
    ran = _asked(
        [sys.executable, str(TREE / "validation" / "coding_agents.py"), str(folder)], url, PYTHONPATH=str(TREE)
    )
    told, outcomes = [], []
    for name, package in (("claude", "@anthropic-ai/claude-code"), ("codex", "@openai/codex")):
        line = next((one for one in ran.stdout.splitlines() if one.startswith(f"{name}: ")), "")
        good = line.startswith(f"{name}: wrote its file")
        why = "" if good else (line or ran.stderr.strip())[-300:]
        outcomes.append(Outcome(f"{name} writes a file", "passed" if good else "failed", why))
        manifest = folder / "node_modules" / package / "package.json"
        told.append(f"{package} {json.loads(manifest.read_text())['version']}" if manifest.is_file() else package)
    return ", ".join(told), outcomes


def schemathesis(url: str) -> tuple[str, list[Outcome]]:
    python("schemathesis")
    command = [str(CACHE / "schemathesis" / "bin" / "st"), "run", f"{url}/openapi.json", "--max-examples", "12",
               "--seed", "1",
               "--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--workers", "2", "--checks",
               "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
               "--no-color"]  # fmt: skip
    ran = _asked(command, url)
    found = re.search(r"(\d+) generated(?:, (\d+) found)?", ran.stdout)
    tested = re.search(r"Tested: (\d+)", ran.stdout)
    failures = re.findall(r"^\s+- (Undocumented.*|Server error.*|Response violates.*)$", ran.stdout, re.M)
    cases = f"{found[1]} requests to {tested[1] if tested else '?'} operations" if found else "requests"
    names = ["no 5xx", "no undocumented status", "no undocumented media type", "each reply as its schema says"]
    marks = ["Server error", "Undocumented HTTP", "Undocumented Content", "Response violates"]
    outcomes = []
    for name, mark in zip(names, marks, strict=True):
        bad = sorted({one for one in failures if one.startswith(mark)})
        good = found is not None and not bad
        outcomes.append(Outcome(f"{cases}: {name}", "passed" if good else "failed", "; ".join(bad)[:300]))
    own = re.search(r"Runtime Error: (\d+)", ran.stdout)
    why = f"{own[1]} operations could not be tested to the end by its coverage phase" if own else ""
    outcomes.append(Outcome("schemathesis itself has no error", "failed" if own else "passed", why))
    return versions("schemathesis", ["schemathesis"]), outcomes


SUITES = {
    "openai": Suite("openai-python, strict validation", _programs("own", "openai_client.py", ["openai"])),
    "anthropic": Suite("anthropic-python, strict validation", _programs("own", "anthropic_client.py", ["anthropic"])),
    "node": Suite("Clients in Node, and the Vercel AI SDK", node_clients),
    "pydantic-ai": Suite("pydantic-ai", _programs("pydantic-ai", "pydantic_ai_programs.py", ["pydantic-ai-slim"])),
    "agents-sdk": Suite("OpenAI Agents SDK", _programs("agents", "agents_programs.py", ["openai-agents"])),
    "instructor": Suite("instructor", _programs("instructor", "instructor_programs.py", ["instructor"])),
    "langchain": Suite("LangChain", _programs("langchain", "langchain_programs.py",
                                              ["langchain", "langchain-openai", "langchain-anthropic"])),
    "llamaindex": Suite("LlamaIndex", _programs("llamaindex", "llamaindex_programs.py", ["llama-index-core"])),
    "autogen": Suite("AutoGen", _programs("autogen", "autogen_programs.py", ["autogen-agentchat"])),
    "coding-agents": Suite("Claude Code and Codex edit a file", agents),
    "openresponses": Suite("Open Responses, compliance suite", openresponses),
    "llama.cpp": Suite("llama.cpp: tests of Responses, Messages and embeddings", llama),
    "vllm": Suite("vLLM: tests of Responses, Messages and embeddings", vllm),
    "schemathesis": Suite("schemathesis on our own /openapi.json", schemathesis),
}  # fmt: skip
