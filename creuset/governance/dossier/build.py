"""One dossier: records collected, documents composed, published as an artifact with its parents."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as library
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.core.artifact import new_artifact
from creuset.core.errors import ConfigError
from creuset.governance.dossier.answers import from_file
from creuset.governance.dossier.compose import FORMATS, compose
from creuset.governance.dossier.form import chosen
from creuset.governance.dossier.records import collect
from creuset.report.language import LANGS, Lang

LAW = Path(__file__).parent / "law.toml"


def code() -> str:
    """Hash of the sources that make the documents and of the library that draws PDF.

    Where it is equal, the same records give the same documents.
    """
    digest = hashlib.sha256(f"{__version__} {library('typst')}".encode())
    package = Path(__file__).parents[2]
    kinds = (".py", ".toml", ".css", ".js", ".typ", ".ttf", ".txt")
    for room in (package / "governance" / "dossier", package / "report"):
        for file in sorted(f for f in room.rglob("*") if f.suffix in kinds):
            digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def languages(names: Sequence[str]) -> list[Lang]:
    for name in names:
        if name not in LANGS:
            raise ConfigError(f"`{name}` is not a language of the dossier", hint=f"there are {', '.join(LANGS)}")
    return [lang for lang in LANGS if lang in names]


def build(
    model: Path | None,
    out: Path,
    *,
    endpoint: str = "",
    evaluations: Sequence[Path] = (),
    audits: Sequence[Path] = (),
    data: Sequence[Path] = (),
    operator: Path | None = None,
    langs: Sequence[str] = LANGS,
    forms: Sequence[str] = (),
    day: str = "",
    formats: Sequence[str] = FORMATS,
) -> dict[str, Any]:
    """Publish the dossier of `model` at `out`; what it says of itself: completeness by form, questions left open.

    Without a model it is a deployer's, about the API at the address `endpoint`: its audits say what is known of it.

    `day` (ISO 8601) is the date on the documents; empty: today, UTC.
    """
    spoken = languages(langs)
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ConfigError(f"`{unknown[0]}` is not a format of documents", hint=f"there are {', '.join(FORMATS)}")
    chosen(forms, deployed=model is None)
    if model is None and not audits:
        hint = f"`creuset audit {endpoint} --out audited`, then give --audit audited"
        raise ConfigError("a dossier about an API rests on an audit of it", hint=hint)
    if model is None and (evaluations or data):
        raise ConfigError("a dossier about an API takes audits of it", hint="leave --evaluation and --data out")
    if operator is not None:
        from_file(operator)  # refused here by its own name, before work is done
    day = day or datetime.now(UTC).date().isoformat()
    settings = {"lang": spoken, "forms": list(forms), "date": day} | ({"endpoint": endpoint} if endpoint else {})
    settings |= {"formats": list(formats)}
    facts: dict[str, Any] = {"version": __version__, "code": code()}
    parents = [*([model] if model is not None else []), *evaluations, *audits, *data]
    with new_artifact(out, kind="dossier", settings=settings, parents=parents, facts=facts) as scratch:
        collect(scratch, model, endpoint=endpoint, evaluations=evaluations, audits=audits, data=data,
                operator=operator, law=LAW)  # fmt: skip
        made = compose(scratch, names=forms, langs=spoken, day=day, version=__version__, formats=formats)
        facts |= {"completeness": made.completeness, "to_complete": made.to_complete, "figures": made.figures}
    return facts
