"""Guards on a real server: masked and refused before and after the model, in every dialect, streamed or not."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from creuset.core.errors import ConfigError
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.protect.guards.settings import read_guards
from creuset.server.protect.privacy.rules import set_rules
from creuset.server.protect.settings import ProtectSettings

from ..conftest import NAME, start
from ..tenants.conftest import NOW, House, build

MAIL, MASK = "jean.martin@orange.fr", "[EMAIL]"
SAID = f"say write to {MAIL} now"
DIALECTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "ASK"}]},
    "/v1/completions": {"prompt": "ASK", "max_tokens": 64},
    "/v1/responses": {"input": "ASK"},
    "/v1/messages": {"messages": [{"role": "user", "content": [{"type": "text", "text": "ASK"}]}], "max_tokens": 64},
}


@dataclass
class Guarded:
    """A project whose guards are set: what asks it, and the name of a model of ours, or of another server (`far`)."""

    own: httpx.Client
    name: str


@pytest.fixture(scope="module")
def servers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Guarded]]:
    """A project with the guards of a TOML text, on one server that has a model of its own and one of another server."""
    home, now = tmp_path_factory.mktemp("guards"), [float(NOW)]
    plain, house = start(folder), build(home / "server.db", lambda: now[0], now)
    far = UpstreamSettings(url=f"{plain.url}/v1", model=NAME, names=("far",))
    server = start(folder, people=house.directory, upstreams=[far])
    client = server.client(headers={"x-api-key": house.key()[1]})

    def guarded(text: str, far: bool = False) -> Guarded:
        (home / "guards.toml").write_text(text)
        house.do(set_rules, house.a, house.project, guards=read_guards(home / "guards.toml"))
        return Guarded(client, "far" if far else NAME)

    yield guarded
    for one in (server, plain):
        one.close()
    house.directory.database.close()


def asked(server: Guarded, path: str, said: str, *, stream: bool = False, **more: Any) -> httpx.Response:
    body = json.loads(json.dumps(DIALECTS[path]).replace('"ASK"', json.dumps(said)))
    return server.own.post(path, json={"model": server.name, **body, **({"stream": True} if stream else {}), **more})


def text_of(reply: httpx.Response) -> str:
    """What the client is told, of a whole reply or of the events of a stream, joined."""
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: {")]
    return "".join(_said(json.loads(line)) for line in lines) if lines else _said(reply.json())


def _said(value: Any) -> str:
    if value.get("type") in ("response.output_text.delta", "content_block_delta"):
        delta = value["delta"]
        return str(delta if isinstance(delta, str) else delta.get("text", ""))
    if "output" in value:
        return str(value["output"][0]["content"][0]["text"])
    if "content" in value:
        return "".join(part.get("text", "") for part in value["content"])
    found = ""
    for choice in value.get("choices", ()):
        said = choice.get("delta") or choice.get("message") or choice
        found += said.get("content") or said.get("text") or ""
    return found


AFTER = '[[guard]]\nkind = "mask"\nstages = ["after"]\n'
BEFORE = '[[guard]]\nkind = "mask"\nstages = ["before"]\n'


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", DIALECTS)
def test_what_the_model_writes_is_masked_in_every_dialect(servers: Any, path: str, stream: bool, far: bool) -> None:
    reply = asked(servers(AFTER, far), path, SAID, stream=stream)
    assert reply.status_code == 200, reply.text
    assert MAIL not in reply.text and "jean.m" not in reply.text
    assert f"write to {MASK} now" in text_of(reply), reply.text


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("path", DIALECTS)
def test_the_model_never_reads_what_is_masked_before(servers: Any, path: str, far: bool) -> None:
    reply = asked(servers(BEFORE, far), path, SAID)
    assert reply.status_code == 200 and f"write to {MASK} now" in text_of(reply) and MAIL not in reply.text


def test_what_is_kept_is_what_the_model_read(servers: Any) -> None:
    server = servers(BEFORE)
    id = asked(server, "/v1/responses", SAID).json()["id"]
    kept = server.own.get(f"/v1/responses/{id}/input_items").text + server.own.get(f"/v1/responses/{id}").text
    assert MAIL not in kept and MASK in kept
    item = {"type": "message", "role": "user", "content": f"I am {MAIL}"}
    made = server.own.post("/v1/conversations", json={"items": [item], "metadata": {"a": "b"}}).json()["id"]
    items = server.own.get(f"/v1/conversations/{made}/items").text
    assert MAIL not in items and MASK in items


def test_texts_to_embed_are_masked_and_tokens_are_refused(servers: Any) -> None:
    server = servers(BEFORE)
    body = {"model": NAME, "encoding_format": "float"}
    two = [server.own.post("/v1/embeddings", json=body | {"input": f"I am {who}"}) for who in (MAIL, MASK)]
    assert two[0].json()["data"] == two[1].json()["data"]
    refused = server.own.post("/v1/embeddings", json=body | {"input": [1, 2]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")
    refused = server.own.post("/v1/completions", json={"model": NAME, "prompt": [[1, 2]]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt")
    ranked = server.own.post(
        "/v1/rerank", json={"model": NAME, "query": "q", "documents": [MAIL], "return_documents": True}
    )
    assert ranked.json()["results"][0]["document"]["text"] == MASK


@pytest.mark.parametrize("name", ["logprobs", "return_token_ids"])
def test_what_would_tell_the_tokens_of_a_guarded_answer_is_refused(servers: Any, name: str) -> None:
    for far in (False, True):
        for path in ("/v1/chat/completions", "/v1/completions"):
            given = {name: 1 if (name, path) == ("logprobs", "/v1/completions") else True}
            reply = asked(servers(AFTER, far), path, SAID, **given)
            assert reply.status_code == 400 and "guards" in reply.json()["error"]["message"], (path, reply.text)


CALL = '<tool_call>\n{"name": "send", "arguments": {"to": "jean.martin@orange.fr", "at": [1, true]}}\n</tool_call>'
TOOL = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_the_arguments_of_a_call_are_masked_and_stay_json(servers: Any, stream: bool, far: bool) -> None:
    reply = asked(servers(AFTER, far), "/v1/chat/completions", f"say {CALL}", stream=stream, tools=[TOOL])
    assert reply.status_code == 200 and MAIL not in reply.text, reply.text
    if not stream:
        (call,) = reply.json()["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"to": MASK, "at": [1, True]}
        assert reply.json()["choices"][0]["finish_reason"] == "tool_calls"
    else:
        assert "[EMAIL]" in reply.text


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_the_input_of_a_custom_tool_is_masked(servers: Any, stream: bool, far: bool) -> None:
    said = 'say <tool_call>\n{"name": "send", "arguments": {"input": "to jean.martin@orange.fr"}}\n</tool_call>'
    tools = [{"type": "custom", "custom": {"name": "send"}}]
    reply = asked(servers(AFTER, far), "/v1/chat/completions", said, stream=stream, tools=tools)
    assert reply.status_code == 200 and MAIL not in reply.text, reply.text
    if not stream:
        (call,) = reply.json()["choices"][0]["message"]["tool_calls"]
        assert call["custom"] == {"name": "send", "input": f"to {MASK}"} and "function" not in call
    else:
        assert f"to {MASK}" in reply.text and '"function"' not in reply.text


DENY = '[[guard]]\nkind = "deny"\nname = "secrets"\nwords = ["Project Falcon"]\n'


@pytest.mark.parametrize("path", DIALECTS)
def test_a_word_that_is_not_allowed_is_refused_before_and_after(servers: Any, path: str) -> None:
    reply = asked(servers(DENY), path, "say project falcon flies")
    assert reply.status_code == 400 and "guard `secrets` refuses the request" in reply.text, reply.text
    after = servers(DENY + 'stages = ["after"]\n')
    whole = asked(after, path, "say the project falcon flies")
    assert whole.status_code == 400 and "guard `secrets` refuses the answer" in whole.text, whole.text
    streamed = asked(after, path, "say the project falcon flies", stream=True)
    assert streamed.status_code in (200, 400), "a stream that has begun ends in an error event"
    assert "refuses the answer" in streamed.text and "falcon" not in streamed.text
    assert "response.completed" not in streamed.text and "message_stop" not in streamed.text


def test_personal_data_can_be_refused_instead_of_masked(servers: Any) -> None:
    reply = asked(servers('[[guard]]\nkind = "mask"\naction = "refuse"\n'), "/v1/chat/completions", SAID)
    assert reply.status_code == 400 and "it holds email" in reply.text and MAIL not in reply.text


class Hook(http.server.BaseHTTPRequestHandler):
    """A guard of somebody's own: it answers what its address says."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Hook.seen.append(body)
        kind = self.path.strip("/")
        if kind == "slow":
            threading.Event().wait(0.5)
        texts = [text.upper() for text in body["texts"]]
        said: Any = {
            "replace": {"action": "replace", "texts": texts}, "allow": {"action": "allow"},
            "refuse": {"action": "refuse", "reason": "not today"}, "fewer": {"action": "replace", "texts": []},
            "slow": {"action": "allow"}, "odd": ["allow"], "error": {"action": "allow"},
        }[kind]  # fmt: skip
        raw = json.dumps(said).encode()
        self.send_response(500 if kind == "error" else 200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def http_guard(url: str, stages: str = '"before"') -> str:
    return f'[[guard]]\nkind = "http"\nname = "ours"\nurl = "{url}"\ndeadline_ms = 200\nstages = [{stages}]\n'


@pytest.mark.parametrize("path", DIALECTS)
def test_a_hook_may_replace_what_is_asked_and_what_is_answered(servers: Any, hook: str, path: str) -> None:
    after = servers(http_guard(f"{hook}/replace", '"after"'))
    for stream in (False, True):
        Hook.seen.clear()
        assert text_of(asked(after, path, "say a river", stream=stream)).strip().startswith("A RIVER")
        assert [one["stage"] for one in Hook.seen] == ["after"] and "a river" in Hook.seen[0]["texts"][0]
    reply = asked(servers(http_guard(f"{hook}/replace")), path, "say a river")
    assert text_of(reply).strip() == "Hello from the script.", "`SAY` is no word of the script"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("slow", "did not answer within 200 ms"), ("odd", "answered neither allow"),
        ("fewer", "answered neither allow"),
        ("error", "answered 500"), ("", "cannot be asked (ConnectError)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["before", "after"])
def test_whatever_goes_wrong_in_a_hook_nothing_passes_and_it_is_said(
    servers: Any, hook: str, kind: str, words: str, stage: str
) -> None:
    server = servers(http_guard(f"{hook}/{kind}" if kind else "http://127.0.0.1:9/", f'"{stage}"'))
    for path in DIALECTS:
        reply = asked(server, path, "say a river")
        assert reply.status_code == 503 and words in reply.text and "so nothing passes it" in reply.text, reply.text
        assert "river" not in reply.text


def test_a_hook_refuses_with_its_reason(servers: Any, hook: str) -> None:
    reply = asked(servers(http_guard(f"{hook}/refuse")), "/v1/messages", "say a river")
    assert reply.status_code == 400 and "the guard `ours` refuses this: not today" in reply.text


def test_guards_of_the_server_come_before_those_of_a_project(house: House, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "guards.toml").write_text(AFTER)
    key = house.key()[1]
    server = start(folder, people=house.directory, protect=ProtectSettings(guards=tmp_path / "guards.toml"))
    try:
        own = Guarded(server.client(headers={"x-api-key": key}), NAME)
        assert f"write to {MASK} now" in text_of(asked(own, "/v1/chat/completions", SAID))
        house.do(set_rules, house.a, house.project, guards=[{"kind": "deny", "words": [MASK], "stages": ["after"]}])
        assert asked(own, "/v1/chat/completions", SAID).status_code == 400
    finally:
        server.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field `guard`"), ("[[guard]]\n", "missing required field `kind`"),
        ('[[guard]]\nkind = "mask"\nkinds = ["soul"]', "`kinds` has 'soul'"),
        ('[[guard]]\nkind = "deny"', "needs `words`"),
        ('[[guard]]\nkind = "http"\nurl = "ftp://x"', "an http or https address"), ("guard = 1", "Expected `array`"),
        ('[[guard]]\nkind = "mask"\nstages = []', "would do nothing"), ("x =", "Invalid value"),
        ('[[guard]]\nkind = "http"\nurl = "http://x"\ndeadline_ms = 0', "between 1 and 60000"),
        ('[[guard]]\nkind = "mask"\nword = "x"', "unknown field `word`"),
    ],
)  # fmt: skip
def test_guards_that_cannot_be_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "guards.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"guards\.toml") as refused:
        read_guards(tmp_path / "guards.toml")
    assert words in str(refused.value)
