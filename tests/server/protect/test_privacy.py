"""Retention, zero retention, holds, export and erasure, on a real server: each person has canaries, in every file."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from creuset.core.errors import DataError, RequestError
from creuset.server.database import META
from creuset.server.protect.privacy.erase import close_organization, erase_organization, erase_user, reopen_organization
from creuset.server.protect.privacy.holds import UnderHold, lift_hold, place_hold
from creuset.server.protect.privacy.receipts import make_signing_key, sign, verify
from creuset.server.protect.privacy.retention import DAY_S, MONEY_FLOOR_DAYS, drop_old_money, sweep, wipe
from creuset.server.protect.privacy.rules import rules_of, set_rules
from creuset.server.protect.privacy.stores import OTHERS, SECRETS, STORES
from creuset.server.protect.settings import ProtectSettings
from creuset.server.protect.tables import HELD
from creuset.server.responses.tables import CONVERSATIONS, ITEMS, RESPONSES
from creuset.server.tenants.directory.audit import problems
from creuset.server.tenants.directory.people import update_user
from creuset.server.tenants.directory.tables import AUDIT, USERS
from creuset.server.tenants.money.tables import LEDGER, USAGE

from ..conftest import NAME, Running, start
from .conftest import NOW, House


@dataclass
class Place:
    server: Running
    house: House
    keys: dict[str, str]

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        return self.server.own.request(method, path, headers={"x-api-key": self.keys[who]}, **more)

    def files(self) -> bytes:
        return b"".join(f.read_bytes() for f in sorted(self.house.file.parent.rglob("*")) if f.is_file())

    def charged(self) -> None:
        """Return when the database has usage: it comes a twentieth of a second after the reply."""
        end = time.monotonic() + 10
        while not self.count(USAGE):
            assert time.monotonic() < end, "no usage was written"
            time.sleep(0.01)

    def count(self, table: Any, *where: Any) -> int:
        with self.house.directory.database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar() or 0)


@pytest.fixture
def here(house: House, folder: Path) -> Iterator[Place]:
    from creuset.server.tenants.directory.keys import issue

    keys = {name: house.do(issue, house.a, f"canary-{name}-key", user=getattr(house, name), project=house.project)[1]
            for name in ("ann", "bob")}  # fmt: skip
    keys["eve"] = house.do(issue, house.b, "k", user=house.eve, project=house.other_project)[1]
    keys["officer"] = house.do(issue, house.a, "k", kind="admin", user=house.ann)[1]
    signing = house.file.with_name("server.db.signing")
    journal = house.file.with_name("server.db-usage")
    server = start(folder, people=house.directory, protect=ProtectSettings(signing=signing), journal=journal)
    yield Place(server, house, keys)
    server.close()


def talk(here: Place, who: str) -> dict[str, str]:
    """What somebody says in each store, and in their name: `canary-WHO-...` everywhere."""
    said = f"canary-{who}-"
    kept = here.ask(who, "POST", "/v1/responses", json={
        "model": NAME, "input": f"say {said}answer", "metadata": {"m": f"{said}meta"}, "instructions": f"{said}system",
    })  # fmt: skip
    item = {"type": "message", "role": "user", "content": f"{said}item"}
    body = {"items": [item], "metadata": {"m": f"{said}topic"}}
    made = here.ask(who, "POST", "/v1/conversations", json=body)
    chat = here.server.own.post(
        "/v1/chat/completions", headers={"x-api-key": here.keys[who], "idempotency-key": f"{who}-1"},
        json={"model": NAME, "messages": [{"role": "user", "content": f"say {said}chat"}]},
    )  # fmt: skip
    assert (kept.status_code, made.status_code, chat.status_code) == (200, 200, 200), kept.text + made.text
    return {"response": kept.json()["id"], "conversation": made.json()["id"]}


def test_every_table_says_what_it_holds_and_what_becomes_of_it() -> None:
    named = {store.name for store in (*STORES, *SECRETS)} | set(OTHERS)
    assert set(META.tables) <= named, f"say in privacy/stores.py what is in {set(META.tables) - named}"


def test_a_person_is_erased_from_every_file_and_others_are_not(here: Place) -> None:
    for who in ("ann", "bob", "eve"):
        talk(here, who)
    house = here.house
    house.do(update_user, house.a, house.bob, email="canary-bob@example.org", name="canary-bob-name")
    here.charged()
    assert b"canary-bob-" in here.files()
    before = here.count(USAGE), here.count(LEDGER)
    found = here.ask("officer", "POST", f"/v1/creuset/privacy/users/{house.bob}/erase", json={"confirm": "bob"})
    assert (found.status_code, found.json()["error"]["param"]) == (400, "confirm")
    found = here.ask("officer", "POST", f"/v1/creuset/privacy/users/{house.bob}/erase", json={"confirm": house.bob})
    assert found.status_code == 200, found.text
    receipt = found.json()
    verify(receipt)
    assert receipt["deleted"]["responses"] == 1 and receipt["deleted"]["users"] == 1 and receipt["subject"] == house.bob
    assert receipt["kept"]["usage_lines"] >= 1
    left = here.files()
    assert b"canary-bob" not in left and "canary-bob" not in here.server.log.getvalue()
    assert b"canary-ann-answer" in left and b"canary-eve-topic" in left
    assert (here.count(USAGE), here.count(LEDGER)) >= before, "money is kept"
    assert here.ask("bob", "GET", "/v1/models").status_code == 401
    with house.directory.database.reading() as connection:
        assert problems(connection, house.a) == [], "the chain of the audit log is whole"
        assert any("erased" in body for body in connection.execute(select(AUDIT.c.body)).scalars())


def test_what_was_erased_in_the_audit_log_cannot_be_put_back_otherwise(here: Place) -> None:
    house = here.house
    house.do(update_user, house.a, house.bob, name="canary-bob-name")
    house.do(erase_user, house.a, house.bob, make_signing_key(house.file.with_name("k")))
    with house.directory.database.transaction() as connection:
        row = connection.execute(select(AUDIT).where(AUDIT.c.body.contains("erased"))).mappings().first()
        assert row is not None and problems(connection, house.a) == []
        connection.execute(AUDIT.update().where(AUDIT.c.at == row["at"]).values(body='{"erased": "%s"}' % ("0" * 64)))
        assert problems(connection, house.a) == [f"{row['id']} was changed"]


def test_an_export_has_all_of_one_person_and_nothing_of_another(here: Place) -> None:
    for who in ("ann", "bob"):
        talk(here, who)
    here.charged()
    found = here.ask("officer", "GET", f"/v1/creuset/privacy/users/{here.house.bob}/export")
    assert found.status_code == 200, found.text
    for part in ("answer", "meta", "system", "item", "topic", "key"):
        assert f"canary-bob-{part}" in found.text, part
    assert "canary-ann" not in found.text and "digest" not in found.text and "password" not in found.text
    assert [one["type"] for one in found.json()["audit_log"]][-1] == "user.exported"
    assert {one["user"] for one in found.json()["usage"]} <= {here.house.bob}
    assert here.ask("bob", "GET", f"/v1/creuset/privacy/users/{here.house.ann}/export").status_code == 403


def test_content_is_deleted_when_it_is_too_old_and_not_before(here: Place) -> None:
    ids = talk(here, "bob")
    talk(here, "eve")
    house, database = here.house, here.house.directory.database
    house.do(set_rules, house.a, "", days=30)
    house.do(set_rules, house.a, house.project, days=7)  # the stricter of both
    born = here.ask("bob", "GET", f"/v1/responses/{ids['response']}").json()["created_at"]
    with database.transaction() as connection:
        assert sweep(connection, born + 7 * DAY_S - 60) == {}
        gone = sweep(connection, born + 7 * DAY_S + 60)
    assert gone == {"items": 3, "responses": 1, "conversations": 1}
    assert here.ask("bob", "GET", f"/v1/responses/{ids['response']}").status_code == 404
    wipe(database.engine)
    assert b"canary-bob-answer" not in here.files() and b"canary-eve-answer" in here.files()
    with pytest.raises(RequestError, match="between 1 and 36500, got 0"):
        house.do(set_rules, house.a, "", days=0)


def test_nothing_of_a_project_without_retention_reaches_a_file(here: Place) -> None:
    house = here.house
    found = here.ask("officer", "POST", f"/v1/organization/projects/{house.project}/data_retention",
                     json={"retention_type": "zero_data_retention"})  # fmt: skip
    assert found.json() == {"object": "project.data_retention", "type": "zero_data_retention"}
    reply = here.ask(
        "bob", "POST", "/v1/responses", json={"model": NAME, "input": "say canary-bob-zero", "store": True}
    )
    assert reply.json()["store"] is False and "canary-bob-zero" in reply.text
    assert here.ask("bob", "GET", f"/v1/responses/{reply.json()['id']}").status_code == 404
    for body in ({"background": True}, {"background": True, "stream": True}):
        refused = here.ask("bob", "POST", "/v1/responses", json={"model": NAME, "input": "say canary-bob-zero", **body})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "zero_data_retention")
    refused = here.ask("bob", "POST", "/v1/conversations", json={"metadata": {"m": "canary-bob-zero"}})
    assert refused.status_code == 403 and "keeps nothing" in refused.json()["error"]["message"]
    for path, body in ASKED.items():
        text = json.dumps(body).replace("CANARY", "canary-bob-zero")
        for streamed in (False, True) if path != "/v1/embeddings" else (False,):
            sent = json.loads(text) | ({"stream": True} if streamed else {})
            reply = here.ask("bob", "POST", path, json=sent)
            assert reply.status_code == 200, reply.text
    assert b"canary-bob-zero" not in here.files() and "canary-bob-zero" not in here.server.log.getvalue()
    assert here.count(RESPONSES) == here.count(CONVERSATIONS) == here.count(ITEMS) == 0


ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": NAME, "messages": [{"role": "user", "content": "say CANARY"}]},
    "/v1/completions": {"model": NAME, "prompt": "say CANARY", "max_tokens": 8},
    "/v1/responses": {"model": NAME, "input": "say CANARY"},
    "/v1/messages": {"model": NAME, "max_tokens": 32, "messages": [{"role": "user", "content": "say CANARY"}]},
    "/v1/embeddings": {"model": NAME, "input": "CANARY"},
}


def test_a_project_cannot_loosen_what_its_organization_says(here: Place) -> None:
    house = here.house
    assert here.ask("officer", "GET", "/v1/organization/data_retention").json()["type"] == "modified_abuse_monitoring"
    here.ask("officer", "POST", "/v1/organization/data_retention", json={"retention_type": "zero_data_retention"})
    here.ask(
        "officer", "POST", f"/v1/organization/projects/{house.project}/data_retention", json={"retention_type": "none"}
    )
    reply = here.ask("bob", "POST", "/v1/responses", json={"model": NAME, "input": "say hi"})
    assert reply.json()["store"] is False
    bad = here.ask("officer", "POST", "/v1/organization/data_retention", json={"retention_type": "some"})
    assert bad.status_code == 400 and "must be one of" in bad.json()["error"]["message"]


def test_under_a_hold_nothing_is_deleted_by_anybody(here: Place) -> None:
    ids, house, database = talk(here, "bob"), here.house, here.house.directory.database
    hold = house.do(place_hold, house.a, "user", house.bob, "a case")["id"]
    assert here.ask("bob", "DELETE", f"/v1/responses/{ids['response']}").json()["deleted"] is True
    assert here.ask("bob", "GET", f"/v1/responses/{ids['response']}").status_code == 404, "for bob it is gone"
    assert b"canary-bob-answer" in here.files() and here.count(HELD) == 3
    found = here.ask("officer", "GET", f"/v1/creuset/privacy/users/{house.bob}/export").text
    assert "canary-bob-answer" in found, "the court finds it"
    refused = here.ask("officer", "POST", f"/v1/creuset/privacy/users/{house.bob}/erase", json={"confirm": house.bob})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "legal_hold")
    house.do(set_rules, house.a, house.project, days=1)
    with database.transaction() as connection:
        assert sweep(connection, NOW + 10_000 * DAY_S) == {}, "nor by age"
    house.do(lift_hold, house.a, hold)
    wipe(database.engine)
    assert here.count(HELD) == 0 and b"canary-bob-answer" not in here.files()
    with pytest.raises(RequestError, match="`reason` is required"):
        house.do(place_hold, house.a, "user", house.bob, " ")


def test_a_file_that_is_deleted_under_a_hold_is_put_away_too(here: Place) -> None:
    house, form = here.house, {"file": ("a.txt", b"canary-bob-file"), "purpose": (None, "user_data")}
    id = here.ask("bob", "POST", "/v1/files", files=form).json()["id"]
    hold = house.do(place_hold, house.a, "project", house.project, "a case")["id"]
    assert here.ask("bob", "DELETE", f"/v1/files/{id}").status_code == 200
    assert here.ask("bob", "GET", f"/v1/files/{id}").status_code == 404 and here.count(HELD) == 2
    found = here.ask("officer", "GET", f"/v1/creuset/privacy/users/{house.bob}/export").json()["content"]
    assert [one["name"] for one in found["files"]] == ["a.txt"] and b"canary-bob-file" in here.files()
    house.do(lift_hold, house.a, hold)
    wipe(house.directory.database.engine)
    assert here.count(HELD) == 0 and b"canary-bob-file" not in here.files()


def test_a_hold_on_one_person_leaves_the_others_to_retention(here: Place) -> None:
    talk(here, "ann"), talk(here, "bob")
    house = here.house
    house.do(place_hold, house.a, "user", house.bob, "a case")
    house.do(set_rules, house.a, "", days=1)
    with house.directory.database.transaction() as connection:
        sweep(connection, NOW + 10_000 * DAY_S)
    wipe(house.directory.database.engine)
    assert b"canary-bob-answer" in here.files() and b"canary-ann-answer" not in here.files()


def test_a_closed_organization_is_erased_when_its_time_has_come(here: Place) -> None:
    talk(here, "bob"), talk(here, "eve")
    here.charged()
    house = here.house
    with pytest.raises(RequestError, match="between 0 and 21, got 22"):
        house.do(close_organization, house.a, 22)
    house.do(close_organization, house.a)
    refused = here.ask("bob", "GET", "/v1/models")
    assert refused.status_code == 401 and "the organization of this API key is closed" in refused.text
    house.do(reopen_organization, house.a)
    assert here.ask("bob", "GET", "/v1/models").status_code == 200
    house.do(close_organization, house.a)
    protection = protection_in(here)
    assert protection.sweep()["erased"] == []
    house.now[0] += 21 * DAY_S
    (receipt,) = protection.sweep()["erased"]
    verify(receipt)
    assert receipt["erased_at"] - receipt["asked_at"] == 21 * DAY_S and receipt["what"] == "organization"
    left = here.files()
    assert b"canary-bob" not in left and b"bob@example.org" not in left and b"canary-eve-answer" in left
    assert here.count(USERS) == 1 and here.ask("eve", "GET", "/v1/models").status_code == 200
    assert here.count(USAGE, USAGE.c.organization == house.a) == receipt["kept"]["usage_lines"] > 0


def test_a_closed_organization_under_a_hold_waits(here: Place) -> None:
    talk(here, "bob")
    house = here.house
    house.do(place_hold, house.a, "organization", house.a, "a case")
    house.do(close_organization, house.a, 0)
    (waits,) = protection_in(here).sweep()["erased"]
    assert "is under the legal hold" in waits["waits"] and b"canary-bob-answer" in here.files()
    with pytest.raises(UnderHold):
        house.do(erase_organization, house.a, None)


def protection_in(here: Place) -> Any:
    from creuset.server.protect.protection import protection_of

    signing = ProtectSettings(signing=here.house.file.with_name("server.db.signing"))
    directory = here.house.directory
    return protection_of(signing, directory.database, directory, clock=lambda: here.house.now[0])


def test_a_receipt_that_was_changed_does_not_hold(tmp_path: Path) -> None:
    key = make_signing_key(tmp_path / "signing")
    receipt = sign(key, {"what": "user", "deleted": {"items": 3}})
    verify(receipt, receipt["public_key"])
    assert make_signing_key(tmp_path / "signing").public_key() == key.public_key()
    other = sign(make_signing_key(tmp_path / "other"), {"what": "user"})
    with pytest.raises(DataError, match="signed by another key"):
        verify(receipt, other["public_key"])
    less = {name: value for name, value in receipt.items() if name != "what"}
    more = receipt | {"deleted": {"items": 4}}
    swapped = [receipt | {name: other[name]} for name in ("signature", "public_key")]
    for changed in (less, more, *swapped):
        with pytest.raises(DataError, match="does not hold"):
            verify(changed)
    with pytest.raises(DataError, match="no receipt"):
        verify({"kind": "letter"})


def test_money_is_kept_for_ten_years_and_deleted_by_whole_requests(here: Place) -> None:
    talk(here, "bob")
    here.charged()
    database = here.house.directory.database
    far = NOW * 2
    with database.transaction() as connection:
        with pytest.raises(RequestError, match="kept for 3653 days at least"):
            drop_old_money(connection, here.house.a, MONEY_FLOOR_DAYS - 1, far)
        assert drop_old_money(connection, here.house.a, 36_500, NOW) == {"ledger": 0, "usage_lines": 0}
        gone = drop_old_money(connection, here.house.a, MONEY_FLOOR_DAYS, far)
        assert gone["usage_lines"] >= 1
        assert (connection.execute(select(func.sum(LEDGER.c.amount))).scalar() or 0) == 0
        assert rules_of(connection, here.house.a).days is None
