"""The page of administration: what it shows is what the ledger has, and what it does is done."""

import json

import httpx
from sqlalchemy import func, select

from creuset.core.sentences import table
from creuset.server.tenants.directory.tables import AUDIT
from creuset.server.tenants.money.report import decimal
from creuset.server.tenants.money.tables import USAGE

from .conftest import Admin

PARTS = ("spending", "limits", "people", "projects", "speed", "models", "audit")


def test_without_signing_on_there_are_files_and_no_data(admin: Admin) -> None:
    with httpx.Client(base_url=admin.server.url, trust_env=False) as nobody:
        shell = nobody.get("/admin")
        assert shell.status_code == 200 and "script-src 'self'" in shell.headers["content-security-policy"]
        assert "unsafe" not in shell.headers["content-security-policy"]
        assert nobody.get("/admin/words.json").json()["fr"]["sign on"] == "Se connecter"
        for name in ("nothing.js", "index.html", "..%2froutes.py", "../routes.py"):
            assert nobody.get(f"/admin/{name}").status_code in (401, 404)
        for part in ("spending", "limits", "traffic", "names"):
            assert nobody.get(f"/v1/creuset/organization/{part}").status_code == 401


def test_what_was_spent_is_what_the_ledger_says(admin: Admin) -> None:
    admin.sign_on()
    with admin.house.directory.database.reading() as connection:
        cost = int(connection.execute(select(func.sum(USAGE.c.cost))).scalar() or 0)
    assert cost > 0
    admin.open("spending")
    shown = admin.page.js("$('#total').innerText")
    assert shown == f"{decimal(cost).rstrip('0')} USD", shown
    assert "bob@example.org" in admin.text()
    for by in ("project", "model", "key", "day", "user"):
        admin.page.js(
            f"$('[name=by]').value = '{by}'; $('[name=by]').dispatchEvent(new Event('change', {{bubbles: true}}))"
        )
        assert admin.page.js("$('#total').innerText") == shown, f"the sum by {by} is the same"


def test_every_part_opens_in_both_languages_fits_a_telephone_and_complains_of_nothing(admin: Admin) -> None:
    admin.sign_on()
    admin.page.complaints.clear()
    words = table("console")
    for lang in ("fr", "en"):
        admin.page.js(f"$('[data-speak={lang}]').click()")
        for part in PARTS:
            admin.open(part, ready=f"$('#main h1').innerText === {json.dumps(words[f'part {part}'][lang])}")
            assert admin.page.js("document.documentElement.lang") == lang
            admin.page.size(390, 800)
            assert admin.page.js("document.documentElement.scrollWidth <= 390"), f"{part} is wider than a telephone"
            admin.page.size(1200, 800)
            labels = "[...document.querySelectorAll('main input, main select')].filter(i => !i.closest('label')).length"
            assert admin.page.js(labels) == 0, f"{part}: a field has no label"
    assert admin.page.complaints == []
    assert all(url.startswith((admin.server.url, "about:", "data:")) for url in admin.page.requests)


def test_a_budget_is_set_seen_and_taken_away(admin: Admin) -> None:
    admin.sign_on()
    admin.open("limits")
    admin.fill("#main form", whose=f"project:{admin.house.project}", what="money", window="month", amount="12.5")
    admin.page.wait("$('#main table')")
    assert "12.50 USD" in admin.text() and "default" in admin.text()
    admin.page.js("$('#main td button').click()")
    admin.page.wait("$('#main td button').innerText === 'Really?'")
    assert admin.page.js("$$('#main table').length") == 1, "one click takes nothing away"
    admin.page.js("$('#main td button').click()")
    admin.page.wait("!$('#main table')")
    admin.fill("#main form", whose="organization:", what="money", window="month", amount="x")
    assert admin.page.js("$('#main form [name=amount]').validity.valid") is False


def test_a_key_is_made_shown_once_works_and_is_revoked(admin: Admin) -> None:
    admin.sign_on()
    admin.open("projects", ready="$('#main form[aria-label=\"New key for a program\"]')")
    admin.page.js("$('form[aria-label=\"New key for a program\"] [name=name]').value = 'robot'")
    admin.page.js("$('form[aria-label=\"New key for a program\"] button').click()")
    admin.page.wait("$('#made .secret code')")
    key = admin.page.js("$('#made .secret code').innerText")
    with httpx.Client(base_url=admin.server.url, headers={"x-api-key": key}, trust_env=False) as robot:
        assert robot.get("/v1/models").status_code == 200
        row = "$$('#main tr').find(r => r.innerText.includes('robot') && r.querySelector('code'))"
        admin.page.js(f"{row}.querySelector('button').click()")
        admin.page.js(f"{row}.querySelector('button').click()")
        admin.page.wait(f"!{row}")
        assert robot.get("/v1/models").status_code == 401
    admin.open("audit", ready="$('#main tbody tr')")
    assert "api_key.deleted" in admin.text() and "ann@example.org" in admin.text()
    with admin.house.directory.database.reading() as connection:
        assert key not in json.dumps([list(map(str, row)) for row in connection.execute(select(AUDIT))])


def test_speed_and_errors_are_those_of_the_own_organization(admin: Admin) -> None:
    admin.sign_on()
    admin.open("speed", ready="$('#main table')")
    row = admin.page.js("$$('#main tr').find(r => r.innerText.includes('chat/completions')).innerText")
    assert "200: 1" in row and "400: 1" in row and "1 (50 %)" in row


def test_it_works_by_keyboard(admin: Admin) -> None:
    admin.sign_on()
    admin.open("spending")
    admin.page.js("document.querySelector('#tabs a').focus()")
    seen = set()
    for _ in range(12):
        seen.add(str(admin.page.js("(e => e.tagName + ' ' + (e.name || e.hash || ''))(document.activeElement)")))
        admin.page.press("Tab")
    assert {"A #audit", "SELECT days", "SELECT by"} <= seen, seen
    admin.page.js("document.querySelector('#tabs a[href=\"#people\"]').focus()")
    admin.page.press("Enter")
    admin.page.wait("$('#main h1').innerText === 'People' && document.activeElement.id === 'main'")


def test_signing_off_ends_it(admin: Admin) -> None:
    admin.sign_on()
    admin.page.js("$('#leave').click()")
    admin.page.wait("$('form.sign')")
    assert admin.page.js("fetch('/auth/session').then(r => r.status)") == 401
    admin.fill("form.sign", email="ann@example.org", password="a wrong password")
    admin.page.wait("!$('#said').hidden")
    assert admin.page.js("$('#said').className") == "bad"
