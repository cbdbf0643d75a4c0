"""Probes against scripted endpoints: one that does all of it, and ones that go wrong in one way each."""

import asyncio
import http.server
import json
import threading

import pytest

from creuset.benchmarks.service.portability import PROBES, try_all
from creuset.benchmarks.service.portability import read as read_portability
from creuset.cli import main
from creuset.core.errors import ArtifactError, ConfigError, EngineError

TEXT = "one two three four five six seven eight nine ten"


class Complete(http.server.BaseHTTPRequestHandler):
    """All that is probed, done rightly, but for what the server's `fault` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    @property
    def fault(self):
        return self.server.fault

    def do_GET(self):
        self.answer({"data": [] if self.fault == "no models" else [{"id": "small"}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        self.server.bodies.append((self.path, body, self.headers.get("authorization")))
        if self.fault == "down":
            return self.refuse(500, "no")
        if body["model"] != "small" and self.fault != "any model":
            return self.refuse(404, "no such model")
        if isinstance(body.get("temperature"), str):
            return self.answer({"oops": 1}) if self.fault == "takes anything" else self.refuse(400, "temperature")
        return getattr(self, "to_" + self.path.removeprefix("/v1/").replace("/", "_"))(body)

    def to_completions(self, body):
        self.answer({"choices": [{"text": " four"}]})

    def to_responses(self, body):
        if self.fault == "no responses":
            return self.refuse(404, "no such address")
        part = {"type": "message", "content": [{"type": "output_text", "text": "hello"}]}
        return self.answer({"object": "response", "output": [{"type": "reasoning"}, part]})

    def to_embeddings(self, body):
        self.answer({"data": [{"embedding": [] if self.fault == "empty vector" else [0.1, -0.2]}]})

    def to_chat_completions(self, body):
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 99
        if self.fault == "ignores the limit":
            limit = 99
        words = TEXT.split()[:limit]
        text, finish = " ".join(words), "stop" if limit >= 10 else "length"
        if body.get("temperature", 0) > 0:
            text += f" {len(self.server.bodies) if self.fault == 'forgets the seed' else body.get('seed')}"
        for stop in body.get("stop", []) if self.fault != "goes on" else []:
            text, finish = text.split(stop)[0], "stop"
        if form := body.get("response_format"):
            text = '{"a": 1}' if form["type"] == "json_object" else '{"colour": "red", "ripe": true}'
            text = {"prose": "An apple.", "another object": '{"colour": "blue"}'}.get(self.fault, text)
        message = {"role": "assistant", "content": text}
        if body.get("tools"):
            said = "Lyon" if self.fault != "bad arguments" else "Rome"
            call = {"name": "get_weather", "arguments": json.dumps({"city": said})}
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": call}]}
            if self.fault == "no call":
                message = {"role": "assistant", "content": "It rains."}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        if body.get("logprobs"):
            tops = [{"token": "a", "logprob": -1.0}] * (1 if self.fault == "one top" else body["top_logprobs"])
            value = 0.5 if self.fault == "a positive one" else -0.5
            choice["logprobs"] = {"content": [{"token": "a", "logprob": value, "top_logprobs": tops}]}
        used = len(words)
        usage = {"prompt_tokens": 5, "completion_tokens": used, "total_tokens": 5 + used}
        if self.fault == "bad sum":
            usage["total_tokens"] += 1
        if body.get("stream"):
            return self.stream(body, text, usage)
        count = 1 if self.fault == "one choice" else body.get("n", 1)
        return self.answer({"choices": [choice | {"index": i} for i in range(count)], "usage": usage})

    def stream(self, body, text, usage):
        if self.fault == "not a stream":
            return self.answer({"choices": [{"message": {"content": text}}], "usage": usage})
        events = [{"object": "chat.completion.chunk", "choices": [{"delta": {"content": w}}]} for w in text.split()]
        if self.fault != "no finish":
            events.append({"object": "chat.completion.chunk", "choices": [{"delta": {}, "finish_reason": "stop"}]})
        if body.get("stream_options") and self.fault != "no usage":
            events.append({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        said = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
        return self.send(200, said.encode(), "text/event-stream")

    def refuse(self, status, message):
        self.send(status, json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode())

    def answer(self, body):
        self.send(200, json.dumps(body).encode())

    def send(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def serving():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Complete)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(serving):
    server, url = serving
    server.bodies, server.fault = [], ""
    return server, url


async def at_once(seconds):
    """No time is waited between attempts."""


def tried(url, **more):
    found = asyncio.run(try_all(url, "", date="2026-01-01", sleep=at_once, **more))
    return found, {p.id: p for p in found.probes}


def test_an_endpoint_that_does_all_of_it_is_right_throughout(endpoint):
    server, url = endpoint
    found, _ = tried(url)
    assert {p.status for p in found.probes} == {"right"}, [p for p in found.probes if p.status != "right"]
    assert (found.right, found.tried, found.model) == (len(PROBES), len(PROBES), "small")
    assert [p.id for p in found.probes] == [id for id, _ in PROBES]
    paths = {path for path, _, _ in server.bodies}
    assert paths == {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"}


@pytest.mark.parametrize(("fault", "wrong", "status"), [
    ("ignores the limit", {"max_tokens", "max_completion_tokens"}, "wrong"),
    ("goes on", {"stop"}, "wrong"),
    ("forgets the seed", {"seed"}, "wrong"),
    ("one choice", {"n"}, "wrong"),
    ("bad sum", {"usage"}, "wrong"),
    ("one top", {"logprobs"}, "wrong"),
    ("a positive one", {"logprobs"}, "wrong"),
    ("prose", {"json_object", "json_schema"}, "wrong"),
    ("another object", {"json_schema"}, "wrong"),
    ("bad arguments", {"tool_named", "tool_required"}, "wrong"),
    ("no call", {"tool_named", "tool_required"}, "wrong"),
    ("not a stream", {"stream", "stream_usage"}, "wrong"),
    ("no finish", {"stream"}, "wrong"),
    ("no usage", {"stream_usage"}, "wrong"),
    ("empty vector", {"embeddings"}, "wrong"),
    ("any model", {"unknown_model"}, "wrong"),
    ("takes anything", {"bad_request"}, "wrong"),
    ("no responses", {"responses"}, "refused"),
])  # fmt: skip
def test_what_goes_wrong_is_found_and_nothing_else(endpoint, fault, wrong, status):
    server, url = endpoint
    server.fault = fault
    found, probes = tried(url)
    assert {p.id for p in found.probes if p.status != "right"} == wrong
    assert {probes[id].status for id in wrong} == {status} and all(probes[id].said for id in wrong)
    assert found.right == len(PROBES) - len(wrong)


def test_an_endpoint_that_fails_is_failed_and_one_that_is_down_is_an_error(endpoint):
    server, url = endpoint
    server.fault = "down"
    _, probes = tried(url)
    assert probes["chat"].status == "failed" and "HTTP 500" in probes["chat"].said
    assert probes["models"].status == "right"
    with pytest.raises(EngineError, match="does not say its models"):
        tried("http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="does not answer"):
        asyncio.run(try_all("http://127.0.0.1:9/v1", "small", date="d", sleep=at_once))
    server.fault = "no models"
    with pytest.raises(ConfigError, match="serves no model"):
        tried(url)


def test_the_verb_keeps_what_was_tried_and_no_key(endpoint, tmp_path, capsys, monkeypatch):
    server, url = endpoint
    monkeypatch.setenv("SOME_KEY", "sk-hidden")
    assert main(["compare", "portability", url, "--key-env", "SOME_KEY", "--out", str(tmp_path / "p")]) == 0
    assert f"{len(PROBES)} of {len(PROBES)} parts" in capsys.readouterr().out
    assert {key for _, _, key in server.bodies} == {"Bearer sk-hidden"}
    kept = (tmp_path / "p/portability.json").read_text()
    assert "sk-hidden" not in kept + (tmp_path / "p/manifest.json").read_text()
    assert read_portability(tmp_path / "p")["right"] == len(PROBES) and main(["verify", str(tmp_path / "p")]) == 0
    (tmp_path / "p/portability.json").write_text(kept.replace('"right",', '"fine",', 1))
    with pytest.raises(ArtifactError, match="a status that there is not"):
        read_portability(tmp_path / "p")
    assert main(["compare", "portability", url, "--key-env", "NO_SUCH_KEY"]) == 2
