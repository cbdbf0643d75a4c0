"""Many models behind one name: who is asked, when another one is, who is named and charged, and when nobody else is."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from creuset.server.database import Database
from creuset.server.tenants.keys import ORGANIZATION, add_key
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.rules import set_limit
from creuset.server.tenants.money.tables import USAGE

from ..conftest import NAME
from ..money.conftest import proven
from .conftest import Begin, Net

DIALECTS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
CONTEXT = '400 {"error": {"message": "This model\'s maximum context length is 9 tokens", "code": null}}'
CODED = '400 {"error": {"message": "no", "code": "context_length_exceeded"}}'
POLICY = '400 {"error": {"message": "no", "code": "content_filter"}}'
WRONG = '400 {"error": {"message": "`temperature` is 9", "code": "invalid"}}'


@pytest.fixture(scope="module")
def net(begin: Begin) -> Net:
    both = {
        "targets": [{"model": NAME}, {"upstream": "a", "model": "theirs", "name": "alpha", "order": 2}],
        "retries": 0, "rest_s": 0.05, "failures": 1000,
    }  # fmt: skip
    back = {
        "targets": [{"upstream": "a", "model": "theirs", "name": "alpha"}, {"model": NAME, "order": 2}],
        "retries": 0, "rest_s": 0.05, "failures": 1000,
    }  # fmt: skip
    plain = {
        "targets": [{"upstream": "a", "model": "theirs", "name": "alpha"},
                    {"upstream": "b", "model": "theirs", "name": "beta", "order": 2}],
        "retries": 0, "failures": 1000,
    }  # fmt: skip
    smart = {
        "targets": [{"upstream": "a", "model": "theirs", "name": "alpha"},
                    {"upstream": "b", "model": "theirs", "name": "beta", "order": 2,
                     "on": ["failure", "overload", "context", "policy"]}],
        "retries": 0, "rest_s": 0.05, "failures": 1000,
    }  # fmt: skip
    return begin({"routes": {"smart": smart, "ours-first": both, "ours-last": back, "plain": plain}})


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_target_answers_and_is_named(net: Net, path: str, stream: bool) -> None:
    if path == "/v1/completions" and stream:
        pytest.skip("the other server of the tests streams chats")
    reply = net.ask("say yes", path=path, stream=stream)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-creuset-model"] == "alpha" and reply.headers["x-creuset-target"] == "a/theirs"
    assert '"model":"alpha"' in reply.text and net.counts() == (1, 0)


@pytest.mark.parametrize("path", [one for one in DIALECTS if one != "/v1/completions"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["refuse 503 {}", "refuse 429 {}", "refuse 500 {}", "refuse 404 {}", "json", "never",
                                  f"refuse {CONTEXT}", f"refuse {CODED}", f"refuse {POLICY}"])  # fmt: skip
def test_the_second_target_answers_in_every_dialect_where_the_first_does_not(net, path, stream, mode) -> None:
    if mode in ("json", "never") and not (stream or path != "/v1/chat/completions"):
        pytest.skip("is an answer where no stream was asked for")
    net.a.mode = mode
    reply = net.ask("say yes", path=path, stream=stream)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-creuset-model"] == "beta" and '"model":"beta"' in reply.text
    assert '"model":"alpha"' not in reply.text and net.counts() == (1, 1)
    assert "allow_fallbacks" not in net.b.last and net.b.last["model"] == "theirs"


@pytest.mark.parametrize(("first", "there"), [("ours-first", "qwen"), ("ours-last", "alpha")])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_model_of_ours_and_one_of_another_server_stand_in_for_each_other(net, first, there, path) -> None:
    assert net.ask("say a b", model=first, path=path).headers["x-creuset-model"].startswith(there)
    if first == "ours-first":
        reply = net.ask("fail", model=first, path=path)  # our engine gives it up before a word of it
        assert reply.status_code == 200 and reply.headers["x-creuset-model"] == "alpha"
        long = net.ask("say " + "word " * 5000, model=first, path=path)
        assert long.headers["x-creuset-model"] == "alpha", "our context has 4,096 tokens"
    else:
        net.a.mode = "refuse 503 {}"
        reply = net.ask("say a b", model=first, path=path)
        assert reply.headers["x-creuset-model"] == NAME and "a b" in reply.text


def test_what_no_other_would_mend_is_told_at_once(net: Net) -> None:
    net.a.mode = f"refuse {WRONG}"
    reply = net.ask()
    assert reply.status_code == 400 and "`temperature` is 9" in reply.text and net.counts() == (1, 0)
    reply = net.ask(model="plain", text="say a")
    net.a.mode = f"refuse {POLICY}"
    reply = net.ask(model="plain")
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "content_filter" and net.counts()[1] == 0


def test_when_all_fail_the_last_failure_is_told(net: Net) -> None:
    net.a.mode, net.b.mode = "refuse 503 {}", 'refuse 502 {"error": {"message": "beta is broken"}}'
    for stream in (False, True):
        reply = net.ask(stream=stream)
        assert reply.status_code == 502 and reply.json()["error"]["message"] == "beta is broken"
    assert net.counts() == (2, 2)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_after_the_first_byte_nothing_is_replayed_and_the_stream_says_so(net: Net, path: str) -> None:
    net.a.mode = "cut"
    reply = net.ask("say x", path=path, stream=True)
    assert reply.status_code == 200 and reply.headers["x-creuset-model"] == "alpha" and net.counts() == (1, 0)
    assert "the reply had begun, so no other model was asked" in reply.text
    lines = [line for line in reply.text.splitlines() if line.startswith("data: {")]
    if path == "/v1/chat/completions":
        assert "error" in json.loads(lines[-1][6:]) and "[DONE]" not in reply.text
    elif path == "/v1/responses":
        assert "event: error" in reply.text or '"response.failed"' in reply.text
    else:
        assert "event: error" in reply.text


@pytest.mark.parametrize("how", ["body", "header"])
@pytest.mark.parametrize("path", DIALECTS[2:] + DIALECTS[:1])
def test_a_caller_may_forbid_that_another_model_answers(net: Net, how: str, path: str) -> None:
    net.a.mode = "refuse 503 {}"
    more: dict[str, Any] = (
        {"allow_fallbacks": False} if how == "body" else {"headers": {"x-creuset-allow-fallbacks": "false"}}
    )
    assert net.ask(path=path, **more).status_code == 503 and net.counts() == (1, 0)
    assert net.ask(path=path, allow_fallbacks=True).status_code == 200
    net.a.mode = ""
    assert net.ask("say yes", path=path, **more).status_code == 200 and "allow_fallbacks" not in net.a.last
    wrong = net.ask(path=path, headers={"x-creuset-allow-fallbacks": "no"})
    assert wrong.status_code == 400 and "x-creuset-allow-fallbacks must be true or false" in wrong.text


def test_a_stream_that_does_not_begin_in_time_is_asked_of_the_next(begin: Begin) -> None:
    net = begin({"routes": {"quick": {
        "targets": [{"upstream": "a", "model": "theirs"}, {"upstream": "b", "model": "theirs", "order": 2}],
        "first_byte_s": 0.3, "retries": 0,
    }}})  # fmt: skip
    net.a.mode = "silent"
    reply = net.ask("say yes", model="quick", stream=True)
    assert reply.status_code == 200 and reply.headers["x-creuset-target"] == "b/theirs"
    assert net.a.wait_for(lambda: net.a.hung_up == 1), "the first is not left running"
    net.b.mode = "silent"  # the last is waited for
    net.a.mode = ""
    assert net.ask("say yes", model="quick", stream=True).headers["x-creuset-target"] == "a/theirs"


def test_rounds_are_tried_again_with_a_pause_and_a_target_that_fails_rests(begin: Begin) -> None:
    again = {"targets": [{"upstream": "a", "model": "theirs"}], "retries": 3, "failures": 1000}
    rests = {"targets": [{"upstream": "b", "model": "theirs"}], "retries": 0, "failures": 2, "rest_s": 60.0}
    net = begin({"routes": {"again": again, "rests": rests}})
    net.a.failures = 2
    reply = net.ask("fail 503 -", model="again")
    assert reply.status_code == 200 and net.counts() == (3, 0)
    net.b.mode = "refuse 500 {}"
    assert [net.ask(model="rests").status_code for _ in range(4)] == [502, 502, 503, 503]
    assert net.counts()[1] == 2, "after two failures in a row it is left in peace"
    assert net.ask(model="rests").json()["error"]["message"] == "no target of rests takes requests now"
    shown = {one["id"]: one for one in net.server.own.get("/v1/organization/routes").json()["data"]}
    assert shown["rests"]["targets"][0]["circuit"] == "open" and shown["again"]["targets"][0]["running"] == 0


def test_the_model_that_answered_is_charged_once_and_its_place_is_kept(begin: Begin, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.json", "ann")
    url = f"sqlite:///{tmp_path}/one.db"
    database = Database(url)
    with database.transaction() as connection:
        for what, amount in (("requests", 5), ("money", 10**6)):
            more = {"window": "minute"} if what == "requests" else {"window": "month", "currency": "USD"}
            set_limit(connection, Limit(id="", organization=ORGANIZATION, kind="key", subject="ann", what=what,
                                        amount=amount, **more))  # fmt: skip
    targets = [
        {"upstream": "a", "model": "theirs", "name": "gpt-4o"},
        {"upstream": "b", "model": "theirs", "name": "claude-3-5-sonnet", "order": 2},
    ]
    net = begin({"routes": {"smart": {"targets": targets, "retries": 0}}}, keys=tmp_path / "keys.json", database=url)
    headers = {"x-api-key": key}
    net.a.mode = "refuse 503 {}"
    reply = net.ask("say a", headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-ratelimit-remaining-requests"] == "4", "two attempts are one request"
    net.a.mode = ""
    assert net.ask("say a", headers=headers, service_tier="priority").status_code == 200

    def rows() -> list[Any]:
        with database.reading() as connection:
            return list(connection.execute(select(USAGE).order_by(USAGE.c.at)))

    assert net.a.wait_for(lambda: len(rows()) == 2)
    second, first = rows()
    assert (second.model, second.asked, second.target, second.country) == (
        "claude-3-5-sonnet", "smart", "b/theirs", "US",
    )  # fmt: skip
    assert (second.operator, second.law) == ("B Inc", "US") and second.request.endswith("#2")
    assert second.cost == 11 * 3 + 5 * 15, "11 tokens read and 5 written, at the price of who answered"
    assert (first.model, first.target, first.operator, first.tier) == ("gpt-4o", "a/theirs", "A GmbH", "priority")
    net.server.close()
    assert proven(database)["rows"] == 2
    database.close()
    net.server.close = lambda: None  # type: ignore[method-assign]
