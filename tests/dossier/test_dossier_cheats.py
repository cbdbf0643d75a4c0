"""What somebody would try who wants a better figure in a dossier. Each is found, or it is said why it cannot be."""

import json
import re
import shutil

import pytest
from pypdf import PdfReader, PdfWriter

from creuset.cli import main
from creuset.core.artifact import LINEAGE, MANIFEST, read_manifest, sha256_file, sha256_json
from creuset.governance.dossier.compose import compose
from tests.dossier.chain import seal


@pytest.fixture
def copy(told, tmp_path):
    return shutil.copytree(told, tmp_path / "copy")


def verify(folder, capsys):
    capsys.readouterr()
    code = main(["verify", str(folder)])
    said = capsys.readouterr()
    return code, said.out + said.err


def edit(file, old, new, count=1):
    text = file.read_text(encoding="utf-8")
    assert old in text, (file.name, old)
    file.write_text(text.replace(old, new, count), encoding="utf-8")


def drop(folder, name):
    (folder / name).unlink()
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][name]
    (folder / MANIFEST).write_text(json.dumps(manifest))


def figure(folder):
    edit(folder / "en/annex-xi.html", ">1.0 × 10¹²<", ">1.0 × 10¹¹<")


def markdown(folder):
    edit(folder / "fr/model-card.md", "1,0 × 10¹²", "1,0 × 10¹¹")


def pdf(folder):
    """The same pages, written again by another program with one more word in the title."""
    file = folder / "fr/annex-xi.pdf"
    writer = PdfWriter(clone_from=PdfReader(file))
    writer.add_metadata({"/Title": "Autre"})
    writer.write(file)


def pdf_page(folder):
    file = folder / "en/annex-xi.pdf"
    writer = PdfWriter()
    for page in PdfReader(file).pages[:-1]:
        writer.add_page(page)
    writer.write(file)


def bom(folder):
    edit(folder / "bom.cdx.json", '"lowerBound": "', '"lowerBound": "9')


def swap(folder):
    """Two links that show the same value, each now to the other's record."""
    file = folder / "en/annex-xi.html"
    text = file.read_text(encoding="utf-8")
    shown = {}
    for anchor, value in re.findall(r'<a class="figure" href="#(F\d+)">([^<]+)</a>', text):
        shown.setdefault(value, []).append(anchor)
    one, other = next(a[:2] for a in shown.values() if len(set(a[:2])) == 2)
    text = text.replace(f'href="#{one}"', 'href="#?"', 1).replace(f'href="#{other}"', f'href="#{one}"', 1)
    file.write_text(text.replace('href="#?"', f'href="#{other}"'), encoding="utf-8")


def unit(folder):
    edit(folder / "en/annex-xi.html", " MWh (", " kWh (")


def row(folder):
    file = folder / "en/model-card.html"
    found = re.search(r"<tbody>(<tr>.*?</tr>\n)", file.read_text(encoding="utf-8"), re.DOTALL).group(1)
    edit(file, found, found + found)


def page(folder):
    drop(folder, "fr/annex-xi.pdf")


def whole_form(folder):
    for lang in ("en", "fr"):
        for ending in ("md", "html", "pdf"):
            drop(folder, f"{lang}/annex-xi.{ending}")


def extra(folder):
    (folder / "en/annex-iv.html").write_text("<p>All is well.</p>")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["en/annex-iv.html"] = ""
    (folder / MANIFEST).write_text(json.dumps(manifest))


def law(folder):
    edit(folder / "law.toml", "value = 1e23", "value = 1e30")
    edit(folder / "records.json", read_manifest(folder)["files"]["law.toml"], sha256_file(folder / "law.toml"))
    edit(folder / "figures.json", '"value": 1e+23', '"value": 1e+30')
    figures = json.loads((folder / "figures.json").read_text())["figures"]
    share = next(f for f in figures if f["key"] == "share.gpai_flop")
    edit(folder / "figures.json", f'"value": {share["value"]!r}', f'"value": {1e12 / 1e30!r}')


