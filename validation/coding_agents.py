"""Coding agents of others edit a file against our server, with a script in the place of a model.

    python validation/coding_agents.py FOLDER      FOLDER: where npm installs the agents, once

The script calls the agent's own tool for writing a file, and says "Done." when the result has come back. What is shown
is that the agent's requests are understood and that it understands the replies: no model has a part in it.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from creuset.model.formats.hf_config import to_hf
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.testing import ScriptedEngine, tiny_config, tiny_tokenizer

AGENTS = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
TEXT = "written by a script"
NAME = "scripted"
WINDOW = 400_000


class AgentScript(ScriptedEngine):
    """Writes a file with whichever tool the prompt offers; once a tool has answered, it is done."""

    def add(self, request: Any) -> None:
        text = self._tokenizer.decode(request.prompt)
        last = text.rpartition("<|im_start|>user\n")[2]
        done = "<tool_response>" in last or "<tool_call>" not in text
        said = "Done." if done else self._call(text)
        request = _Replaced(request, self._tokenizer.encode(f"<|im_start|>user\nsay {said}<|im_end|>"))
        super().add(request)

    def _call(self, text: str) -> str:
        place = re.search(r"FILE=([^\s<]+)", text)
        assert place is not None
        if '"name": "Write"' in text:
            call = {"name": "Write", "arguments": {"file_path": place[1], "content": TEXT}}
        elif '"name": "exec_command"' in text:
            call = {"name": "exec_command", "arguments": {"cmd": f"printf %s '{TEXT}' > {place[1]}"}}
        else:
            command = ["bash", "-lc", f"printf %s '{TEXT}' > {place[1]}"]
            call = {"name": "shell", "arguments": {"command": command}}
        return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


class _Replaced:
    """A request with another prompt, for the script to read; all else is the request's."""

    def __init__(self, request: Any, prompt: list[int]) -> None:
        self._request, self.prompt = request, prompt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def worker(fd: int) -> None:
    from creuset.server.engines.worker import child, listen, run

    link = child(fd)
    run(AgentScript(tiny_tokenizer()), link, listen(link), {"window": WINDOW})


def folder_of(path: Path) -> Path:
    """A model without weights whose context holds an agent's prompt in a tokenizer of 512 words."""
    tiny_tokenizer().save(path)
    (path / "config.json").write_text(json.dumps(to_hf(tiny_config(context=WINDOW))))
    return path


def served(folder: Path) -> str:
    """The address of a server that runs until this process ends."""
    found: dict[str, str] = {}
    listening = threading.Event()

    def on_listening(url: str) -> None:
        found["url"] = url
        listening.set()

    command = [sys.executable, __file__, "--worker", "{fd}"]
    models = [(describe(folder, [NAME]), command)]
    coroutine = serve(models, ServeSettings(port=0), log=new_log("info", sys.stderr), on_listening=on_listening)
    threading.Thread(target=asyncio.run, args=(coroutine,), daemon=True).start()
    assert listening.wait(30), "the server did not start"
    return found["url"]


def run_agent(name: str, url: str, bin: Path, room: Path) -> tuple[bool, str]:
    """Whether the file was written, and what the agent said."""
    file = room / f"{name}.txt"
    prompt = f"Write the file FILE={file}"
    home = room / f"home-{name}"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC", "OPENAI", "CLAUDE", "CODEX"))}
    environment |= {"HOME": str(home), "OPENAI_API_KEY": "none", "ANTHROPIC_API_KEY": "none", "IS_SANDBOX": "1",
                    "ANTHROPIC_BASE_URL": url, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}  # fmt: skip
    if name == "claude":
        words = ["-p", prompt, "--model", NAME, "--dangerously-skip-permissions", "--output-format", "text"]
    else:
        provider = (
            f'model_providers.own={{name="own", base_url="{url}/v1", wire_api="responses", env_key="OPENAI_API_KEY"}}'
        )
        words = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-c", provider,
                 "-c", 'model_provider="own"', "-c", 'web_search="disabled"', "-m", NAME, prompt]  # fmt: skip
    try:
        ran = subprocess.run([bin / name, *words], cwd=room, env=environment, capture_output=True, text=True,
                             timeout=180, stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return False, f"did not end in {error.timeout} s: {error.stdout!r} {error.stderr!r}"
    written = file.is_file() and file.read_text() == TEXT
    return written and ran.returncode == 0, (ran.stdout + ran.stderr).strip()


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    bin = folder / "node_modules" / ".bin"
    missing = [package for name, package in AGENTS.items() if not (bin / name).exists()]
    if missing:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *missing], cwd=folder, check=True)
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        url = served(folder_of(room / "model"))
        failed = 0
        for name in AGENTS:
            passed, said = run_agent(name, url, bin, room)
            print(f"{name}: {'wrote its file' if passed else 'failed'}: {said[-2000:]}")
            failed += not passed
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(int(sys.argv[2]))
    sys.exit(main(Path(sys.argv[1])))
