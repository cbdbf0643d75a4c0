"""The operator is asked once: answers are kept, a full file leaves nothing to complete, carbon needs its factor."""

import json
import re
import tomllib

import pytest

from creuset.cli import main
from creuset.core.artifact import read_manifest
from creuset.governance.dossier.answers import questions, read
from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms

GRID = '{ value = 56.0, source = "RTE, bilan électrique", date = "2025-12-31" }'


def answers() -> str:
    """An answer to every question: words in both languages, in one, and the kinds that are no words."""
    lines = ['date = "2026-11-20"']
    public = {key for form in forms().values() if form.public for key in form.asks()}  # needs both languages
    table = ""
    for number, question in enumerate(questions().values()):
        head, name = question.key.split(".")
        lines += [f"[{head}]"] if head != table else []
        table = head
        if question.span is not None:
            said = GRID
        elif question.choices:
            said = f'"{question.choices[0]}"'
        elif question.key in public:
            said = '{ en = """Two\n\nTwo""", fr = """Deux\n\nDeux""" }'
        else:
            said = ('"Réponse {0}."', '{{ en = "Answer {0}.", fr = "Réponse {0}." }}', '{{ fr = """Deux\n\nDeux""" }}')[
                number % 3].format(number)  # fmt: skip
        lines.append(f"{name} = {said}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def answered(root, given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answered")
    (folder / "operator.toml").write_text(answers(), encoding="utf-8")
    build(root / "base", folder / "out", evaluations=[root / "scores"], audits=[root / "audited"],
          operator=folder / "operator.toml", formats=["html", "md"])  # fmt: skip
    return folder / "out"


def test_where_everything_is_answered_nothing_is_to_complete(answered):
    assert read_manifest(answered)["facts"]["to_complete"] == []
    for page in [*answered.glob("*/*.html"), *answered.glob("*/*.md")]:
        text = page.read_text(encoding="utf-8")
        assert "TO COMPLETE" not in text and "À COMPLÉTER" not in text, page.name
    page = (answered / "fr/gdpr-notice-annex.html").read_text(encoding="utf-8")
    assert "<p>Deux</p>\n<p>Deux</p>" in (answered / "fr/gdpr-notice.html").read_text(encoding="utf-8")
    assert '<p><span class="said">Deux</span></p>\n<p><span class="said">Deux</span> (<a' in page, "both stay"


def test_an_answer_leaves_the_list_and_an_optional_question_is_never_on_it(whole, told):
    before = set(read_manifest(whole)["facts"]["to_complete"])
    after = set(read_manifest(told)["facts"]["to_complete"])
    assert "use.intended" in before - after and "use.hardware" not in after  # two documents do not ask for hardware
    assert not {"energy.provider", "systemic.strategy"} & before
    of_deployers = {key for key in questions() if key.startswith("fria.")}
    assert before | of_deployers == {q.key for q in questions().values() if not q.optional}, (
        "each is asked by a document"
    )


def test_answers_are_kept_when_the_questions_are_written_again(tmp_path, capsys):
    old = tmp_path / "old.toml"
    old.write_text(
        'date = 2026-11-20\n[provider]\nlegal_name = "Société « A » \\"B\\" \\\\"\n'
        'contact = { en = "One\\nTwo", fr = "Un", date = 2026-10-01 }\n'
        f"[energy]\ngrid = {GRID}\n", encoding="utf-8")  # fmt: skip
    assert main(["dossier", "template", "--operator", str(old), "--out", str(tmp_path / "new.toml")]) == 0
    was, now = (tomllib.loads((tmp_path / n).read_text(encoding="utf-8")) for n in ("old.toml", "new.toml"))
    assert read(was) == read(now) and len(read(now)) == 3
    assert now["energy"]["grid"] == was["energy"]["grid"] and now["date"] == was["date"]
    (tmp_path / "wrong.toml").write_text('[provider]\nlegal_nam = "X"')
    assert main(["dossier", "template", "--operator", str(tmp_path / "wrong.toml")]) == 3
    assert "did you mean `provider.legal_name`?" in capsys.readouterr().err


def test_emissions_are_energy_times_the_factor_that_the_operator_states(answered, whole):
    found = {f["key"]: f for f in json.loads((answered / "figures.json").read_text())["figures"]}
    assert found["carbon.kg"]["value"] == pytest.approx(found["energy.kwh"]["value"] * 56.0 / 1e3)
    assert [s["pointer"] for s in found["carbon.kg"]["sources"]] == ["/energy/kwh", "/energy/grid/value"]
    page = (answered / "fr/model-card.md").read_text(encoding="utf-8")
    assert re.search(r"56 \(\[déclaré par l'exploitant, 31 décembre 2025 ; source : RTE, bilan électrique\]", page)
    without = {f["key"] for f in json.loads((whole / "figures.json").read_text())["figures"]}
    assert "carbon.kg" not in without and "energy.kwh" in without
    assert "energy.grid" in read_manifest(whole)["facts"]["to_complete"]
    assert "CO₂e:" not in (whole / "en/model-card.md").read_text(encoding="utf-8")


def test_the_bill_of_materials_names_no_provider_of_energy_that_nobody_stated(answered, whole):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    for folder in (answered, whole):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str((folder / "bom.cdx.json").read_text()) is None
    said = [json.loads((f / "bom.cdx.json").read_text())["metadata"]["component"]["modelCard"]["considerations"]
            ["environmentalConsiderations"] for f in (answered, whole)]  # fmt: skip
    spent = said[0]["energyConsumptions"][0]
    assert spent["energyProviders"][0]["energySource"] == "coal"
    kwh = spent["activityEnergyCost"]["value"]
    assert spent["co2CostEquivalent"] == {"value": pytest.approx(kwh * 56 / 1e6), "unit": "tCO2eq"}
    assert "energyConsumptions" not in said[1]
    assert {"name": "creuset:energy.kwh", "value": str(kwh)} in said[1]["properties"]
    assert "unknown" not in json.dumps(said)
