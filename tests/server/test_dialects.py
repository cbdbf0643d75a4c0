"""What holds in every dialect: a broken stream ends in an error event; an id of others is as one that never was."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import RequestError
from creuset.server.model import describe
from creuset.server.openai.completions import parse_completion
from creuset.server.tenants.keys import add_key
from creuset.text.tokenizer import Tokenizer
from creuset.types.fields import Fields

from .conftest import NAME, Running, start

TALK = [{"role": "user", "content": "slowly 300"}]
STREAMS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TALK},
    "/v1/completions": {"prompt": "slowly 300"},
    "/v1/responses": {"input": "slowly 300"},
    "/v1/messages": {"messages": TALK, "max_tokens": 300},
}


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    running.close()


@pytest.mark.parametrize("path", STREAMS)
def test_an_engine_that_dies_ends_each_stream_with_an_error_of_its_dialect(own: Running, path: str) -> None:
    own.wait_until(200)
    with own.own.stream("POST", path, json=STREAMS[path] | {"model": NAME, "stream": True}) as reply:
        assert reply.status_code == 200
        lines = reply.iter_lines()
        for line in lines:
            if " la" in line:
                own.engine().kill()
                break
        told = [line for line in lines if line][-2:]
    last = json.loads(told[-1].removeprefix("data: "))
    if path == "/v1/messages":
        assert told[0] == "event: error" and last["error"]["type"] in ("api_error", "overloaded_error")
    elif path == "/v1/responses":
        assert told[0] == "event: error" and last["type"] == "error" and last["code"] == "engine_unavailable"
    else:
        assert last["error"]["code"] == "engine_unavailable" and last["error"]["type"] == "server_error"


def test_the_id_of_another_key_is_answered_as_one_that_never_was(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    ann, bob = add_key(file, "ann"), add_key(file, "bob")
    running = start(folder, keys=file)
    mine, other = ({"authorization": f"Bearer {key}"} for key in (ann, bob))
    made = running.own.post("/v1/responses", json={"model": NAME, "input": "say a"}, headers=mine).json()["id"]
    talk = running.own.post("/v1/conversations", json={}, headers=mine).json()["id"]
    asked = [
        (verb, address)
        for verb, address in (
            ("GET", f"/v1/responses/{made}"),
            ("GET", f"/v1/responses/{made}/input_items"),
            ("POST", f"/v1/responses/{made}/cancel"),
            ("DELETE", f"/v1/responses/{made}"),
            ("GET", f"/v1/conversations/{talk}"),
            ("GET", f"/v1/conversations/{talk}/items"),
            ("DELETE", f"/v1/conversations/{talk}"),
        )
    ]
    for verb, address in asked:
        never = address.replace(made, "resp_" + "0" * 48).replace(talk, "conv_" + "0" * 48)
        told = []
        for one in (address, never):
            found = running.own.request(verb, one, headers=other, json={} if verb == "POST" else None)
            assert found.status_code == 404, found.text
            names = sorted(name for name in found.headers if name != "content-length")
            told.append((found.text.replace(one.split("/")[3], "ID"), names))
        assert told[0] == told[1], address
    running.close()


def test_a_key_of_idempotency_for_something_else_is_counted_where_it_was_sent(own: Running) -> None:
    own.wait_until(200)
    key, body = {"idempotency-key": "one"}, {"model": NAME, "input": "say a", "background": True}
    made = own.own.post("/v1/responses", json=body, headers=key).json()["id"]
    assert own.own.post(f"/v1/responses/{made}/cancel", json={}, headers=key).status_code == 422
    assert own.metric('creuset_requests_total{route="/v1/responses/{id}/cancel",status="422"}') == 1
    assert own.metric('creuset_requests_total{route="unmatched",status="422"}') == 0


def test_a_suffix_becomes_the_prompt_that_models_learned(folder: Path) -> None:
    model = describe(folder, [NAME])  # its tokenizer has Qwen's marks
    ask = parse_completion(Fields({"prompt": "The cat", "suffix": " mat."}), NAME, model)
    assert model.tokenizer.decode(ask.prompts[0].ids) == "<|fim_prefix|>The cat<|fim_suffix|> mat.<|fim_middle|>"
    plain = parse_completion(Fields({"prompt": "The cat", "suffix": ""}), NAME, model)
    assert plain.prompts[0].text == "The cat" and plain.prompts[0].ids == model.tokenizer.encode("The cat")


def test_a_suffix_is_refused_where_it_cannot_be_filled_in(folder: Path) -> None:
    model = describe(folder, [NAME])
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if "fim" not in token["content"]]
    bare = replace(model, tokenizer=Tokenizer(spec))
    for body, words in (
        ({"prompt": "The cat", "suffix": "."}, "no tokens to fill in the middle"),
        ({"prompt": ["a", "b"], "suffix": "."}, "must be a string beside `suffix`"),
        ({"prompt": "a", "suffix": ".", "echo": True}, "cannot stand beside `suffix`"),
    ):
        with pytest.raises(RequestError, match=words):
            parse_completion(Fields(body), NAME, bare)
