"""Instruction data by rule: run every rule, judge, split, join into conversations, write the artifact.

    rules -> dialogues, refusals -> gate (`fault`) -> duplicates -> cap -> split by group -> joiners -> artifact

The artifact holds `dialogues.jsonl.zst`, `heldout.jsonl.zst` (one JSON object a line: messages, source, licence,
rule, from, lang), `ledger.json` (licence and duties of every source) and `report.json`, where for every
rule read = written + refused. The same folders and the same seed give the same bytes.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import zstandard

from creuset.core.artifact import new_artifact
from creuset.core.errors import DataError
from mini_instructions import (
    countries,
    definitions,
    factbook,
    french,
    letters,
    levels,
    numbers,
    ready,
    stories,
    sums,
    systems,
    talk,
    texts,
    turns,
)
from mini_instructions.base import OWN_SOURCE, Dialogue, Made, Refused, Rule
from mini_instructions.shelf import Shelf

RULES: tuple[Rule, ...] = (
    definitions.RULE, *countries.RULES, *texts.RULES, levels.RULE, letters.RULE, numbers.RULE, *stories.RULES,
    *talk.RULES, *french.RULES, *sums.RULES, *ready.RULES,
)  # fmt: skip
# For a model that will see some ten million tokens: the manner first, then what is asked most; the rest is a taste.
SMALL = {
    "definitions": 8_000, "countries": 3_500, "silent_countries": 300, "reading": 2_500, "titles": 300, "levels": 200,
    "letters": 3_500, "numbers": 5_500, "stories_african_en": 60, "stories_african_fr": 10, "sums_mawps": 400,
    "sums_gsm8k": 0, "french_skills": 1_500, "french_countries": 700, "ready_persona": 120, "ready_seed": 40,
    "ready_self_dialogue": 60, "ready_topical": 0, "ready_sgd": 60, "turns_chain": 5_000, "turns_shorter": 600,
    "turns_repeat": 400, "turns_story": 400, "turns_name": 500, "turns_sums": 500, "turns_lists": 500,
    "turns_country": 1_200, "system_plain": 1_000, "system_brief": 300, "system_shaped": 300, "system_named": 600,
    "system_only": 150, "system_french": 300, "system_words": 150,
}  # fmt: skip
# For a model that sees some twenty-five million: more of what has many true answers to learn from.
MEDIUM = SMALL | {
    "definitions": 6_000, "countries": 5_500, "letters": 7_000, "numbers": 16_000, "french_skills": 2_500,
    "french_countries": 1_300, "turns_sums": 2_000, "turns_lists": 1_500, "turns_country": 2_000,
}  # fmt: skip
SIZES: dict[str, dict[str, int]] = {"full": {}, "medium": MEDIUM, "small": SMALL}
LONG = ("stories", "turns_story")  # rules whose answers may be long
COPIES = 4  # how often one exchange of a hand-written table may come again: this is its weight
HELD_OUT = 0.02
DUTIES = {
    "Apache-2.0": "keep the notice", "CC0-1.0": "none", "MIT": "keep the notice", "BSD-3-Clause": "keep the notice",
    "CC-BY": "name the author", "CC-BY-4.0": "name the author",
    "CC-BY-SA-3.0": "name the article (its address is in `from`), share alike",
    "CC-BY-SA-4.0": "name the source, share alike", "CDLA-Sharing-1.0": "share data under the same agreement",
}  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What became of everything one rule looked at."""

    rule: Rule
    read: int = 0
    written: int = 0
    heldout: int = 0
    words: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    samples: list[list[dict[str, str]]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        return {
            "teaches": self.rule.teaches, "source": self.rule.source, "licence": self.rule.licence, "read": self.read,
            "written": self.written,
            "heldout": self.heldout, "words": self.words, "refused": dict(self.refused.most_common()),
            "samples": self.samples,
        }  # fmt: skip


def fault(dialogue: Dialogue) -> str | None:
    """Why a dialogue is not fit to be learned from, whatever rule wrote it."""
    roles = [turn.role for turn in dialogue.turns]
    body = roles[1:] if roles[0] == "system" else roles
    if not body or len(body) % 2 or any(role != ("assistant" if i % 2 else "user") for i, role in enumerate(body)):
        return "roles do not alternate"
    for turn in dialogue.turns:
        if not turn.content.strip():
            return "an empty message"
        if "<|" in turn.content or "{n}" in turn.content or "\ufffd" in turn.content:
            return "a mark left over"
    longest = max(len(text.split()) for text in dialogue.answers)
    if longest > (300 if dialogue.rule.startswith(LONG) else 120):
        return "an answer too long"
    if any("  " in text or " ," in text or "()" in text for text in dialogue.answers):
        return "stray spaces or marks"
    return "a dialogue too long" if dialogue.words > 450 else None


def is_heldout(dialogue: Dialogue, share: float = HELD_OUT) -> bool:
    """Decided by the group alone, so that the phrasings of one question stay together."""
    digest = hashlib.sha256((dialogue.group or dialogue.turns[0].content).encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def run_rule(rule: Rule, shelf: Shelf, seed: int, count: int, seen: Counter[str]) -> tuple[list[Dialogue], Tally]:
    """Everything a rule writes, judged, without duplicates, at most `count`."""
    rng = Random(f"{seed}:{rule.name}")
    tally = Tally(rule)
    kept: list[Dialogue] = []
    for made in rule.make(shelf, rng, count):
        tally.read += 1
        reason = _objection(made, seen)
        if reason:
            tally.refused[reason] += 1
        else:
            assert isinstance(made, Dialogue)
            kept.append(made)
    if len(kept) > count:
        tally.refused["over the cap"] += len(kept) - count
        kept = [kept[i] for i in sorted(rng.sample(range(len(kept)), count))]
    return kept, tally


def _objection(made: Made, seen: Counter[str]) -> str | None:
    if isinstance(made, Refused):
        return made.reason
    if wrong := fault(made):
        return wrong
    key = "\n".join(turn.content for turn in made.turns)
    seen[key] += 1
    return "duplicate" if seen[key] > (COPIES if made.rule.startswith("talk_") else 1) else None


def pool_of(dialogues: Iterable[Dialogue], may_open: frozenset[str]) -> turns.Pool:
    """Single exchanges without system prompt and not too long, by rule: what conversations are joined from."""
    pool: turns.Pool = {}
    for dialogue in dialogues:
        if (
            dialogue.rule in may_open
            and dialogue.turns[0].role == "user"
            and dialogue.words <= 110
            and len(dialogue.turns) <= 4
        ):
            pool.setdefault(
                dialogue.rule if dialogue.lang == "en" or dialogue.rule.endswith("fr") else dialogue.rule + "_fr", []
            ).append(dialogue)
    return pool


def join(
    rule: Rule,
    maker: Callable[[Random, turns.Pool], Dialogue | None],
    pool: turns.Pool,
    rng: Random,
    count: int,
    seen: Counter[str],
    tally: Tally,
) -> list[Dialogue]:
    """`count` tries of a joiner; what does not come out, or came before, is counted."""
    made: list[Dialogue] = []
    for _ in range(count if pool else 0):
        tally.read += 1
        dialogue = maker(rng, pool)
        reason = "nothing to join" if dialogue is None else _objection(dialogue, seen)
        if reason or dialogue is None:
            tally.refused[reason or "nothing to join"] += 1
        else:
            made.append(dialogue)
    return made


def as_row(dialogue: Dialogue) -> dict[str, Any]:
    return {
        "messages": [{"role": turn.role, "content": turn.content} for turn in dialogue.turns],
        "source": dialogue.source, "licence": dialogue.licence, "rule": dialogue.rule, "from": dialogue.origin,
        "lang": dialogue.lang,
    }  # fmt: skip


def write(path: Path, dialogues: Sequence[Dialogue]) -> None:
    with zstandard.open(path, "wt", cctx=zstandard.ZstdCompressor(level=12), encoding="utf-8") as out:
        for dialogue in dialogues:
            out.write(json.dumps(as_row(dialogue), ensure_ascii=False) + "\n")


def ledger(dialogues: Iterable[Dialogue]) -> dict[str, Any]:
    """One row a source: licence, what it asks for, and how many dialogues use it."""
    rows: dict[tuple[str, str], int] = Counter()
    for dialogue in dialogues:
        names, licences = dialogue.source.split(" + "), dialogue.licence.split(" AND ")
        for i, name in enumerate(names):
            base = name.partition(" by ")[0] if name.startswith("African Storybook") else name
            known = (
                next((rule.licence for rule in RULES if rule.source == base), None)
                or (OWN_LICENCE_OF.get(base))
                or licences[min(i, len(licences) - 1)]
            )
            rows[base, known] += 1
    table = [
        {"name": name, "licence": licence, "terms": DUTIES.get(licence, ""), "dialogues": n}
        for (name, licence), n in sorted(rows.items())
    ]
    return {"source": table, "excluded": [{"name": name, "reason": reason} for name, reason in ready.EXCLUDED.items()]}


OWN_LICENCE_OF = {OWN_SOURCE: "Apache-2.0"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the artifact was made with; folders are named, not their contents (the ledger of the corpus has those)."""

    seed: int
    size: str
    limit: int | None
    pretrain: str
    instruct: str
    reasoning: str


def build(
    out: Path,
    shelf: Shelf,
    *,
    seed: int = 1,
    size: str = "full",
    limit: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write the artifact at `out` and return its report.

    `size` is full, medium or small (see `SIZES`); `limit` bounds what each rule writes.
    """
    seen: Counter[str] = Counter()
    tallies: dict[str, Tally] = {}
    train: list[Dialogue] = []
    heldout: list[Dialogue] = []

    def place(dialogues: list[Dialogue], tally: Tally, to_heldout: bool | None = None) -> None:
        for dialogue in dialogues:
            side = is_heldout(dialogue) if to_heldout is None else to_heldout
            (heldout if side else train).append(dialogue)
            tally.heldout += side
            tally.written += 1
            tally.words += dialogue.words
        picks = Random(f"{seed}:samples:{tally.rule.name}").sample(range(len(dialogues)), min(4, len(dialogues)))
        tally.samples += [as_row(dialogues[i])["messages"] for i in picks]

    def bounded(rule: Rule) -> int:
        count = SIZES[size].get(rule.name, rule.count)
        return count if limit is None else min(count, limit)

    for rule in RULES:
        kept, tally = run_rule(rule, shelf, seed, bounded(rule), seen)
        tallies[rule.name] = tally
        place(kept, tally)
        say(f"{rule.name}: {tally.written} of {tally.read}")
    may_open = frozenset(rule.name for rule in RULES if rule.may_open)
    pools = ((pool_of(train, may_open), False, 1.0), (pool_of(heldout, may_open), True, HELD_OUT))
    found = factbook.countries(shelf)
    for rule, maker in (*turns.joiners(found), *systems.joiners(found)):
        tally = tallies[rule.name] = Tally(rule)
        for pool, side, share in pools:
            if not pool.get("definitions") or not pool.get("numbers"):
                continue
            rng = Random(f"{seed}:{rule.name}:{side}")
            place(join(rule, maker, pool, rng, max(1, round(bounded(rule) * share)), seen, tally), tally, side)
        say(f"{rule.name}: {tally.written} of {tally.read}")
    if not train:
        raise DataError("no rule wrote anything", hint="give at least --pretrain a folder with jsonl files")
    Random(f"{seed}:order").shuffle(train)
    report = _report(tallies, train, heldout, shelf)
    settings = Settings(
        seed,
        size,
        limit,
        *(str(getattr(shelf, k).name) if getattr(shelf, k) else "" for k in ("pretrain", "instruct", "reasoning")),
    )
    with new_artifact(out, kind="dialogues", settings=settings, facts=report["totals"]) as folder:
        write(folder / "dialogues.jsonl.zst", train)
        write(folder / "heldout.jsonl.zst", heldout)
        (folder / "ledger.json").write_text(json.dumps(ledger([*train, *heldout]), indent=2, ensure_ascii=False) + "\n")
        (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return report


def _report(tallies: dict[str, Tally], train: list[Dialogue], heldout: list[Dialogue], shelf: Shelf) -> dict[str, Any]:
    both = [*train, *heldout]
    for tally in tallies.values():
        assert tally.read == tally.written + sum(tally.refused.values()), tally.rule.name
    return {
        "totals": {
            "dialogues": len(train), "heldout": len(heldout), "words": sum(d.words for d in both),
            "turns": sum(len(d.turns) for d in both), "languages": dict(Counter(d.lang for d in both)),
            "licences": dict(Counter(licence for d in both for licence in d.licence.split(" AND ")).most_common()),
        },
        "rules": {name: tally.report() for name, tally in tallies.items()},
        "excluded": ready.EXCLUDED,
        "absent": shelf.absent,
        "broken_lines": shelf.broken,
    }  # fmt: skip


def to_stderr(text: str) -> None:
    print(text, file=sys.stderr)
