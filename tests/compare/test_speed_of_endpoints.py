"""The speed of a scripted endpoint: what is counted, what is not, and what a broken one leads to."""

import asyncio
import http.server
import json
import threading

import pytest

from creuset.benchmarks.service.speed import Call, measure, percentile, prompt, summarise
from creuset.cli import main
from creuset.core.errors import EngineError
from creuset.types.usage import Load


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Streams five words; every third request goes wrong in the way that the server's `fault` says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.answer(200, json.dumps({"data": [{"id": "small"}]}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        bad = len(self.server.bodies) % 3 == 0 and self.server.fault
        if bad == "status":
            return self.answer(500, b"{}")
        pieces = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
        pieces += [{"choices": [{"delta": {"content": word}}]} for word in ("a ", "b ", "c ", "d ", "e")]
        if self.server.usage:
            pieces.append({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7}})
        if bad == "silent":
            pieces = pieces[:1]
        lines = [f"data: {json.dumps(p)}\n\n" for p in pieces]
        if bad == "error":
            lines.insert(3, 'data: {"error": {"message": "no"}}\n\n')
        if bad == "broken":
            lines[2] = "data: {\n\n"
        if bad != "cut":
            lines.append("data: [DONE]\n\n")
        self.answer(200, "".join(lines).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.bodies, server.fault, server.usage = [], "", True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


LOAD = Load(requests=5, concurrency=2, max_tokens=7, prompt_words=12)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("SPEED_KEY", "k")


def timed(url, load=LOAD):
    return asyncio.run(measure(url, "", load, key_env="SPEED_KEY", date="2026-01-01"))


def test_every_request_is_counted_but_the_first(endpoint):
    server, url = endpoint
    speed, calls = timed(url)
    assert (speed.calls, speed.failed, len(calls), len(server.bodies)) == (5, 0, 5, 6)
    assert speed.model == "small" and speed.tokens_by == "usage" and speed.tokens_mean == 7
    assert speed.prompt_tokens_mean == 9 and speed.load["concurrency"] == 2
    assert 0 < speed.first_p50_s <= speed.first_p95_s and speed.whole_p50_s <= speed.whole_p95_s
    said = [b["messages"][0]["content"] for b in server.bodies]
    assert len({s[:4] for s in said}) == 6, "no two prompts begin alike"
    assert all(b["stream"] and b["max_tokens"] == 7 and b["temperature"] == 0 for b in server.bodies)


def test_without_usage_pieces_are_counted_and_it_says_so(endpoint):
    server, url = endpoint
    server.usage = False
    speed, _ = timed(url)
    assert speed.tokens_by == "pieces" and speed.tokens_mean == 5


@pytest.mark.parametrize(("fault", "reason"), [
    ("status", "http 500"), ("error", "an error in the stream"), ("broken", "broken stream"),
    ("cut", "broken stream"), ("silent", "no text"),
])  # fmt: skip
def test_what_goes_wrong_is_counted_by_its_reason(endpoint, fault, reason):
    server, url = endpoint
    server.fault = fault
    speed, _ = timed(url)
    assert speed.failures == {reason: 2} and speed.failed == 2 and speed.calls == 5


def test_an_endpoint_that_is_down_is_an_error():
    with pytest.raises(EngineError, match="does not say its models"):
        timed("http://127.0.0.1:9/v1")


def test_a_named_model_that_nobody_serves_is_an_error():
    with pytest.raises(EngineError, match="does not answer: ConnectError"):
        asyncio.run(measure("http://127.0.0.1:9/v1", "small", LOAD, date="2026-01-01"))


def test_the_figures_are_those_of_the_calls():
    calls = [Call(first_s=s, whole_s=s + 1, stream_s=0.5, tokens=11, by_usage=True) for s in (0.1, 0.2, 0.3, 0.4)]
    speed = summarise([*calls, Call(failed="timeout")], 4.0, url="u", model="m", load=LOAD, date="d")
    assert (speed.first_p50_s, speed.first_p95_s, speed.stream_p50, speed.together) == (0.2, 0.4, 20.0, 11.0)
    assert speed.failed == 1 and speed.failures == {"timeout": 1}
    nothing = summarise([Call(failed="timeout")], 4.0, url="u", model="m", load=LOAD, date="d")
    assert nothing.first_p50_s is None and nothing.together is None


def test_percentiles_are_of_the_values_themselves():
    assert [percentile([3, 1, 2], p) for p in (0.01, 0.5, 0.95)] == [1, 2, 3] and percentile([], 0.5) is None


def test_prompts_have_the_length_asked_for():
    assert len(prompt(3, 40).split("\n")[0].split()) == 41 and prompt(3, 40) == prompt(3, 40) != prompt(4, 40)


def test_the_verb_keeps_every_call(endpoint, tmp_path, capsys):
    _, url = endpoint
    assert main(["compare", "speed", url, "--requests", "3", "--out", str(tmp_path / "s")]) == 0
    assert "time to first token" in capsys.readouterr().out
    assert len((tmp_path / "s/calls.jsonl").read_text().splitlines()) == 3
    assert main(["verify", str(tmp_path / "s")]) == 0
