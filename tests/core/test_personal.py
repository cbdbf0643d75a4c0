"""Personal data is masked where its form and check digits agree, and left alone elsewhere."""

import time

import pytest

from creuset.core.personal import find, mask
from creuset.core.personal.check_digits import iban, luhn, nir
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
        # Other digits beside a card or an account.
        ("4111 1111 1111 1111 12/27", "[CARD] 12/27"),
        ("4111111111111111 12/27", "[CARD] 12/27"),
        ("12 4111111111111111", "12 [CARD]"),
        ("le 12 03 4111 1111 1111 1111 5 fois", "le 12 03 [CARD] 5 fois"),
        ("BE68 5390 0754 7034 BANK", "[IBAN] BANK"),
        ("LU28 0019 4006 4475 0000 BIC BGLLLULL", "[IBAN] BIC BGLLLULL"),
        ("ES91 2100 0418 4502 0005 1332 BBVA", "[IBAN] BBVA"),
        ("PL61 1090 1014 0000 0712 1981 2874 BANK", "[IBAN] BANK"),
        # Blanks that do not break, hyphens, small letters, every country.
        ("FR76\u00a03000\u00a06000\u00a00112\u00a03456\u00a07890\u00a0189", "[IBAN]"),
        ("4111\u202f1111\u202f1111\u202f1111", "[CARD]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[CARD]"),
        ("FR76-3000-6000-0112-3456-7890-189", "[IBAN]"),
        ("fr7630006000011234567890189", "[IBAN]"),
        ("1-85-05-78-006-084-91", "[NIR]"),
        ("LY83002048000020100120361", "[IBAN]"),
        # Telephone numbers of any country, and the ways in which the French write theirs.
        ("+44 7911 123456", "[PHONE]"),
        ("+49 170 1234567", "[PHONE]"),
        ("+34 612345678", "[PHONE]"),
        ("+39 347 1234567", "[PHONE]"),
        ("+32 470123456", "[PHONE]"),
        ("+1 4155550132", "[PHONE]"),
        ("+91 98765 43210", "[PHONE]"),
        ("0692 12 34 56", "[PHONE]"),
        ("(06) 12 34 56 78", "[PHONE]"),
        ("0612345678/0698765432", "[PHONE]/[PHONE]"),
        ("06/12/34/56/78", "[PHONE]"),
        ("06 123 456 78", "[PHONE]"),
        ("Handy: 0171/1234567, Tel. 030 12345678", "Handy: [PHONE], Tel. [PHONE]"),
        ("llámame al 612 345 678", "llámame al [PHONE]"),
        ("Call me on 020 7946 0958.", "Call me on [PHONE]."),
        # Mail addresses with letters of all alphabets, apostrophes, entities.
        ("marie@société.fr", "[EMAIL]"),
        ("o'neil@orange.fr", "[EMAIL]"),
        ("rené.müller@société.fr", "[EMAIL]"),
        ("bob&#64;gmail.com", "[EMAIL]"),
        ("'bob@gmail.com'", "'[EMAIL]'"),
        ("jean [at] laposte [dot] net", "[EMAIL]"),
        # Numbers that states give to people, and secrets.
        ("DNI 12345678Z, NIE X1234567L", "DNI [NATIONAL_ID], NIE [NATIONAL_ID]"),
        ("codice RSSMRA85T10A562S", "codice [NATIONAL_ID]"),
        ("NISS 85.07.30-033.28; BSN 111222333", "NISS [NATIONAL_ID]; BSN [NATIONAL_ID]"),
        ("Steuer-ID 36 574 261 809", "Steuer-ID [NATIONAL_ID]"),
        ("token = ghp_" + "a1B2" * 9, "token = [SECRET]"),
        ("mot de passe : Garonne!47.", "mot de passe : [SECRET]."),
        ("postgres://app:pQ7rT2xx@db.host.fr/x", "postgres://app:[SECRET]@db.host.fr/x"),
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
        "Numéros gagnants : 03 12 24 31 45",
        "le tirage du loto : 03 12 24 31 45",
        "ISBN 0201633612",
        "ref 0234567891",
        "Chrome 114.0.57.98",
        "Linux kernel 5.15.0.91",
        "Figure 11.12.1.3",
        "git@github.com:x/y",
        "scp me@host.fr:/srv/files/x .",
        "your password: it must have twelve characters",
        "mysql://user:password@localhost.fr/",
        "DNI 12345678A",
        "the phone book of 2011–2020",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert mask(text, KINDS) == (text, {})


def test_only_the_kinds_asked_for_are_masked():
    assert mask("a@b.org 415-555-0132", ("phone",))[0] == "a@b.org [PHONE]"


def test_check_digits():
    assert luhn("79927398713") and not any(luhn(f"7992739871{d}") for d in "012456789")
    assert iban("DE89370400440532013000") and not iban("DE89370400440532013001") and not iban("DE8937040044053201300")
    assert nir("255081416802538") and nir("185052A123456" + nir_key("1850519123456"))


def nir_key(number):
    return f"{97 - int(number) % 97:02d}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("M. Petit\n12 rue du 8 mai 1945\n69003 LYON CEDEX 03", "12 rue du 8 mai 1945\n69003 LYON CEDEX 03"),
        ("an die Lindenallee 4, 14050 Berlin im Mai", "Lindenallee 4, 14050 Berlin"),
        ("In 1929 Wall Street fell.", None), ("75000 visiteurs sur la place du Capitole", None),
        ("Am 9. November 1989 fiel die Mauer.", None), ("She lives at 12 Elm Road with her cat.", "12 Elm Road"),
        ("They painted 12 Elm Road and 5 more.", None),
    ],
)  # fmt: skip
def test_an_address_has_a_number_a_street_and_a_code_or_is_announced(text, found):
    assert find(text, ("address",)) == ([("address", found)] if found else [])


@pytest.mark.parametrize(
    "piece", ["12 rue ", "12 Elm ", "Am ", "calle ", "1", "12345 A", "né ", "born ", "lives at ", "A-", "75000 P"]
)
def test_no_text_makes_addresses_and_dates_slow(piece):
    began = time.thread_time()
    find((piece * 20_000)[:60_000] + " 75001 Paris", ("address", "born"))
    assert time.thread_time() - began < 3.0  # what grows with the square takes minutes


@pytest.mark.parametrize("line", ["1" * 60 + "a", "+" + "1" * 60 + "a", "12 " * 60 + "x", "(0" + "1" * 60 + "_"])
def test_a_long_run_of_digits_is_read_in_one_go(line: str) -> None:
    """Tried in pieces, forty digits before a letter took longer than anybody waits."""
    assert not [kind for kind, _ in find(line) if kind == "phone"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("P<FRADUPONT<<MARIE<<<\n12AB345673FRA8505078F3001012<<<<<<<<<<<<<<00", None),
        ("adresse 2001:db80::1 et 2a01:cb00:12::f1", "2a01:cb00:12::f1"),
        ("::1 or fe80::1, then 2606:4700:4700::1111.", "2606:4700:4700::1111"),
        ("std::string a::b and 12:34:56", None),
    ],
)
def test_forms_that_are_found_from_their_middle(text: str, what: str | None) -> None:
    assert [found for kind, found in find(text) if kind == "ip"][-1:] == ([what] if what else [])
