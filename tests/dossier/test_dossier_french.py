"""No sentence of a record reaches a French page without its French, and no page mixes languages."""

import html
import json
import re
import tomllib
from string import Formatter

import pytest

from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.sentences import ROOT as PACKAGE
from creuset.core.sentences import sentence, table, to_json
from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms
from creuset.train.pages.report import write_page

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
          data=[root / "shards-corpus"], formats=["html"])  # fmt: skip
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


def test_the_card_speaks_english_only(root, given, tmp_path):
    """The card of `eval card` is for the hub, in English; the dossier has the same form in French, checked above."""
    made = root / "base"
    words_ = ["eval", "card", str(made), "--evaluation", str(root / "scores"), "--dialogues", "0"]
    assert main([*words_, "--out", str(tmp_path / "card.md")]) == 0
    text = (tmp_path / "card.md").read_text(encoding="utf-8").split("---", 2)[2]
    said = re.sub(r"`[^`]*`", " ", text)
    assert len(words(said)) > 100 and not words(said) & FRENCH
    assert not [chunk for chunk in chunks("fr", "en") if chunk in " ".join(said.split())]


def chunks(lang, other):
    """What the sentences of all rooms say in `lang` and not in `other`: the words between their slots."""
    found = set()
    for file in PACKAGE.rglob("sentences.toml"):
        for row in tomllib.loads(file.read_text(encoding="utf-8")).values():
            for part, *_ in Formatter().parse(row[lang]):
                text = " ".join(part.split()).strip(" ,.;:()")
                if len(words(text)) >= 3 and text not in row[other]:
                    found.add(text)
    return found


OF_ENGLISH = chunks("en", "fr")


def english_in(text):
    """Where a French page speaks English: a sentence of a table, or a run of words that are English only."""
    flat = " ".join(text.split())
    return [chunk for chunk in OF_ENGLISH if chunk in flat] + sorted(words(flat) & ENGLISH)


def test_a_french_page_has_no_sentence_of_the_english_tables(full):
    for page in sorted((full / "fr").glob("*.html")):
        assert not english_in(prose(page.read_text(encoding="utf-8"))), page.name


FORGOTTEN = ["This was not measured by anybody here.", "Scores are of the model itself, not its parent.",
             "there is no answer to that question", "how it was made and when",
             "Only the first samples were asked."]  # fmt: skip


@pytest.mark.parametrize("said", [*FORGOTTEN, *sorted(OF_ENGLISH)[::25]])
def test_the_detector_finds_a_sentence_that_somebody_left_in_english(full, said):
    page = (full / "fr/gdpr-record.html").read_text(encoding="utf-8")
    assert not english_in(prose(page))
    assert english_in(prose(page.replace("</main>", f"<p>{html.escape(said)}</p></main>"))), said


def test_the_audits_page_speaks_french_where_it_says_so(root):
    page = (root / "audited/audit.html").read_text(encoding="utf-8")
    page = re.sub(r"<script.*?</script>", " ", page, flags=re.DOTALL)
    body = re.sub(r'<(\w+)[^>]* class="en"[^>]*>.*?</\1>', " ", page[page.index("<main>") : page.index("</main>")],
                  flags=re.DOTALL)  # fmt: skip
    assert "cet audit ne l'a pas demandé" in html.unescape(body) and not english_in(prose(body))


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


# -- every other page that speaks French ---------------------------------------------------------------------------


def french_half(page: str) -> str:
    """The body of a page of two languages without what only its English readers see."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r'(<\w+[^>]*) data-fr="([^"]*)"([^>]*data-names="text"[^>]*>)[^<]*<', r"\1\3\2<", page)  # choices
    body = page[page.index("<body") :]
    tags = re.compile(r"<(/?)(\w+)([^>]*?)(/?)>")
    out, hidden, depth, at = [], None, 0, 0
    for tag in tags.finditer(body):
        close, name, attributes, empty = tag.groups()
        if hidden is None:
            out.append(body[at : tag.start()])
            if (
                not close
                and not empty
                and re.search(r'class="(?:[^"]* )?en(?: [^"]*)?"|(?<![-\w])lang="en"', attributes)
            ):
                hidden, depth = name, 1
            else:
                out.append(tag[0])
        elif name == hidden and not empty:
            depth += -1 if close else 1
            hidden = hidden if depth else None
        at = tag.end()
    return "".join(out)


def test_the_english_half_of_a_page_is_cut_out_whole() -> None:
    page = '<body><p class="en">a<span>b</span> <p class="en">c</p></p><p class="fr en-tete">d</p>'
    page += '<td lang="en">e</td>f</body>'
    assert re.sub(r"<[^>]+>|\s", "", french_half(page)) == "df"


@pytest.fixture(scope="module")
def pages(root, given, tmp_path_factory):
    """One page of each kind that the product writes in both languages."""
    folder = tmp_path_factory.mktemp("pages")
    assert main(["eval", "report", str(root / "scores"), "--out", str(folder / "evaluation.html")]) == 0
    assert main(["plan", "olmoe-1b-7b", "--page", str(folder / "plan.html")]) == 0
    (folder / "systems.toml").write_text(
        f'title = "A"\n[volume]\nrequests = 10\ninput_tokens = 5\noutput_tokens = 5\n[[system]]\nname = "One"\n'
        f'evaluations = ["{root / "scores"}"]\naudits = ["{root / "audited"}"]\n[[system]]\n'
        'name = "Other"\nreported = "GPT-4o"\n'
    )
    assert main(["compare", "run", str(folder / "systems.toml"), "--out", str(folder / "compared")]) == 0
    step = {"event": "step", "steps": 9, "seconds_left": 60, "mfu": None, "tokens_per_s": 900.0, "busiest": 1.2}
    step |= {"balance": 1.0, "norm": 1.0, "scale": 0.5}
    steps = [step | {"step": n, "seen": 512 * n, "loss": 3.2 - n / 9} for n in (1, 2, 3)]
    scores = {"event": "evaluate", "seen": 1536, "bits_per_byte": {"en": 1.5}}
    (folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*steps, scores]))
    found = {
        "training": write_page(folder, "tiny"),
        "evaluation": folder / "evaluation.html",
        "plan": folder / "plan.html",
        "audit": root / "audited/audit.html",
        "comparison": next((folder / "compared").glob("*.html")),
    }
    return {name: file.read_text(encoding="utf-8") for name, file in found.items()}


@pytest.mark.parametrize("kind", ["training", "evaluation", "plan", "audit", "comparison"])
def test_no_page_of_the_product_speaks_english_to_its_french_readers(pages, kind) -> None:
    text = prose(french_half(pages[kind]))
    assert len(words(text)) > 40
    strange = [(m, text[max(0, text.find(m) - 80) : text.find(m) + 80]) for m in english_in(text)]
    assert not strange, strange[:6]
