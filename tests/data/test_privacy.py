"""Personal data is masked where its form and check digits agree, and left alone elsewhere."""

import pytest

from creuset.data.clean.privacy import iban, luhn, mask, nir
from creuset.data.settings import Privacy

KINDS = Privacy().mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ada.lovelace+x@analytical-engine.co.uk today.", "Write to [EMAIL] today."),
        ("Call +33 6 12 34 56 78 now.", "Call [PHONE] now."),
        ("Tél. : 06 12 34 56 78", "Tél. : [PHONE]"),
        ("Tél. : 01.23.45.67.89.", "Tél. : [PHONE]."),
        ("Phone (415) 555-0132 or 415-555-0132.", "Phone [PHONE] or [PHONE]."),
        ("My card is 4111 1111 1111 1111, thanks", "My card is [CARD], thanks"),
        ("5555-5555-5555-4444", "[CARD]"),
        ("IBAN FR14 2004 1010 0505 0001 3M02 606.", "IBAN [IBAN]."),
        ("GB29NWBK60161331926819", "[IBAN]"),
        ("from 82.66.4.4 and 2001:4860:4860::8888", "from [IP] and [IP]"),
        ("NIR 2 55 08 14 168 025 38.", "NIR [NIR]."),
        ("Siren 732 829 320", "Siren [SIREN]"),
        ("SIRET : 732 829 320 00074", "SIRET : [SIRET]"),
        ("RCS Paris 732829320", "RCS Paris [SIREN]"),
        ("line one\nmail a@b.org\nfrom 415-555-0132", "line one\nmail [EMAIL]\nfrom [PHONE]"),
    ],
)
def test_personal_data_is_masked(text, masked):
    found, counts = mask(text, KINDS)
    assert found == masked and sum(counts.values()) == masked.count("[")


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com and joe@mail.example.org are examples",
        "a decorator @app.route(x) and @media (min-width: 3px)",
        "4111 1111 1111 1112 fails Luhn",
        "0000 0000 0000 0000",
        "FR14 2004 1010 0505 0001 3M02 607 fails mod 97",
        "ISBN 978-3-16-148410-0 and 3-16-148410-0",
        "the years 1914-1918, 1939-1945 and 2001-2010",
        "a population of 732 829 320 people",
        "pi is 3.14159265358979 and e 2.718281828459045",
        "hosts 127.0.0.1, 192.168.0.1, 10.0.0.7, ::1",
        "PHP version 5.3.2.1 and 999.1.1.1",
        "2 55 08 14 168 025 39 fails mod 97",
        "2023-10-05 12:30:45 and 12:30:45:99",
        "1,234,567,890 and 1 234 567 890 francs",
        "std::vector::iterator a::b",
        "0123456789abcdef0123456789abcdef",
        "http://host/item/0612345678/x",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert mask(text, KINDS) == (text, {})


def test_only_the_kinds_asked_for_are_masked():
    assert mask("a@b.org 415-555-0132", ("phone",))[0] == "a@b.org [PHONE]"


def test_check_digits():
    assert luhn("79927398713") and not any(luhn(f"7992739871{d}") for d in "012456789")
    assert iban("DE89370400440532013000") and not iban("DE89370400440532013001") and not iban("DE8937040044053201300")
    assert nir("255081416802538") and nir("1 85 05 2A 123 456 " + nir_key("1850519123456"))


def nir_key(number):
    return f"{97 - int(number) % 97:02d}"
