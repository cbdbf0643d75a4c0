"""Spans and a histogram by OpenTelemetry's names, to a collector that somebody named; never what was said."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ..conftest import NAME, start

CANARY = "canary-that-was-said"


@pytest.fixture
def collector() -> Any:
    heard: list[tuple[str, Any]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append((self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


def attributes(told: Any) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in told["attributes"]}


def test_requests_become_spans_and_a_histogram(folder: Path, collector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, heard = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    server = start(folder)
    for text in (f"say {CANARY}", "refuse"):
        body = {"model": NAME, "messages": [{"role": "user", "content": text}]}
        server.own.post("/v1/chat/completions", json=body)
    server.own.get("/v1/models")
    server.logged('"status": 400')
    server.close()
    paths = dict(heard)
    assert set(paths) == {"/v1/traces", "/v1/metrics"} and CANARY not in json.dumps(heard)
    spans = paths["/v1/traces"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    told = [attributes(one) for one in spans]
    assert [one["name"] for one in spans] == [f"chat {NAME}"] * 2
    assert [one["http.response.status_code"] for one in told] == ["200", "400"]
    assert told[0]["gen_ai.operation.name"] == "chat" and told[0]["gen_ai.request.model"] == NAME
    assert told[1]["error.type"] == "400" and told[0]["creuset.energy.joules"] > 0
    assert all(int(one["endTimeUnixNano"]) > int(one["startTimeUnixNano"]) for one in spans)
    metric = paths["/v1/metrics"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
    assert metric["name"] == "gen_ai.server.request.duration"
    for point in metric["histogram"]["dataPoints"]:
        assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1
        assert sum(map(int, point["bucketCounts"])) == int(point["count"]) == 1 and point["sum"] > 0
