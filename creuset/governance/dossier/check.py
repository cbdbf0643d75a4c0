"""What `creuset verify` asks of a dossier beyond its hashes: that no figure was edited.

  1. each copy of a record is the file that its artifact's manifest, in the lineage, names by hash
  2. each figure is read, or computed, again from its records
  3. no figure tells what lay in the shards as what training read
  4. the documents are made again from the records and compared byte for byte, by the code that made them; where the
     code is another by now, the words of every link to a figure are compared with the figure instead, and `limits`
     says that the rest was not proved

Nothing inside a dossier proves that all of it, records and hashes together, was not made up: its hash, or that of the
model that it names, must be known from elsewhere.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.core.artifact import LINEAGE, MANIFEST, Problem, read_manifest, sha256_file
from creuset.core.errors import CreusetError
from creuset.governance.dossier import build
from creuset.governance.dossier.build import code
from creuset.governance.dossier.compose import FIGURES, compose
from creuset.governance.dossier.figure import RecordPlace, compute
from creuset.governance.dossier.records import INDEX, LAW, OPERATOR, RECORDS, Record, Shelf

HTML_LINK = re.compile(r'<a class="figure" href="#(F\d+)">(.*?)</a>')
READY = re.compile(r"/train/(tokens|documents|bytes)$")
MARKDOWN_LINK = re.compile(r"(?<!!)\[((?:[^\[\]\\]|\\.)*)\]\(#(f\d+)\)")


def check(path: Path) -> list[Problem]:
    """Problems of the dossier at `path`; none where every figure is what its record says."""
    manifest = read_manifest(path)
    try:
        shelf = Shelf(path)
        said = json.loads((path / FIGURES).read_text(encoding="utf-8"))["figures"]
        problems = [*_records(shelf, manifest), *_figures(shelf, said, path.name), *_unread(shelf, said, path.name)]
    except (OSError, KeyError, TypeError, ValueError, CreusetError) as error:
        return [Problem(f"{path.name}/{FIGURES}", f"cannot be read with its records: {error}")]
    if problems:
        return problems
    if manifest["facts"].get("code") == code():
        if sha256_file(path / LAW) != sha256_file(build.LAW):  # the code that it says made it has another law
            return [Problem(f"{path.name}/{LAW}", "is not the law of the version that made the dossier")]
        return _again(path, manifest)
    return list(_links(path, {f"F{f['number']}": f for f in said}))


def limits(path: Path) -> list[str]:
    """What `check` cannot prove of this dossier."""
    facts = read_manifest(path)["facts"]
    if facts.get("code") == code():
        return []
    return [
        f"{path.name} says that it was made by other code than this (creuset {facts.get('version', '?')}; this is "
        f"{__version__}): figures and the words of links in HTML and Markdown were compared, not the rest of the "
        "pages, nor PDF; verify it with the version that made it"
    ]


def _records(shelf: Shelf, manifest: dict[str, Any]) -> Iterator[Problem]:
    parents = {p["sha256"] for p in manifest["parents"]}
    if shelf.endpoint is None and shelf.model.sha256 not in parents:
        yield Problem(f"{shelf.folder.name}/{INDEX}", "names a model that is not a parent of this dossier")
    if shelf.endpoint is not None and shelf.endpoint.artifact not in parents:
        yield Problem(f"{shelf.folder.name}/{INDEX}", "names an audit that is not a parent of this dossier")
    for record in shelf.records:
        file, where = shelf.folder / record.path, f"{shelf.folder.name}/{record.path}"
        if not file.resolve().is_relative_to(shelf.folder.resolve()) or not file.is_file():
            yield Problem(where, "is missing: figures were read from it")
        elif (named := _named(shelf, record)) != record.sha256:
            known = named[:12] or "nothing"
            yield Problem(where, f"is {known} in the lineage, {INDEX} says {record.sha256[:12]}")
        elif record.file != MANIFEST and sha256_file(file) != record.sha256:
            yield Problem(where, "is not the file that its artifact's manifest names")


def _named(shelf: Shelf, record: Record) -> str:
    """The hash by which the lineage knows the record's file."""
    if record.role in ("operator", "law"):
        return str(read_manifest(shelf.folder)["files"].get(OPERATOR if record.role == "operator" else LAW, ""))
    file = shelf.folder / LINEAGE / f"{record.artifact}.json"
    if not file.is_file():
        return ""
    owner = json.loads(file.read_text(encoding="utf-8"))
    return str(owner["sha256"] if record.file == MANIFEST else owner["files"].get(record.file, ""))


