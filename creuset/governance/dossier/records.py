"""The records a dossier is made of, kept inside it, so that its figures can be read again by whoever holds it.

`collect` checks the artifacts, copies what figures are read from, and writes `records.json`; `Shelf.open` reads a
dossier's folder back. A copy of a file is worth what its hash says: the manifest in `lineage/` names it, and is named
by the manifest of its child, up to the dossier's own.
"""

import json
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from creuset.core.artifact import LINEAGE, MANIFEST, ancestors, inherit, read_manifest, sha256_file, verify
from creuset.core.errors import ArtifactError, DataError
from creuset.core.record import with_keys
from creuset.core.sentences import from_json
from creuset.governance.dossier.figure import RecordPlace, pointed, pointer

RECORDS = "records"
INDEX = "records.json"
OPERATOR = "operator.toml"
LAW = "law.toml"
OF_MODEL = ("config.json", "record.json", "quantization.json", "generation_config.json")
OF_OTHERS = {
    "evaluation": ("results.json",),
    "audit": ("results.json",),
    "corpus": ("ledger.json", "report.json"),
    "dialogues": ("ledger.json", "report.json"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One file that figures are read from."""

    id: str  # R3
    role: str  # model, ancestor, evaluation, audit, corpus, dialogues, operator, law
    name: str  # of the artifact, as its child or the command line knew it
    kind: str  # of the artifact
    artifact: str  # its sha256; "" for operator.toml and law.toml
    file: str  # manifest.json, record.json ...
    sha256: str  # of the file; of a manifest: the hash it carries
    path: str  # in the dossier's folder
    of: str = ""  # of an evaluation or audit: what it scored, where that is not the model itself


def collect(
    scratch: Path,
    model: Path | None,
    *,
    endpoint: str = "",
    evaluations: Sequence[Path],
    audits: Sequence[Path],
    data: Sequence[Path],
    operator: Path | None,
    law: Path,
) -> None:
    """Fill `scratch` with the records; each artifact must be whole, of its kind, and belong to this model.

    Without a model the subject is the API at the address `endpoint`, and what is known of it are its audits.
    """
    models = [model] if model is not None else []
    everything = [*models, *evaluations, *audits, *data]
    for artifact in everything:
        if problems := verify(artifact):
            raise ArtifactError(f"`{problems[0].where}` {problems[0].what}: no document is made of a damaged artifact")
    for artifacts, wanted in (
        (models, ("model",)),
        (evaluations, ("evaluation",)),
        (audits, ("audit",)),
        (data, ("corpus", "dialogues")),
    ):
        for artifact in artifacts:
            if (kind := read_manifest(artifact)["kind"]) not in wanted:
                raise ArtifactError(f"`{artifact}` is of kind {kind}, not {' or '.join(wanted)}")
    chain = ancestors(model) if model is not None else []
    names = {p["sha256"]: p["name"] for m in chain for p in m["parents"]}
    inherit(scratch, everything)
    found: list[Record] = []

    def add(role: str, name: str, manifest: dict[str, Any], file: str, digest: str, path: str, of: str = "") -> None:
        found.append(
            Record(
                id=f"R{len(found) + 1}",
                role=role,
                name=name,
                kind=manifest.get("kind", ""),
                artifact=manifest.get("sha256", ""),
                file=file,
                sha256=digest,
                path=path,
                of=of,
            )
        )

    def keep(role: str, source: Path, manifest: dict[str, Any], files: Sequence[str], of: str = "") -> None:
        for file in files:
            if file in manifest["files"]:
                path = f"{RECORDS}/{manifest['sha256'][:12]}/{file}"
                (scratch / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, scratch / path)
                add(role, source.resolve().name, manifest, file, manifest["files"][file], path, of)

    for depth, manifest in enumerate(chain):
        own = depth == 0
        assert model is not None
        add(
            "model" if own else "ancestor",
            model.resolve().name if own else names[manifest["sha256"]],
            manifest,
            MANIFEST,
            manifest["sha256"],
            f"{LINEAGE}/{manifest['sha256']}.json",
        )
        if own:
            keep("model", model, manifest, OF_MODEL)
    known = {m["sha256"] for m in chain}
    for path in (*evaluations, *audits):
        manifest = read_manifest(path)
        keep(manifest["kind"], path, manifest, OF_OTHERS[manifest["kind"]], _of(path, chain, names, endpoint))
    for path in data:
        manifest = read_manifest(path)
        if manifest["sha256"] not in known:
            raise ArtifactError(f"`{path}` ({manifest['sha256'][:12]}) is not something that this model was made from")
        keep(manifest["kind"], path, manifest, OF_OTHERS[manifest["kind"]])
    if operator is not None:
        shutil.copyfile(operator, scratch / OPERATOR)
        add("operator", "", {}, OPERATOR, sha256_file(scratch / OPERATOR), OPERATOR)
    shutil.copyfile(law, scratch / LAW)
    add("law", "", {}, LAW, sha256_file(scratch / LAW), LAW)
    (scratch / INDEX).write_text(json.dumps([asdict(r) for r in found], indent=1, ensure_ascii=False) + "\n", "utf-8")


def _of(path: Path, chain: list[dict[str, Any]], names: dict[str, str], endpoint: str) -> str:
    """ "" where the results are of the model or endpoint itself, else who was scored; a stranger's are refused."""
    results = json.loads((path / "results.json").read_text(encoding="utf-8"))
    subject = results.get("model") or results.get("subject") or {}
    if endpoint:
        if str(subject.get("url", "")).rstrip("/") == endpoint.rstrip("/"):
            return ""
        whom = subject.get("url") or subject.get("name") or "?"
        raise ArtifactError(f"`{path}` is an audit of `{whom}`, not of `{endpoint}`")
    scored = subject.get("sha256")
    if scored == chain[0]["sha256"]:
        return ""
    if scored in names:
        return f"{names[scored]} ({scored[:12]})"  # parent and child may have one name
    if not scored and subject.get("url"):
        return f"{subject.get('name', '?')} @ {subject['url']}"
    raise ArtifactError(
        f"`{path}` scores `{subject.get('name', '?')}` ({str(scored)[:12]}), which is not this model nor one that it "
        "was made from"
    )


class Shelf:
    """The records of a dossier's folder, parsed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = [Record(**row) for row in json.loads((folder / INDEX).read_text(encoding="utf-8"))]
        self._by_id = {r.id: r for r in self.records}
        self._bodies: dict[str, Any] = {}

    def body(self, record: Record | str) -> Any:
        found = self._by_id[record] if isinstance(record, str) else record
        if found.id not in self._bodies:
            text = (self.folder / found.path).read_text(encoding="utf-8")
            try:
                body = tomllib.loads(text) if found.file.endswith(".toml") else from_json(json.loads(text))
                self._bodies[found.id] = with_keys(body) if found.file == "record.json" else body
            except ValueError as error:
                raise DataError(f"`{found.file}` of {found.name or 'this dossier'} cannot be read: {error}") from error
        return self._bodies[found.id]

    def find(self, record: Record, *steps: str) -> Any:
        """What the record says there; None where it says nothing."""
        try:
            return pointed(self.body(record), pointer(*steps))
        except KeyError:
            return None

    def read(self, source: RecordPlace) -> Any:
        return pointed(self.body(source.record), source.pointer)

    def record(self, id: str) -> Record:
        return self._by_id[id]

    def of(self, *, role: str = "", kind: str = "", file: str = "") -> Iterator[Record]:
        for record in self.records:
            if role in ("", record.role) and kind in ("", record.kind) and file in ("", record.file):
                yield record

    def first(self, **which: str) -> Record | None:
        return next(self.of(**which), None)

    @cached_property
    def endpoint(self) -> Record | None:
        """Of a dossier about an API that we only deploy: the audit that says which it is."""
        return None if self.first(role="model", file=MANIFEST) else self.first(role="audit", file="results.json")

    @property
    def name(self) -> str:
        """Of the model, or the name under which it is asked for at its endpoint."""
        if self.endpoint is None:
            return self.model.name
        subject = self.body(self.endpoint).get("model") or {}
        return str(subject.get("model") or subject.get("name") or subject.get("url") or "?")

    @cached_property
    def model(self) -> Record:
        found = self.first(role="model", file=MANIFEST)
        assert found is not None, "a dossier is about a model"
        return found

    @cached_property
    def law(self) -> Record:
        found = self.first(role="law")
        assert found is not None, "`collect` puts it there"
        return found

    def manifests(self, kind: str) -> list[Record]:
        """Manifests of this kind in the model's lineage, itself included, nearest first."""
        return [r for r in self.of(kind=kind, file=MANIFEST) if r.role in ("model", "ancestor")]

    def stages(self) -> list[tuple[Record, str, dict[str, Any]]]:
        """Each stage of training, oldest first: record, pointer to it, what it says."""
        record = self.first(role="model", file="record.json")
        return [(record, at, stage) for at, stage in _stages(self.body(record), "")] if record else []


def _stages(stage: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, earlier in enumerate(stage.get("before") or []):
        yield from _stages(earlier, at + pointer("before", number))
    if "flops" in stage:  # an empty record says nothing
        yield at, stage
