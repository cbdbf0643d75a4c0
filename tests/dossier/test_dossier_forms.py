"""Each form against the points of the text it answers to: none is missing, none is invented, and all are counted."""

import html
import re

import pytest

from creuset.core.artifact import read_manifest
from creuset.governance.dossier.form import forms

# Regulation (EU) 2024/1689, Annexes IV, XI, XII and article 50; Regulation (EU) 2016/679, articles 13, 14, 30, 35.
POINTS = {
    "annex-xi": [f"XI 1(1)({x})" for x in "abcdef"] + [f"XI 1(2)({x})" for x in "abcde"]
                + ["XI 2(1)", "XI 2(2)", "XI 2(3)"],
    "annex-xii": [f"XII 1({x})" for x in "abcdefgh"] + [f"XII 2({x})" for x in "abc"],
    "annex-iv": [f"IV 1({x})" for x in "abcdefgh"] + [f"IV 2({x})" for x in "abcdefgh"]
                + [f"IV {n}" for n in range(3, 10)],
    "article-50-notice": [f"50({n})" for n in range(1, 6)],
    "copyright-policy": ["53(1)(c)"],
    "training-summary": ["1.1", "1.2", "1.3", "2.1", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3"],
    "gdpr-record": [f"30(1)({x})" for x in "abcdefg"] + [f"30(2)({x})" for x in "abcd"] + ["32(1)(d)", "5(1)(c)"],
    "gdpr-impact": ["35(1)", "35(2)", *(f"35(7)({x})" for x in "abcd"), "35(8)", "35(9)", "35(11)", "36(1)"],
    "fundamental-rights": ["27(1)", *(f"27(1)({x})" for x in "abcdef"), "27(2)", "27(3)", "27(4)"],
    "gdpr-notice": [f"13(1)({x})" for x in "abcdef"] + [f"13(2)({x})" for x in "abcdef"] + ["13(3)"]
                   + [f"14(1)({x})" for x in "abcdef"] + [f"14(2)({x})" for x in "abcdefg"] + ["14(4)", "14(5)(b)"],
}  # fmt: skip

# The Model Documentation Form of the Code of Practice (10 July 2025): its items, and who gets each.
EVERYBODY, AUTHORITIES = "AIO NCA DP", "AIO NCA"
MDF = {
    "updated": EVERYBODY,
    "version": EVERYBODY,
    "legal_name": EVERYBODY,
    "name": EVERYBODY,
    "authenticity": AUTHORITIES,
    "release": EVERYBODY,
    "union": EVERYBODY,
    "dependencies": EVERYBODY,
    "architecture": EVERYBODY,
    "specifications": EVERYBODY,
    "inputs": EVERYBODY,
    "outputs": EVERYBODY,
    "parameters": "AIO",
    "size_band": "NCA DP",
    "channels": AUTHORITIES,
    "channels_dp": "DP",
    "licence_link": EVERYBODY,
    "licence_category": EVERYBODY,
    "assets": EVERYBODY,
    "policy": EVERYBODY,
    "uses": EVERYBODY,
    "systems": EVERYBODY,
    "means": EVERYBODY,
    "hardware": EVERYBODY,
    "software": EVERYBODY,
    "training": AUTHORITIES,
    "rationale": AUTHORITIES,
    "data_type": EVERYBODY,
    "provenance": EVERYBODY,
    "obtained": AUTHORITIES,
    "points": "AIO",
    "points_band": "NCA",
    "scope": AUTHORITIES,
    "curation": EVERYBODY,
    "unsuitable": AUTHORITIES,
    "biases": AUTHORITIES,
    "time": "AIO",
    "time_band": "NCA",
    "compute": "AIO",
    "compute_band": "NCA",
    "compute_method": AUTHORITIES,
    "energy": AUTHORITIES,
    "energy_method": AUTHORITIES,
    "inference": AUTHORITIES,
    "inference_method": AUTHORITIES,
}

# EDPB Opinion 28/2024: what the controller documents of an anonymity claim, and the two questions beside it.
ANONYMITY = ["model", "obtained", "masked", "rationale", "outputs", "governance", "context", "training_data",
             "memorisation", "membership", "attribute", "inversion", "reconstruction", "documentation", "conclusion",
             "interest", "lawfulness"]  # fmt: skip
PROVENANCE = {"data.crawled", "data.licensed", "data.private", "data.user", "data.public", "data.synthetic",
              "data.other"}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_every_point_of_the_text_has_a_field_and_every_field_a_point(name):
    refs = [ref for field in forms()[name].fields() for ref in field.get("ref", "").split(", ") if ref]
    assert list(dict.fromkeys(sorted(refs))) == sorted(POINTS[name])
    without = {f["id"] for f in forms()[name].fields() if not f.get("ref")}
    assert without <= {"version", "updated"}, "the header of the summary has no number"


def test_the_documentation_form_has_its_items_and_their_recipients():
    assert {f["id"]: f["to"] for f in forms()["mdf"].fields()} == MDF
    counts = [sum(r in to.split() for to in MDF.values()) for r in ("AIO", "NCA", "DP")]
    assert counts == [40, 40, 25]
    assert set(next(f for f in forms()["mdf"].fields() if f["id"] == "provenance")["ask"]) == PROVENANCE


def test_no_energy_or_computation_goes_to_downstream_providers():
    for field in forms()["mdf"].fields():
        if re.search(r"energy|comput|time|inference", field["id"]):
            assert "DP" not in field["to"]


def test_the_record_of_anonymity_has_design_analysis_tests_and_documents():
    assert [f["id"] for f in forms()["anonymity-tests"].fields()] == ANONYMITY


def test_no_two_fields_of_a_form_have_one_name_and_no_two_forms_write_one_field_twice():
    seen = {}
    for form in forms().values():
        ids = [f["id"] for f in form.fields()]
        assert len(ids) == len(set(ids)), form.id
        for field in form.fields():
            if "say" in field:
                seen.setdefault(field["say"]["en"], set()).add(field["say"]["fr"])
    assert all(len(said) == 1 for said in seen.values()), "one sentence, two translations"


def test_all_fields_are_counted_once(whole):
    for form, recipients in read_manifest(whole)["facts"]["completeness"].items():
        for recipient, state in recipients.items():
            mine = [f for f in forms()[form].fields()
                    if recipient == "all" or recipient in f.get("to", recipient).split()]  # fmt: skip
            parts = ("filled", "partly", "missing", "not_applicable", "elsewhere")
            assert sum(state[p] for p in parts) == state["fields"] == len(mine), (form, recipient)


def test_a_table_stands_once_on_a_page_and_is_pointed_to_elsewhere(whole):
    page = (whole / "en/mdf-dp.html").read_text(encoding="utf-8")
    assert page.count('<th scope="col">software</th>') == 1
    assert 'The table is under “<a href="#means">Technical means for integration</a>”.' in page
    for file in whole.glob("*/*.html"):
        text = file.read_text(encoding="utf-8")
        fields = "".join(re.findall(r"<article.*?</article>", text, re.DOTALL))
        tables = re.findall(r"<table.*?</table>", fields, re.DOTALL)
        assert len(tables) == len(set(tables)), file.name
        for goal in re.findall(r'href="#([a-z_]+)"', text):
            assert f'id="{goal}"' in text, (file.name, goal)


def test_a_field_is_in_part_below_the_stated_sample_and_where_tests_did_not_run(whole):
    """The chain's audit asked two samples of two tests: that fills nothing, and the pages say how few it was."""
    for lang, said in (
        ("en", ("In part: not all of its tests gave a figure", "fewer than 30 samples: disclosure",
                "only 2 of its samples were asked", "it was not asked for in this audit")),
        ("fr", ("En partie : toutes ses épreuves n'ont pas donné de chiffre",
                "moins de 30 échantillons : disclosure",
                "seuls 2 de ses échantillons", "cet audit ne l'a pas demandé")),
    ):  # fmt: skip
        text = html.unescape((whole / lang / "model-card.html").read_text(encoding="utf-8"))
        text = re.sub(r"<[^>]+>", "", text.replace("\u00a0", " ").replace("\u202f", " "))
        assert all(words in text for words in said), [words for words in said if words not in text]
    assert '<article class="partly" id="bias">' in (whole / "en/model-card.html").read_text(encoding="utf-8")
    page = (whole / "en/gdpr-impact.html").read_text(encoding="utf-8")
    assert '<article class="missing" id="decisions">' in page  # none ran: a list of reasons is no evidence
