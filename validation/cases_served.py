"""The checks of cases.py that need a server: ours with a tiny random model, and one that refuses what clients send."""

import gzip
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

Check = Callable[[Any], tuple[bool, Any]]
_STARTED: list[subprocess.Popen[str]] = []
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
PARAMETERS = ("temperature", "top_p", "stop", "seed", "max_tokens")
HELLO: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


def stop() -> None:
    for server in _STARTED:
        server.terminate()
        server.wait(20)
    for folder in _FOLDERS:
        folder.cleanup()


def _folder() -> Path:
    made = tempfile.TemporaryDirectory()
    _FOLDERS.append(made)
    return Path(made.name)


@cache
def ours() -> httpx.Client:
    """A client of our own server, which is started at the first call."""
    from creuset.testing import tiny_model_folder

    folder = tiny_model_folder(_folder() / "tiny", context=1024)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ["serve", "--model", str(folder), "--port", port, "--allow-origin", "localhost"]
    server = subprocess.Popen([sys.executable, "-m", "creuset", *words], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    _STARTED.append(server)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
    for _ in range(240):
        try:
            if client.get("/health").status_code == 200:
                return client
        except httpx.TransportError:
            pass
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        time.sleep(0.5)
    raise SystemExit("the server did not start")


def served(case: dict[str, Any]) -> tuple[bool, Any]:
    reply = ours().post("/v1/chat/completions", json=HELLO | case)
    return reply.status_code == 200, reply.text[:200]


def cross_origin(said: str) -> tuple[bool, Any]:
    asked = said.split(": ")[1]
    headers = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST",
               "Access-Control-Request-Headers": asked}  # fmt: skip
    reply = ours().options("/v1/chat/completions", headers=headers)
    allowed = {name.strip().lower() for name in reply.headers.get("access-control-allow-headers", "").split(",")}
    right = (
        allowed >= set(asked.split(", ")) and "access-control-request-headers" in reply.headers.get("vary", "").lower()
    )
    return right, dict(reply.headers)


def too_long(said: str) -> tuple[bool, Any]:
    long = ours().post("/v1/chat/completions", json=HELLO | {"messages": [{"role": "user", "content": said * 200}]})
    much = ours().post("/v1/chat/completions", json=HELLO | {"max_tokens": 100_000})
    errors = [reply.json().get("error", {}) for reply in (long, much)]
    words = all("This model's maximum context length is 1024 tokens" in error.get("message", "") for error in errors)
    return words and [error.get("param") for error in errors] == ["messages", "max_tokens"], errors


def address(said: str) -> tuple[bool, Any]:
    path = said.split()[1]
    if path == "/chat/completions":
        reply = ours().post(path, json=HELLO)
        return reply.status_code == 200, reply.text[:200]
    reply = ours().post(path, content=b"x", headers={"content-type": "multipart/form-data"})
    other = ours().post("/v1/nothing", content=b"x", headers={"content-type": "text/plain"})
    lists = other.status_code == 404 and "/v1/chat/completions" in other.text
    # An address that has come to be served since the case was written may answer as it does.
    return lists and (reply.status_code != 415), (reply.text[:100], other.text[:100])


def compressed(said: str) -> tuple[bool, Any]:
    encoding = said.split(": ")[1]
    body = gzip.compress(json.dumps(HELLO).encode())
    headers = {"content-type": "application/json", "content-encoding": encoding}
    reply = ours().post("/v1/chat/completions", content=body, headers=headers)
    other = ours().post("/v1/chat/completions", content=body, headers=headers | {"content-encoding": "zip"})
    return reply.status_code == 200 and other.status_code == 415 and "zip" in other.text, (reply.text[:100], other.text)


def end_of_turn(said: str) -> tuple[bool, Any]:
    found = ours().get(said.split()[1]).json()
    return found.get("eos_token") == "<|im_end|>", found.get("eos_token")


def yarn(said: str) -> tuple[bool, Any]:
    """The context of a folder whose config.json stretches its positions."""
    from creuset.testing import tiny_model_folder

    folder = tiny_model_folder(_folder() / "yarn", "qwen3")
    config = json.loads((folder / said).read_text())
    config |= {"max_position_embeddings": 32768, "rope_scaling": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}  # fmt: skip
    (folder / said).write_text(json.dumps(config))
    from creuset.server.model import describe

    context = describe(folder).context
    return context == 131072, context


def refused_parameters(message: str) -> tuple[bool, Any]:
    """Each parameter is refused in turn by an endpoint; the run asks again without it, and says so."""
    found = {}
    for name in PARAMETERS:
        said = message.replace("temperature", name)[4:]
        asked: list[dict[str, Any]] = []
        with _endpoint(name, said, asked) as url:
            folder = _folder()
            (folder / "q.csv").write_text("question,answer\nWhat is 1?,1\nWhat is 2?,2\n")
            words = ["eval", url, "--csv", "q.csv", "--retries", "0", "--json", "--extra-body",
                     json.dumps({"top_p": 1.0, "stop": ["##"], "seed": 1}), "--max-tokens", "9"]  # fmt: skip
            done = subprocess.run([sys.executable, "-m", "creuset", *words], capture_output=True, text=True, cwd=folder)
        last = [body for body in asked if "messages" in body][-1:]
        told = f"`{name}`" in done.stdout + done.stderr or name in done.stderr
        found[name] = (done.returncode == 0 and bool(last) and name not in last[0] and told, done.stderr[-200:])
    return all(right for right, _ in found.values()), found


class _endpoint:
    """An endpoint of OpenAI's kind that answers 400 with `said` to requests that have the field `name`."""

    def __init__(self, name: str, said: str, asked: list[dict[str, Any]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.append(body)
                if name in body:
                    error = {"message": said, "type": "invalid_request_error", "param": name}
                    return self.answer(400, {"error": error})
                if not self.path.endswith("/chat/completions"):
                    return self.answer(404, {"error": {"message": "not here"}})
                choice = {"index": 0, "message": {"role": "assistant", "content": "1"}, "finish_reason": "stop"}
                usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
                return self.answer(200, {"id": "x", "model": "m", "choices": [choice], "usage": usage})

            def answer(self, status: int, body: dict[str, Any]) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def checks() -> dict[tuple[str, str], Check]:
    return {
        ("api", "fields that change nothing"): served,
        ("api", "cross-origin headers of the official browser client"): cross_origin,
        ("api", "a prompt that is too long"): too_long,
        ("api", "base_url without /v1; a request to an address that is not served"): address,
        ("api", "compressed request body"): compressed,
        ("api", "tokenizer_info eos_token"): end_of_turn,
        ("api", "YaRN folder: max_position_embeddings 32768, factor 4, original 32768"): yarn,
        ("endpoint", f"parameters that a model refuses ({', '.join(PARAMETERS)})"): refused_parameters,
    }  # fmt: skip
