"""Our checks of numbers beside python-stdnum's, which implements the same standards."""

import random
import re

import pytest
from stdnum import iban as their_iban
from stdnum import luhn as their_luhn
from stdnum import numdb
from stdnum.fr import nir as their_nir
from stdnum.fr import siren as their_siren
from stdnum.fr import siret as their_siret
from stdnum.fr import tva as their_tva

from creuset.core.personal import find, mask
from creuset.core.personal.check_digits import card, iban, luhn, nir, siren, siret, vat
from creuset.core.personal.written import mrz, public_ip
from creuset.data.settings import Privacy

KINDS = Privacy().mask


def registered_lengths() -> dict[str, int]:
    """Of every country in SWIFT's registry: four characters, then the parts of the national number."""
    table = numdb.get("iban").prefixes
    return {row[1]: 4 + sum(int(n) for n in re.findall(r"(\d+)!", row[3]["bban"])) for row in table}


def with_check_digits(country: str, rest: str) -> str:
    return country + their_iban.calc_check_digits(country + "00" + rest) + rest


@pytest.mark.parametrize("country", sorted(registered_lengths()))
def test_an_iban_of_every_country_is_masked_and_none_with_a_wrong_length_or_digit(country: str) -> None:
    rest = "1234567890" * 3
    good = with_check_digits(country, rest[: registered_lengths()[country] - 4])
    assert iban(good) and mask(f"to {good}.", ("iban",))[0] == "to [IBAN]."
    spaced = " ".join(good[i : i + 4] for i in range(0, len(good), 4))
    assert mask(spaced, ("iban",))[0] == "[IBAN]"
    for size in (-5, -3):
        assert not iban(with_check_digits(country, rest[: registered_lengths()[country] + size]))
    assert not iban(good[:-1] + str((int(good[-1]) + 1) % 10))


def test_letters_count_from_ten_to_thirty_five() -> None:
    for text in ("GB29NWBK60161331926819", "MT84MALT011000012345MTLCAST001S", "FR1420041010050500013M02606"):
        assert iban(text) and their_iban.is_valid(text)


@pytest.mark.parametrize("size", [9, 13, 14, 16, 19])
def test_luhn_is_theirs(size: int) -> None:
    draw = random.Random(size)
    for _ in range(200):
        digits = "".join(draw.choices("0123456789", k=size))
        assert luhn(digits) == their_luhn.is_valid(digits), digits


def test_a_social_security_number_is_theirs() -> None:
    draw = random.Random(1)
    seen = set()
    for _ in range(400):
        place = draw.choice(["2A", "2B", f"{draw.randrange(1, 96):02d}"])
        number = f"{draw.choice('12')}{draw.randrange(100):02d}{draw.randrange(1, 13):02d}{place}"
        number += f"{draw.randrange(1, 1000):03d}{draw.randrange(1, 1000):03d}"
        key = their_nir.calc_check_digits(number)
        assert their_nir.is_valid(number + key) and nir(number + key)
        assert mask(f"NIR {number}{key}", ("nir",))[0] == "NIR [NIR]"
        assert not nir(f"{number}{int(key) % 97 + 1:02d}")
        assert not nir(number + key + "1") and not nir(number[:-1] + key)
        seen.add(place in ("2A", "2B"))
    assert seen == {True, False}


def test_numbers_of_firms_and_their_establishments_are_theirs() -> None:
    draw = random.Random(2)
    valid = 0
    for _ in range(3000):
        digits = "".join(draw.choices("0123456789", k=draw.choice([9, 14])))
        if draw.random() < 0.3:
            digits = "356000000" + digits[:5]  # La Poste's own rule
        assert siren(digits) == (len(digits) == 9 and their_siren.is_valid(digits)), digits
        found = siret(digits)
        # Theirs also wants the firm's own nine digits to pass Luhn, and La Poste's alone under its rule.
        assert not their_siret.is_valid(digits) or found, digits
        assert found == (len(digits) == 14 and (luhn(digits) or (digits[:9] == "356000000"
                         and sum(map(int, digits)) % 5 == 0))), digits  # fmt: skip
        valid += found
    assert valid > 100
    assert not siren("0" * 9) and not siret("0" * 14), "one digit over and over is nobody's"


@pytest.mark.parametrize(
    ("digits", "is_card"),
    [
        ("4111111111111111", True), ("4222222222222", True), ("5555555555554444", True), ("2223003122003222", True),
        ("378282246310005", True), ("371449635398431", True), ("30569309025904", True), ("38520000023237", True),
        ("6011111111111117", True), ("3530111333300000", True), ("6200000000000005", True),
        ("6304000000000000", True), ("1234567812345670", False), ("9111111111111111", False),
        ("4111111111111112", False), ("4444444444444444", False), ("411111111111111", False),
    ],
)  # fmt: skip
def test_a_card_has_its_makers_prefix_and_length_and_passes_luhn(digits: str, is_card: bool) -> None:
    assert card(digits) is is_card
    grouped = "-".join(digits[i : i + 4] for i in range(0, len(digits), 4))
    assert mask(f"paid by {grouped}", ("card",))[1]["card"] == is_card


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("82.66.4.40", True), ("8.8.44.55", True), ("1.2.3.4", False), ("11.2.3.4", False), ("11.22.3.4", True),
        ("192.168.10.20", False), ("127.10.10.1", False), ("256.10.10.1", False), ("82.66.4", False),
        ("2001:4860:4860::8888", True), ("2a00:1450:4007::1", True), ("fe80::1", False),
        ("::1", False), ("2::1", False), ("12:30:45:10:20:30:40:50", False), ("x", False),
    ],
)  # fmt: skip
def test_an_address_is_masked_when_it_is_somebodys(text: str, public: bool) -> None:
    assert public_ip(text) is public


