"""An invoice in the form of Factur-X 1.07 (EN 16931, profile BASIC): UN/CEFACT's Cross Industry Invoice, D22B.

The lines are the ledger's charges of a span of days, one for each model and kind of token. The ledger counts in
millionths, and an invoice in hundredths: the whole is rounded once, half up, and the lines so that they add up to it
(each by less than a cent; those with the largest remainders are rounded up).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree

from creuset.core.errors import ConfigError

CENT = 10_000  # millionths
PROFILE = "urn:cen.eu:en16931:2017#compliant#urn:factur-x.eu:1p0:basic"
_NAMES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}


@dataclass(frozen=True, slots=True)
class TradeParty:
    """Who sells or who buys."""

    name: str
    street: str
    postcode: str
    city: str
    country: str  # ISO 3166-1, two letters
    vat: str = ""  # number for VAT
    siret: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            raise ConfigError(f"the country of `{self.name}` must be two letters such as FR, got `{self.country}`")
        if missing := [name for name in ("name", "street", "postcode", "city") if not getattr(self, name)]:
            raise ConfigError(f"an invoice needs the {missing[0]} of who sells and of who buys")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    name: str
    cents: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Invoice:
    number: str
    day: date
    first: date  # of the days that it is for
    last: date
    due: date
    currency: str
    seller: TradeParty
    buyer: TradeParty
    vat_percent: str  # such as "20.00"
    lines: tuple[InvoiceLine, ...]

    @property
    def net(self) -> int:
        return sum(line.cents for line in self.lines)

    @property
    def vat(self) -> int:
        """Of the whole, half up, in hundredths."""
        return (self.net * hundredths(self.vat_percent) + 5000) // 10_000


def hundredths(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?", text):
        raise ConfigError(f"a rate of VAT is a number such as 20 or 5.5, got `{text}`")
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))


def lines_of(rows: Sequence[dict[str, Any]]) -> tuple[InvoiceLine, ...]:
    """The lines of the ledger's sums (`report.costs`, by line_item) in one currency."""
    charged = [(str(row["line_item"]), int(row["amount"]), int(row["quantity"])) for row in rows if row["amount"]]
    if len({row["currency"] for row in rows if row["amount"]}) > 1:
        raise ConfigError("an invoice has one currency: these charges have several")
    total = (sum(amount for _, amount, _ in charged) + CENT // 2) // CENT
    cents = [amount // CENT for _, amount, _ in charged]
    order = sorted(range(len(charged)), key=lambda at: (-(charged[at][1] % CENT), at))
    for at in order[: total - sum(cents)]:
        cents[at] += 1
    return tuple(
        InvoiceLine(f"{name} tokens ({quantity})", cent)
        for (name, _, quantity), cent in zip(charged, cents, strict=True)
    )


def as_xml(invoice: Invoice) -> bytes:
    """The XML of the invoice. ConfigError for one without lines."""
    if not invoice.lines:
        raise ConfigError("nothing was charged in these days: there is nothing to invoice")
    for prefix, name in _NAMES.items():
        ElementTree.register_namespace(prefix, name)
    root = _node("rsm:CrossIndustryInvoice")
    _put(root, "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID", PROFILE)
    document = _put(root, "rsm:ExchangedDocument")
    _put(document, "ram:ID", invoice.number)
    _put(document, "ram:TypeCode", "380")
    _day(_put(document, "ram:IssueDateTime"), invoice.day)
    trade = _put(root, "rsm:SupplyChainTradeTransaction")
    rate = f"{hundredths(invoice.vat_percent) / 100:.2f}"
    kind = "S" if hundredths(invoice.vat_percent) else "Z"
    for number, line in enumerate(invoice.lines, 1):
        item = _put(trade, "ram:IncludedSupplyChainTradeLineItem")
        _put(item, "ram:AssociatedDocumentLineDocument/ram:LineID", str(number))
        _put(item, "ram:SpecifiedTradeProduct/ram:Name", line.name)
        price = _put(item, "ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount")
        price.text = _money(line.cents)
        _put(item, "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity", "1", unitCode="C62")
        settled = _put(item, "ram:SpecifiedLineTradeSettlement")
        tax = _put(settled, "ram:ApplicableTradeTax")
        for name, text in (("TypeCode", "VAT"), ("CategoryCode", kind), ("RateApplicablePercent", rate)):
            _put(tax, f"ram:{name}", text)
        _put(settled, "ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount", _money(line.cents))
    agreement = _put(trade, "ram:ApplicableHeaderTradeAgreement")
    _party(_put(agreement, "ram:SellerTradeParty"), invoice.seller)
    _party(_put(agreement, "ram:BuyerTradeParty"), invoice.buyer)
    _put(trade, "ram:ApplicableHeaderTradeDelivery")
    settlement = _put(trade, "ram:ApplicableHeaderTradeSettlement")
    _put(settlement, "ram:InvoiceCurrencyCode", invoice.currency)
    tax = _put(settlement, "ram:ApplicableTradeTax")
    for name, text in (("CalculatedAmount", _money(invoice.vat)), ("TypeCode", "VAT"),
                       ("BasisAmount", _money(invoice.net)), ("CategoryCode", kind),
                       ("RateApplicablePercent", rate)):  # fmt: skip
        _put(tax, f"ram:{name}", text)
    span = _put(settlement, "ram:BillingSpecifiedPeriod")
    _day(_put(span, "ram:StartDateTime"), invoice.first)
    _day(_put(span, "ram:EndDateTime"), invoice.last)
    _day(_put(settlement, "ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime"), invoice.due)
    sums = _put(settlement, "ram:SpecifiedTradeSettlementHeaderMonetarySummation")
    _put(sums, "ram:LineTotalAmount", _money(invoice.net))
    _put(sums, "ram:TaxBasisTotalAmount", _money(invoice.net))
    _put(sums, "ram:TaxTotalAmount", _money(invoice.vat), currencyID=invoice.currency)
    _put(sums, "ram:GrandTotalAmount", _money(invoice.net + invoice.vat))
    _put(sums, "ram:DuePayableAmount", _money(invoice.net + invoice.vat))
    xml: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml


def _party(node: ElementTree.Element, party: TradeParty) -> None:
    _put(node, "ram:Name", party.name)
    if party.siret:
        _put(node, "ram:SpecifiedLegalOrganization/ram:ID", party.siret, schemeID="0002")
    address = _put(node, "ram:PostalTradeAddress")
    for name, text in (("PostcodeCode", party.postcode), ("LineOne", party.street), ("CityName", party.city),
                       ("CountryID", party.country)):  # fmt: skip
        _put(address, f"ram:{name}", text)
    if party.vat:
        _put(node, "ram:SpecifiedTaxRegistration/ram:ID", party.vat, schemeID="VA")


def _node(name: str, **attributes: str) -> ElementTree.Element:
    prefix, _, local = name.partition(":")
    return ElementTree.Element(f"{{{_NAMES[prefix]}}}{local}", attributes)


def _put(node: ElementTree.Element, path: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    """New elements along `path`; the last one has `text` and `attributes`."""
    *above, last = path.split("/")
    for name in above:
        inner = _node(name)
        node.append(inner)
        node = inner
    found = _node(last, **attributes)
    found.text = text
    node.append(found)
    return found


def _day(node: ElementTree.Element, day: date) -> None:
    _put(node, "udt:DateTimeString", day.strftime("%Y%m%d"), format="102")


def _money(cents: int) -> str:
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02}"
