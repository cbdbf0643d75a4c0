"""The ledger: where each source comes from, under which licence, with which terms.

One row a source, cited by every document. A ledger is read from a `MANIFEST.json` (a list
`files` of rows with `file`, `licence`, `sources`) or from TOML or JSON with a list `source`;
several are merged by name, a later one adding or changing fields of an earlier one.
"""

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError
from creuset.data.settings import KINDS, matches


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerRow:
    """What is known of a source; `licence` is empty when nobody said."""

    name: str
    licence: str = ""
    origin: str = ""
    terms: str = ""  # evidence of the licence, duties such as attribution
    languages: tuple[str, ...] = ()
    kind: str = ""  # which quality rules apply; empty: the pipeline's default
    near_dedup: bool = True  # False where near-duplicates are the point of the source
    group: str = ""  # field whose value keeps documents on one side of the held-out split
    files: tuple[str, ...] = ()  # shell patterns of its files; empty: files named like the source
    notes: str = ""


def read(paths: Iterable[Path]) -> list[LedgerRow]:
    """Merge ledgers in order: a later row of the same name changes the fields it gives."""
    rows: dict[str, dict[str, Any]] = {}
    for path in paths:
        for row in _rows(path):
            name = row["name"]
            rows[name] = rows.get(name, {}) | row
    return [_source(row) for row in rows.values()]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        body = tomllib.loads(path.read_text()) if path.suffix == ".toml" else json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"`{path}` is not a ledger: there is no such file") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` is not a ledger: {error}") from error
    if isinstance(body, dict) and isinstance(body.get("files"), list):
        return [_manifest_row(row, path) for row in body["files"]]
    rows = body.get("source", body.get("sources")) if isinstance(body, dict) else body
    if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("name"), str) for r in rows):
        raise DataError(f"`{path}` is not a ledger: it has neither `files` nor a list `source` of rows with a `name`")
    return rows


def _manifest_row(row: dict[str, Any], path: Path) -> dict[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("file"), str):
        raise DataError(f"`{path}` is not a ledger: a row of `files` has no `file`")
    origins = [f"{s.get('repo', '?')}@{s.get('commit', '?')}" for s in row.get("sources", []) if isinstance(s, dict)]
    name = stem(Path(row["file"]).name)
    return {
        "name": name,
        "licence": row.get("licence", ""),
        "origin": ", ".join(origins),
        "terms": row.get("licence_evidence", ""),
        "languages": tuple(row.get("languages", ())),
        "notes": row.get("notes", ""),
    }


def _source(row: dict[str, Any]) -> LedgerRow:
    known = {f.name for f in fields(LedgerRow)}
    if unknown := sorted(set(row) - known):
        raise DataError(
            f"ledger row `{row['name']}` has the unknown field `{unknown[0]}`",
            hint=f"fields: {', '.join(sorted(known))}",
        )
    values: dict[str, Any] = {k: tuple(v) if k in ("languages", "files") else v for k, v in row.items()}
    source = LedgerRow(**values)
    if source.kind and source.kind not in KINDS:
        raise DataError(
            f"ledger row `{source.name}` has the unknown kind `{source.kind}`", hint=f"kinds: {', '.join(KINDS)}"
        )
    return source


def stem(name: str) -> str:
    """`en_wiki.jsonl.xz` -> `en_wiki`: the name without the endings we read."""
    while (dot := name.rfind(".")) > 0 and name[dot:].lower() in ENDINGS:
        name = name[:dot]
    return name


ENDINGS = {
    ".gz",
    ".xz",
    ".zst",
    ".bz2",
    ".tgz",
    ".txz",
    ".tbz2",
    ".csv",
    ".tsv",
    ".warc",
    ".wet",
    ".tar",
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".txt",
    ".text",
    ".md",
    ".html",
    ".htm",
    ".xhtml",
}


def find(rows: Sequence[LedgerRow], *, file: Path, name: str) -> LedgerRow:
    """The row of `file`: by its patterns, else by name; a row without licence when there is none."""
    for row in rows:
        if row.files and matches(file.as_posix(), row.files):
            return row
    for row in rows:
        if not row.files and row.name == name:
            return row
    return LedgerRow(name=name)


def with_licences(rows: list[LedgerRow], flags: Iterable[str]) -> list[LedgerRow]:
    """Apply `NAME=LICENCE` flags (or a bare LICENCE, for every source without one, as a row `*`)."""
    out = list(rows)
    for flag in flags:
        name, equals, licence = flag.partition("=")
        if not equals:
            name, licence = "*", flag
        at = next((i for i, r in enumerate(out) if r.name == name), None)
        if at is None:
            out.append(LedgerRow(name=name, licence=licence, terms="stated on the command line"))
        else:
            out[at] = replace(out[at], licence=licence, terms="stated on the command line")
    return out


def as_json(rows: Iterable[LedgerRow]) -> list[dict[str, Any]]:
    return [asdict(r) for r in rows]
