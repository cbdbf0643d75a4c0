"""The life of names: aliases, deprecation, an end, a successor; and who still asks."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from creuset.cli import main
from creuset.server.routes.life import NameLife
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.projects import set_project_models

from ..conftest import NAME
from ..tenants.conftest import NOW, build
from .conftest import Begin, Net

NAMES: dict[str, Any] = {
    "latest": {"alias_of": NAME},
    "old": {"alias_of": NAME, "deprecated": date(2020, 1, 1), "ends": date(2100, 7, 1), "successor": "latest"},
    "gone": {"alias_of": NAME, "deprecated": date(2020, 1, 1), "ends": date(2021, 1, 1), "successor": "smart"},
    "removed": {"ends": date(2021, 1, 1), "successor": "smart"},
    "smart": {"deprecated": date(2020, 1, 1)},
    "smarter": {"alias_of": "smart"},
    "young": {"alias_of": NAME, "deprecated": date(2100, 1, 1)},
}  # fmt: skip


@pytest.fixture(scope="module")
def net(begin: Begin) -> Net:
    return begin({"names": NAMES})


def test_an_alias_is_answered_by_what_it_stands_for_and_the_reply_says_so(net: Net) -> None:
    for name in ("latest", "young"):
        reply = net.ask("say hi", model=name)
        assert reply.json()["model"] == NAME and reply.headers["x-creuset-model"] == NAME
    far = net.ask("say hi", model="smarter")
    assert far.json()["model"] == "alpha" and far.headers["deprecation"] == "@1577836800", "its route is deprecated"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions"])
def test_replies_carry_deprecation_and_sunset(net: Net, path: str) -> None:
    reply = net.ask("say hi", model="old", path=path)
    assert reply.status_code == 200
    assert reply.headers["deprecation"] == "@1577836800", "RFC 9745: a structured date"
    assert reply.headers["sunset"] == "Thu, 01 Jul 2100 00:00:00 GMT", "RFC 8594: an HTTP date"
    assert reply.headers["link"] == '</v1/models/latest>; rel="successor-version"'
    assert "deprecation" not in net.ask("say hi", model=NAME, path=path).headers
    assert net.ask("say hi", model="young", path=path).headers["deprecation"] == "@4102444800", "it may lie ahead"


@pytest.mark.parametrize("name", ["gone", "removed"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions"])
def test_after_its_end_a_name_is_refused_and_the_successor_named(net: Net, name: str, path: str) -> None:
    reply = net.ask("say hi", model=name, path=path)
    error = reply.json()["error"]
    assert reply.status_code == 404 and error["message"].startswith(f'the model "{name}" was served until 2021-01-01')
    assert "ask for `smart`" in error["message"] and "sunset" in reply.headers
    if path != "/v1/messages":
        assert error["code"] == "model_ended" and error["param"] == "model"
    assert net.server.own.get(f"/v1/models/{name}").status_code == 404


def test_models_show_the_life_of_their_names(net: Net) -> None:
    listed = {one["id"]: one for one in net.server.own.get("/v1/models").json()["data"]}
    assert {"old", "latest", "smart", "smarter", NAME} <= set(listed) and not {"gone", "removed"} & set(listed)
    old = listed["old"]
    assert (old["life"], old["deprecation_date"], old["shutdown_date"], old["successor"], old["alias_of"]) == (
        "deprecated", "2020-01-01", "2100-07-01", "latest", NAME,
    )  # fmt: skip
    assert listed["smart"]["route"] and listed["smart"]["life"] == "deprecated"
    assert "life" not in listed[NAME] and listed["young"]["life"] == "active"
    assert net.server.own.get("/v1/models/old").json() == old


def test_administrators_see_who_still_calls(begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = [float(NOW)]
    house = build(tmp_path / "server.db", lambda: now[0], now)
    house.do(set_project_models, house.b, house.other_project, "allow_list", ["other"])
    bob = house.key()
    admin = house.do(issue, house.a, "admin", kind="admin", user=house.ann)[1]
    eve = house.do(issue, house.b, "k", project=house.other_project, user=house.eve)[1]
    net = begin({"names": NAMES}, people=house.directory)
    for name, count in (("old", 3), ("gone", 2), (NAME, 1)):
        for _ in range(count):
            net.ask("say hi", model=name, headers={"x-api-key": bob[1]})
    hidden = [net.ask("say hi", model=name, headers={"x-api-key": eve}) for name in ("gone", "never")]
    words = [one.text.replace("gone", "never") for one in hidden]
    assert words[0] == words[1] and "sunset" not in hidden[0].headers, "whoever may not use it learns nothing of it"
    told = net.server.own.get("/v1/creuset/organization/names", headers={"x-api-key": admin}).json()["data"]
    dates = {one["model"]: (one["deprecation_date"], one["shutdown_date"], one["successor"]) for one in told}
    assert dates == {
        "old": ("2020-01-01", "2100-07-01", "latest"), "gone": ("2020-01-01", "2021-01-01", "smart"),
    }  # fmt: skip
    asked = "/v1/organization/usage/deprecated_models"
    told = net.server.own.get(asked, headers={"x-api-key": admin}).json()["data"]
    assert {(one["name"], one["calls"], one["refused"], one["key"], one["user"]) for one in told} == {
        ("old", 3, 0, bob[0], house.bob), ("gone", 0, 2, bob[0], house.bob),
    }  # fmt: skip
    assert {(one["name"], one["ends"], one["successor"]) for one in told} == {
        ("old", "2100-07-01", "latest"), ("gone", "2021-01-01", "smart"),
    }  # fmt: skip
    assert net.server.own.get(asked, headers={"x-api-key": bob[1]}).status_code == 403
    assert main(["usage", "--deprecated", "--database", str(house.file), "--organization", "a"]) == 0
    out = capsys.readouterr().out
    assert "old" in out and "gone" in out and bob[0] in out
    net.server.close()
    net.server.close = lambda: None  # type: ignore[method-assign]
    house.directory.database.close()


def test_a_name_ends_with_the_first_second_of_its_day() -> None:
    life = NameLife("a", ends=date(2026, 1, 1))
    assert not life.is_over(1767225599.9) and life.is_over(1767225600.0)
