"""Rate limits, spend limits and alerts set by OpenAI's own client, and obeyed by the next request."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from creuset.cli import main
from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.projects import set_project_models
from creuset.server.tenants.directory.tables import AUDIT
from creuset.server.tenants.money.rules import find_limits

from ..conftest import NAME, Running, start
from .conftest import NOW, House, build

CHAT = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}], "max_tokens": 5}
MONTH: dict[str, Any] = {"currency": "USD", "interval": "month"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path_factory.mktemp("spending") / "server.db", lambda: now[0], now)
    yield built
    built.directory.database.close()


@pytest.fixture(scope="module")
def keys(house: House) -> dict[str, str]:
    return {"bob": house.key()[1], "admin": house.do(issue, house.a, "admin", kind="admin", user=house.ann)[1]}


@pytest.fixture(scope="module")
def server(folder: Path, house: House, keys: dict[str, str]) -> Iterator[Running]:
    running = start(folder, people=house.directory)
    yield running
    running.close()


@pytest.fixture(scope="module")
def admin(server: Running, keys: dict[str, str]) -> Any:
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    client = openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", admin_api_key=keys["admin"], max_retries=0, http_client=plain,
        _strict_response_validation=True,
    )  # fmt: skip
    server.clients.append(client)
    return client.admin.organization


def asked(server: Running, keys: dict[str, str]) -> tuple[int, str]:
    reply = server.own.post("/v1/chat/completions", json=CHAT, headers={"x-api-key": keys["bob"]})
    return reply.status_code, "" if reply.status_code == 200 else reply.json()["error"]["message"]


def test_a_projects_rate_limits_are_listed_and_set_for_a_model_and_for_all(server, house, keys, admin) -> None:
    limits = admin.projects.rate_limits
    listed = {one.model: one for one in limits.list_rate_limits(house.project)}
    assert set(listed) == {"all", NAME} and listed["all"].max_requests_per_1_minute == 2**31 - 1
    made = limits.update_rate_limit(f"rl-{NAME}", project_id=house.project, max_requests_per_1_minute=2,
                                    max_tokens_per_1_minute=5000)  # fmt: skip
    assert (made.model, made.max_requests_per_1_minute, made.max_tokens_per_1_minute) == (NAME, 2, 5000)
    assert [asked(server, keys)[0] for _ in range(2)] == [200, 200]
    status, words = asked(server, keys)
    assert status == 429 and f"for {NAME} in project {house.project} on requests per minute: Limit 2, Used 2" in words
    me = server.own.get("/v1/creuset/me", headers={"x-api-key": keys["bob"]}).json()
    assert me["user"] == house.bob and me["project"] == house.project and me["limits"] == []
    assert {(one["what"], one["model"]) for one in me["models"][0]["limits"]} == {("requests", NAME), ("tokens", NAME)}
    limits.update_rate_limit(f"rl-{NAME}", project_id=house.project, max_requests_per_1_minute=100)
    assert asked(server, keys)[0] == 200
    with pytest.raises(openai.NotFoundError, match="is not served here"):
        limits.update_rate_limit("rl-nobody", project_id=house.project, max_requests_per_1_minute=1)
    with pytest.raises(openai.NotFoundError):
        limits.list_rate_limits(house.other_project)
    with pytest.raises(openai.BadRequestError, match="`max_images_per_1_minute` is not served"):
        limits.update_rate_limit("rl-all", project_id=house.project, max_images_per_1_minute=1)


@pytest.mark.parametrize("place", ["organization", "project"])
def test_a_spend_limit_stops_and_is_taken_away(server, house, keys, admin, place) -> None:
    of = {"project_id": house.project} if place == "project" else {}
    root = admin.projects if of else admin
    ids = tuple(of.values())
    with pytest.raises(openai.NotFoundError, match="there is no spend limit"):
        root.spend_limit.retrieve(*ids)
    made = root.spend_limit.update(*ids, threshold_amount=0, **MONTH)
    assert (made.object, made.threshold_amount) == (f"{place}.spend_limit", 0)
    assert root.spend_limit.retrieve(*ids).enforcement.status == "enforcing"
    status, words = asked(server, keys)
    assert status == 429 and f"the budget of {place}" in words
    assert root.spend_limit.update(*ids, threshold_amount=500, **MONTH).enforcement.status == "inactive"
    assert asked(server, keys)[0] == 200
    assert root.spend_limit.delete(*ids).deleted
    with pytest.raises(openai.NotFoundError):
        root.spend_limit.delete(*ids)
    with pytest.raises(openai.BadRequestError, match="`interval` must be"):
        root.spend_limit.update(*ids, threshold_amount=1, currency="USD", interval="week")


@pytest.mark.parametrize("place", ["organization", "project"])
def test_spend_alerts_are_made_changed_and_deleted(house, admin, place) -> None:
    ids = (house.project,) if place == "project" else ()
    alerts = admin.projects.spend_alerts if ids else admin.spend_alerts
    channel = {"type": "email", "recipients": ["ann@example.org"], "subject_prefix": "[a]"}
    made = alerts.create(*ids, threshold_amount=2500, notification_channel=channel, **MONTH)
    assert (made.object, made.threshold_amount) == (f"{place}.spend_alert", 2500)
    assert made.notification_channel.recipients == ["ann@example.org"]
    more = {"project_id": house.project} if ids else {}
    changed = alerts.update(made.id, threshold_amount=3000, notification_channel=channel, **MONTH, **more)
    assert (changed.id, changed.threshold_amount) == (made.id, 3000)
    assert [one.id for one in alerts.list(*ids)] == [made.id]
    assert alerts.delete(made.id, **more).deleted and [*alerts.list(*ids)] == []
    for wrong, words in (({"recipients": []}, "recipients"), ({"recipients": ["a@b\nBcc: x@y"]}, "recipients"),
                         ({"subject_prefix": "a\nb"}, "one line")):  # fmt: skip
        with pytest.raises(openai.BadRequestError, match=words):
            alerts.create(*ids, threshold_amount=1, notification_channel=channel | wrong, **MONTH)


def test_a_model_that_a_project_may_not_use_is_not_there(server, house, keys) -> None:
    house.do(set_project_models, house.a, house.project, "allow_list", ["other"])
    status, words = asked(server, keys)
    assert status == 404 and words.startswith(f'the model "{NAME}" is not served here, or this key may not use it')
    me = server.own.get("/v1/creuset/me", headers={"x-api-key": keys["bob"]}).json()
    assert me["models"] == []
    house.do(set_project_models, house.a, house.project, None, [])
    assert asked(server, keys)[0] == 200


def audited(house: House, *types: str) -> list[tuple[str, dict[str, Any], str]]:
    """Type, body and actor of the entries of these types, oldest first."""
    with house.directory.database.reading() as connection:
        assert problems(connection, house.a) == []
        rows = connection.execute(AUDIT.select().where(AUDIT.c.type.in_(types)).order_by(AUDIT.c.at)).mappings()
        return [(row["type"], json.loads(row["body"]), json.loads(row["actor"])["kind"]) for row in rows]


def test_who_sets_limits_and_money_is_in_the_audit_log_from_both_sides(server, house, admin, tmp_path) -> None:
    types = ("rate_limit.updated", "rate_limit.deleted", "organization.updated", "project.updated")
    before = len(audited(house, *types))
    channel = {"type": "email", "recipients": ["ann@example.org"]}
    admin.projects.rate_limits.update_rate_limit("rl-all", project_id=house.project, max_requests_per_1_minute=77)
    admin.spend_limit.update(threshold_amount=100, **MONTH)
    alert = admin.spend_alerts.create(threshold_amount=50, notification_channel=channel, **MONTH)
    admin.spend_alerts.delete(alert.id)
    admin.spend_limit.delete()
    file = tmp_path / "prices.toml"
    file.write_text("""[[price]]
