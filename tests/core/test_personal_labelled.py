"""The labelled lines of personal data: what they promise holds, and the committed figures are those of today."""

import importlib
import json
import re
from collections import Counter

import personal_data
import phonenumbers
import pytest
from stdnum import iban, luhn
from stdnum.eu import vat
from stdnum.fr import nir, siren, siret

from creuset.core import jsonl
from creuset.core.personal import KINDS, find

FILES = sorted(personal_data.LABELLED.parent.glob("personal_data*.jsonl"))
ROWS = [row for _, row in jsonl.read(personal_data.LABELLED)]
LABELS = [(kind, what) for row in ROWS for kind, what in row["has"]]
NATIONAL = [
    importlib.import_module(f"stdnum.{name}")
    for name in [
        "es.dni",
        "es.nie",
        "it.codicefiscale",
        "de.idnr",
        "be.nn",
        "nl.bsn",
        "pt.nif",
        "pl.pesel",
        "ro.cnp",
        "se.personnummer",
        "fi.hetu",
        "dk.cpr",
        "no.fodselsnummer",
        "cz.rc",
        "bg.egn",
        "hr.oib",
        "at.vnr",
        "ch.ssn",
        "ie.pps",
        "ee.ik",
    ]
]
BRITISH = re.compile(r"[A-Z]{2} ?(\d\d ?){3}[A-D]")  # National Insurance numbers have no check digit
# Numbers that regulators keep for films and books: Arcep's, Ofcom's.
FICTION = re.compile(r"(33|0033|0)0?(19900|26191|35301|46571|53649|63998)\d{4}|(44|0)7700900\d{3}")
REGIONS = (
    None,
    *["FR", "DE", "ES", "GB", "US", "CH", "AT", "BE", "IE", "IT", "PT", "CA", "MX", "AR", "CO", "CL", "PE", "AU"],
)


def bare(what: str) -> str:
    return re.sub(r"[\s./\-]", "", what)


def of_the_passport(what: str) -> bool:
    """The check digits of the second line, by ICAO 9303: weights 7, 3, 1, letters from ten."""

    def digit(part: str) -> str:
        return str(sum((int(c, 36) if c != "<" else 0) * (7, 3, 1)[at % 3] for at, c in enumerate(part)) % 10)

    parts = [(what[:9], what[9]), (what[13:19], what[19]), (what[21:27], what[27])]
    whole = what[:10] + what[13:20] + what[21:43]
    return len(what) == 44 and all(digit(p) == d for p, d in [*parts, (whole, what[43])])


def dialled(what: str) -> bool:
    def valid(region: str | None) -> bool:
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(what.replace("(0)", ""), region))
        except phonenumbers.NumberParseException:
            return False

    return bool(FICTION.fullmatch(re.sub(r"\D", "", what))) or any(valid(region) for region in REGIONS)


HOLDS = {
    "card": lambda what: luhn.is_valid(bare(what)),
    "rpps": lambda what: len(what) == 11 and luhn.is_valid(what),
    "iban": lambda what: iban.is_valid(bare(what)),
    "nir": lambda what: nir.is_valid(bare(what)),
    "siren": lambda what: siren.is_valid(bare(what)),
    "siret": lambda what: siret.is_valid(bare(what)),
    "vat": lambda what: vat.is_valid(bare(what)),
    "mrz": of_the_passport,
    "phone": dialled,
    "national_id": lambda what: (
        any(m.is_valid(what) or m.is_valid(bare(what)) for m in NATIONAL) or bool(BRITISH.fullmatch(what))
    ),
}


@pytest.mark.parametrize("kind", sorted(HOLDS))
def test_labelled_numbers_have_right_check_digits(kind: str) -> None:
    assert not [what for k, what in LABELS if k == kind and not HOLDS[kind](what)]


def test_each_label_stands_in_its_line_and_no_line_stands_twice() -> None:
    for row in ROWS:
        assert {kind for kind, _ in row["has"]} <= set(KINDS)
        for _, what in row["has"]:
            assert what and what in row["text"], row
    assert len({row["text"] for row in ROWS}) == len(ROWS)


def test_half_of_the_lines_hold_nothing_in_every_language() -> None:
    langs = Counter(row["lang"] for row in ROWS)
    assert set(langs) == {"fr", "de", "es", "en"} and min(langs.values()) >= 160
    assert 2 * sum(not row["has"] for row in ROWS) >= len(ROWS) >= 640
    empty = Counter(row["lang"] for row in ROWS if not row["has"])
    assert min(empty.values()) >= 80


