"""Which models a caller may use, at every address that takes a model's name; the list of them is made from the
document, so that a new route is in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.server.model import describe
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.projects import set_project_models
from creuset.text.watermark import Watermark

from ..conftest import NAME, SCRIPTED, Running, start
from .conftest import NOW, House, build


@dataclass
class Shelf:
    """A server with two models, of which bob may use the second. `open` is the key of somebody who may use both."""

    server: Running
    bob: str
    open: str

    def ask(self, key: str, method: str, path: str, **more: Any) -> httpx.Response:
        return self.server.own.request(method, path, headers={"x-api-key": key}, **more)

    def routes(self) -> list[tuple[str, str]]:
        """POST routes whose body has a `model`, as the document says."""
        document = self.server.own.get("/openapi.json", headers={"x-api-key": self.open}).json()
        schemas = document["components"]["schemas"]
        found = []
        for path, methods in document["paths"].items():
            content = methods.get("post", {}).get("requestBody", {}).get("content", {})
            ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            if "model" in schemas.get(ref.rpartition("/")[2], {}).get("properties", {}):
                found.append(("POST", path))
        return found


@pytest.fixture(scope="module")
def shelf(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    now = [float(NOW)]
    house: House = build(tmp_path_factory.mktemp("models") / "server.db", lambda: now[0], now)
    house.do(set_project_models, house.a, house.project, "allow_list", ["second"])
    mark = Watermark(key=bytes(range(100, 132)))
    theirs = house.do(issue, house.b, "k", project=house.other_project, user=house.eve)[1]
    server = start(
        folder, people=house.directory, more=[(describe(folder, ["second", "zwei"]), SCRIPTED)], watermark=mark
    )
    yield Shelf(server, house.key()[1], theirs)
    server.close()
    house.directory.database.close()


def without(words: str, name: str) -> str:
    return words.replace(name, "NAME")


def test_a_model_that_one_may_not_use_is_told_as_one_that_never_was(shelf: Shelf) -> None:
    routes = shelf.routes()
    assert len(routes) >= 15 and {("POST", "/tokenize"), ("POST", "/v1/messages")} <= set(routes)
    for method, path in routes:
        there, never = (shelf.ask(shelf.bob, method, path, json={"model": name}) for name in (NAME, "nobody"))
        assert (there.status_code, never.status_code) == (404, 404), f"{path}: {there.text} {never.text}"
        said = [
            re.sub(r"req_[0-9a-f]+", "ID", without(one.text, name)) for one, name in ((there, NAME), (never, "nobody"))
        ]
        assert said[0] == said[1], path
        assert NAME not in there.text.replace(f'\\"{NAME}\\"', ""), f"{path}: {there.text}"
        mine = shelf.ask(shelf.bob, method, path, json={"model": "zwei"})
        assert mine.status_code in (200, 400), f"{path}: {mine.text}"  # it is found; the rest of the body is missing


def test_a_model_must_be_named_by_a_text(shelf: Shelf) -> None:
    for body, words in (
        ({}, "`model` is required; this server has second, zwei"),
        ({"model": 7}, "must be a string, got 7"),
    ):
        reply = shelf.ask(shelf.bob, "POST", "/v1/chat/completions", json=body)
        assert reply.status_code == 400 and words in reply.json()["error"]["message"]
        assert reply.json()["error"]["param"] == "model"


def test_lists_cards_and_words_without_a_name_are_of_what_one_may_use(shelf: Shelf) -> None:
    listed = shelf.ask(shelf.bob, "GET", "/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["second", "zwei"]
    assert {NAME, "second"} < {one["id"] for one in shelf.ask(shelf.open, "GET", "/v1/models").json()["data"]}
    for path in ("/v1/models/{}", "/models/{}", "/v1/creuset/model?model={}"):
        there, never = (shelf.ask(shelf.bob, "GET", path.format(name)) for name in (NAME, "nobody"))
        assert (there.status_code, without(there.text, NAME)) == (404, without(never.text, "nobody")), path
        assert shelf.ask(shelf.bob, "GET", path.format("zwei")).status_code == 200
    assert shelf.ask(shelf.bob, "GET", "/v1/creuset/model").json()["name"] == "second"
    assert shelf.ask(shelf.open, "GET", "/v1/creuset/model").json()["name"] == NAME
    assert shelf.ask(shelf.bob, "GET", "/tokenizer_info").status_code == 200
    assert shelf.ask(shelf.bob, "POST", "/tokenize", json={"prompt": "a"}).status_code == 200
    reply = shelf.ask(shelf.bob, "POST", "/v1/responses", json={"input": "say hi", "store": False}).json()
    assert reply["model"] == "second"
    me = shelf.ask(shelf.bob, "GET", "/v1/creuset/me").json()
    assert [one["id"] for one in me["models"]] == ["second"]


def test_whoever_may_use_nothing_is_told_so(shelf: Shelf, folder: Path, tmp_path: Path) -> None:
    now = [float(NOW)]
    house = build(tmp_path / "none.db", lambda: now[0], now)
    house.do(set_project_models, house.a, house.project, "allow_list", ["elsewhere"])
    server = start(folder, people=house.directory)
    try:
        client = server.client(headers={"x-api-key": house.key()[1]})
        assert client.get("/v1/models").json()["data"] == []
        for path in ("/tokenizer_info", "/v1/creuset/model"):
            assert client.get(path).json()["error"]["message"] == "this key may use no model of this server"
        words = client.post("/v1/chat/completions", json={"model": NAME}).json()["error"]["message"]
        assert words.endswith("or this key may not use it; there is none that this key may use")
    finally:
        server.close()
        house.directory.database.close()


@pytest.mark.parametrize(
    ("asked", "served"), [("auto", "default"), ("default", "default"), ("flex", "flex"), ("priority", "priority"),
                          ("fast", "priority")]
)  # fmt: skip
def test_a_reply_says_which_tier_it_was_served_in(shelf: Shelf, asked: str, served: str) -> None:
    words = [{"role": "user", "content": "say hi"}]
    chat = shelf.ask(shelf.open, "POST", "/v1/chat/completions", json={"model": "second", "messages": words,
                                                                       "service_tier": asked})  # fmt: skip
    assert chat.json()["service_tier"] == served and "service_tier" not in chat.headers.get("x-creuset-ignored", "")
    body = {"model": "second", "input": "say hi", "service_tier": asked, "store": False}
    assert shelf.ask(shelf.open, "POST", "/v1/responses", json=body).json()["service_tier"] == served


@pytest.mark.parametrize(("path", "tier"), [
    ("/v1/chat/completions", "batch"), ("/v1/chat/completions", "scale"), ("/v1/completions", "batch"),
    ("/v1/responses", "batch"), ("/v1/messages", "flex"), ("/v1/messages", "batch"),
])  # fmt: skip
def test_a_client_may_not_choose_the_price_of_a_batch(shelf: Shelf, path: str, tier: str) -> None:
    words = [{"role": "user", "content": "say hi"}]
    more = {"input": "a"} if "responses" in path else {"prompt": "a"} if path == "/v1/completions" else {}
    body = {"model": "second", "messages": words, "max_tokens": 3, "service_tier": tier} | more
    reply = shelf.ask(shelf.open, "POST", path, json=body)
    assert reply.status_code == 400 and '`service_tier` is served as "auto" or ' in reply.json()["error"]["message"]
