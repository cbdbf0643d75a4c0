"""Where a model of others comes from, and what is not known of it, in sentences that every page says alike."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, Problem, ancestors, artifact_of, read_manifest, sha256_file
from creuset.core.sentences import LANGS, Sentence, keyed, sentence
from creuset.model.store.catalogue import CatalogueEntry, catalogue
from creuset.model.store.shelf import store_folder


@dataclass(frozen=True, slots=True)
class Origin:
    """What the manifest of a pulled model says of its origin, with what the catalogue knows."""

    name: str
    facts: dict[str, Any]

    @property
    def entry(self) -> CatalogueEntry | None:
        return catalogue().entries.get(self.name)

    @property
    def licence(self) -> dict[str, Any]:
        found: dict[str, Any] = self.facts.get("licence") or {}
        return found

    @property
    def sampling(self) -> dict[str, float]:
        """What its card recommends, of models whose files say nothing."""
        return {str(name): float(value) for name, value in (self.facts.get("sampling") or {}).items()}

    def known(self) -> list[Sentence]:
        """What is known: from where it was fetched, when, what was compared, its licence, what its makers publish."""
        facts, licence = self.facts, self.licence
        told = [self._fetched()]
        if made_from := facts.get("made_from"):
            told.append(sentence("origin.made_from", what=keyed(str(made_from))))
        files = facts.get("files") or {}
        hashed = sum(1 for published in files.values() if published)
        some = sentence("origin.some_hashes", hashed=hashed, files=len(files))
        told.append(sentence("origin.all_hashes") if hashed == len(files) else some)
        title = str(licence.get("title") or licence.get("id") or "")
        told.append(sentence("origin.licence", title=title) if licence.get("id") else sentence("origin.no_licence"))
        if limits := licence.get("limits"):
            told.append(sentence("origin.limits", limits=keyed(str(limits))))
        if self.entry and self.entry.data:
            told.append(sentence("origin.data_published", words=keyed(self.entry.data)))
        return told

    def unknown(self) -> list[Sentence]:
        """What nobody here can prove: it was not trained here, and no record of its training came with it."""
        if self.entry and self.entry.data:
            return [sentence("origin.trained_by_others_who_publish"), sentence("origin.not_measured")]
        return [sentence("origin.trained_by_others"), sentence("origin.not_measured")]

    def as_json(self) -> dict[str, Any]:
        """For programs and pages: the facts, and the sentences by language."""
        told = {"known": self.known(), "unknown": self.unknown()}
        return {"facts": self.facts} | {
            name: {lang: [one.of(lang) for one in sentences] for lang in LANGS} for name, sentences in told.items()
        }

    def _fetched(self) -> Sentence:
        facts = self.facts
        day, version = str(facts.get("pulled", ""))[:10], str(facts.get("creuset", ""))
        if facts.get("from") == "package":
            package, number = str(facts["package"]), str(facts["version"])
            return sentence("origin.from_package", package=package, number=number, day=day, version=version)
        repository, commit, hub = str(facts["repository"]), str(facts["commit"]), str(facts["hub"])
        return sentence("origin.from_hub", repository=repository, commit=commit, hub=hub, day=day, version=version)


def file_hash(file: Path) -> str:
    """SHA-256 of a large file, computed once: it is kept beside the store, by the file's place, size and time.

    Where nothing can be kept, it is computed each time.
    """
    found, kept = file.stat(), store_folder().parent / "hashes.json"
    key = f"{file.resolve()} {found.st_size} {found.st_mtime_ns}"
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
        if isinstance(known.get(key), str):
            return str(known[key])
    except (OSError, ValueError, AttributeError):
        known = {}
    known = {name: value for name, value in known.items() if not name.startswith(f"{file.resolve()} ")}
    known[key] = sha256_file(file)
    scratch = kept.with_name(f"{kept.name}.{os.getpid()}")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(known, indent=1), encoding="utf-8")
        scratch.rename(kept)
    return str(known[key])


def origin_of(path: Path) -> Origin | None:
    """The origin of a pulled model: `path` is its folder, or its GGUF file. None for models that were not pulled."""
    folder = artifact_of(path)
    return origin_in(read_manifest(folder)) if (folder / MANIFEST).is_file() else None


def origin_in(manifest: Mapping[str, Any]) -> Origin | None:
    """The origin that the manifest of a pulled model tells; None for models that were not pulled."""
    facts = (manifest.get("facts") or {}).get("origin")
    if not isinstance(facts, dict) or not isinstance(facts.get("name"), str):
        return None
    return Origin(facts["name"], facts)


def check(path: Path) -> list[Problem]:
    """What `creuset verify` asks of a model beyond its manifest: are its files those that were published?

    The manifest could have been written anew around other files. The hash of the catalogue stands outside of it.
    """
    origin = origin_of(path)
    if origin is None:
        return []
    files = read_manifest(path)["files"]
    problems = []
    for name, published in (origin.facts.get("files") or {}).items():
        told = published.get("sha256")
        if told and files.get(name) != told:
            problems.append(Problem(f"{path.name}/{name}", f"is not the published file, whose sha256 is {told[:12]}"))
    package = origin.entry.package if origin.entry else None
    if package and origin.facts.get("package") == package.name and origin.facts.get("version") == package.version:
        name = Path(package.file).name
        if files.get(name) != package.sha256:
            told = f"is not the file of the catalogue, whose sha256 is {package.sha256[:12]}"
            problems.append(Problem(f"{path.name}/{name}", told))
    return problems


def known(path: Path) -> list[str]:
    """What `creuset verify` says of where a model comes from; nothing of one that was made here from nothing."""
    return [about + str(one) for about, origin in _origins(path) for one in origin.known()]


def limits(path: Path) -> list[str]:
    """What could not be proved of a model, or of the models of others that it was made from."""
    return [about + str(one) for about, origin in _origins(path) for one in origin.unknown()]


def _origins(path: Path) -> Iterator[tuple[str, Origin]]:
    """The origin of a model and of each that it was made from. Those are told with their name before each sentence."""
    for distance, manifest in enumerate(ancestors(path)):
        if origin := origin_in(manifest):
            yield f"made from {origin.name}: " if distance else "", origin


def front_matter(card: str) -> tuple[dict[str, tuple[str, ...]], str]:
    """What stands between two lines of `---` above a card, as Hugging Face writes it, and the Markdown below.

    Read as far as a list of words goes (`license: x`, `language:` with `- en` lines); nested values are left out.
    """
    if not card.startswith("---\n") or "\n---\n" not in card[3:]:
        return {}, card
    head, _, body = card[4:].partition("\n---\n")
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        if line.startswith("- ") and name:
            found[name] = (*found[name], line[2:].strip(" \"'"))
        elif colon and key == key.strip():
            name, value = key, value.strip(" \"'")
            found[name] = (value,) if value else ()
    return found, body.lstrip("\n")