id = "mine"
name = "Mine"
names = []
provider = "we"
input = 1.0
output = 2.0
""")
    place = ["--database", str(house.file), "--organization", "a"]
    assert main(["limits", "set", "user", "bob@example.org", "--tokens", "9", *place]) == 0
    assert main(["budgets", "set", "project", house.project, "--amount", "3", "--alert", "80", "--webhook",
                 "http://localhost/secret-hook", *place]) == 0  # fmt: skip
    assert main(["prices", "set", str(file), *place]) == 0
    with house.directory.database.reading() as connection:
        made = [one.id for one in find_limits(connection, house.a) if one.kind in ("user", "project")]
    for id in made:
        main(["limits", "remove", id, *place])
    found = audited(house, *types)[before:]
    asked = [(type, *body.get("changes_requested", {"": ""}), kind) for type, body, kind in found]
    http, line = "api_key", "command_line"
    assert [one for one in asked if one[-1] == http] == [
        ("rate_limit.updated", *found[0][1]["changes_requested"], http),
        ("organization.updated", "spend_limit", http), ("organization.updated", "spend_alert", http),
        ("organization.updated", "spend_alert", http), ("organization.updated", "spend_limit", http),
    ]  # fmt: skip
    assert found[0][1]["changes_requested"]["amount"] == 77 and found[3][1]["changes_requested"]["spend_alert"] == {
        "id": alert.id, "limit": found[2][1]["changes_requested"]["spend_alert"]["limit"], "deleted": True,
    }  # fmt: skip
    told = [one[:2] for one in asked if one[-1] == line]
    assert ("project.updated", "spend_alert") in told and ("organization.updated", "prices") in told
    assert ("rate_limit.deleted", "") in told and "secret-hook" not in str(found)
    assert (
        next(body for type, body, _ in found if "prices" in str(body))["changes_requested"]["prices"][0][:5] == "mine@"
    )
