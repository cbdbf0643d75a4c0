import html
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.artifact import LINEAGE, read_manifest, sha256_file, sha256_json
from creuset.governance.dossier import build as builder
from creuset.governance.dossier.answers import questions, read
from creuset.governance.dossier.build import build
from creuset.governance.dossier.figure import compute, pointed
from creuset.governance.dossier.form import forms
from tests.dossier.chain import model, seal

PACKAGE = Path(builder.__file__).parent
LINK = re.compile(r'<a class="figure" href="#(F\d+)">(.*?)</a>')
MARKDOWN_LINK = re.compile(r"(?<!!)\[((?:[^\[\]\\]|\\.)*)\]\(#(f\d+)\)")
NUMBER = re.compile(r"\d+(?:[.,\u202f]\d+)*")


@pytest.fixture
def copy(told, tmp_path):
    return shutil.copytree(told, tmp_path / "copy")


def figures(folder):
    return {f"F{f['number']}": f for f in json.loads((folder / "figures.json").read_text())["figures"]}


def body(file):
    text = file.read_text(encoding="utf-8")
    return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


def verified(folder, capsys):
    capsys.readouterr()
    code = main(["verify", str(folder)])
    said = capsys.readouterr()
    return code, said.out + said.err


# -- figures ------------------------------------------------------------------------------------------------------


def test_every_figure_is_read_again_from_a_record_whose_hash_the_lineage_knows(whole, root):
    records = {r["id"]: r for r in json.loads((whole / "records.json").read_text())}
    artifacts = {read_manifest(p)["sha256"]: p for p in root.iterdir() if (p / "manifest.json").is_file()}
    for record in records.values():
        file = whole / record["path"]
        if record["role"] in ("law", "operator"):
            assert record["sha256"] == sha256_file(PACKAGE / "law.toml")
        elif record["file"] == "manifest.json":
            assert record["sha256"] == sha256_json({k: v for k, v in body(file).items() if k != "sha256"})
            assert body(file) == read_manifest(artifacts[record["artifact"]])
        else:
            source = artifacts[record["artifact"]] / record["file"]
            assert record["sha256"] == sha256_file(source) == sha256_file(file)
    found = figures(whole)
    assert len(found) > 100 and {s["record"] for f in found.values() for s in f["sources"]} <= set(records)
    for figure in found.values():
        values = [pointed(body(whole / records[s["record"]]["path"]), s["pointer"]) for s in figure["sources"]]
        assert compute(figure["operation"], values) == figure["value"], figure["key"]


def test_every_link_to_a_figure_shows_that_figure_and_leads_to_its_line(whole):
    found, seen = figures(whole), set()
    for lang in ("en", "fr"):
        for page in (whole / lang).glob("*.html"):
            text = page.read_text(encoding="utf-8")
            links = LINK.findall(text)
            notice = page.stem in {form.id for form in forms().values() if form.public}
            assert bool(links) != notice or page.stem == "index", page
            for anchor, words in links:
                assert html.unescape(re.sub("<[^>]+>", "", words)) == found[anchor]["shown"][lang]
                assert f'<span id="{anchor}">' in text
            markdown = page.with_suffix(".md").read_text(encoding="utf-8")
            again = [(at.upper(), re.sub(r"\\(.)", r"\1", words).strip("`")) for words, at in
                     MARKDOWN_LINK.findall(markdown)]  # fmt: skip
            assert sorted(again) == sorted((a, html.unescape(re.sub("<[^>]+>", "", w))) for a, w in links), page
            seen |= {anchor for anchor, _ in links}
    assert len(seen) > 80


