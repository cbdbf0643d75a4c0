"""A scripted server with the face of `creuset serve`: the built page, and answers
chosen by the first word of the question.

python -m tests.web.server 8100      # to work on the page without a model
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .corpus import CARD, GROUPS, HOSTILE, SHOWCASE, SPECIAL

STATIC = Path(__file__).parents[2] / "creuset" / "server" / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
MODEL = {
    "name": "creuset-test",
    "names": ["creuset-test"],
    "parameters": 62_300_000,
    "active_parameters": 21_400_000,
    "sha256": "3f9a1c07" * 8,
    "context": 2048,
    "size_bytes": 23_100_000,
    "family": "qwen3_moe",
    "vocab_size": 16384,
    "created": 1,
    "engine": "ready",
    "card": CARD,
    "languages": ["en", "fr"],
    "license": "Apache-2.0",
    "origin": {
        "known": {"en": ["Fetched from a test."], "fr": ["Récupéré d'un test."]},
        "unknown": {"en": ["It was trained by others."], "fr": ["Il a été entraîné par d'autres."]},
    },
}


BREAK = (" ", " ", "\n\n")  # after each sentence: paragraphs of three


@dataclass
class Script:
    """What the test sees and sets."""

    asked: list[dict[str, Any]] = field(default_factory=list)  # bodies of chat requests, in order
    keys: list[str | None] = field(default_factory=list)  # their Authorization headers
    cut: threading.Event = field(default_factory=threading.Event)  # the client left in the middle of a stream
    healthy: bool = True
    key: str = ""  # when set, asked for
    limit: int = 0  # when set, the number of messages that fit
    broken: int = 0  # how many requests still fail with 503
    going_on: bool = True  # whether it goes on with an answer that was begun
    heard: threading.Event = field(default_factory=threading.Event)  # ends the silence of `silence`
    sampling: dict[str, float] = field(default_factory=lambda: {"temperature": 0.7, "top_p": 0.9})  # that it states


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self.reply(200 if self.script.healthy else 503, {"status": "ok" if self.script.healthy else "starting"})
        elif path == "/v1/creuset/model":
            told = MODEL | {"sampling_defaults": self.script.sampling}
            self.reply(200, told) if self.allowed() else self.fail(401, "missing API key", "invalid_api_key")
        elif path == "/v1/models":
            listed = {"data": [{"id": MODEL["name"], "alias_of": None, "state": "ready"}]}
            self.reply(200, listed) if self.allowed() else self.fail(401, "missing API key", "invalid_api_key")
        else:
            self.file(STATIC / ("index.html" if path == "/" else path.lstrip("/")))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.script
        script.asked.append(body)
        script.keys.append(self.headers.get("Authorization"))
        asked = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
        if not self.allowed():
            return self.fail(401, "Incorrect API key provided.", "invalid_api_key")
        if script.broken > 0:
            script.broken -= 1
            return self.fail(503, "The engine is restarting.", "engine_unavailable")
        if script.limit and len(body["messages"]) > script.limit:
            return self.fail(400, "This model's maximum context length is 64 tokens.", "context_length_exceeded")
        if asked.startswith("busy") and len(script.asked) == 1:
            return self.fail(429, "Rate limit reached.", "rate_limit_exceeded", {"Retry-After": "1"})
        if body.get("continue_final_message") and not script.going_on:
            return self.fail(400, "Unrecognized request argument supplied: continue_final_message", "unknown_parameter")
        begun = body["messages"][-1]["content"] if body.get("continue_final_message") else ""
        self.crumbs() if asked == "crumbs" else self.stream(asked, len(script.asked), begun)

    def allowed(self) -> bool:
        return not self.script.key or self.headers.get("Authorization") == f"Bearer {self.script.key}"

    def crumbs(self) -> None:
        """A stream as awkward as the standard allows, sent byte by byte."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        text = '{"choices": [{"delta": {"content": "Où est l’été ? 🔥"}}]}'
        head, tail = text[:12], text[12:]
        events = f": hello\r\n\r\nevent: message\r\nid: 1\r\ndata: {head}\r\ndata:{tail}\r\n\r\n"
        events += 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        for byte in events.encode():
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def stream(self, asked: str, number: int, begun: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        count = 0
        try:
            self.event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
            if asked.startswith("tools"):
                self.thinks_and_calls()
            if asked == "silence":
                self.event(choices=[{"index": 0, "delta": {"content": "It begins"}, "finish_reason": None}])
                self.script.heard.wait(30)
                return
            for piece in pieces(asked, number):
                if begun:  # it was said before
                    begun, piece = begun[len(piece) :], piece[len(begun) :]
                    if not piece:
                        continue
                count += 1
                self.event(choices=[{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
                if asked.startswith("break") and count == 4:
                    self.wfile.write(b'data: {"error": {"message": "The engine stopped.", "type": "server_error"}}\n\n')
                    return
            finish = "length" if asked.startswith("long") else "stop"
            self.event(choices=[{"index": 0, "delta": {}, "finish_reason": finish}])
            self.event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count})
            self.wfile.write(b": heartbeat\n\ndata: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.script.cut.set()

    def thinks_and_calls(self) -> None:
        """Thoughts and a tool call, in parts, as servers send them."""
        for delta in (
            {"reasoning_content": "The person wants "},
            {"reasoning_content": "the **weather**."},
            {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather"}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"town": '}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"Lyon"}'}}]},
        ):
            self.event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    def event(self, **content: object) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": MODEL["name"],
            "system_fingerprint": "fp_3f9a1c073f",
            "usage": None,
            **content,
        }
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def file(self, path: Path) -> None:
        if not path.is_file() or STATIC not in path.resolve().parents:
            return self.fail(404, "not found", "not_found")
        self.answer(200, path.read_bytes(), TYPES.get(path.suffix, "application/octet-stream"))

    def fail(self, status: int, message: str, code: str, headers: dict[str, str] | None = None) -> None:
        self.reply(
            status,
            {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}},
            headers,
        )

    def reply(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(content).encode(), "application/json", headers)

    def answer(self, status: int, content: bytes, type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def pieces(asked: str, number: int) -> Iterator[str]:
    word, _, rest = asked.partition(" ")
    if word == "slow":
        for index in range(int(rest or 400)):
            time.sleep(0.02)
            yield f"word{index} "
        return
    if word == "burst":  # as much as asked for, in few pieces, then slowly
        yield "".join(f"Sentence {i} says something about gold.{BREAK[i % 3]}" for i in range(int(rest)))
        for index in range(60):
            time.sleep(0.02)
            yield f"word{index} "
        return
    texts = {
        "markdown": SHOWCASE,
        "How": SHOWCASE,
        "hostile": "\n\n***\n\n".join(HOSTILE[int(rest) :: GROUPS]) if word == "hostile" else "",
        "special": SPECIAL,
        "say": rest,
        "empty": "",
        "tools": "",
    }
    text = texts.get(word, f"Answer {number} to: {asked}")
    for start in range(0, len(text), 7):
        time.sleep(0.002)
        yield text[start : start + 7]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves is not an error of the test."""


def start(port: int = 0) -> tuple[Server, Script]:
    script = Script()
    server = Server(("127.0.0.1", port), type("Scripted", (Handler,), {"script": script}))
    threading.Thread(target=server.serve_forever, name="scripted server", daemon=True).start()
    return server, script


if __name__ == "__main__":
    server, _ = start(int(sys.argv[1]) if len(sys.argv) > 1 else 8100)
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    threading.Event().wait()
