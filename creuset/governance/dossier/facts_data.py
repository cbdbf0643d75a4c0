"""Facts of the data: sources, licences, how much, how it was cleaned, the dialogues."""

from typing import Any

from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.governance.dossier.words import LANGUAGE_NAMES
from creuset.report.language import Text

SOURCE = Text("source", "source")
LICENCE = Text("licence", "licence")
COUNTED: dict[str, Text] = {
    "dialogues": Text("dialogues to train on", "dialogues d'entraînement"),
    "heldout": Text("dialogues held out", "dialogues réservés"),
    "turns": Text("turns", "tours de parole"),
    "words": Text("words", "mots"),
}


def fill(facts: Facts) -> None:
    shelf = facts.shelf
    for record in shelf.manifests("shards"):
        _shards(facts, record)
    for record in shelf.manifests("corpus"):
        _corpus(facts, record)
    for number, record in enumerate(shelf.manifests("dialogues"), 1):
        _dialogues(facts, record, number)
    for record in shelf.of(file="ledger.json"):
        _ledger(facts, record)
    languages = _languages(facts)
    if languages:
        facts.say("data.languages", ", ".join(t.en for t in languages), ", ".join(t.fr for t in languages))


def _shards(facts: Facts, record: Record) -> None:
    sources = facts.shelf.body(record).get("facts", {}).get("sources") or {}
    all_tokens = [(record, pointer("facts", "sources", name, "train", "tokens")) for name in sources]
    rows = []
    for name in sources:
        at, key = pointer("facts", "sources", name), f"sources.{name}"
        rows.append((
            name, facts.cell(f"{key}.licence", (record, at + "/licence")),
            facts.cell(f"{key}.documents", (record, at + "/train/documents")),
            facts.cell(f"{key}.tokens", (record, at + "/train/tokens")),
            facts.cell(f"{key}.share", (record, at + "/train/tokens"), *all_tokens, operation="first_share",
                       style="pct1"),
            facts.cell(f"{key}.bytes", (record, at + "/train/bytes")),
            facts.cell(f"{key}.heldout", (record, at + "/heldout/tokens")),
        ))
    facts.table("sources", (
        SOURCE, LICENCE, Text("documents", "documents"), Text("tokens", "jetons"), Text("share", "part"),
        Text("bytes", "octets"),
        Text("held out, tokens", "réservés, jetons"),
    ), rows)
    for split, what in (("train", "documents"), ("train", "tokens"), ("train", "bytes"), ("heldout", "documents"),
                        ("heldout", "tokens")):
        places = [(record, pointer("facts", "sources", name, split, what)) for name in sources]
        if places:
            facts.add(f"data.{split}.{what}", *places, operation="sum", style="int")
    if all_tokens:
        facts.add("data.band", *all_tokens, operation="data_band", style="words")
        facts.add("data.magnitude", *all_tokens, operation="exponent", style="pow10")
        facts.add("data.sources", (record, "/facts/sources"), operation="count")
        if (config := facts.shelf.first(role="model", file="config.json")) is not None:
            facts.add("shape.vocabulary", (config, "/vocab_size"))


def _corpus(facts: Facts, record: Record) -> None:
    body = facts.shelf.body(record)
    total = body.get("facts", {}).get("total")
    if not isinstance(total, dict):
        return
    for what in ("read", "kept", "heldout", "dropped"):
        for unit in ("documents", "characters"):
            facts.add(f"corpus.{what}.{unit}", (record, f"/facts/total/{what}/{unit}"), style="int")
    reasons = [
        (name, facts.cell(f"reasons.{name}", (record, pointer("facts", "total", "reasons", name, "documents"))))
        for name in total.get("reasons") or {}
    ]
    facts.table("reasons", (
        Text("rule that dropped", "règle ayant écarté"), Text("documents", "documents"),
    ), reasons)
    masked = [(name, facts.cell(f"masked.{name}", (record, pointer("facts", "total", "masked", name))))
              for name in total.get("masked") or {}]
    facts.table("masked", (
        Text("personal data masked", "données personnelles masquées"), Text("occurrences", "occurrences"),
    ), masked)
    if masked:
        places = [(record, pointer("facts", "total", "masked", name)) for name in total["masked"]]
        facts.add("masked.total", *places, operation="sum", style="int")
    rows = [
        (LANGUAGE_NAMES.get(code, code), facts.cell(f"language.{code}",
         (record, pointer("facts", "total", "languages", code))))
        for code in total.get("languages") or {}
    ]
    facts.table("languages", (Text("language", "langue"), Text("documents", "documents")), rows)
    for key, at in {"ngram": "leakage/ngram", "overlap": "leakage/share", "similarity": "dedup/similarity",
                    "heldout_share": "heldout/share"}.items():
        facts.add(f"corpus.{key}", (record, "/settings/" + at), style="pct0" if "share" in key else "auto")
    facts.add("reasons.benchmark", (record, "/facts/total/reasons/benchmark/documents"))
    kinds = body.get("settings", {}).get("privacy", {}).get("mask") or []
    if kinds:
        facts.say("corpus.mask", ", ".join(kinds), ", ".join(kinds))


def _dialogues(facts: Facts, record: Record, number: int) -> None:
    said = facts.shelf.body(record).get("facts", {})
    key = "dialogues" if number == 1 else f"dialogues{number}"
    rows = [(words, facts.cell(f"{key}.{what}", (record, f"/facts/{what}"), style="int"))
            for what, words in COUNTED.items() if what in said]
    rows += [
        (Text(f"in {name.en}", f"en {name.fr}"), facts.cell(f"{key}.in.{code}",
         (record, pointer("facts", "languages", code)), style="int"))
        for code, name in ((c, LANGUAGE_NAMES.get(c, Text(c, c))) for c in said.get("languages") or {})
    ]
    facts.table("dialogues", (Text("dialogues", "dialogues"), Text("number", "nombre")), rows)
    licences = [(name, facts.cell(f"{key}.licence.{name}", (record, pointer("facts", "licences", name)), style="int"))
                for name in said.get("licences") or {}]
    facts.table("dialogue_licences", (LICENCE, Text("dialogues under it", "dialogues concernés")), licences)


def _ledger(facts: Facts, record: Record) -> None:
    """Origin and terms, where the corpus or the dialogues themselves are at hand."""
    body = facts.shelf.body(record)
    rows: list[tuple[Any, ...]] = []
    for number, row in enumerate(body if isinstance(body, list) else []):
        if isinstance(row, dict) and (name := row.get("name") or row.get("source")):
            key = f"ledger.{record.id}.{number}"
            rows.append((
                str(name), facts.cell(f"{key}.licence", (record, f"/{number}/licence"), style="text"),
                facts.cell(f"{key}.origin", (record, f"/{number}/origin"), style="text"),
                facts.cell(f"{key}.terms", (record, f"/{number}/terms"), style="text"),
            ))
    facts.table("ledger", (SOURCE, LICENCE, Text("origin", "origine"), Text("terms", "conditions")), rows)


def _languages(facts: Facts) -> list[Text]:
    codes: set[str] = set()
    for record in facts.shelf.manifests("corpus"):
        codes |= set((facts.shelf.body(record).get("facts", {}).get("total") or {}).get("languages") or {})
    for record in facts.shelf.manifests("dialogues"):
        codes |= set(facts.shelf.body(record).get("facts", {}).get("languages") or {})
    return [LANGUAGE_NAMES.get(code, Text(code, code)) for code in sorted(codes)]
