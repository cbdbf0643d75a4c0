"""The parts that only who has the weights and the training data can measure. No torch here.

Training data, canaries, extraction, membership, leaks of personal data, watermark, energy. Each check is a function of
the material given with `--given NAME=PATH`; what the figures mean stands at the top of the module that makes them.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from creuset.audit.part import Found, Part, Room
from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ConfigError
from creuset.evals.measure import Measure

SHARDS = {"shards": "the shards artifact the model was trained on"}
DOCUMENTS = 600         # members, and as many non-members, at most
PER_BUCKET = 100        # passages of each number of occurrences


async def membership(room: Room) -> Found:
    from creuset.audit import membership as of

    documents, parent = of.draw(
        room.given["shards"], _model(room), documents=room.limit or DOCUMENTS, seed=room.seed
    )
    scored = of.collect(_model(room), documents, progress=_count(room, "membership", "tokens"))
    return Found(_sealed(of.measures(scored, parent=parent, seed=room.seed), room, "shards"), of.evidence(scored))


async def extraction(room: Room) -> Found:
    from creuset.audit import memorisation as of
    from creuset.audit.passages import NOT_PARENT, open_for

    shards, parent = open_for(room.given["shards"], _model(room))
    engine, _ = of.load(_model(room))
    if engine.context < of.context_needed():
        raise ConfigError(f"the context is {engine.context} tokens, and extraction needs {of.context_needed()}")
    passages = of.draw_passages(
        shards, per_bucket=room.limit or PER_BUCKET, seed=room.seed, progress=_count(room, "passages", "tokens read")
    )
    show = _count(room, "extraction", "continuations")
    found = {
        name: {k: of.extracted(engine, rows, k, progress=show) for k in of.PREFIXES} for name, rows in passages.items()
    }
    measures = of.extraction_measures(found, seed=room.seed, caveat="" if parent else NOT_PARENT)
    evidence = [
        {"id": f"{name}/{i}", "cluster": p.source, "occurrences": p.count,
         **{f"extracted_k{k}": hits[i] for k, hits in found[name].items()}}
        for name, rows in passages.items() for i, p in enumerate(rows)
    ]  # fmt: skip
    return Found(_sealed(measures, room, "shards"), evidence)


async def canaries(room: Room) -> Found:
    from creuset.audit import memorisation as of
    from creuset.audit.passages import NOT_PARENT, open_for
    from creuset.data.canaries import read_canaries
    from creuset.model.weights import load_model

    shards, parent = open_for(room.given["shards"], _model(room))
    known = read_canaries(room.given["canaries"])
    counts = of.planted(shards, known)
    engine, tokenizer = of.load(_model(room))
    codes = [(n, c) for n, c in zip(counts, known, strict=True) if c.kind == "code"]
    people = [(n, c) for n, c in zip(counts, known, strict=True) if c.kind == "person"]
    bits = of.ask_codes(
        load_model(_model(room)), tokenizer, [c for _, c in codes], seed=room.seed,
        progress=_count(room, "exposure", "canaries"),
    )  # fmt: skip
    said = of.ask_people(engine, tokenizer, [c for _, c in people])
    caveat = "" if parent else NOT_PARENT
    exposed = [(n, e) for (n, _), e in zip(codes, bits, strict=True)]
    linked = [(n, a) for (n, _), a in zip(people, said, strict=True)]
    measures = of.exposure_measures(exposed, seed=room.seed, caveat=caveat)
    measures += of.association_measures(linked, seed=room.seed, caveat=caveat)
    # Names are invented and may be shown; the secrets stay in the canaries artifact.
    evidence = [
        {"id": c.name, "kind": c.kind, "planned": c.repetitions, "planted": n, "exposure_bits": e.bits,
         "method": e.method, "misfit": e.misfit} for (n, c), e in zip(codes, bits, strict=True)
    ] + [
        {"id": c.name, "kind": c.kind, "planned": c.repetitions, "planted": n, "continued": a.continued,
         "asked": a.answered} for (n, c), a in zip(people, said, strict=True)
    ]  # fmt: skip
    return Found(_sealed(measures, room, "shards", "canaries"), evidence)


def _model(room: Room) -> Path:
    assert room.model is not None, "these parts need `weights`, which only a local subject has"
    return room.model


def _count(room: Room, what: str, unit: str) -> Callable[[int], None]:
    """Says how much is done, now and then."""
    from creuset.core.log import Progress

    line, done = Progress(), 0

    def show(more: int) -> None:
        nonlocal done
        done += more
        line.show(f"{what}: {done:,} {unit}")

    return show


def _sealed(measures: list[Measure], room: Room, *names: str) -> list[Measure]:
    """The measures, saying which material they were made from: names and manifest hashes."""
    given = [room.given[name] for name in names if name in room.given]
    hashes = [read_manifest(path)["sha256"] for path in given if (path / MANIFEST).is_file()]
    return [
        dataclasses.replace(
            m, data=m.data or ", ".join(path.resolve().name for path in given),
            data_sha256=m.data_sha256 or ", ".join(hashes), seed=room.seed,
        )
        for m in measures
    ]  # fmt: skip


ITEMS: tuple[Part, ...] = (
    Part(name="canaries", row="8", check=canaries, needs=frozenset({"weights"}),
         material={**SHARDS, "canaries": "the artifact of `creuset corpus canaries` that was mixed into it"}),
    Part(name="extraction", row="8", check=extraction, needs=frozenset({"weights"}), material=SHARDS),
    Part(name="membership", row="9", check=membership, needs=frozenset({"weights"}), material=SHARDS),
)  # fmt: skip
