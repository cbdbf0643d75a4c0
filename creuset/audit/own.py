"""The parts that only who has the weights and the training data can measure. No torch here.

Training data, canaries, extraction, membership, leaks of personal data, watermark, energy. Each check is a function of
the material given with `--given NAME=PATH`; what the figures mean stands at the top of the module that makes them.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from creuset.audit.part import Found, Part, Room
from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ConfigError
from creuset.evals.measure import Measure

T = TypeVar("T")

SHARDS = {"shards": "the shards artifact the model was trained on"}
DOCUMENTS = 600         # members, and as many non-members, at most
PER_BUCKET = 100        # passages of each number of occurrences
PROMPTS = 100           # continued with and without the mark
HUMANS = 400            # held-out documents of each source, at most
SAMPLES = 400           # texts the model says, in search of personal data
ENERGY_TOKENS = 4096


async def training_data(room: Room) -> Found:
    from creuset.audit import corpus as of
    from creuset.text.tokenizer import Tokenizer

    found, benchmarks = of.count(
        room.given["corpus"], Tokenizer.load(_model(room)), room.work / "corpus", bench=room.bench, limit=room.limit,
        seed=room.seed, progress=_count(room, "training data", "documents"),
    )  # fmt: skip
    return Found(_sealed(of.measures(found, benchmarks, limited=room.limit is not None), room, "corpus"))


async def membership(room: Room) -> Found:
    from creuset.audit import membership as of

    drawn = of.draw(room.given["shards"], _model(room), documents=room.limit or DOCUMENTS, seed=room.seed)
    scored = of.collect(_model(room), drawn, progress=_count(room, "membership", "tokens"))
    measures = of.measures(scored, parent=drawn.parent, seed=room.seed)
    return Found(_sealed(measures, room, "shards"), of.evidence(scored))


async def extraction(room: Room) -> Found:
    from creuset.audit import memorisation as of
    from creuset.audit.passages import NOT_PARENT, open_for
    from creuset.audit.readings import readings

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
    times = readings(room.given["shards"], _model(room)) or {}
    # Held-out passages are not to be read: nothing is said of them.
    read = {
        name: sum(min(1.0, times.get(p.source, 1.0)) for p in rows) / len(rows)
        for name, rows in passages.items() if rows and name != "held-out"
    }  # fmt: skip
    measures = of.extraction_measures(found, seed=room.seed, caveat="" if parent else NOT_PARENT, read=read)
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


async def watermark(room: Room) -> Found:
    import hashlib

    from creuset.audit import watermark_check as of
    from creuset.audit.passages import draw_documents, open_for
    from creuset.engine.watermark import Watermark, load_watermark
    from creuset.text.tokenizer import Tokenizer

    # Without a key of the operator's, one for this test: what is measured does not depend on which.
    key = hashlib.blake2b(f"audit {room.seed}".encode(), digest_size=32).digest()
    mark = load_watermark(room.given["watermark"]) if "watermark" in room.given else Watermark(key=key)
    shards, _ = open_for(room.given["shards"], _model(room))
    humans = [
        document for source in shards.sources for document in draw_documents(
            shards, source, "heldout", count=HUMANS, min_tokens=of.PROMPT, max_tokens=max(of.LENGTHS), seed=room.seed)
    ]  # fmt: skip
    tokenizer = Tokenizer.load(_model(room))
    prompts = [[tokenizer.endoftext, *map(int, d.ids[: of.PROMPT])] for d in _spread(humans, room.limit or PROMPTS)]
    if not prompts:
        raise ConfigError(f"the shards hold out no document of {of.PROMPT} tokens: nothing to go on with")
    tokens = min(max(of.LENGTHS), _context(_model(room)) - of.PROMPT - 1)
    show = _count(room, "watermark", "continuations")
    marked = of.say(_model(room), prompts, mark, tokens=tokens, seed=room.seed, progress=show)
    plain = of.say(_model(room), prompts, None, tokens=tokens, seed=room.seed, progress=show)
    measures = of.measures(marked, plain, humans, tokenizer, mark, seed=room.seed)
    return Found(_sealed(measures, room, "shards"))


async def leak(room: Room) -> Found:
    from creuset.audit import pii_leak as of
    from creuset.audit.passages import NOT_PARENT, draw_documents, open_for, texts
    from creuset.audit.watermark_check import say
    from creuset.text.tokenizer import Tokenizer

    shards, parent = open_for(room.given["shards"], _model(room))
    tokenizer, count = Tokenizer.load(_model(room)), room.limit or SAMPLES
    drawn = [
        document for source in shards.sources for document in draw_documents(
            shards, source, "train", count=count, min_tokens=of.PROMPT, max_tokens=of.PROMPT, seed=room.seed)
    ]  # fmt: skip
    begun = [[tokenizer.endoftext, *map(int, d.ids)] for d in _spread(drawn, count // 2)]
    prompts = [[tokenizer.endoftext]] * (count - len(begun)) + begun
    said = say(_model(room), prompts, None, tokens=of.TOKENS, seed=room.seed, progress=_count(room, "leak", "samples"))
    measures, evidence = of.measures(
        [tokenizer.decode(s.ids) for s in said], (text for _, text in texts(shards, "train")), seed=room.seed,
        caveat="" if parent else NOT_PARENT, progress=_count(room, "leak", "training documents searched"),
    )  # fmt: skip
    return Found(_sealed(measures, room, "shards"), evidence)


async def energy(room: Room) -> Found:
    from creuset.audit import energy as of
    from creuset.audit.memorisation import load

    grid = of.read_grid(room.given["grid"]) if "grid" in room.given else None
    engine, _ = load(_model(room))
    each = max(1, (room.limit or ENERGY_TOKENS) // of.ROUNDS)
    spent = [of.generate(engine, tokens=each) for _ in range(of.ROUNDS)]
    measures = of.generation_measures(spent, engine.config, grid)
    record = of.read_record(_model(room))
    if record is None:
        measures.append(Measure(task="energy", metric="training.kwh", status="not_tested", better="lower",
                                why="no training record (record.json) is beside the weights"))  # fmt: skip
    else:
        measures += of.training_measures(record, engine.config, grid)
    return Found(_sealed(measures, room))


def _context(model: Path) -> int:
    from creuset.model.convert import config_of

    return config_of(model).context


def _spread(items: list[T], count: int) -> list[T]:
    """`count` of them, evenly over the list."""
    return items if len(items) <= count else [items[i * len(items) // count] for i in range(count)]


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
    Part(name="corpus", row="7", check=training_data, needs=frozenset({"weights"}),
         material={"corpus": "the corpus, shards or dialogues artifact the model was trained on"}),
    Part(name="canaries", row="8", check=canaries, needs=frozenset({"weights"}),
         material={**SHARDS, "canaries": "the artifact of `creuset corpus canaries` that was mixed into it"}),
    Part(name="extraction", row="8", check=extraction, needs=frozenset({"weights"}), material=SHARDS),
    Part(name="membership", row="9", check=membership, needs=frozenset({"weights"}), material=SHARDS),
    Part(name="leak", row="9", check=leak, needs=frozenset({"weights"}), material=SHARDS),
    Part(name="watermark", row="11", check=watermark, needs=frozenset({"weights"}), material=SHARDS),
    Part(name="energy", row="14", check=energy, needs=frozenset({"weights"})),
)  # fmt: skip
