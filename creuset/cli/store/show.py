"""`creuset show`: what is known of one model: its licence, its origin, and what is not known."""

import argparse
import json
from pathlib import Path
from typing import Any

from creuset.cli.store.list import count
from creuset.cli.store.pull import add_store
from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.hub import SHIPPED, find_model, shipped_models
from creuset.model.store.listing import Listed, available, local_model, pulled_model, shipped_model
from creuset.model.store.origin import Origin
from creuset.model.store.plan import human
from creuset.model.store.shelf import Pulled, pulled
from creuset.model.store.wanted import find_wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("name", help="of a model that is shipped, was pulled, or stands in the catalogue; or its path")
    parser.add_argument("--licence", action="store_true", help="print the texts of its licence, as they were published")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    model, found = look_up(args.name, args.store)
    if args.licence:
        print(licence_text(model, found))
        return 0
    origin = Origin(found.name, found.origin) if found else None
    known = [str(one) for one in origin.known()] if origin else []
    unknown = [str(one) for one in origin.unknown()] if origin else []
    if args.json:
        more: dict[str, Any] = {"known": known, "unknown": unknown}
        if found:
            more |= {"folder": str(found.folder), "origin": found.origin, "sha256": found.manifest["sha256"]}
            more["files"] = found.manifest["files"]
        print(json.dumps(model.as_json() | more, indent=2))
        return 0
    rows = {
        "name": model.name, "state": model.state, "about": model.card, "from": model.source,
        "size": human(model.bytes) if model.bytes else "",
        "parameters": count(model.parameters, model.active_parameters),
        "context": f"{model.context:,} tokens" if model.context else "", "languages": " ".join(model.languages),
        "licence": model.licence, "limits": model.limits, "path": model.path,
    }  # fmt: skip
    for name, value in rows.items():
        if value:
            print(f"{name:<11} {value}")
    for title, sentences in (("known", known), ("not known", unknown)):
        for sentence in sentences:
            print(f"{title:<11} {sentence}")
    if model.state == "available":
        print(f"\n`creuset pull {model.name}` fetches it.")
    return 0


def look_up(name: str, store: Path | None) -> tuple[Listed, Pulled | None]:
    """The line of this model, and its folder in the store where it was pulled. ArtifactError for an unknown name."""
    if name in shipped_models():
        return shipped_model(SHIPPED / name), None
    if found := pulled(name, store):
        return pulled_model(found), found
    asked = find_wanted(name)
    if asked and asked.entry:
        return available(asked.entry), None
    return local_model(find_model(name)), None  # a path; the errors name what is near, or how it is fetched


def licence_text(model: Listed, found: Pulled | None) -> str:
    """The texts that came with a pulled model; of others, where they are."""
    if found is None:
        raise ConfigError(
            f"the licence of `{model.name}` is {model.licence or 'not known'}; its text is kept when a model is pulled"
        )
    files = read_manifest(found.folder)["files"]
    texts = [name for name in (found.origin.get("licence") or {}).get("texts") or [] if name in files]
    if not texts:
        raise ArtifactError(
            f"`{model.name}` came without the text of its licence ({model.licence or 'none is named'})",
            hint=str((found.origin.get("licence") or {}).get("link") or "its page may have it"),
        )
    return "\n\n".join((found.folder / name).read_text(encoding="utf-8", errors="replace") for name in texts)