def _figures(shelf: Shelf, said: list[dict[str, Any]], name: str) -> Iterator[Problem]:
    for figure in said:
        places = [RecordPlace(**s) for s in figure["sources"]]
        try:
            found = compute(figure["operation"], [shelf.read(s) for s in places])
        except KeyError as error:
            yield Problem(f"{name}/{FIGURES}", f"F{figure['number']} ({figure['key']}): no record has {error}")
            continue
        if found != figure["value"]:
            yield Problem(
                f"{name}/{FIGURES}",
                f"F{figure['number']} ({figure['key']}) is {figure['value']!r}, its record says {found!r}",
            )


def _unread(shelf: Shelf, said: list[dict[str, Any]], name: str) -> Iterator[Problem]:
    """Figures of the training part of shards: what lay ready, which documents of creuset 0.2 told as what was read."""
    read = sum(stage["tokens"] for _, _, stage in shelf.stages())
    told = f"training read {read:,} tokens in all" if shelf.stages() else "no record says what training read"
    for figure in said:
        ready = [
            s for s in figure["sources"] if shelf.record(s["record"]).kind == "shards" and READY.search(s["pointer"])
        ]
        if ready:
            yield Problem(
                f"{name}/{FIGURES}",
                f"F{figure['number']} ({figure['key']}) is {figure['value']!r}, what lay in the shards, and stands in "
                f"documents as what the model was trained on: {told}",
            )


def _again(path: Path, manifest: dict[str, Any]) -> list[Problem]:
    """Compose once more, elsewhere, and compare."""
    settings, facts = manifest["settings"], manifest["facts"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in (LINEAGE, RECORDS):
            if (path / name).is_dir():
                shutil.copytree(path / name, copy / name)
        for name in (INDEX, OPERATOR, LAW):
            if (path / name).is_file():
                shutil.copyfile(path / name, copy / name)
        made = compose(
            copy, names=settings["forms"], langs=settings["lang"], day=settings["date"], version=facts["version"],
            formats=settings["formats"],
        )  # fmt: skip
        problems = [
            Problem(f"{path.name}/{name}", "is not what its records give: it was edited")
            for name in sorted(manifest["files"])
            if not (copy / name).is_file() or (copy / name).read_bytes() != (path / name).read_bytes()
        ]
        made_files = {f.relative_to(copy).as_posix() for f in copy.rglob("*") if f.is_file()}
        problems += [
            Problem(f"{path.name}/{name}", "is missing: its records give it")
            for name in sorted(made_files - set(manifest["files"]))
            if not name.startswith(LINEAGE + "/")
        ]
        if made.completeness != facts.get("completeness"):
            problems.append(Problem(f"{path.name}/{MANIFEST}", "says another completeness than the documents"))
        if (made.to_complete, made.figures) != (facts.get("to_complete"), facts.get("figures")):
            problems.append(Problem(f"{path.name}/{MANIFEST}", "says other counts than the documents"))
    return problems


def _links(path: Path, figures: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """In each HTML and Markdown page, what a link to a figure shows is that figure, as its language writes it.

    Links of the operator's answers show a note, not the answer: they are left to the byte comparison.
    """
    for lang in ("en", "fr"):
        for file in sorted((path / lang).glob("*.*")):
            for anchor, shown in _shown(file):
                figure = figures.get(anchor)
                if figure is None or (not figure["key"].startswith("operator.") and shown != figure["shown"][lang]):
                    yield Problem(f"{path.name}/{lang}/{file.name}", f"shows `{shown}` where {anchor} is meant")


def _shown(file: Path) -> Iterator[tuple[str, str]]:
    """The links to figures of a page, and their words."""
    if file.suffix == ".html":
        for anchor, text in HTML_LINK.findall(file.read_text(encoding="utf-8")):
            yield anchor, unescape(re.sub(r"<[^>]+>", "", text))
    elif file.suffix == ".md":
        for text, anchor in MARKDOWN_LINK.findall(file.read_text(encoding="utf-8")):
            yield anchor.upper(), re.sub(r"\\(.)", r"\1", text).strip("`")