def answer(folder):
    edit(folder / "operator.toml", "Société Exemple", "Société Autre")
    before = read_manifest(folder)["files"]["operator.toml"]
    edit(folder / "records.json", before, sha256_file(folder / "operator.toml"))


def completeness(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["facts"]["completeness"]["annex-xi"]["all"]["filled"] += 1
    (folder / MANIFEST).write_text(json.dumps(manifest))


def left_open(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["facts"]["to_complete"].pop()
    (folder / MANIFEST).write_text(json.dumps(manifest))


CHEATS = {
    figure: "en/annex-xi.html",
    markdown: "fr/model-card.md",
    pdf: "fr/annex-xi.pdf",
    pdf_page: "en/annex-xi.pdf",
    bom: "bom.cdx.json",
    swap: "en/annex-xi.html",
    unit: "en/annex-xi.html",
    row: "en/model-card.html",
    page: "fr/annex-xi.pdf",
    whole_form: "en/annex-xi.html",
    extra: "en/annex-iv.html",
    law: "law.toml",
    answer: "figures.json",
    completeness: "manifest.json",
    left_open: "manifest.json",
}


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("cheat", CHEATS, ids=lambda c: c.__name__)
def test_a_cheat_is_found_and_its_file_is_named(copy, capsys, cheat, sealed):
    cheat(copy)
    if sealed:
        seal(copy)
    code, said = verify(copy, capsys)
    assert code == 1 and "broken" in said.splitlines()[-1]
    if sealed:
        assert f"BROKEN  copy/{CHEATS[cheat]} " in said, said


def test_the_hash_beside_a_figure_is_part_of_the_page(copy, capsys):
    """The model's hash on a page, made that of another model."""
    digest = next(r["sha256"] for r in json.loads((copy / "records.json").read_text()) if r["role"] == "model")
    edit(copy / "en/annex-xi.html", digest, "0" * 64, count=-1)
    seal(copy)
    code, said = verify(copy, capsys)
    assert code == 1 and "copy/en/annex-xi.html is not what its records give" in said


@pytest.mark.parametrize("cheat", [swap, unit, row, pdf], ids=lambda c: c.__name__)
def test_a_cheat_behind_another_version_is_not_called_whole(copy, capsys, cheat):
    """Who says that other code made the dossier escapes the byte comparison: that is said, and nothing is praised."""
    cheat(copy)
    seal(copy, code="0" * 64)
    code, said = verify(copy, capsys)
    assert code == 0 and "nothing was altered" not in said
    assert "NOT PROVED  copy says that it was made by other code" in said
    assert said.splitlines()[-1] == "whole as far as it could be read"
    assert json.loads(verify_json(copy, capsys))["limits"]


def verify_json(folder, capsys):
    capsys.readouterr()
    main(["verify", str(folder), "--json"])
    return capsys.readouterr().out


@pytest.mark.parametrize("cheat", [figure, markdown], ids=lambda c: c.__name__)
def test_a_figure_behind_another_version_is_still_found(copy, capsys, cheat):
    cheat(copy)
    seal(copy, code="0" * 64)
    code, said = verify(copy, capsys)
    assert code == 1 and f"BROKEN  copy/{CHEATS[cheat]} shows `1" in said


def test_who_forges_everything_makes_a_dossier_of_another_model(copy, root, capsys):
    """Out of reach from inside: record, lineage and pages made anew. The model's hash on each page gives it away."""
    before = read_manifest(root / "base")["sha256"]
    record = next(copy.glob("records/*/record.json"))
    edit(record, '"tokens": 4096', '"tokens": 9096')
    file = copy / LINEAGE / f"{before}.json"
    manifest = json.loads(file.read_text())
    manifest["files"]["record.json"] = sha256_file(record)
    manifest["sha256"] = sha256_json({k: v for k, v in manifest.items() if k != "sha256"})
    file.unlink()
    (copy / LINEAGE / f"{manifest['sha256']}.json").write_text(json.dumps(manifest))
    for name in ("records.json", MANIFEST):
        edit(copy / name, before, manifest["sha256"], count=-1)
    for other in copy.glob(f"{LINEAGE}/*.json"):
        if before in other.read_text():  # scores and audit were of the true model
            other.unlink()
    told = json.loads((copy / "records.json").read_text())
    for entry in told:
        if entry["artifact"] == manifest["sha256"] and entry["file"] == "record.json":
            entry["sha256"] = sha256_file(record)
    told = [e for e in told if e["role"] not in ("evaluation", "audit")]
    (copy / "records.json").write_text(json.dumps(told))
    mine = json.loads((copy / MANIFEST).read_text())
    mine["parents"] = [p for p in mine["parents"] if p["kind"] in ("model", "corpus")]
    mine["files"] = {n: h for n, h in mine["files"].items() if (copy / n).is_file()}
    for name in [n for n in mine["files"] if n.startswith("records/") and not any(e["path"] == n for e in told)]:
        (copy / name).unlink()
        del mine["files"][name]
    made = compose(copy, names=mine["settings"]["forms"], langs=mine["settings"]["lang"], day=mine["settings"]["date"],
                   version=mine["facts"]["version"])  # fmt: skip
    mine["facts"] |= {"completeness": made.completeness, "to_complete": made.to_complete, "figures": made.figures}
    (copy / MANIFEST).write_text(json.dumps(mine))
    seal(copy)
    code, said = verify(copy, capsys)
    assert code == 0, said
    page = (copy / "en/annex-xi.html").read_text(encoding="utf-8")
    assert "9,096" in page and before not in page and manifest["sha256"] in page


# -- what training read -----------------------------------------------------------------------------------------------


def test_documents_say_what_the_run_read_and_nothing_of_what_lay_in_the_shards(whole, root):
    found = {f["key"]: f for f in json.loads((whole / "figures.json").read_text())["figures"]}
    records = {r["id"]: r for r in json.loads((whole / "records.json").read_text())}
    run = json.loads((root / "base/record.json").read_text())
    read = {name: found[f"read.1.{name}"]["value"] for name in run["read"]}
    assert read == run["read"] == {"en": 3072, "fr": 1024} and found["tokens.trained"]["value"] == sum(read.values())
    assert found["read.1.fr.share"]["value"] == 0.25 and found["tokens.pretrain"]["value"] == 4096
    shards = [s["pointer"] for f in found.values() for s in f["sources"] if records[s["record"]]["kind"] == "shards"]
    assert shards and not [at for at in shards if "/train/" in at]
    page = (whole / "fr/training-summary.html").read_text(encoding="utf-8")
    assert "l'entraînement a lu" in page.replace("’", "'").replace("&#x27;", "'") and "3\u202f072" in page


def test_verify_finds_a_figure_of_what_lay_in_the_shards(copy, capsys):
    """As documents of creuset 0.2 had it: true of the shards, and not of the model."""
    said = json.loads((copy / "figures.json").read_text())
    record = next(r for r in json.loads((copy / "records.json").read_text()) if r["kind"] == "shards")
    at = "/facts/sources/en/train/tokens"
    lay = json.loads((copy / record["path"]).read_text())["facts"]["sources"]["en"]["train"]["tokens"]
    said["figures"].append({
        "key": "data.train.tokens", "number": len(said["figures"]) + 1, "value": lay, "operation": "sum",
        "style": "int",
        "sources": [{"record": record["id"], "pointer": at}], "shown": {"en": f"{lay:,}", "fr": str(lay)},
    })  # fmt: skip
    (copy / "figures.json").write_text(json.dumps(said))
    seal(copy, code="0" * 64)
    code, out = verify(copy, capsys)
    assert code == 1 and "(data.train.tokens)" in out
    assert (
        "what lay in the shards, and stands in documents as what the model was trained on: training read 4,096" in out
    )
