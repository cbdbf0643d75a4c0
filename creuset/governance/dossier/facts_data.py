"""Facts of the data that lay ready: how it was cleaned, what was kept out, the dialogues. Not what training read."""

from creuset.core.sentences import sentence
from creuset.governance.dossier.facts import Cell, Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.report.language import language_name

TOTAL = ("facts", "total")
AT_HAND = sentence("dossier.at_hand")
COUNTED = ("dialogues", "heldout", "turns", "words")


def fill(facts: Facts) -> None:
    shelf = facts.shelf
    for record in shelf.manifests("shards"):
        _shards(facts, record)
    for record in shelf.manifests("corpus"):
        _corpus(facts, record)
    for number, record in enumerate(shelf.manifests("dialogues"), 1):
        _dialogues(facts, record, "dialogues" if number == 1 else f"dialogues{number}")
    for record in shelf.of(file="ledger.json"):
        _ledger(facts, record)
    codes = {
        code for kind, at in (("corpus", (*TOTAL, "languages")), ("dialogues", ("facts", "languages")))
        for record in shelf.manifests(kind) for code in shelf.find(record, *at) or {}
    }  # fmt: skip
    if codes:
        facts.texts["data.languages"] = sentence("dossier.list", items=[language_name(code) for code in sorted(codes)])


def _shards(facts: Facts, record: Record) -> None:
    sources = facts.shelf.find(record, "facts", "sources") or {}

    def places(*of: str) -> list[tuple[Record, str]]:
        return [(record, pointer("facts", "sources", name, *of)) for name in sources]

    if not sources:
        return
    # Of what the shards hold, only what was kept out of training: what training read is said by its record.
    for what in ("documents", "tokens"):
        facts.add(f"data.heldout.{what}", *places("heldout", what), operation="sum", style="int")
    if (config := facts.shelf.first(role="model", file="config.json")) is not None:
        facts.add("shape.vocabulary", (config, "/vocab_size"))


def _corpus(facts: Facts, record: Record) -> None:
    total = facts.shelf.find(record, *TOTAL)
    if not isinstance(total, dict):
        return
    for what in ("read", "kept", "heldout", "dropped"):
        for unit in ("documents", "characters"):
            facts.add(f"corpus.{what}.{unit}", (record, f"/facts/total/{what}/{unit}"), style="int")
    facts.counts("reasons", "rule_dropped documents", record, (*TOTAL, "reasons"), "/documents")
    facts.counts("masked", "personal_data_masked occurrences", record, (*TOTAL, "masked"))
    if masked := total.get("masked"):
        places = [(record, pointer(*TOTAL, "masked", name)) for name in masked]
        facts.add("masked.total", *places, operation="sum", style="int")
    facts.table("languages", "language documents", [
        (language_name(code), facts.cell(f"language.{code}", (record, pointer(*TOTAL, "languages", code))))
        for code in total.get("languages") or {}
    ], notes=[AT_HAND])  # fmt: skip
    facts.cells("corpus", record, "/settings", {
        "ngram": "/leakage/ngram", "overlap": "/leakage/share", "similarity": "/dedup/similarity",
        "heldout_share": "/heldout/share pct0",
    })  # fmt: skip
    facts.add("reasons.benchmark", (record, "/facts/total/reasons/benchmark/documents"))
    if kinds := facts.shelf.find(record, "settings", "privacy", "mask"):
        facts.texts["corpus.mask"] = ", ".join(kinds)


def _dialogues(facts: Facts, record: Record, key: str) -> None:
    said = facts.shelf.find(record, "facts") or {}
    rows: list[tuple[Cell, ...]] = [
        (sentence(f"dossier.dialogues_{what}"), facts.cell(f"{key}.{what}", (record, f"/facts/{what}"), style="int"))
        for what in COUNTED if what in said
    ]  # fmt: skip
    rows += [
        (sentence("dossier.dialogues_in", language=language_name(code)),
         facts.cell(f"{key}.in.{code}", (record, pointer("facts", "languages", code)), style="int"))
        for code in said.get("languages") or {}
    ]  # fmt: skip
    facts.table("dialogues", "dialogues number", rows, notes=[AT_HAND])
    facts.table("dialogue_licences", "licence dialogues_under_it", [
        (name, facts.cell(f"{key}.licence.{name}", (record, pointer("facts", "licences", name)), style="int"))
        for name in said.get("licences") or {}
    ], notes=[AT_HAND])  # fmt: skip


def _ledger(facts: Facts, record: Record) -> None:
    """Origin and terms, where the corpus or the dialogues themselves are at hand."""
    body = facts.shelf.body(record)
    columns = {"licence": "/licence text", "origin": "/origin text", "terms": "/terms text"}
    facts.table("ledger", "source licence origin terms", [
        (str(name), *facts.cells(f"ledger.{record.id}.{number}", record, f"/{number}", columns))
        for number, row in enumerate(body if isinstance(body, list) else [])
        if isinstance(row, dict) and (name := row.get("name") or row.get("source"))
    ])  # fmt: skip
