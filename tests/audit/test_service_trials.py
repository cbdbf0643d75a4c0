"""The self-test of a service: ours passes; a careless one fails where it is careless."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from creuset.benchmarks.part import Room
from creuset.benchmarks.service.checks import LEAKS, check
from creuset.testing import tiny_model_folder


class Careless(BaseHTTPRequestHandler):
    """Asks for no key, takes any field, and answers broken JSON with its own traceback."""

    server_version = "Careless/1.2"

    def _say(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self._say(200, {"data": []})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            json.loads(raw)
            self._say(200, {"choices": []})
        except ValueError:
            self._say(500, {"error": 'Traceback: File "/srv/app/main.py", line 3'})

    def log_message(self, *words):
        pass


@pytest.fixture
def careless():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


class Named:
    def identity(self):
        return {"name": "m"}


def test_an_open_server_on_this_machine_is_not_blamed_for_having_no_key(careless, tmp_path):
    found, _ = run(Room(subject=Named(), model=None, work=tmp_path, endpoint=careless))
    assert found["auth_required"].status == found["wrong_key"].status == "not_applicable"


def run(room):
    import asyncio

    found = asyncio.run(check(room))
    return {m.metric: m for m in found.measures}, found.evidence


def test_a_careless_endpoint_fails_and_what_is_not_seen_from_outside_says_so(careless, tmp_path):
    found, evidence = run(Room(subject=Named(), model=None, work=tmp_path, endpoint=careless, key="k"))
    for metric in ("auth_required", "wrong_key", "unknown_field", "bad_body", "error_content"):
        assert found[metric].score == 0, metric
        assert found[metric].extra["failed_trials"]
    assert found["headers"].score == 0
    assert found["tls"].score == 1  # this very machine
    assert found["log_content"].status == "not_testable" and found["overload"].status == "not_tested"
    assert any(row["trial"] == "error_content" and "Traceback" in row["found"] for row in evidence)


def test_our_own_server_passes_every_trial(tmp_path):
    folder = tmp_path / "model"
    tiny_model_folder(folder, context=512)
    found, evidence = run(Room(subject=None, model=folder, work=tmp_path))
    assert [row for row in evidence if not row["correct"]] == []
    assert {
        "keys_hashed",
        "auth_required",
        "wrong_key",
        "host_checked",
        "origin_checked",
        "body_limit",
        "depth_limit",
        "unknown_field",
        "bad_body",
        "headers",
        "log_content",
        "no_outbound",
        "error_content",
    } <= set(found)
    assert found["rate_limit_per_key"].status == "not_tested"
    assert "crs-" not in json.dumps(evidence)


def test_what_an_error_must_not_tell():
    for leak in ('File "x"', "/srv/x/y", "main.py", "Traceback", "0x7f00deadbeef"):
        assert LEAKS.search(leak), leak
    for fine in ("the body is not JSON", "there is nothing at /v1/models", "https://host/usr"):
        assert not LEAKS.search(fine), fine
