"""The parts that only who has the weights and the training data can measure. No torch here.

Training data, canaries, extraction, membership, leaks of personal data, watermark, energy. Each check is a function of
the material given with `--given NAME=PATH`; what the figures mean stands at the top of the module that makes them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from creuset.benchmarks.part import Found, Room
from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.errors import ConfigError
from creuset.core.sentences import joined, sentence
from creuset.types.measure import Measure

if TYPE_CHECKING:
    from creuset.benchmarks.watermark.check import Facts, Said
    from creuset.data.shards.files import Shards
    from creuset.text.tokenizer import Tokenizer

T = TypeVar("T")

DOCUMENTS = 600         # members, and as many non-members, at most
PER_BUCKET = 100        # passages of each number of occurrences
PROMPTS = 100           # continued with and without the mark
HUMANS = 400            # held-out documents of each source, at most
EMOJI = 40              # prompts of the attack that writes token by token
ALARMS = 10_000         # pieces of human text of each length, over all sources; a fifth of each kind
ALARM_LENGTH = 200
ONE_KEY = sentence("benchmarks.one_key")
REPEATS = sentence("benchmarks.repeats")
SAMPLES = 400           # texts the model says, in search of personal data
ENERGY_TOKENS = 4096


async def training_data(room: Room) -> Found:
    from creuset.benchmarks.training_data import corpus as of
    from creuset.text.tokenizer import Tokenizer

    found = of.count(
        room.given["corpus"], Tokenizer.load(_model(room)), room.work / "corpus", limit=room.limit, seed=room.seed,
        progress=_count(room, "training data", "documents"),
    )  # fmt: skip
    return Found(_sealed(of.measures(found, limited=room.limit is not None), room, "corpus"))


async def contamination(room: Room) -> Found:
    from creuset.benchmarks.training_data.contamination import Contamination
    from creuset.benchmarks.training_data.corpus import sampled
    from creuset.data.clean.words import Splitter

    if room.bench is None:
        raise ConfigError("the benchmarks were not given: --bench FOLDER")
    room.say("contamination: the texts of the benchmarks")
    found, split = Contamination.of(room.bench, room.work / "contamination"), Splitter().split
    show, documents = _count(room, "contamination", "documents"), 0
    for text in sampled(room.given["corpus"], room.limit):
        found.add(split(text.text))
        documents += 1
        show(1)
    caveat = sentence("benchmarks.looked_for", n=documents) if room.limit else ""
    return Found(_sealed(found.measures(caveat), room, "corpus"))


async def membership(room: Room) -> Found:
    from creuset.benchmarks.privacy import membership as of

    drawn = of.draw(room.given["shards"], _model(room), documents=room.limit or DOCUMENTS, seed=room.seed)
    scored = of.collect(_model(room), drawn, progress=_count(room, "membership", "tokens"))
    measures = of.measures(scored, parent=drawn.parent, seed=room.seed)
    return Found(_sealed(measures, room, "shards"), of.evidence(scored))


async def extraction(room: Room) -> Found:
    from creuset.benchmarks.privacy import memorisation as of
    from creuset.benchmarks.training_data.passages import NOT_PARENT, open_for
    from creuset.benchmarks.training_data.readings import readings

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
    from creuset.benchmarks.privacy import memorisation as of
    from creuset.benchmarks.training_data.passages import NOT_PARENT, open_for
    from creuset.benchmarks.training_data.readings import readings
    from creuset.data.build.canaries import NAME, read_canaries
    from creuset.model.formats.weights import load_model

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
    times = (readings(room.given["shards"], _model(room)) or {}).get(NAME, 1.0)
    passes = sentence("benchmarks.canary_reads", times=times) if abs(times - 1) > 0.02 else ""
    caveat = joined("" if parent else NOT_PARENT, passes)
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

    from creuset.benchmarks.training_data.passages import draw_documents, open_for
    from creuset.benchmarks.watermark import attacks, rewrite
    from creuset.benchmarks.watermark import check as of
    from creuset.benchmarks.watermark import cost as watermark_cost
    from creuset.text.tokenizer import Tokenizer
    from creuset.text.watermark import Watermark, load_watermark

    # Without a key of the operator's, one for this test: what is measured does not depend on which.
    key = hashlib.blake2b(f"audit {room.seed}".encode(), digest_size=32).digest()
    mark = load_watermark(room.given["watermark"]) if "watermark" in room.given else Watermark(key=key)
    shards, _ = open_for(room.given["shards"], _model(room))
    humans = [
        document for source in shards.sources for document in draw_documents(
            shards, source, "heldout", count=HUMANS, min_tokens=of.PROMPT, max_tokens=max(of.LENGTHS), seed=room.seed)
    ]  # fmt: skip
    tokenizer, facts = Tokenizer.load(_model(room)), of.Facts(mark, room.seed)
    prompts = [[tokenizer.endoftext, *map(int, d.ids[: of.PROMPT])] for d in _spread(humans, room.limit or PROMPTS)]
    if not prompts:
        raise ConfigError(f"the shards hold out no document of {of.PROMPT} tokens: nothing to go on with")
    tokens = min(max(of.LENGTHS), _context(_model(room)) - of.PROMPT - 1)
    show = _count(room, "watermark", "continuations")
    how: dict[str, Any] = {"seed": room.seed, "progress": show}

    def cost(said: Sequence["Said"], temperature: float) -> Measure:
        costs = watermark_cost.read(_model(room), prompts, said, mark, temperature=temperature, progress=show)
        return watermark_cost.measure(costs, facts, temperature=temperature)

    marked = of.say(_model(room), prompts, mark, tokens=tokens, **how)
    plain = of.say(_model(room), prompts, None, tokens=tokens, **how)
    human = attacks.Human.of([word for d in humans for word in tokenizer.decode([int(i) for i in d.ids]).split()])
    measures = of.detection_measures(marked, plain, human, tokenizer, facts)
    measures += [of.cost(marked, plain, facts), cost(marked, 1.0)]
    cold = min(tokens, of.COLD_TOKENS)
    for temperature in of.COLD:
        # At temperature 0 answers are marked only where the key says so: what that would do is what is asked here.
        other = dataclasses.replace(mark, greedy=True) if temperature == 0 else mark
        said = {"tokens": cold, "temperature": temperature, **how}
        with_mark, without = (of.say(_model(room), prompts, m, **said) for m in (other, None))
        texts, end = of.texts_of(with_mark, cold, tokenizer), f".t{temperature:g}"
        measures += of.found_rows(texts, tokenizer, cold, f"none{end}", facts)
        measures += [of.cost(with_mark, without, facts, end=end, temperature=temperature), cost(with_mark, temperature)]
    emoji = of.say_with_emoji(_model(room), prompts[:EMOJI], mark, tokens=min(cold, _context(_model(room)) // 4), **how)
    measures += of.found_rows([tokenizer.decode(ids) for ids in emoji], tokenizer, len(emoji[0]), "emoji", facts)
    measures.append(of.stealing(marked, plain, facts))
    texts = of.texts_of(marked, cold, tokenizer)
    if room.paraphraser is None:
        measures += [
            Measure(task="watermark", metric=f"tpr_1e-3.len{cold}.{name}", status="not_tested", why=rewrite.NONE_GIVEN)
            for name in rewrite.ATTACKS
        ]  # fmt: skip
    elif texts:
        changed = await rewrite.rewrite(room.paraphraser, texts, [_language(text) for text in texts])
        by = str(room.paraphraser.identity().get("name", ""))
        measures += of.rewritten_measures(texts, changed, tokenizer, cold, facts, by)
    measures += _alarms(room, shards, tokenizer, facts)
    return Found(_sealed(measures, room, "shards"))


def _alarms(room: Room, shards: "Shards", tokenizer: "Tokenizer", facts: "Facts") -> list[Measure]:
    """False alarms on human text by length, and by kind of text at one length."""
    import itertools

    from creuset.benchmarks.watermark import false_alarms as of
    from creuset.benchmarks.watermark.check import LENGTHS

    most, mark = min(ALARMS, 100 * room.limit) if room.limit else ALARMS, facts.mark
    keys, show = of.fresh(mark, room.seed), _count(room, "false alarms", "texts")
    rows: list[Measure] = []
    for length in LENGTHS:
        pieces = [
            piece for source in shards.sources
            for piece in of.of_documents(of.held_out(shards, source), length, most // len(shards.sources))
        ]  # fmt: skip
        rows += facts.alarms(f"fpr_1e-3.len{length}", of.examine(pieces, keys), length=length)
        own = of.examine(pieces, itertools.repeat(mark))
        rows += facts.alarms(f"own_key_1e-3.len{length}", own, length=length, caveat=ONE_KEY)
        show(len(pieces))
    kinds: dict[str, list[Any]] = {
        source: of.of_documents(of.held_out(shards, source), ALARM_LENGTH, most // 5) for source in shards.sources
    }  # fmt: skip
    kinds |= {
        "code": of.cut(of.code(), tokenizer, ALARM_LENGTH, most // 5),
        "lists": of.cut(of.lists(most // 20, room.seed), tokenizer, ALARM_LENGTH, most // 5),
    }  # fmt: skip
    if room.bench is not None:
        kinds |= {
            f"mgsm_{code}": of.cut([text], tokenizer, ALARM_LENGTH, most // 5)
            for code, text in of.mgsm(room.bench)
        }  # fmt: skip
    for kind, pieces in kinds.items():
        rows += facts.alarms(f"fpr_1e-3.{kind}", of.examine(pieces, keys), length=ALARM_LENGTH, kind=kind)
        wrong = of.examine(pieces, keys, repeats=True)
        rows += facts.alarms(f"repeats_counted.{kind}", wrong, length=ALARM_LENGTH, kind=kind, caveat=REPEATS)
        show(len(pieces))
    return rows


def _language(text: str) -> str:
    from creuset.data.clean.language import Identifier
    from creuset.data.clean.words import Splitter

    code = Identifier().identify(text, Splitter().split(text)).language
    return {"fr": "French"}.get(code, "English")


async def leak(room: Room) -> Found:
    from creuset.benchmarks.privacy import pii_leak as of
    from creuset.benchmarks.training_data.passages import NOT_PARENT, draw_documents, open_for, texts
    from creuset.benchmarks.watermark.check import say
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
    from creuset.benchmarks.privacy.memorisation import load
    from creuset.benchmarks.service import energy as of
    from creuset.core.energy import Meter

    grid = of.read_grid(room.given["grid"]) if "grid" in room.given else None
    engine, _ = load(_model(room))
    each = max(1, (room.limit or ENERGY_TOKENS) // of.ROUNDS)
    idle = of.idle_watts(Meter.here(cores=1, gpus=0))
    written = [of.generate(engine, tokens=each) for _ in range(of.ROUNDS)]
    read = [of.read(engine, tokens=each, seed=number) for number in range(of.ROUNDS)]
    measures = of.generation_measures(written, engine.config, grid, idle=idle)
    measures += of.generation_measures(read, engine.config, grid, idle=idle)
    record = of.read_record(_model(room))
    if record is None:
        measures.append(Measure(task="energy", metric="training.kwh", status="not_tested", better="lower",
                                why=sentence("benchmarks.no_record")))  # fmt: skip
    else:
        measures += of.training_measures(record, engine.config, grid)
    return Found(_sealed(measures, room))


def _context(model: Path) -> int:
    from creuset.model.formats.hf_config import config_of

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