def strings(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def test_no_number_of_a_field_stands_outside_a_link_but_in_words(whole):
    """What is left when the links are taken out are the words of forms and questions, and names and reasons."""
    records = json.loads((whole / "records.json").read_text())
    words = [*strings(records)]
    for file in (*PACKAGE.rglob("*.toml"), *(whole / r["path"] for r in records)):
        words += strings(body(file))
    words.append(read_manifest(whole)["settings"]["date"])
    allowed = {number for word in words for number in NUMBER.findall(word)}
    allowed |= {number.lstrip("0") for number in allowed}
    allowed |= {number.replace(".", ",") for number in allowed}  # reasons in French
    for page in sorted(whole.glob("*/*.html")):
        for field in re.findall(r"<article.*?</article>", page.read_text(encoding="utf-8"), re.DOTALL):
            left = html.unescape(re.sub(r"<[^>]+>", " ", LINK.sub("", field)))
            assert set(NUMBER.findall(left)) - {"95"} <= allowed, (page.name, left)  # "95 % interval", a head


def test_a_dossier_is_whole_and_keeps_its_chain(told, capsys):
    code, said = verified(told, capsys)
    assert code == 0 and "whole: nothing was altered" in said
    assert {"model", "evaluation", "audit", "corpus", "shards", "tokenizer"} <= {line.split()[0] for line in
                                                                                 said.splitlines()}  # fmt: skip


# -- what verify finds --------------------------------------------------------------------------------------------


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text, (file, old)
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("name", ["fr/annex-xi.md", "en/annex-xi.html"])
@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_a_number_edited_in_a_document_is_named(copy, capsys, name, sealed):
    shown = figures(copy)
    lang = name[:2]
    total = next(f for f in shown.values() if f["key"] == "parameters.total")["shown"][lang]
    edit(copy / name, total, total[:-1] + ("1" if total[-1] != "1" else "2"))
    if sealed:
        seal(copy)
    code, said = verified(copy, capsys)
    assert code == 1 and f"copy/{name}" in said
    if sealed:
        assert "is not what its records give: it was edited" in said


def test_a_number_edited_in_a_document_of_another_version_is_named_by_its_link(copy, capsys):
    seal(copy, code="0" * 64)
    assert verified(copy, capsys)[0] == 0
    edit(copy / "en/annex-xi.html", ">1.0 × 10¹²<", ">1.0 × 10¹¹<")
    seal(copy, code="0" * 64)
    code, said = verified(copy, capsys)
    assert code == 1 and "copy/en/annex-xi.html" in said and "shows `1.0 × 10¹¹`" in said


def test_a_number_edited_in_figures_json_is_named(copy, capsys):
    edit(copy / "figures.json", '"value": 1000000000000.0', '"value": 1000000000001.0')
    seal(copy)
    code, said = verified(copy, capsys)
    assert code == 1 and "copy/figures.json" in said and "its record says 1000000000000.0" in said


def test_a_number_edited_in_a_copied_record_is_named(copy, capsys):
    record = next(copy.glob("records/*/record.json"))
    edit(record, '"tokens": 4096', '"tokens": 9096')
    seal(copy)
    code, said = verified(copy, capsys)
    assert code == 1 and f"copy/records/{record.parent.name}/record.json" in said
    assert "is not the file that its artifact's manifest names" in said


def test_a_record_that_swears_to_its_own_new_hash_is_named(copy, capsys):
    record = next(copy.glob("records/*/record.json"))
    before = sha256_file(record)
    edit(record, '"tokens": 4096', '"tokens": 9096')
    edit(copy / "records.json", before, sha256_file(record))
    seal(copy)
    code, said = verified(copy, capsys)
    assert code == 1 and "record.json" in said and f"is {before[:12]} in the lineage" in said


def test_a_lineage_that_was_edited_is_named(copy, capsys):
    manifest = next(f for f in (copy / LINEAGE).glob("*.json") if body(f)["kind"] == "shards")
    edit(manifest, '"tokens": ', '"tokens": 9')
    code, said = verified(copy, capsys)
    assert code == 1 and f"copy/lineage/{manifest.stem[:12]}.json" in said


# -- the operator -------------------------------------------------------------------------------------------------


def test_what_nobody_said_is_to_complete_in_each_language_and_in_the_template(whole, tmp_path, capsys):
    assert main(["dossier", "template", "--out", str(tmp_path / "operator.toml")]) == 0
    asked = tomllib.loads((tmp_path / "operator.toml").read_text(encoding="utf-8"))
    keys = {f"{table}.{key}" for table, inner in asked.items() if isinstance(inner, dict) for key in inner}
    assert keys == set(questions()) and read(asked) == {}
    open_ = set(read_manifest(whole)["facts"]["to_complete"])
    for lang, words in (("en", "TO COMPLETE"), ("fr", "À COMPLÉTER")):
        found = set()
        for page in (whole / lang).glob("*.md"):
            found |= set(re.findall(rf"^> \*\*{words}\*\*.* `([\w.]+)`$", page.read_text(encoding="utf-8"), re.M))
        assert found == open_ <= keys
    assert not any(questions()[key].optional for key in open_)
    assert main(["dossier", "template", "--out", str(tmp_path / "operator.toml")]) == 2
    assert "already exists" in capsys.readouterr().err


def test_an_answer_is_printed_with_its_date_and_the_language_it_was_given_in(told):
    from huggingface_hub import ModelCard

    english = (told / "en/annex-xi.html").read_text(encoding="utf-8")
    french = (told / "fr/annex-xi.html").read_text(encoding="utf-8")
    assert "Answering in small tests, n ≥ 30." in english and "Answering in small tests, n ≥ 30." in french
    assert "déclaré par l&#x27;exploitant, 20 novembre 2026 ; fourni en anglais seulement" in french
    assert "given in English only" not in english and "stated by the operator, 20 November 2026" in english
    assert "stated by the operator, 1 October 2026" in english  # the licence has a date of its own
    card = (told / "fr/model-card.md").read_text(encoding="utf-8")
    assert "La médecine" in card and "Medicine." not in card
    assert "use.hardware" in read_manifest(told)["facts"]["to_complete"] or "use.hardware" not in card
    assert ModelCard((told / "en/model-card.md").read_text(encoding="utf-8")).data.license == "apache-2.0"


@pytest.mark.parametrize(("text", "named"), [
    ('date = "2026-11-20"\n[provider]\nlegal_nam = "X"', ["`provider.legal_nam` is not asked for",
                                                         "did you mean `provider.legal_name`?"]),
    ('date = "2026-11-20"\nprovidr = "X"', ["`providr` is not asked for"]),
    ('[provider]\nlegal_name = "X"', ["the answer to `provider.legal_name` has no date"]),
    ('date = "yesterday"\n[provider]\nlegal_name = "X"', ["`provider.legal_name` has the date `yesterday`"]),
    ('date = "2026-11"\n[provider]\nlegal_name = { de = "X" }', ["`provider.legal_name` has the unknown field `de`"]),
    ('date = "2026-11"\n[provider]\nlegal_name = 3', ["`provider.legal_name` is neither words nor a table",
                                                      "a number (3)"]),
    ('[provder]\nlegal_name = "X"', ["`provder.legal_name` is not asked for", "did you mean `provider.legal_name`?"]),
    ('providr = true', ["`providr` is not asked for: a truth value (true)", "did you mean `provider`?"]),
    ('date = "2026-11"\n[provider]\nlegal_name = { eng = "X" }', ["the unknown field `eng`", "did you mean `en`?"]),
    ('date = "2026-11"\n[provider]\nlegal_name = { en = ["X"] }', ["not in quotes: a list (['X'])"]),
    ('[energy]\ngrid = 56', ["`energy.grid` is a number (56), and needs a source beside it",
                            'write grid = { value = 50.5, source = "...", date = "2026-01-31" }']),
    ('[energy]\ngrid = { value = "56", source = "S", date = "2025-12-31" }', ["is words (56), not a number"]),
    ('[energy]\ngrid = { value = true, source = "S", date = "2025-12-31" }', ["is a truth value (true), not a number"]),
    ('[energy]\ngrid = { value = 5600, source = "S", date = "2025" }', ["is 5600, which is not from 0 to 3000"]),
    ('[energy]\ngrid = { value = nan, source = "S", date = "2025" }', ["is nan, which is not from 0 to 3000"]),
    ('[energy]\ngrid = { value = 56, source = " ", date = "2025-12-31" }', ["`energy.grid` has no source"]),
    ('[energy]\ngrid = { value = 56, source = "S" }', ["the answer to `energy.grid` has no date"]),
    ('[energy]\ngrid = { value = 56, en = "S" }', ["`energy.grid` has the unknown field `en`"]),
    ('date = "2026-11"\n[energy]\nsource = "sun"', ["`energy.source` is `sun`", "one of coal, oil"]),
    ('date = ', ["is not TOML"]),
])  # fmt: skip
def test_an_operator_file_is_refused_by_the_name_of_what_is_wrong(given, tmp_path, capsys, text, named):
    (tmp_path / "o.toml").write_text(text)
    code = main(["dossier", *given, "--operator", str(tmp_path / "o.toml"), "--forms", "annex-xi", "--lang", "en",
                 "--out", str(tmp_path / "out")])  # fmt: skip
    said = capsys.readouterr().err
    assert code in (2, 3) and all(words in said for words in named), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("more", "named"), [
    (["--forms", "anex-xi"], "did you mean `annex-xi`?"),
    (["--forms", "zzz"], "there are annex-xi, annex-xii"),
    (["--lang", "de"], "`de` is not a language of the dossier"),
    (["--formats", "docx"], "`docx` is not a format of documents"),
])  # fmt: skip
def test_a_form_or_language_that_is_not_there_is_refused(given, tmp_path, capsys, more, named):
    assert main(["dossier", given[0], *more, "--out", str(tmp_path / "out")]) == 2
    assert named in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_scores_of_a_stranger_and_damaged_scores_are_refused(given, root, tmp_path, capsys):
    other = model(tmp_path / "other", parents=[], flops=1.0)
    assert main(["dossier", str(other), "--evaluation", str(root / "scores"), "--out", str(tmp_path / "o")]) == 3
    assert "which is not this model" in capsys.readouterr().err
    shutil.copytree(root / "scores", tmp_path / "scores")
    edit(tmp_path / "scores/results.json", '"score": ', '"score": 1')
    assert main(["dossier", given[0], "--evaluation", str(tmp_path / "scores"), "--out", str(tmp_path / "o")]) == 3
    assert "no document is made of a damaged artifact" in capsys.readouterr().err


