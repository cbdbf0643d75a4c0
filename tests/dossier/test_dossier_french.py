"""No sentence of a record reaches a French page without its French, and no page mixes languages."""

import html
import json
import re
import tomllib
from string import Formatter

import pytest

from creuset.core.artifact import new_artifact
from creuset.core.sentences import ROOT as PACKAGE
from creuset.core.sentences import sentence, table, to_json
from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms

ENGLISH = set(
    re.findall(
        r"\w+",
        """the of and with from this that which are were was has have its is not by these who
    than tokens number training into when where there it they how""",
    )
)
FRENCH = set(
    re.findall(
        r"\w+",
        """le les des une dans pour avec sur qui aux cette ces du il elle leur sont jetons
    chiffres""",
    )
)


# -- what an audit can say ---------------------------------------------------------------------------------------------


def filled(key: str):
    """The sentence of `key`; its slots hold numbers, or names that no language has."""
    room, _, name = key.partition(".")
    slots = [(slot, spec) for _, slot, spec, _ in Formatter().parse(table(room)[name]["en"]) if slot]
    return sentence(key, **{slot: ["x7", "x8"] if " " in spec else 7 if spec else "x7" for slot, spec in slots})


SENTENCES = [filled(f"{room}.{name}") for room in ("core", "evals", "benchmarks", "audit") for name in table(room)
             if (room, name) != ("core", "quoted")]  # fmt: skip


# -- pages ------------------------------------------------------------------------------------------------------------


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower()))


def prose(page: str) -> str:
    """What the page says in its own words: no figures, names, code, answers of the operator, or marked quotations."""
    page = re.sub(r"<(style|script)>.*?</\1>", " ", page, flags=re.DOTALL).replace("\u00a0", " ").replace("\u202f", " ")
    for kept in (r'<a class="figure".*?</a>', r"<code>.*?</code>", r'<span translate="no">.*?</span>',
                 r'<span class="said">.*?</span>', r"en anglais : « .*? »", r"« Article 29 »"):  # fmt: skip
        page = re.sub(kept, " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def full(root, given, tmp_path_factory):
    """A dossier with an audit that says everything an audit can say."""
    folder = tmp_path_factory.mktemp("full")
    made = root / "base"
    rows = []
    for number, text in enumerate(SENTENCES):
        about = {"task": f"t{number}", "metric": "m", "requirement": str(2 + number % 14), "n": 0}
        rows.append({**about, "status": "not_tested", "why": text, "score": None})
        rows.append({**about, "status": "measured", "caveat": text, "score": 0.5, "unit": "nats", "n": 4})
    rows.append({"task": "broken", "metric": "m", "requirement": "7", "status": "not_tested", "score": None,
                 "why": "the file is not JSON: it ended early"})  # fmt: skip
    with new_artifact(folder / "audit", kind="audit", parents=[made]) as scratch:
        subject = {"sha256": json.loads((made / "manifest.json").read_text())["sha256"]}
        (scratch / "results.json").write_text(json.dumps(to_json({"model": subject, "results": rows})))
    build(made, folder / "out", evaluations=[root / "scores"], audits=[folder / "audit"],
          data=[root / "shards-corpus"])  # fmt: skip
    return folder / "out"


@pytest.mark.parametrize(("lang", "other"), [("fr", ENGLISH), ("en", FRENCH)])
def test_no_page_mixes_languages(full, lang, other):
    pages = sorted((full / lang).glob("*.html"))
    assert len(pages) == 18
    for page in pages:
        text = prose(page.read_text(encoding="utf-8"))
        assert len(words(text)) > 40
        strange = words(text) & other
        where = [text[max(0, m.start() - 60) : m.end() + 60] for w in strange for m in re.finditer(rf"\b{w}\b", text)]
        assert not strange, (page.name, where[:3])


def test_what_has_no_french_is_quoted_as_english(full):
    page = (full / "fr/gdpr-impact.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "non testé : en anglais : « the file is not JSON: it ended early »" in page


def test_words_of_forms_and_law_are_of_their_language():
    law = tomllib.loads((PACKAGE / "governance/dossier/law.toml").read_text(encoding="utf-8"))
    pairs = [(r["en"], r["fr"]) for r in (*law["threshold"], *law["provision"])]
    pairs += [(r["source"]["en"], r["source"]["fr"]) for r in (*law["threshold"], *law["provision"])]
    asked = tomllib.loads((PACKAGE / "governance/dossier/questions.toml").read_text(encoding="utf-8"))["question"]
    pairs += [(q["en"], q["fr"]) for q in asked]
    for form in forms().values():
        pairs += [(form.title.en, form.title.fr), (form.intro.en, form.intro.fr)]
        pairs += [(s["en"], s["fr"]) for s in form.sections]
        pairs += [(f["en"], f["fr"]) for f in form.fields()]
        pairs += [(t["en"], t["fr"]) for f in form.fields() for t in (*f.get("also", ()), f.get("say", {})) if t]
    for english, said in pairs:
        said = re.sub(r"`[^`]*`|\{[^}]*\}", " ", said)
        assert not words(said) & ENGLISH, said
        assert not words(re.sub(r"\{[^}]*\}", " ", english)) & FRENCH, english
