"""What the public reads can be published as it is; a deployer of somebody else's API gets documents from its audit."""

import html
import json
import re

import pytest
from pypdf import PdfReader

from creuset.cli import main
from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.sentences import to_json
from creuset.governance.dossier.answers import questions
from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms
from tests.dossier.chain import seal

URL = "https://api.example/v1"
PUBLIC = [form.id for form in forms().values() if form.public]
OPERATOR = """
date = "2026-11-20"
[notice]
service = { en = "The city's assistant", fr = "L'assistant de la ville" }
model = { en = "Model M", fr = "le modèle M" }
contact = { en = "Write to the town hall." }
[gdpr]
controller = { en = "City of Example", fr = "Ville d'Exemple" }
[dpia]
access_severity = "limited"
access_severity_why = { en = "Questions hold few personal data.", fr = "Les questions contiennent peu de données." }
[fria]
processes = { en = "Answers to residents.", fr = "Réponses aux habitants." }
"""


def words(page):
    text = page.read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")
    body = text[text.index("<body") :]
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style)>.*?</\1>", "", body, flags=re.DOTALL)))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The dossier of an API that others provide: an audit of it, and the answers of who deploys it."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "operator.toml").write_text(OPERATOR, encoding="utf-8")
    rows = [
        {"task": "disclosure", "metric": "says_ai.en", "requirement": "10", "status": "measured", "score": 0.9, "n": 60,
         "interval": [0.8, 0.95], "unit": "share", "form": "chat", "why": "", "caveat": ""},
        {"task": "counterfactual_fr_chat", "metric": "gap", "requirement": "6", "status": "measured", "score": 0.01,
         "n": 400, "interval": [-0.01, 0.03], "unit": "share", "form": "chat", "why": "", "caveat": ""},
    ]  # fmt: skip
    with new_artifact(folder / "audited", kind="audit") as scratch:
        subject = {"name": "m-large", "model": "m-large", "url": URL, "kind": "endpoint"}
        (scratch / "results.json").write_text(json.dumps(to_json({"model": subject, "results": rows})))
    asked = ["dossier", URL, "--audit", str(folder / "audited"), "--operator", str(folder / "operator.toml")]
    assert main([*asked, "--formats", "html,md", "--out", str(folder / "out")]) == 0
    return folder


def test_a_notice_has_no_hash_no_pointer_no_key_and_no_name_of_ours(whole, told, deployed):
    for folder in (whole, deployed / "out"):
        for form in PUBLIC:
            for lang in ("en", "fr"):
                text = words(folder / lang / f"{form}.html")
                assert not re.search(r"[0-9a-f]{12}|\bR\d+\b|\bF\d+\b|/\w+/\d", text), (
                    form,
                    re.findall(r"\bF\d+\b", text),
                )
                assert not [key for key in questions() if key in text], form
                named = (
                    "sha256",
                    "results.json",
                    "creuset verify",
                    "en_",
                    "base,",
                    "stated by the operator",
                    "déclaré par",
                )
                assert not [name for name in named if name in text], form
                annex = words(folder / lang / f"{form}-annex.html")
                assert "sha256" in annex and "creuset verify" in annex, "the evidence is in the annex"


def test_a_french_notice_has_no_answer_that_was_given_in_english_only(deployed):
    english, french = (words(deployed / "out" / lang / "article-50-notice.html") for lang in ("en", "fr"))
    assert "The city's assistant answers with the language model Model M." in english
    assert "L'assistant de la ville répond au moyen du modèle de langage le modèle M." in french
    assert "Write to the town hall." in english and "Write to the town hall." not in french
    assert "À COMPLÉTER" in french and "notice.contact" in read_manifest(deployed / "out")["facts"]["to_complete"]


def test_a_deployer_gets_the_four_documents_and_none_of_the_makers(deployed):
    out = deployed / "out"
    pages = {page.stem for page in (out / "fr").glob("*.html")}
    assert pages == {"gdpr-impact", "gdpr-record", "gdpr-notice", "gdpr-notice-annex", "article-50-notice",
                     "article-50-notice-annex", "fundamental-rights", "index"}  # fmt: skip
    assert not (out / "bom.cdx.json").exists() and not (out / "croissant.json").exists()
    rights = words(out / "fr/fundamental-rights.html")
    assert "Réponses aux habitants." in rights and URL in rights
    impact = words(out / "en/gdpr-impact.html")
    assert "limited" in impact and "Questions hold few personal data." in impact and "m-large" in impact
    assert "limitée" in words(out / "fr/gdpr-impact.html") and "trained on" not in impact and "masked" not in impact


def test_each_measure_of_an_impact_assessment_is_explained_in_words(deployed):
    from creuset.governance.audit.how_to_read import how_to_read

    for lang in ("en", "fr"):
        said = how_to_read("counterfactual_fr_chat").of(lang).replace("\u00a0", " ").replace("\u202f", " ")
        text = " ".join(words(deployed / "out" / lang / "gdpr-impact.html").split())
        assert text.count(" ".join(said.split())) == 1, "once a page"


def test_the_impact_assessment_has_the_three_feared_events_with_severity_and_likelihood():
    asked = forms()["gdpr-impact"].asks()
    for event in ("access", "change", "loss"):
        for part in ("impacts", "threats", "sources", "severity", "severity_why", "likelihood", "likelihood_why"):
            assert f"dpia.{event}_{part}" in asked
        assert questions()[f"dpia.{event}_severity"].choices == ("negligible", "limited", "significant", "maximum")


def test_a_deployers_dossier_is_verified_and_a_cheat_in_it_found(deployed, capsys):
    assert main(["verify", str(deployed / "out")]) == 0
    page = deployed / "out/en/gdpr-notice.md"
    page.write_text(page.read_text(encoding="utf-8").replace("City of Example", "City of Elsewhere"), encoding="utf-8")
    seal(deployed / "out")
    capsys.readouterr()
    assert main(["verify", str(deployed / "out")]) == 1
    assert "en/gdpr-notice.md is not what its records give" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [
    ([URL], "a dossier about an API rests on an audit of it"),
    (["https://other.example/v1", "--audit", "{audit}"], "is an audit of `https://api.example/v1`, not of"),
    ([URL, "--audit", "{audit}", "--forms", "annex-xi"], "`annex-xi` is not a form of somebody else's API"),
    ([URL, "--audit", "{audit}", "--evaluation", "{audit}"], "takes audits of it"),
])  # fmt: skip
def test_what_cannot_be_said_of_an_api_is_refused(deployed, tmp_path, capsys, words, said):
    asked = [word.replace("{audit}", str(deployed / "audited")) for word in words]
    assert main(["dossier", *asked, "--out", str(tmp_path / "out")]) in (2, 3)
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_assessment_of_article_27_is_a_deployers(root, tmp_path):
    with pytest.raises(Exception, match="`fundamental-rights` is not a form of a model"):
        build(root / "base", tmp_path / "out", forms=["fundamental-rights"])


def test_a_notice_on_paper_does_not_say_what_made_it(root, tmp_path):
    build(root / "base", tmp_path / "out", forms=["gdpr-notice"], langs=["fr"], formats=["pdf"])
    notice, annex = (PdfReader(tmp_path / f"out/fr/{name}.pdf") for name in ("gdpr-notice", "gdpr-notice-annex"))
    assert not notice.metadata.author and annex.metadata.author == "creuset"
    assert "creuset" not in "".join(page.extract_text() for page in notice.pages)
