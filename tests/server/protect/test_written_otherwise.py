"""Guards see a value however it is written, and wherever in a body that goes on to another server it stands."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from creuset.core.personal import MASKED
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.protect.guards.chain import GuardChain
from creuset.server.protect.guards.hooks import GuardRefused, GuardScene, after, refuse_words
from creuset.server.protect.guards.plain import mask_parts
from creuset.server.protect.guards.settings import GuardSettings
from creuset.server.protect.settings import ProtectSettings

from ..conftest import start
from ..peer import KEY, Peer

CARD, MAIL = "4111 1111 1111 1111", "jean.martin@orange.fr"
WIDE = CARD.translate({ord("0") + n: 0xFF10 + n for n in range(10)})


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.close()


def passed(body: dict[str, Any], *guards: GuardSettings) -> dict[str, Any]:
    chain = GuardChain(guards or (GuardSettings(kind="mask"),), GuardScene())
    return asyncio.run(chain.relayed(body))


@pytest.mark.parametrize(
    "card",
    [CARD, CARD.replace(" ", "\u200b"), WIDE, WIDE.replace(" ", ""), CARD.replace(" ", "\n"),
     CARD.replace(" ", "\r\n"), "4111\u200b 1111\u00ad 1111 1111"],
)  # fmt: skip
def test_a_number_is_masked_however_it_is_written(card: str) -> None:
    assert mask_parts([f"é pay {card} now"], MASKED) == (["é pay [CARD] now"], {"card"})


def test_an_account_with_letters_that_are_not_seen_is_masked() -> None:
    said = "FR76 3000 6000 0112 3456 7890 189".replace(" ", "\u200b")
    assert mask_parts([f"to {said}."], MASKED)[0] == ["to [IBAN]."]


@pytest.mark.parametrize(
    ("parts", "masked"),
    [
        (["a 4111 1111", "1111 1111 b"], ["a [CARD]", " b"]), (["a 4111 1111 ", "1111 1111 b"], ["a [CARD]", " b"]),
        (["jean.martin", "@orange.fr", " x"], ["[EMAIL]", "", " x"]), (["one", "two"], ["one", "two"]),
        ([MAIL, MAIL], ["[EMAIL]", "[EMAIL]"]),
    ],
)  # fmt: skip
def test_a_value_in_two_parts_is_masked_where_it_begins(parts: list[str], masked: list[str]) -> None:
    new, _ = mask_parts(parts, MASKED)
    assert "1111" not in "".join(new) and "orange" not in "".join(new)
    if parts != [MAIL, MAIL]:  # which joined are one word
        assert new == masked


def test_every_text_of_a_body_is_masked_and_its_form_stays() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string", "description": MAIL}}, "required": ["name"]}
    body: dict[str, Any] = {
        "model": "far", "user": MAIL, "stop": [MAIL, "END"], "metadata": {"id": "4111111111111111", "name": MAIL},
        "prediction": {"type": "content", "content": MAIL}, "unheard": [{"deep": {"type": MAIL}}], "n": 2,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
        "messages": [{"role": "user", "name": MAIL, "content": [
            {"type": "text", "text": "a 4111 1111"}, {"type": "text", "text": "1111 1111"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,4111111111111111"}},
        ]}],
    }  # fmt: skip
    new = passed(body)
    assert MAIL not in str(new) and "1111 1111" not in str(new)
    assert new["metadata"] == {"id": "[CARD]", "name": "[EMAIL]"} and new["stop"] == ["[EMAIL]", "END"]
    assert (new["model"], new["n"], new["unheard"]) == ("far", 2, [{"deep": {"type": "[EMAIL]"}}])
    assert new["response_format"]["json_schema"]["schema"]["required"] == ["name"]
    (said,) = new["messages"]
    assert [part.get("text") for part in said["content"]] == ["a [CARD]", "", None]
    assert said["content"][2] == body["messages"][0]["content"][2] and list(new) == list(body)


def test_the_arguments_of_an_earlier_call_are_read_as_json() -> None:
    said = json.dumps({"card": CARD.replace(" ", "\u200b"), "id": MAIL, "n": 1})
    new = passed({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": said}}]}]})
    call = new["messages"][0]["tool_calls"][0]["function"]
    assert call["name"] == "f" and json.loads(call["arguments"]) == {"card": "[CARD]", "id": "[EMAIL]", "n": 1}


def test_nothing_of_it_reaches_another_server(peer: Peer, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "guards.toml").write_text('[[guard]]\nkind = "mask"\nstages = ["before"]\n')
    far = UpstreamSettings(url=peer.url, model="theirs", names=("far",), key=KEY)
    server = start(folder, protect=ProtectSettings(guards=tmp_path / "guards.toml"), upstreams=[far])
    server.logged('"state": "ready", "event": "upstream"')
    form = {"type": "object", "properties": {"a": {"type": "string", "description": MAIL}}, "required": ["a"]}
    parts = [{"type": "text", "text": "4111 1111"}, {"type": "text", "text": "1111 1111"}]
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": form}}
    chat = [{"role": "user", "content": parts}, {"role": "user", "content": "say hi"}]
    try:
        client, more = server.client(), {"model": "far", "metadata": {"user_id": MAIL}}
        client.post("/v1/chat/completions", json=more | {"messages": chat, "response_format": schema, "user": MAIL})
        client.post("/v1/completions", json=more | {"prompt": "say x", "stop": [MAIL], "unheard": {"of": MAIL}})
        client.post("/v1/embeddings", json={"model": "far", "input": "x", "user": MAIL})
        client.post("/v1/messages", json=more | {"messages": chat, "stop_sequences": [MAIL], "max_tokens": 9})
        client.post("/v1/responses", json=more | {"input": "say x", "text": {"format": {
            "type": "json_schema", "name": "s", "schema": form}}})  # fmt: skip
    finally:
        server.close()
    sent = [json.dumps(body) for path, _, body in peer.asked if body]
    assert len(sent) == 5 and all("[EMAIL]" in one for one in sent), sent
    assert "orange" not in str(sent) and "1111" not in str(sent) and str(sent).count("[CARD]") == 2


DENY = GuardSettings(kind="deny", words=("Project Falcon",))
FALCONS = ["project  falcon", "Project\nFalcon", "project-falcon", "pro\u200bject falcon", "projéct fálcon"]


@pytest.mark.parametrize("said", FALCONS)
def test_a_word_is_refused_however_it_is_written(said: str) -> None:
    with pytest.raises(GuardRefused):
        refuse_words(DENY, f"the {said} flies", "before")
    with pytest.raises(GuardRefused):
        passed({"messages": [{"role": "user", "content": [{"text": said[:9]}, {"text": said[9:]}]}]}, DENY)


@pytest.mark.parametrize("said", [*FALCONS, "project" + " " * 50 + "falcon"])
def test_a_word_in_a_stream_is_refused_before_it_is_told(said: str) -> None:
    async def told() -> str:
        one, out = after(DENY, GuardScene()), ""
        with pytest.raises(GuardRefused):
            for letter in f"the {said} flies":
                out += await one.push(letter)
            await one.finish()
        return out

    assert asyncio.run(told()) == "the "


def test_a_stream_without_the_word_is_whole() -> None:
    async def told() -> str:
        one = after(DENY, GuardScene())
        return "".join([await one.push(letter) for letter in "the  prøject\n\u200b— flies"]) + await one.finish()

    assert asyncio.run(told()) == "the  prøject\n\u200b— flies"