# -- completeness, law --------------------------------------------------------------------------------------------


def test_completeness_is_what_the_pages_show(whole):
    said = read_manifest(whole)["facts"]["completeness"]
    assert set(said) == {name for name, form in forms().items() if form.subject != "deployed"}
    for form, recipients in said.items():
        for recipient, state in recipients.items():
            assert 0 <= state["filled"] <= state["fillable"]
            name = form if recipient == "all" else f"{form}-{recipient.lower()}"
            name += "-annex" if forms()[form].public else ""  # the notice itself shows no states
            for lang in ("en", "fr"):
                page = (whole / lang / f"{name}.html").read_text(encoding="utf-8")
                shown = {s: page.count(f'<article class="{s}"') for s in
                         ("filled", "partly", "missing", "not_applicable", "elsewhere")}  # fmt: skip
                assert shown["filled"] + shown["partly"] + shown["missing"] == state["fillable"], (name, lang)
                assert {k: state[k] for k in shown} == shown and sum(shown.values()) == state["fields"], (name, lang)
                sentence = next(p for p in re.findall(r'<p class="quiet">(.*?)</p>', page)
                                if p.endswith(("fields in all.", "champs en tout.")))  # fmt: skip
                filled, fillable, *other, fields = map(int, re.findall(r"\d+", sentence))
                assert (filled, fillable, fields) == (state["filled"], state["fillable"], state["fields"])
                assert filled + sum(other) == fields, sentence
                index = (whole / lang / "index.html").read_text(encoding="utf-8")
                assert f"<td>{state['filled']} / {state['fillable']}</td>" in index.split(f'"{name}.html"')[1][:200]


