"""Guards see a value however it is written, and wherever in a body that goes on to another server it stands."""

import asyncio
from typing import Any

import pytest

from creuset.core.personal import MASKED
from creuset.server.protect.guards.chain import GuardChain
from creuset.server.protect.guards.hooks import GuardRefused, GuardScene, after, refuse_words
from creuset.server.protect.guards.plain import mask_parts
from creuset.server.protect.guards.settings import GuardSettings

CARD, MAIL = "4111 1111 1111 1111", "jean.martin@orange.fr"
WIDE = CARD.translate({ord("0") + n: 0xFF10 + n for n in range(10)})


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
