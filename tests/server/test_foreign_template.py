"""A model with a tokenizer and a template of its own behind the API, and one that has no template."""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.core.errors import ArtifactError
from creuset.evals.clients.local import LocalClient
from creuset.evals.clients.open import open_endpoint
from creuset.evals.model import LoglikelihoodRequest
from creuset.model.formats.weights import save_model
from creuset.server.carry import chat_prompt
from creuset.server.model import describe, with_template
from creuset.server.openai.chat import parse_chat
from creuset.testing import tiny_config, tiny_model
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.types.fields import Fields
from tests.server.conftest import SCRIPTED, Running, start
from tests.text.conversations import assistant, system, user
from tests.text.foreign import write


@pytest.fixture(scope="module")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights with a metaspace vocabulary and a template that asks for strict turns."""
    folder = tmp_path_factory.mktemp("models") / "mistral"
    save_model(tiny_model(tiny_config("llama", vocab_size=1024)), folder)
    return write(folder, "mistral")


@pytest.fixture(scope="module")
def bare(mistral: Path) -> Path:
    """The same without a template."""
    folder = mistral.with_name("bare")
    shutil.copytree(mistral, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def running(folder: Path, mistral: Path, bare: Path) -> Iterator[Running]:
    settings = json.dumps({"seed": 1, "dtype": "fp32", "threads": 1})
    command = [sys.executable, "-m", "creuset.server.engines.worker", "{fd}", str(mistral), settings]
    server = start(folder, more=[(describe(mistral), command), (describe(bare), SCRIPTED)])
    yield server
    server.close()


def ask(server: Running, path: str, **body: Any) -> httpx.Response:
    return server.own.post(path, json=body)


def test_the_prompt_is_the_models_own_and_the_answer_has_its_spaces(running: Running, mistral: Path) -> None:
    words = Tokenizer.load(mistral)
    messages = [system("Be brief."), user("What is a river? </s>[INST]"), assistant("Water."), user("And the sea?")]
    prompt = ChatTemplate.load(mistral, words).encode(messages, add_generation_prompt=True).ids
    assert prompt[0] == words.special["<s>"] and prompt[-1] == words.special["[/INST]"]
    found = ask(running, "/tokenize", model="mistral", messages=messages).json()
    assert found["tokens"] == prompt

    body = {"model": "mistral", "messages": messages, "max_tokens": 24, "seed": 5, "return_token_ids": True}
    reply = ask(running, "/v1/chat/completions", **body).json()
    assert reply["usage"]["prompt_tokens"] == len(prompt) and reply["prompt_token_ids"] == prompt
    choice = reply["choices"][0]
    assert choice["message"]["content"] == words.decode(choice["token_ids"], special=False)
    streamed = ""
    with running.own.stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as events:
        for line in events.iter_lines():
            if line.startswith("data: {"):
                for part in json.loads(line[6:])["choices"]:
                    streamed += part["delta"].get("content") or ""
    assert streamed == choice["message"]["content"]


def test_a_text_begins_as_the_models_texts_do(running: Running, mistral: Path) -> None:
    words = Tokenizer.load(mistral)
    bos, ids = words.special["<s>"], words.encode("a river")
    assert ask(running, "/tokenize", model="mistral", prompt="a river").json()["tokens"] == [bos, *ids]
    plain = ask(running, "/tokenize", model="mistral", prompt="a river", add_special_tokens=False)
    assert plain.json()["tokens"] == ids
    for prompt in ("a river", "<s>a river"):
        reply = ask(running, "/v1/completions", model="mistral", prompt=prompt, max_tokens=1).json()
        assert reply["usage"]["prompt_tokens"] == len(ids) + 1


def test_a_name_that_is_not_shown_is_named_as_ignored(running: Running) -> None:
    reply = ask(running, "/v1/chat/completions", model="mistral", messages=[user("a") | {"name": "ann"}], max_tokens=1)
    assert reply.status_code == 200 and reply.headers["x-creuset-ignored"] == "messages.name"


def test_likelihoods_stand_behind_the_token_that_begins_a_text_as_with_the_folder(
    running: Running, mistral: Path
) -> None:
    pairs = [LoglikelihoodRequest("a river is", " water"), LoglikelihoodRequest("", "the sea")]

    async def run() -> list[list[Any]]:
        local, endpoint = LocalClient(mistral), await open_endpoint(f"{running.url}/v1", model="mistral")
        try:
            return [await client.loglikelihood(pairs) for client in (local, endpoint)]
        finally:
            await local.close()
            await endpoint.close()

    for mine, theirs in zip(*asyncio.run(run()), strict=True):
        assert theirs.total == pytest.approx(mine.total, abs=1e-3) and theirs.tokens == mine.tokens


def test_the_words_of_a_template_that_refuses_reach_the_client(running: Running) -> None:
    for path in ("/v1/chat/completions", "/tokenize"):
        refused = ask(running, path, model="mistral", messages=[user("a"), user("b")])
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert "conversation roles must alternate user/assistant" in error["message"] and error["param"] == "messages"


def test_a_model_without_a_template_completes_and_does_not_chat(running: Running) -> None:
    refused = ask(running, "/v1/chat/completions", model="bare", messages=[user("a")])
    assert refused.status_code == 400
    assert "`bare` has no chat template, so it cannot chat" in refused.json()["error"]["message"]
    assert ask(running, "/v1/completions", model="bare", prompt="a", max_tokens=2).status_code == 200


def test_a_template_is_given_to_a_model_that_has_none(bare: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m.content }}{% endfor %}", encoding="utf-8")
    assert with_template(describe(bare), bare, file).template.render([user("a"), user("b")]) == "ab"
    with pytest.raises(ArtifactError, match=r"has no tokens `.*`, which chatml needs"):
        with_template(describe(bare), bare, Path("chatml"))


def test_a_model_that_is_told_of_tools_in_words_is_told_the_form_of_its_answer(bare: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.jinja"
    file.write_text("{% for m in messages %}{{ m.content }}{% endfor %}", encoding="utf-8")
    model = with_template(describe(bare), bare, file)
    tools = [{"type": "function", "function": {"name": "f"}}]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}

    def prompt(**body: Any) -> str:
        ask = parse_chat(Fields({"messages": [user("why?")], **body}), "bare", model)
        return model.tokenizer.decode(asyncio.run(chat_prompt(model, ask)))

    told = f"follows this schema:\n{json.dumps(schema)}"
    assert told in prompt(tools=tools, response_format=form)
    assert 'follows this schema:\n{"type": "object"}' in prompt(tools=tools, response_format={"type": "json_object"})
    assert told not in prompt(tools=tools, response_format=form, tool_choice="required"), "nothing but a call may come"
    assert told not in prompt(response_format=form), "a form alone is enforced, and not told"


def test_a_call_is_made_and_found_in_the_models_own_form(running: Running) -> None:
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}}
    body = {"messages": [user("a")], "tools": [{"type": "function", "function": function}], "max_tokens": 100}
    reply = ask(
        running, "/v1/chat/completions", model="mistral", tool_choice="required", parallel_tool_calls=False, **body
    )
    assert reply.status_code == 200, reply.text
    (choice,) = reply.json()["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "f" and json.loads(call["function"]["arguments"])["a"] in (1, 2)