def test_a_recipient_gets_its_own_fields_and_no_others(whole):
    for recipient in ("AIO", "NCA", "DP"):
        page = (whole / f"en/mdf-{recipient.lower()}.html").read_text(encoding="utf-8")
        shown = set(re.findall(r'<article class="\w+" id="([\w-]+)"', page))
        assert shown == {f["id"] for f in forms()["mdf"].fields() if recipient in f["to"].split()}


@pytest.mark.parametrize(("flops", "line", "words", "never"), [
    (1e12, None, "below the indicative GPAI threshold", "risk applies"),
    (1e12, 1e11, "presumed to be one", "below the indicative"),
    (1e23, None, "below the indicative GPAI threshold", "presumed to be one"),     # "above it" is what the text says
    (1.5e25, None, "The presumption of systemic risk applies", "below the indicative"),
])  # fmt: skip
def test_the_side_of_the_laws_lines_is_that_of_the_recorded_compute(
    root, tmp_path, monkeypatch, flops, line, words, never
):
    made = model(tmp_path / "m", parents=[], flops=flops)
    if line:
        text = (PACKAGE / "law.toml").read_text(encoding="utf-8")
        (tmp_path / "law.toml").write_text(text.replace("value = 1e23", f"value = {line:e}", 1), encoding="utf-8")
        monkeypatch.setattr(builder, "LAW", tmp_path / "law.toml")
    build(made, tmp_path / "out", langs=["en"], forms=["annex-xi"], formats=["html"])
    text = (tmp_path / "out/en/annex-xi.html").read_text(encoding="utf-8")
    assert words in text and never not in text
    assert ('<article class="not_applicable" id="adversarial">' in text) == (flops < 1e25)
    named = {f["key"]: f for f in figures(tmp_path / "out").values()}
    assert named["law.gpai_flop"]["value"] == (line or 1e23) and named["flops.total"]["value"] == flops
    assert named["share.gpai_flop"]["value"] == pytest.approx(flops / (line or 1e23))


def test_scores_of_an_ancestor_are_said_to_be_its_own_even_under_one_name(root, tmp_path):
    """A child that took its parent's name: the hash tells them apart, and the card's index has none of the scores."""
    child = model(tmp_path / "base", parents=[root / "base"], flops=1e9)
    build(child, tmp_path / "out", evaluations=[root / "scores"], langs=["en"], forms=["model-card"], formats=["md"])
    text = (tmp_path / "out/en/model-card.md").read_text(encoding="utf-8")
    assert f"Scored: base ({read_manifest(root / 'base')['sha256'][:12]}), not the model itself.*" in text
    assert "model-index" not in text