def test_a_siret_that_begins_like_a_card_is_what_the_word_before_it_says() -> None:
    both = next(d for n in range(100_000) if card(d := f"36{n:012d}") and siret(d))
    assert mask(f"card {both}", KINDS)[0] == "card [CARD]"
    assert mask(f"SIRET {both}", KINDS)[0] == "SIRET [SIRET]"
    assert mask(f"SIRET {both}", ("card",))[0] == "SIRET [CARD]"


def test_the_word_that_announces_a_number_stands_at_most_sixty_characters_before_it() -> None:
    assert mask(f"siren{' ' * 55}732829320", KINDS)[0].endswith("[SIREN]")
    assert mask(f"siren{' ' * 56}732829320", KINDS)[0].endswith("732829320")


@pytest.mark.parametrize(
    ("digits", "masked"),
    [("+33612345678", True), ("+1234567", False), ("+12345678901234", False), ("+493012345678", True)],
)
def test_a_phone_number_is_one_that_a_country_can_give_out(digits: str, masked: bool) -> None:
    assert (mask(f"call {digits}", ("phone",))[0] == "call [PHONE]") is masked


def test_whoever_asks_is_told_what_stood_there() -> None:
    told: list[tuple[str, str]] = []
    text = "a@b.org, 82.66.4.4\n415-555-0132 and 4111 1111 1111 1111"
    masked, counts = mask(text, KINDS, seen=lambda kind, what: told.append((kind, what)))
    assert masked == "[EMAIL], [IP]\n[PHONE] and [CARD]"
    line = [("phone", "415-555-0132"), ("card", "4111 1111 1111 1111")]
    assert told == [("email", "a@b.org"), ("ip", "82.66.4.4"), *line]
    assert counts == {"email": 1, "ip": 1, "card": 1, "phone": 1}


# What is found besides: machine-readable lines of passports, VAT numbers, doctors, births, addresses

SPECIMENS = [  # of ICAO 9303 part 4, and of its earlier edition
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "L898902C<3UTO6908061F9406236ZE184226B<<<<<14",
]


@pytest.mark.parametrize("line", SPECIMENS)
def test_the_line_of_a_passport_is_found_by_each_of_its_check_digits(line: str) -> None:
    assert mrz(line) and find(line) == [("mrz", line)]
    for at in (9, 19, 27, 42, 43):
        wrong = str((int(line[at]) + 1) % 10)
        assert not mrz(line[:at] + wrong + line[at + 1 :]), f"the digit at {at} is not looked at"
    for at in (0, 13, 21, 28):
        neighbour = chr(ord(line[at]) + (1 if line[at] in "0A" else -1))
        assert not mrz(line[:at] + neighbour + line[at + 1 :])


def test_check_digits_are_the_remainder_of_ten() -> None:
    """Ten of a hundred numbers drawn at random have each digit: one rule for all."""
    draw = random.Random(4)
    for _ in range(100):
        number = "".join(draw.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<", k=9))
        born, until = (f"{draw.randrange(10**6):06d}" for _ in range(2))

        def digit(part: str) -> str:
            values = [0 if c == "<" else "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(c) for c in part]
            return str(sum(v * w for v, w in zip(values, (7, 3, 1) * 15, strict=False)) % 10)

        line = f"{number}{digit(number)}FRA{born}{digit(born)}F{until}{digit(until)}{'<' * 14}<"
        assert mrz(line + digit(line[:10] + line[13:20] + line[21:43]))


def test_a_vat_number_is_theirs() -> None:
    draw = random.Random(5)
    valid = 0
    for _ in range(300):
        firm = f"{draw.randrange(10**8):08d}"
        firm += their_luhn.calc_check_digit(firm)
        key = (12 + 3 * (int(firm) % 97)) % 97
        other = firm[:-1] + str((int(firm[-1]) + 1) % 10)  # no SIREN, and its key is right
        own = (12 + 3 * (int(other) % 97)) % 97
        for number in (f"FR{key:02d}{firm}", f"FR{(key + 1) % 97:02d}{firm}", f"FR{own:02d}{other}"):
            assert vat(number) == their_tva.is_valid(number), number
            valid += vat(number)
    assert valid == 300
    assert find("TVA FR40303265045.")[0][0] == "vat"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("né le 3 mai 1950 à Lyon", "born"), ("born on 3 May 1950", "born"),
        ("12 rue de la Paix, 75002 Paris", "address"), ("221 Baker Street", "address"),
    ],
)  # fmt: skip
def test_births_and_addresses_are_found(text: str, kind: str) -> None:
    assert [found for found, _ in find(text)] == [kind]
