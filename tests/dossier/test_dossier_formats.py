import io
import json
import re
from pathlib import Path

import pytest
from pypdf import PdfReader

from creuset.cli import main
from creuset.core.artifact import read_manifest
from creuset.governance.dossier.build import build
from creuset.report.language import show


def test_the_bill_of_materials_is_valid_and_carries_scores_with_intervals(whole, told, root):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    for folder in (whole, told):
        text = (folder / "bom.cdx.json").read_text(encoding="utf-8")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    component = json.loads(text)["metadata"]["component"]
    assert component["supplier"] == {"name": "Société Exemple"}
    metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    scored = json.loads((root / "scores/results.json").read_text())["results"]
    for row in scored:
        metric = {"type": "bits per byte, " + row["metric"].removeprefix("bits_per_byte."), "value": str(row["score"]),
                  "slice": "bpb"}  # fmt: skip
        if row["interval"] is not None:
            low, high = (str(x) for x in row["interval"])
            metric["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
        assert metric in metrics
    hashes = {c["name"]: c["hashes"][0]["content"] for c in json.loads(text)["components"] if c["type"] == "file"}
    assert hashes == read_manifest(root / "base")["files"]


def test_croissant_has_its_required_keys(whole, root):
    data = json.loads((whole / "croissant.json").read_text(encoding="utf-8"))
    required = {"@context", "@type", "conformsTo", "name", "description", "license", "url", "datePublished"}
    assert required <= set(data) and data["@type"] == "sc:Dataset" and data["license"] == ["CC0-1.0"]
    assert data["conformsTo"][0].startswith("http://mlcommons.org/croissant/1.")
    assert all({"@id", "name", "contentUrl", "encodingFormat", "sha256"} <= set(f) for f in data["distribution"])
    bins = {n: h for n, h in read_manifest(root / "shards")["files"].items() if n.endswith(".bin")}
    assert {f["sha256"] for f in data["distribution"]} == set(bins.values()) and bins


RAI = {"dataCollection", "dataCollectionType", "dataCollectionMissingData", "dataCollectionRawData",
       "dataCollectionTimeframe", "dataImputationProtocol", "dataManipulationProtocol", "dataPreprocessingProtocol",
       "dataAnnotationProtocol", "dataAnnotationPlatform", "dataAnnotationAnalysis", "dataReleaseMaintenancePlan",
       "personalSensitiveInformation", "dataSocialImpact", "dataBiases", "dataLimitations", "dataUseCases",
       "annotationsPerItem", "annotatorDemographics", "machineAnnotationTools"}  # fmt: skip


def test_croissant_has_what_its_validator_recommends_and_no_word_of_its_own(whole):
    """mlcroissant 1.1 warned of a version that is not semantic and of no citation; terms are those of the RAI spec."""
    data = json.loads((whole / "croissant.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", data["version"])
    assert data["citeAs"].startswith(data["name"])
    assert {k.removeprefix("rai:") for k in data if k.startswith("rai:")} <= RAI
    names = [f["name"] for f in data["distribution"]]
    assert len(names) == len(set(names))


def test_the_hub_reads_the_card_with_its_scores_and_intervals(told, root):
    from huggingface_hub import ModelCard

    scored = json.loads((root / "scores/results.json").read_text())["results"]
    for lang in ("en", "fr"):
        card = ModelCard((told / lang / "model-card.md").read_text(encoding="utf-8"))
        assert card.data.library_name == "transformers" and card.data.pipeline_tag == "text-generation"
        found = {r.metric_type: r for r in card.data.eval_results}
        assert len(found) == len(scored)
        for row in scored:
            result = found["bits per byte, " + row["metric"].removeprefix("bits_per_byte.")]
            ends = row["interval"]
            assert result.metric_value == row["score"]
            assert result.metric_args == {"n": row["n"]} | ({"low_95": ends[0], "high_95": ends[1]} if ends else {})


def test_croissant_alone_can_be_asked_for(given, tmp_path):
    assert main(["dossier", *given, "--forms", "croissant", "--lang", "en", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/croissant.json").is_file() and not (tmp_path / "out/bom.cdx.json").exists()


def test_the_pdf_opens_and_french_survives(told):
    reader = PdfReader(io.BytesIO((told / "fr/model-card.pdf").read_bytes()))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert len(reader.pages) >= 3 and reader.metadata.title
    for words in ("La médecine", "≥ 1 vie", "À COMPLÉTER", "mélange d'experts", "10¹²"):
        assert words in text.replace("\n", " "), words
    assert "U+" not in text
    fonts = {f["/BaseFont"] for page in reader.pages for f in (o.get_object() for o in
             page["/Resources"]["/Font"].values())}  # fmt: skip
    assert any("DejaVuSans" in name for name in fonts)


def test_the_same_records_give_the_same_bytes(told, root, given, tmp_path):
    manifest = read_manifest(told)
    build(Path(given[0]), tmp_path / "again", evaluations=[root / "scores"], audits=[root / "audited"],
          data=[root / "shards-corpus"], operator=root / "operator.toml", forms=manifest["settings"]["forms"],
          day=manifest["settings"]["date"])  # fmt: skip
    assert read_manifest(tmp_path / "again")["files"] == manifest["files"]


# -- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "style", "en", "fr"), [
    (5912512, "int", "5,912,512", "5\u202f912\u202f512"),
    (0.3333, "pct0", "33%", "33\u202f%"),
    (2.8e14, "g2", "2.8 × 10¹⁴", "2,8 × 10¹⁴"),
    (-0.5, "f2", "−0.50", "−0,50"),
    (1e23, "pow", "10²³", "10²³"),
    ("2026-11-01", "date", "1 November 2026", "1er novembre 2026"),
    ("2026-08", "month", "August 2026", "août 2026"),
    (True, "auto", "yes", "oui"),
    (None, "auto", "–", "–"),
])  # fmt: skip
def test_a_value_is_written_as_its_language_writes_it(value, style, en, fr):
    assert (show(value, style, "en"), show(value, style, "fr")) == (en, fr)
