"""Facts of what training read: tokens of each source, as the record of the run counts them, and their mix.

What lay in the shards says nothing of it: a run may read a tenth of them, or all of them five times. A record of
creuset 0.2 and before has no counts by source: then the mix that the run was told is shown, and no tokens.
"""

from typing import Any

from creuset.core.sentences import has, sentence
from creuset.governance.dossier.facts import Cell, Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record

Place = tuple[Record, str]
DIALOGUES = "dialogues"  # as the record of a run names them


def fill(facts: Facts) -> None:
    rows: list[tuple[Cell, ...]] = []
    names: dict[str, None] = {}
    stages = facts.shelf.stages()
    for number, (record, at, stage) in enumerate(stages, 1):
        for name, tokens, share in _counted(facts, number, record, at, stage) or _told(facts, number, len(stages)):
            names[name] = None
            rows.append((stage_name(stage), _source(name), _licence(facts, name), tokens, share))
    told = any(not stage.get("read") for _, _, stage in stages)
    notes = [sentence("dossier.mix_told")] if told else []
    facts.table("mix", "stage source licence tokens_read share", rows, notes=notes)
    if not names:  # no run is known: what may have been read, by name and licence alone
        for record in facts.shelf.manifests("shards"):
            for name in facts.shelf.find(record, "facts", "sources") or {}:
                _licence(facts, name)
        return
    places = [(record, at + "/tokens") for record, at, stage in stages if stage["stage"] == "pretrain"]
    if places:
        facts.add("tokens.pretrain", *places, operation="sum", style="int")
    every = [(record, at + "/tokens") for record, at, _ in stages]
    facts.add("tokens.band", *every, operation="data_band", style="words")
    facts.add("tokens.magnitude", *every, operation="exponent", style="pow10")
    text = sorted(names.keys() - {DIALOGUES})
    if places and text:
        facts.texts["data.names"] = sentence("dossier.list", items=text)


def stage_name(stage: dict[str, Any]) -> str:
    key = f"dossier.stage_{stage['stage']}"
    return sentence(key) if has(key) else str(stage["stage"])


def _source(name: str) -> str:
    return sentence("dossier.dialogues") if name == DIALOGUES else name


def _licence(facts: Facts, name: str) -> Cell:
    for record in facts.shelf.manifests("shards"):
        if name in (facts.shelf.find(record, "facts", "sources") or {}):
            return facts.cell(f"sources.{name}.licence", (record, pointer("facts", "sources", name, "licence")))
    return "–"


def _counted(facts: Facts, number: int, record: Record, at: str, stage: dict[str, Any]) -> list[tuple[str, Cell, Cell]]:
    """Of a record that counts: tokens of each source, and their share of the stage's."""
    found: dict[str, int] = stage.get("read") or {}
    places = [(record, at + pointer("read", name)) for name in found]
    return [
        (
            name,
            facts.cell(f"read.{number}.{name}", place, style="int"),
            facts.cell(f"read.{number}.{name}.share", place, *places, operation="first_share", style="pct1"),
        )
        for name, place in zip(found, places, strict=True)
    ]


def _told(facts: Facts, number: int, stages: int) -> list[tuple[str, Cell, Cell]]:
    """Of a record that does not: the mix in the settings of the stage's run, where that run can be told."""
    runs = [r for r in reversed(facts.shelf.manifests("model")) if facts.shelf.find(r, "settings", "optim")]
    if len(runs) != stages:
        return []
    run = runs[number - 1]
    mix: dict[str, float] = facts.shelf.find(run, "settings", "mix") or {}
    weights = [(run, pointer("settings", "mix", name)) for name in mix]
    prose = facts.shelf.find(run, "settings", "prose")
    found: list[tuple[str, Cell, Cell]] = []
    if prose is not None:
        share = facts.cell(f"read.{number}.{DIALOGUES}.share", (run, "/settings/prose"), operation="rest", style="pct1")
        found.append((DIALOGUES, "–", share))
    for name, place in zip(mix, weights, strict=True):
        places = [place, *weights] if prose is None else [(run, "/settings/prose"), place, *weights]
        operation = "first_share" if prose is None else "share_of_part"
        key = f"read.{number}.{name}.share"
        found.append((name, "–", facts.cell(key, *places, operation=operation, style="pct1")))
    return found
