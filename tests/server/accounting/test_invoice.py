"""Invoices and FOCUS say what the ledger says; the XML is what its schema allows."""

import csv
import io
from datetime import date
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from creuset.core.errors import ConfigError
from creuset.server.accounting.invoice import CENT, Invoice, InvoiceLine, TradeParty, as_xml, lines_of
from creuset.server.tenants.money.report import FOCUS

RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
SELLER = TradeParty("Forge & Fils", "1 rue <Haute>", "75001", "Paris", "FR", "FR12345678901", "12345678900011")
BUYER = TradeParty("Acme", "2 High Street", "10115", "Berlin", "DE")


def invoice(*cents: int, **more: Any) -> Invoice:
    lines = tuple(InvoiceLine(f"gpt-4o, output tokens ({at})", cent) for at, cent in enumerate(cents))
    plain: dict[str, Any] = {
        "number": "2026-001", "day": date(2026, 12, 1), "first": date(2026, 11, 1), "last": date(2026, 11, 30),
        "due": date(2026, 12, 31), "currency": "EUR", "seller": SELLER, "buyer": BUYER, "vat_percent": "20",
        "lines": lines,
    }  # fmt: skip
    return Invoice(**plain | more)


@pytest.mark.parametrize("vat", ["20", "5.5", "0"])
def test_the_xml_is_what_the_schema_of_factur_x_allows(vat: str) -> None:
    from facturx import get_level, xml_check_xsd
    from lxml import etree

    xml = as_xml(invoice(1234, 1, 0, vat_percent=vat))
    assert get_level(etree.fromstring(xml)) == "basic"
    assert xml_check_xsd(xml, flavor="factur-x", level="basic")
    with pytest.raises(Exception, match=r"(?i)not valid|expected|schema"):
        xml_check_xsd(
            xml.replace(b"TypeCode>380</ram:TypeCode", b"Typed>380</ram:Typed"), flavor="factur-x", level="basic"
        )
    root = ElementTree.fromstring(xml)
    assert root.findtext(f".//{RAM}SellerTradeParty/{RAM}PostalTradeAddress/{RAM}LineOne") == "1 rue <Haute>"
    net, tax, all_ = (root.findtext(f".//{RAM}{name}") for name in
                      ("TaxBasisTotalAmount", "TaxTotalAmount", "GrandTotalAmount"))  # fmt: skip
    assert net == "12.35" and tax == {"20": "2.47", "5.5": "0.68", "0": "0.00"}[vat]
    assert Fraction(str(net)) + Fraction(str(tax)) == Fraction(str(all_))


@seed(12)
@settings(max_examples=100, deadline=None)
@given(amounts=st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_lines_add_up_to_the_ledger_rounded_once(amounts: list[int]) -> None:
    rows = [
        {"line_item": str(at), "amount": amount, "quantity": 1, "currency": "EUR"} for at, amount in enumerate(amounts)
    ]
    lines = lines_of(rows)
    assert sum(line.cents for line in lines) == (sum(amounts) + CENT // 2) // CENT
    told = [amount for amount in amounts if amount]
    assert all(abs(line.cents * CENT - amount) < CENT for line, amount in zip(lines, told, strict=True))


def test_what_cannot_be_invoiced_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing was charged"):
        as_xml(invoice())
    with pytest.raises(ConfigError, match="two letters such as FR, got `France`"):
        TradeParty("a", "b", "c", "d", "France")
    with pytest.raises(ConfigError, match="needs the street"):
        TradeParty("a", "", "c", "d", "FR")
    with pytest.raises(ConfigError, match="a rate of VAT is a number"):
        as_xml(invoice(1, vat_percent="a lot"))
    row = {"line_item": "a", "amount": 1, "quantity": 1}
    with pytest.raises(ConfigError, match="these charges have several"):
        lines_of([row | {"currency": "EUR"}, row | {"currency": "USD"}])


def test_an_invoice_and_focus_of_a_ledger_have_its_sum(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    from creuset.cli import main
    from creuset.server.database import Database
    from creuset.server.database.backup import ledger_sums
    from creuset.server.tenants.keys import ORGANIZATION
    from creuset.types.usage import TokenUsage

    from ..money.conftest import MODEL, caller
    from ..money.test_books import opened

    database = Database(f"sqlite:///{tmp_path}/one.db")

    async def fill() -> None:
        gate = opened(database)
        await gate.start()
        for at in range(9):
            who = caller(organization=ORGANIZATION)
            hold = await gate.admit(who, MODEL, request=f"r{at}", prompt_tokens=50_000, max_tokens=9_000)
            hold.settle(TokenUsage(input=50_000 - at, output=1000 * at, cached=7 * at))
        await gate.stop()

    asyncio.run(fill())
    with database.reading() as connection:
        spent = sum(total for name, total in ledger_sums(connection).items() if name.startswith("spent/"))
    database.close()
    days = ["--since", "2026-05-01", "--until", "2026-06-30", "--database", f"{tmp_path}/one.db"]
    assert main(["costs", "--csv", *days]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == FOCUS and {row["BillingCurrency"] for row in rows} == {"USD"}
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Fraction(row[column]) for row in rows) == Fraction(spent, 10**6)
    parties = [
        "--seller",
        "Forge|1 rue Haute|75001|Paris|FR|FR12345678901",
        "--buyer",
        "Acme|2 High Street|10115|Berlin|DE",
    ]
    assert main(["costs", "--invoice", "2026-001", *parties, "--vat", "20", *days]) == 0
    from facturx import xml_check_xsd

    xml = capsys.readouterr().out.encode()
    assert xml_check_xsd(xml, flavor="factur-x", level="basic")
    net = ElementTree.fromstring(xml).findtext(f".//{RAM}TaxBasisTotalAmount")
    assert Fraction(str(net)) * 100 == (spent + CENT // 2) // CENT
