"""Keys that tenants bring: sealed, used for their requests alone, told to nobody. And no request names an address."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from creuset.server.protect.settings import ProtectSettings
from creuset.server.protect.vault.master import make_master
from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.tables import AUDIT
from creuset.server.tenants.money.tables import USAGE

from ..peer import KEY
from ..tenants.conftest import NOW, House, build
from .conftest import Begin, Net

MINE = "sk-of-the-tenant-0987654321"
AT = "/v1/organization/upstream_keys"


def served(begin: Begin, folder: Path, **more: Any) -> tuple[House, Net, dict[str, str]]:
    now = [float(NOW)]
    house = build(folder / "server.db", lambda: now[0], now)
    admin = house.do(issue, house.a, "admin", kind="admin", user=house.ann)[1]
    other = house.do(issue, house.b, "k", project=house.other_project, user=house.eve)[1]
    keys = {"admin": admin, "bob": house.key()[1], "eve": other}
    routes = {
        "own": {"targets": [{"upstream": "a", "model": "theirs", "name": "gpt-4o"}], "retries": 0},
        "must": {"targets": [{"upstream": "b", "model": "theirs", "name": "beta"}], "retries": 0},
    }  # fmt: skip
    return house, begin({"routes": routes}, people=house.directory, change=opened_to_tenants, **more), keys


def opened_to_tenants(table: dict[str, Any]) -> None:
    table["upstreams"]["a"]["own_keys"] = "allowed"
    table["upstreams"]["b"] |= {"own_keys": "required"}
    del table["upstreams"]["b"]["key_env"]


@pytest.fixture(scope="module")
def sealing(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Net, dict[str, str]]:
    folder = tmp_path_factory.mktemp("own")
    make_master(folder / "master.key")
    return served(begin, folder, protect=ProtectSettings(master_key=f"file:{folder}/master.key"))


def test_a_tenants_key_is_used_for_its_requests_alone_and_is_nowhere_in_plain(sealing) -> None:
    house, net, keys = sealing
    admin = {"x-api-key": keys["admin"]}
    assert net.ask(model="must", headers={"x-api-key": keys["bob"]}).status_code == 503, (
        "a key is required, none is there"
    )
    for upstream in ("a", "b"):
        made = net.server.own.post(AT, json={"upstream": upstream, "key": MINE}, headers=admin)
        assert made.status_code == 200 and MINE not in made.text and made.json()["upstream"] == upstream
    for who, key in (("bob", MINE), ("eve", KEY)):
        assert net.ask("say hi", model="own", headers={"x-api-key": keys[who]}).status_code == 200
        assert net.a.asked[-1][1]["authorization"] == f"Bearer {key}", f"{who} is asked for with the wrong key"
    assert net.ask("say hi", model="must", headers={"x-api-key": keys["bob"]}).status_code == 200
    assert net.ask("say hi", model="must", headers={"x-api-key": keys["eve"]}).status_code == 503
    told = net.server.own.get(AT, headers=admin)
    assert [one["upstream"] for one in told.json()["data"]] == ["a", "b"] and MINE not in told.text
    kept = b"".join(file.read_bytes() for file in house.file.parent.iterdir()) + net.server.log.getvalue().encode()
    assert MINE.encode() not in kept
    with house.directory.database.reading() as connection:
        assert problems(connection, house.a) == []
        assert "upstream_key" in str(connection.execute(select(AUDIT.c.body)).scalars().all())
    assert net.server.own.delete(f"{AT}/a", headers=admin).json()["deleted"]
    assert net.server.own.delete(f"{AT}/a", headers=admin).status_code == 404
    assert net.ask("say hi", model="own", headers={"x-api-key": keys["bob"]}).status_code == 200
    assert net.a.asked[-1][1]["authorization"] == f"Bearer {KEY}"


def test_what_a_tenants_own_account_pays_for_is_counted_and_costs_nothing(sealing) -> None:
    house, net, keys = sealing
    admin = {"x-api-key": keys["admin"]}
    assert net.server.own.post(AT, json={"upstream": "a", "key": MINE}, headers=admin).status_code == 200
    reply = net.ask("say hi", model="own", headers={"x-api-key": keys["bob"]})
    id = reply.headers["x-request-id"]

    def row() -> Any:
        with house.directory.database.reading() as connection:
            return connection.execute(select(USAGE).where(USAGE.c.request == id)).first()

    assert net.a.wait_for(lambda: row() is not None)
    assert (row().price, row().cost, row().input, row().target) == ("own-key", 0, 11, "a/theirs")


def test_a_key_of_others_is_refused_where_it_could_not_be_encrypted(begin: Begin, tmp_path: Path) -> None:
    _, net, keys = served(begin, tmp_path)
    admin = {"x-api-key": keys["admin"]}
    reply = net.server.own.post(AT, json={"upstream": "a", "key": MINE}, headers=admin)
    assert reply.status_code == 409 and reply.json()["error"]["code"] == "no_master_key"
    for body, words in (({"upstream": "paris", "key": "x"}, "takes keys of tenants (a, b), got"),
                        ({"upstream": "a", "key": "x", "url": "http://x"}, "`url` is not a field")):  # fmt: skip
        refused = net.server.own.post(AT, json=body, headers=admin)
        assert refused.status_code == 400 and words in refused.json()["error"]["message"]
    assert (
        net.server.own.post(AT, json={"upstream": "a", "key": MINE}, headers={"x-api-key": keys["bob"]}).status_code
        == 403
    )


NAMES = ("base_url", "api_base", "api_key", "upstream", "url", "host", "endpoint", "azure_endpoint", "proxy", "target")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
                                  "/v1/embeddings", "/v1/rerank"])  # fmt: skip
def test_no_request_can_name_the_address_of_an_upstream(begin: Begin, path: str) -> None:
    net = begin()
    net.b.mode = ""
    for name in NAMES:
        more: dict[str, Any] = {name: net.b.url, "headers": {f"x-{name.replace('_', '-')}": net.b.url}}
        if path in ("/v1/embeddings", "/v1/rerank"):
            more |= {"input": "say x"} if "embed" in path else {"query": "say x", "documents": ["a"]}
        reply = net.ask("say x", path=path, **more)
        assert reply.status_code in (200, 400), reply.text
        assert net.b.asked == [], f"`{name}` led the request elsewhere"
        if net.a.asked:
            assert "host" in net.a.asked[-1][1] and str(net.a.port) in net.a.asked[-1][1]["host"]
    for model in (net.b.url, f"{net.b.url}/v1", "b/theirs", "theirs", "http://169.254.169.254/latest"):
        reply = net.ask("say x", path=path, model=model)
        assert reply.status_code == 404 and net.b.asked == []
    net.server.close()
    net.server.close = lambda: None  # type: ignore[method-assign]
