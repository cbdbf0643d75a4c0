"""What counts against a target: not what its callers ask wrongly; and nobody else answers whoever forbids it."""

from typing import Any

import pytest

from creuset.server.routes.health import Circuits, kind_of

from .conftest import Begin, Net

FAR = {"upstream": "a", "model": "theirs", "name": "alpha"}
LACKS = ("/v1/embeddings", "/v1/rerank", "/v1/completions")
BODIES: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"input": "x"},
    "/v1/rerank": {"query": "x", "documents": ["a", "b"]},
    "/v1/completions": {"prompt": "x"},
}


@pytest.fixture(scope="module")
def net(begin: Begin) -> Net:
    beta = {"upstream": "b", "model": "theirs", "name": "beta"}
    return begin({"routes": {
        "far": {"targets": [FAR], "failures": 2, "rest_s": 60.0},
        "both": {"targets": [FAR, beta | {"order": 2}], "retries": 0, "rest_s": 60.0},
        "bare": {"targets": [{"upstream": "a", "model": "nameless"}]},
        "patient": {"targets": [FAR], "failures": 2, "rest_s": 60.0, "retries": 3},
        "frail": {"targets": [FAR, beta | {"order": 2}], "retries": 1, "failures": 1, "rest_s": 60.0},
        "even": {"targets": [FAR, beta], "retries": 2, "failures": 1000},
    }})  # fmt: skip


def post(net: Net, path: str, model: str) -> Any:
    return net.server.own.post(path, json={"model": model} | BODIES[path])


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("path", LACKS)
def test_what_an_upstream_does_not_serve_is_told_and_closes_it_to_nobody(net: Net, path: str, status: int) -> None:
    net.a.lacks, net.a.status = LACKS, status
    for _ in range(4):
        reply = post(net, path, "far")
        kind = path.removeprefix("/v1/")
        words = f"the server behind alpha does not serve {kind} ({status})"
        assert (reply.status_code, reply.json()["error"]["message"]) == (400, words)
        assert reply.headers["x-should-retry"] == "false"
    assert "the server behind nameless does not serve" in post(net, path, "bare").text
    assert net.counts()[0] == 5, "and it is not tried again"
    assert net.ask("say yes", model="far").status_code == 200
    assert post(net, path, "both").headers["x-creuset-target"] == "b/theirs", "one that serves it is asked"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_request_that_is_refused_counts_against_no_target(net: Net, status: int) -> None:
    for _ in range(4):
        net.a.mode = f"refuse {status} {{}}"
        assert net.ask(model="far").status_code == (502 if status == 404 else 400)
    net.a.mode = ""
    assert net.ask("say yes", model="far").status_code == 200


@pytest.mark.parametrize("status", [401, 403, 500])
def test_what_fails_at_one_address_opens_no_circuit_for_another(begin: Begin, status: int) -> None:
    net = begin({"routes": {"keyed": {"targets": [FAR], "failures": 2, "rest_s": 60.0, "retries": 0}}})
    net.a.lacks, net.a.status = LACKS, status
    assert [post(net, "/v1/embeddings", "keyed").status_code for _ in range(3)] == [502, 502, 503]
    assert net.ask("say yes", model="keyed").status_code == 200
    net.a.mode = f"refuse {status} {{}}"
    assert [net.ask(model="keyed").status_code for _ in range(3)] == [502, 502, 503]


def test_a_request_counts_once_however_often_it_is_tried(net: Net) -> None:
    net.a.mode = "refuse 500 {}"
    assert net.ask(model="patient").status_code == 502 and net.counts()[0] == 4
    net.a.mode = ""
    assert net.ask("say yes", model="patient").status_code == 200
    net.a.mode = "refuse 408 {}"
    assert [net.ask(model="patient").status_code for _ in range(3)] == [504, 504, 503], "it was too slow"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_where_fallback_is_forbidden_a_target_that_rests_is_passed_by_for_no_other(net: Net, path: str) -> None:
    net.a.mode = "refuse 500 {}"
    assert net.ask("say yes", model="frail", path=path).headers["x-creuset-model"] == "beta"
    net.a.mode = ""
    net.b.asked.clear()
    for more in ({"allow_fallbacks": False}, {"headers": {"x-creuset-allow-fallbacks": "false"}}):
        reply = net.ask("say yes", model="frail", path=path, **more)
        assert reply.status_code == 503, reply.text
        assert "alpha takes no requests now, and no other model was asked" in reply.text
    assert net.counts()[1] == 0
    assert net.ask("say yes", model="frail", path=path).headers["x-creuset-model"] == "beta"


def test_where_fallback_is_forbidden_no_further_round_asks_another(net: Net) -> None:
    net.a.mode = net.b.mode = "refuse 503 {}"
    assert net.ask(model="even", allow_fallbacks=False).status_code == 503
    assert min(net.counts()) == 0 and max(net.counts()) > 1


def test_kinds_of_requests_have_circuits_of_their_own() -> None:
    for path, kind in (
        ("/v1/chat/completions", "chat"), ("/chat/completions", "chat"), ("/v1/messages", "chat"),
        ("/v1/responses", "chat"), ("/completions", "completions"), ("/v2/rerank", "rerank"),
    ):  # fmt: skip
        assert kind_of(path) == kind
    all_of_it = Circuits(lambda: 0.0, failures=1)
    assert all_of_it.state == "closed" and not all_of_it.resting
    all_of_it.of("rerank").failed()
    assert all_of_it.state == "open" and all_of_it.resting and all_of_it.of("chat").admits()
    assert not all_of_it.resting and all_of_it.fresh().state == "closed"
