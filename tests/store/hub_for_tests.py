"""A server that speaks the hub's protocol: listings, redirects to a store of files, ranges, terms, faults."""

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = (".safetensors", ".gguf", ".bin")  # kept in the store of large files, with a sha256


CONFIG = {
    "model_type": "qwen3", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 128,
}  # fmt: skip


def weights(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def folder(**more: bytes) -> dict[str, bytes]:
    """The files of a repository, with some that nobody needs."""
    return {
        "README.md": b"---\nlicense: apache-2.0\n---\n# A model\n", "LICENSE": b"You may do what you like.\n",
        "config.json": json.dumps(CONFIG).encode(), "generation_config.json": b"{}", "tokenizer.json": b"{}",
        "tokenizer_config.json": b"{}", "chat_template.jinja": b"{{ messages }}",
        "additional_chat_templates/tool_use.jinja": b"{{ tools }}", "model.safetensors": weights(300_000),
        "pytorch_model.bin": weights(1000), "onnx/model.onnx": b"x", "original/model.safetensors": weights(1000),
        "consolidated.safetensors": weights(1000), ".gitattributes": b"x", "training_args.bin": b"x",
    } | more  # fmt: skip


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = COMMIT
    revisions: tuple[str, ...] = ("main", "v1")
    gated: str | bool = False
    card: dict[str, Any] = field(default_factory=lambda: {"license": "apache-2.0", "language": ["en"]})
    lies: dict[str, bytes] = field(default_factory=dict)  # what the store really gives under a name


@dataclass
class HubForTests:
    """Repositories, what was asked, and the faults that the next answers have."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str = ""  # the one account that accepted all terms
    break_after: dict[str, int] = field(default_factory=dict)  # file: bytes of each answer before the line goes dead
    down: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    leaked: list[str] = field(default_factory=list)  # tokens that reached the store of files
    address: str = ""

    def gets(self, name: str) -> list[str]:
        """The ranges ("" for a whole file) that the store of files was asked for."""
        return [span for method, path, span in self.asked if method == "GET" and path.endswith(f"/{name}")]


@contextmanager
def hub_for_tests() -> Iterator[HubForTests]:
    hub = HubForTests()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubForTests
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # head and body leave together

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        if self.hub.down:
            self.send(503, b"")
        elif parts[0] == "store":
            self.store(parts)
        elif parts[:2] == ["api", "models"]:
            self.listing(parts)
        else:
            self.resolve(parts)

    def repository(self, name: str) -> Repository | None:
        found = self.hub.repositories.get(name)
        if found is None:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        return found

    def listing(self, parts: list[str]) -> None:
        found = self.repository("/".join(parts[2:4]))
        if found is None:
            return
        revision = "/".join(parts[5:]) or "main"
        if revision not in (*found.revisions, found.commit):
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for name, content in found.files.items():
            one: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_blob(content)}
            if name.endswith(LARGE):
                one["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append(one)
        body = {
            "id": "/".join(parts[2:4]), "modelId": "/".join(parts[2:4]), "sha": found.commit, "siblings": siblings,
            "cardData": found.card, "gated": found.gated, "private": False, "disabled": False, "tags": [],
        }  # fmt: skip
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def resolve(self, parts: list[str]) -> None:
        """owner/name/resolve/revision/file: small files at once, large ones from the store."""
        found = self.repository("/".join(parts[:2]))
        if found is None:
            return
        name = "/".join(parts[4:])
        if found.gated and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            code = 403 if self.headers.get("Authorization") else 401
            self.send(code, b"", {"X-Error-Code": "GatedRepo"})
        elif name not in found.files:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif not name.endswith(LARGE):
            content = found.lies.get(name, found.files[name])
            self.content(name, content, {"X-Repo-Commit": found.commit, "ETag": f'"{git_blob(found.files[name])}"'})
        else:
            port = self.hub.address.rpartition(":")[2]
            headers = {
                "X-Repo-Commit": found.commit,
                "X-Linked-ETag": f'"{sha256(found.files[name])}"',
                "X-Linked-Size": str(len(found.files[name])),
                # Another host: the account's token must not be sent there.
                "Location": f"http://localhost:{port}/store/{'/'.join(parts[:2])}/{name}?signature=s3cret",
            }
            self.send(302, b"", headers)

    def store(self, parts: list[str]) -> None:
        if token := self.headers.get("Authorization"):
            self.hub.leaked.append(token)
        found = self.repository("/".join(parts[1:3]))
        if found is not None:
            name = "/".join(parts[3:])
            self.content(name, found.lies.get(name, found.files[name]), {})

    def content(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        start = 0
        if span := self.headers.get("Range"):
            start = int(span.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        part = content[start:]
        short = self.hub.break_after.get(name)
        if self.command == "GET" and short is not None and len(part) > short:
            self.send(206 if span else 200, part, headers, only=short)
            self.close_connection = True
            return
        self.send(206 if span else 200, part, headers)

    def send(self, code: int, body: bytes, headers: dict[str, str] | None = None, *, only: int | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:only])
            self.wfile.flush()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