def test_each_kind_has_enough_lines() -> None:
    lines = Counter(kind for row in ROWS for kind in {kind for kind, _ in row["has"]})
    least = {"phone": 60, "national_id": 40, "secret": 40, "rpps": 6, "mrz": 6}
    assert {kind for kind in KINDS if lines[kind] < least.get(kind, 18)} == set()


def test_no_secret_stands_in_the_file_as_scanners_look_for_it() -> None:
    """One character of each known prefix is written as an escape, so that no push of the repository is refused."""
    raw = "".join(file.read_text() for file in FILES)
    assert not re.search(r"AKIA[A-Z2-7]{16}|gh[po]_\w{36}|github_pat_|[sr]k_(live|test)_|xoxb-|AIza|PRIVATE KEY", raw)


def test_the_committed_figures_are_those_of_the_recognisers_that_run() -> None:
    written = json.loads(personal_data.WRITTEN.read_text())
    assert {"command": written["command"], **personal_data.measured()} == written, f"run {written['command']} again"


def test_every_label_has_one_fate_and_totals_agree() -> None:
    said = personal_data.measured()
    for row in [said["all"], *said["kinds"].values(), *said["languages"].values()]:
        assert row["labels"] == row["right"] + row["overlaps"] + row["other"] + row["missed"]
    for part in ("kinds", "languages"):
        for count in ("labels", "right", "wrong"):
            assert sum(row[count] for row in said[part].values()) == said["all"][count]
    assert said["all"]["labels"] == len(LABELS)


def test_a_place_half_found_overlaps_and_one_of_another_kind_is_other(monkeypatch: pytest.MonkeyPatch) -> None:
    line = personal_data.Labelled("en", "abcdefghij", (("phone", 0, 4), ("vat", 5, 8), ("card", 8, 10)))
    seen = [personal_data.privacy.PersonalData("phone", 0, 6), personal_data.privacy.PersonalData("card", 8, 10)]
    monkeypatch.setattr(personal_data, "places", lambda text: seen)
    fates, wrong = personal_data.judged(line)
    assert [fate for fate, _ in fates] == ["overlaps", "other", "right"] and wrong == [("phone", 0, 6)]


def test_strings_of_a_row_are_found_however_deep() -> None:
    assert list(personal_data.strings({"a": "x", "b": [1, {"c": "y"}], "d": None})) == ["x", "y"]


# What is still read wrongly of lines that were new once, mostly numbers that no word announces.
LEFT = {
    "personal_data_phones": {
        "Fisioterapeuta Álvaro Peña – 699112044",
        "CSV: 4471;Marsh;Helen;01632960772;2024-11-02",
        "Facture 2024 06 12 34 56 78 réglée",
    },
    "personal_data_phones_2": {"Charleroi, 071 32 44 18, demander Luc au téléphone"},
}


@pytest.mark.parametrize("name", ["blind", "addresses", "streets", "phones", "phones_2"])
def test_lines_that_were_new_once_stay_mended(name: str) -> None:
    """Their figures when they were new are in the guide; what could be mended then was."""
    file = personal_data.LABELLED.with_name(f"personal_data_{name}.jsonl")
    wrong = set()
    for line in personal_data.labelled(file):
        fates, others = personal_data.judged(line)
        if others or any(fate != "right" for fate, _ in fates):
            wrong.add(line.text)
    assert wrong == LEFT.get(f"personal_data_{name}", set())
    assert len({line.text for line in personal_data.labelled(file)}) == len(personal_data.labelled(file))


def test_a_number_of_every_country_is_found_as_the_library_writes_its_example() -> None:
    """International forms need no word; four island states have numbers too short to tell from others."""
    numbers = [
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    ]
    for form in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164):
        written = [phonenumbers.format_number(number, form) for number in numbers if number is not None]
        missed = [what for what in written if find(f"Ask at {what}, please.", ("phone",)) != [("phone", what)]]
        assert len(written) > 480 and {what[:4] for what in missed} <= {"+683", "+290", "+690"}, missed


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Mobile no. 07845 221 906", "07845 221 906"),  # `no.` counts what the word before says
        ("Order no. 07845 221 906", None),
        ("Commande n° 12, tél. 06 87 21 40 95", "06 87 21 40 95"),  # the nearer word
        ("Tél. : voir dossier n° 06 87 21 40 95", None),
        ("Serial 12. Ring 020 7946 0331", "020 7946 0331"),
        ("04 76 22 90 15/16", "04 76 22 90 15"),  # the end of a range is no part
        ("+49 89 1234-0, -17", "+49 89 1234-0"),
        ("+44 131 496 0118x4", "+44 131 496 0118"),
    ],
)
def test_the_nearest_label_decides_and_ranges_and_extensions_stay(line: str, what: str | None) -> None:
    assert find(line, ("phone",)) == ([("phone", what)] if what else [])
