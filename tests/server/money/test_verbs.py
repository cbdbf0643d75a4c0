"""`creuset limits`, `budgets`, `prices`, `usage` and `costs`: what they set and tell; alerts by mail."""

import asyncio
import csv
import io
import json
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest

from creuset.cli import main
from creuset.server.database import Database
from creuset.server.tenants.keys import ORGANIZATION
from creuset.server.tenants.money.alerts import AlertSender, MailServer
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.report import FOCUS
from creuset.server.tenants.money.rules import Channel, SpendAlert, add_alert, read_settings, set_limit
from creuset.types.usage import TokenUsage

from .conftest import MODEL, NOW, caller
from .test_books import opened
from .test_prices import OWN


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "one.db")


def ran(place: str, *words: str) -> int:
    return main([*words, "--database", place])


def test_limits_and_budgets_are_set_listed_changed_and_removed(place, capsys):
    assert ran(place, "limits", "set", "key", "ann", "--requests", "60", "--tokens", "1000", "--per", "hour") == 0
    assert ran(place, "limits", "set", "key", "each", "--at-a-time", "4", "--model", "mini") == 0
    assert ran(place, "limits", "set", "key", "ann", "--requests", "90", "--per", "hour", "--burst", "5") == 0
    assert ran(place, "budgets", "set", "organization", "--amount", "12.50", "--currency", "eur", "--zone",
               "Europe/Paris", "--alert", "80", "--alert", "100", "--mail-to", "ann@example.org") == 0  # fmt: skip
    capsys.readouterr()
    ran(place, "limits", "list", "--json")
    listed = json.loads(capsys.readouterr().out)
    told = {(one["what"], one["window"], one["subject"], one["model"], one["amount"], one["burst"]) for one in listed}
    assert told == {
        ("requests", "hour", "ann", "", 90, 5), ("tokens", "hour", "ann", "", 1000, None),
        ("concurrent", "", "*", "mini", 4, None),
    }  # fmt: skip
    ran(place, "budgets", "list", "--json")
    (budget,) = json.loads(capsys.readouterr().out)
    assert (budget["budget"], budget["spent"], budget["alerts"]) == ("12.50 EUR", "0.00 EUR", "80 %, 100 %")
    assert ran(place, "budgets", "remove", budget["id"]) == 0 and ran(place, "limits", "remove", "limit_x") == 2
    with Database(f"sqlite:///{place}").reading() as connection:
        settings = read_settings(connection)
    assert settings.alerts == () and len(settings.limits) == 3 and settings.version > 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("limits", "set", "key", "ann"), "a limit on what?"),
        (("limits", "set", "group", "g", "--requests", "1"), "a file of keys knows no groups"),
        (("limits", "set", "organization", "x", "--requests", "1"), "name nobody else"),
        (("limits", "set", "key", "a", "--requests", "1", "--per", "month", "--burst", "1"), "`burst` belongs to"),
        (("limits", "set", "key", "a", "--requests", "1", "--zone", "Mars"), "`Mars` is not a time zone"),
        (("budgets", "set", "key", "--amount", "1"), "which key?"),
        (("budgets", "set", "key", "a", "--amount", "1.2345678"), "no amount of money"),
        (("budgets", "set", "key", "a", "--amount", "1", "--alert", "50"), "an alert needs somewhere to go"),
        (("budgets", "set", "key", "a", "--amount", "1", "--alert", "0", "--mail-to", "a@b"), "between 1 and 1000"),
        (("budgets", "set", "key", "a", "--amount", "1", "--alert", "5", "--webhook", "file:///x"), "a webhook is"),
        (("usage", "--since", "May"), "--since must be a day"),
        (("costs", "--since", "2026-05-02", "--until", "2026-05-01"), "--until 2026-05-01 is before"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(place, capsys, words, said):
    assert ran(place, *words) == 2
    assert said in capsys.readouterr().err


def test_limits_name_people_and_projects_of_a_directory(place, capsys):
    assert ran(place, "people", "setup", "Acme", "--email", "ann@example.org") == 0
    found = {}
    for kind, name in (("user", "Ann@example.org"), ("project", "default"), ("organization", "")):
        capsys.readouterr()
        assert ran(place, "budgets", "set", kind, *filter(None, [name]), "--amount", "5", "--json") == 0
        found[kind] = json.loads(capsys.readouterr().out)["subject"]
    assert len(set(found.values())) == 3 and not {"Ann@example.org", "default", "Acme"} & set(found.values())
    assert ran(place, "budgets", "set", "project", "nobody's", "--amount", "5") == 2
    assert "no project is called `nobody's`" in capsys.readouterr().err


def spend(place: str) -> None:
    async def run() -> None:
        database = Database(f"sqlite:///{place}")
        gate = opened(database)
        await gate.start()
        for at, key in enumerate(("k1", "k2", "k1")):
            who = caller(key, organization=ORGANIZATION)
            hold = await gate.admit(who, MODEL, request=f"r{at}", prompt_tokens=1000, max_tokens=100)
            hold.settle(TokenUsage(input=1000, cached=200, output=10 * at))
        await gate.stop()
        database.close()

    asyncio.run(run())


def test_usage_and_costs_are_added_up_and_written_in_focus_form(place, capsys):
    spend(place)
    since = ("--since", "2026-05-01", "--until", "2026-05-31")
    assert ran(place, "usage", *since, "--by", "key", "--json") == 0
    rows = {row["api_key_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert {key: (row["input"], row["cached"], row["output"], row["requests"]) for key, row in rows.items()} == {
        "k1": (2000, 400, 20, 2), "k2": (1000, 200, 10, 1),
    }  # fmt: skip
    assert rows["k1"]["millionths"] == 2 * 2250 + 200 and rows["k1"]["cost"] == "0.0047 USD"
    assert ran(place, "costs", *since, "--by", "item") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["line_item", "quantity", "cost"] and "gpt-4o, cached input" in table[1]
    assert ran(place, "costs", *since, "--csv", "--provider", "Acme") == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(found[0]) == FOCUS and {row["ProviderName"] for row in found} == {"Acme"}
    total = sum(int(row["BilledCost"].replace(".", "")) for row in found)
    assert total == 2250 * 3 + 300, "millionths"
    one = next(row for row in found if row["Tags"].startswith('{"key": "k2"') and "output" in row["SkuId"])
    assert (one["BilledCost"], one["ConsumedQuantity"], one["PricingQuantity"]) == ("0.000100", "10", "0.000010")
    assert one["ListUnitPrice"] == "10.000000" and one["ChargePeriodStart"] < one["ChargePeriodEnd"]
    assert one["SkuPriceId"].startswith("gpt-4o@2025#") and one["BillingPeriodStart"] == "2026-05-01T00:00:00Z"
    assert ran(place, "usage", "--since", "2026-06-01", "--until", "2026-06-02") == 0
    assert capsys.readouterr().out == "nothing was used\n"


def test_own_prices_are_set_and_charged(place, capsys, tmp_path):
    (tmp_path / "own.toml").write_text(OWN.replace('names = ["mini"]', 'names = ["gpt-4o"]'))
    assert ran(place, "prices", "set", str(tmp_path / "own.toml")) == 0
    capsys.readouterr()
    assert ran(place, "prices", "list", "--json") == 0
    assert [row["set"] for row in json.loads(capsys.readouterr().out)][:2] == ["own", "list"]
    spend(place)
    ran(place, "costs", "--since", "2026-05-01", "--until", "2026-05-31", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    each = [(800 * 150_000 + 200 * 15_000 + 10 * at * 600_000 + 500_000) // 10**6 for at in range(3)]
    assert row["millionths"] == sum(each) and row["cost"].endswith(" EUR")
    (tmp_path / "own.toml").write_text("x")
    assert ran(place, "prices", "set", str(tmp_path / "own.toml")) == 3


# -- mail


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to give one letter."""

    letters: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.letters.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


def test_an_alert_goes_by_mail_once_however_many_servers_see_it():
    mailbox: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox)
    mailbox.letters = []
    thread = threading.Thread(target=mailbox.serve_forever)
    thread.start()

    async def run() -> None:
        database = Database()
        budget = Limit(id="", organization="org", kind="project", subject="proj", what="money", window="month",
                       amount=1_000_000, currency="EUR")  # fmt: skip
        with database.transaction() as connection:
            limit = set_limit(connection, budget)
            channel = Channel(mail=("ann@example.org", "bob@example.org"), subject_prefix="[money]")
            alert = SpendAlert(id="", organization="org", limit=limit.id, share=80, channel=channel)
            alert = add_alert(connection, alert)
        mail = MailServer(f"smtp://127.0.0.1:{mailbox.server_address[1]}", "creuset@example.org")
        senders = [AlertSender(database, mail=mail, wait_s=0.01, clock=lambda: NOW) for _ in range(3)]
        for sender in senders:
            sender.start()
            sender.adopt((alert,))
        for spent in (799_999, 800_000, 900_000):
            for sender in senders:
                sender.spent(limit, "proj", NOW * 10**6, spent)
        for sender in senders:
            await sender.stop()
        assert len(mailbox.letters) == 1
        senders[0].spent(limit, "proj", (NOW + 1) * 10**6, 850_000)  # the next month
        await senders[0].stop()
        database.close()

    try:
        asyncio.run(run())
    finally:
        mailbox.shutdown()
        thread.join()
        mailbox.server_close()
    first = mailbox.letters[0]
    assert len(mailbox.letters) == 2 and "To: ann@example.org, bob@example.org" in first
    assert "Subject: [money] 80 % of the budget of project proj is spent" in first.replace("\r\n ", " ")
    assert "0.80 EUR of 1.00 EUR are spent by project proj in the month" in first


def test_a_mail_server_is_an_address_without_a_password():
    from creuset.core.errors import ConfigError

    for url in ("http://x", "smtp://", "smtp://ann:secret@mail.example.org"):
        with pytest.raises(ConfigError, match="without a password") as found:
            MailServer(url)
        assert "secret" not in str(found.value)
