"""The first pass over the documents as datatrove steps: read, repair, identify, judge, check, sign, mask, write.

A step that drops a document marks it and hands it on. Later steps leave marked documents alone,
and `Write` puts each one, kept or dropped, where it belongs. So no document can get lost between
two steps. One task is one rank. A killed task leaves no file under its final name.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from creuset.core.personal import mask
from creuset.data.build.parts import PartWriter, write_json
from creuset.data.build.survey import load_common, site
from creuset.data.build.tally import Tally
from creuset.data.build.tasks import TaskFiles, starts_key, starts_of
from creuset.data.clean import filters, repair
from creuset.data.clean.kind import guess_kind
from creuset.data.clean.language import Identifier, settle
from creuset.data.clean.leakage import Index
from creuset.data.clean.site_lines import without
from creuset.data.clean.words import Splitter
from creuset.data.dedup.minhash import Signer, exact_key
from creuset.data.ledger import LedgerRow
from creuset.data.read.ranges import find_starts
from creuset.data.read.readers import records, whole_characters
from creuset.data.read.sources import FilePart, ReadTask
from creuset.data.settings import GUESS, Corpus, matches

Stream = Iterator[Document]


@dataclass(slots=True)
class StageMeter:
    """CPU seconds each stage took for how many raw bytes, within one task."""

    seconds: dict[str, float] = field(default_factory=dict)
    raw_bytes: Counter[str] = field(default_factory=Counter)

    def add(self, stage: str, since: float, raw_bytes: int) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.thread_time() - since
        self.raw_bytes[stage] += raw_bytes


class DocumentStep(PipelineStep):  # type: ignore[misc]
    """A step of ours: shares the task's meter with the others and looks only at documents without a mark."""

    type = "corpus"

    def __init__(self, settings: Corpus, meter: StageMeter) -> None:
        super().__init__()
        self.settings = settings
        self.meter = meter

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        self.begin()
        for doc in data:
            if "dropped" not in doc.metadata:
                began = time.thread_time()
                self.look(doc)
                self.meter.add(self.name, began, doc.metadata["size"])
            yield doc

    def begin(self) -> None:
        """Make what cannot travel to another process."""

    def look(self, doc: Document) -> None:
        raise NotImplementedError


def drop(doc: Document, reason: str, detail: str = "") -> None:
    doc.metadata["dropped"] = reason
    if detail:
        doc.metadata["detail"] = detail


class FindStarts(PipelineStep):  # type: ignore[misc]
    """Before the first pass: where the ranges of one big file begin. One rank a file."""

    type = "corpus"
    name = "starts"

    def __init__(self, groups: list[list[FilePart]], work: Path) -> None:
        super().__init__()
        self.groups, self.work = groups, work

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Stream:
        key = starts_key(self.groups[rank])
        mark = self.work / "starts" / f"{key}.json"
        if not mark.is_file():
            with suppress(OSError):  # the readers of its ranges will name the file
                write_json(mark, find_starts(self.groups[rank], self.work / "starts" / key))
        yield from ()


class Read(DocumentStep):
    """Records of one task; broken ones come out already marked."""

    name = "read"

    def __init__(
        self, settings: Corpus, meter: StageMeter, tasks: tuple[ReadTask, ...], rows: dict[str, LedgerRow], work: Path
    ) -> None:
        super().__init__(settings, meter)
        self.tasks, self.rows, self.work = tasks, rows, work

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Stream:
        assert world_size == len(self.tasks), f"{len(self.tasks)} tasks need as many ranks, not {world_size}"
        task = self.tasks[rank]
        row = self.rows[task.source]
        parts = [piece for t in self.tasks if t.source == task.source for piece in t.pieces]
        several_files = len({piece.name for piece in parts}) > 1
        starts = starts_of(self.work, self.tasks, task)
        shown, size = time.monotonic(), 0
        for piece in task.pieces:
            began = time.thread_time()
            for record in records(piece, self.settings.text_field, start=starts.get((piece.file, piece.start))):
                self.meter.add(self.name, began, record.size)
                size += record.size
                whole = several_files or piece.format in ("tar", "warc")
                place = record.where if whole else record.where.rpartition(":")[2]
                doc = Document(
                    record.text,
                    f"{task.source}:{place}",
                    metadata={
                        "fields": record.fields, "size": record.size, "row": row, "encoding": record.encoding,
                        "site": site(record, piece, task.source),
                    },
                )  # fmt: skip
                if record.broken:
                    drop(doc, record.broken, f"{record.where}: {record.detail}")
                elif (licence := self._objection(row, record.fields)) is not None:
                    drop(doc, *licence)
                yield doc
                if time.monotonic() - shown > 1.0:
                    shown = time.monotonic()
                    write_json(self.work / "progress" / f"judge-{rank:05d}.json", {"bytes": size})
                began = time.thread_time()
        write_json(self.work / "progress" / f"judge-{rank:05d}.json", {"bytes": size})

    def _objection(self, row: LedgerRow, fields: dict[str, Any]) -> tuple[str, str] | None:
        own = str(fields.get("license") or fields.get("licence") or "")
        if not row.licence and not own and self.settings.licence.unknown != "keep":
            return "licence_unknown", "no ledger row and no licence of its own"
        for word in self.settings.licence.deny:
            if word.lower() in f"{row.licence} {own}".lower():
                return "licence_denied", f"{row.licence or own} holds `{word}`"
        return None


class Repair(DocumentStep):
    """The kind of the text; common lines of its site, Unicode, line ends, leftovers of markup; C4's rules by line."""

    name = "repair"

    def __init__(self, settings: Corpus, meter: StageMeter, work: Path) -> None:
        super().__init__(settings, meter)
        self.work = work

    def begin(self) -> None:
        self.common = load_common(self.work)

    def look(self, doc: Document) -> None:
        meta = doc.metadata
        kind = meta["row"].kind or self.settings.kind
        meta["kind"] = guess_kind(doc.text) if kind == GUESS else kind
        rules = self.settings.rules_of(meta["kind"])
        meta["site_lines"] = 0
        if rules.site_lines and meta["site"] and len(self.common):
            text, meta["site_lines"] = without(doc.text, meta["site"], self.common)
            if doc.text.strip() and not text.strip():
                return drop(doc, "site_no_line_left")
            doc.text = text
        doc.text = repair.repair(doc.text, rules.repair)
        if rules.drop_lines:
            text, doc.metadata["lines"] = filters.drop_lines(doc.text)
            if doc.text and not text.strip():
                drop(doc, "c4_no_line_left")
            else:
                doc.text = text


class Split(DocumentStep):
    """Words and their hashes, once for all later steps."""

    name = "words"

    def begin(self) -> None:
        self.splitter = Splitter()

    def look(self, doc: Document) -> None:
        doc.metadata["words"] = self.splitter.split(doc.text)


class LanguageStep(DocumentStep):
    name = "language"

    def begin(self) -> None:
        self.identifier = Identifier(self.settings.language.sample)

    def look(self, doc: Document) -> None:
        guess = self.identifier.identify(doc.text, doc.metadata["words"], doc.metadata["row"].languages)
        wanted = self.settings.language
        language, stays = settle(
            guess,
            doc.metadata["words"].words[:250],
            declared=doc.metadata["row"].languages,
            allowed=wanted.allow,
            min_probability=wanted.min_probability,
        )
        doc.metadata["lang"] = language
        if not stays and guess.language != "und":
            drop(doc, "language", f"{language} ({guess.probability:.2f})")


class Judge(DocumentStep):
    name = "quality"

    def look(self, doc: Document) -> None:
        rules = self.settings.rules_of(doc.metadata["kind"])
        if reason := filters.judge(doc.text, doc.metadata["words"], doc.metadata["lang"], rules):
            drop(doc, reason)


class Check(DocumentStep):
    """Benchmark text."""

    name = "leakage"

    def __init__(self, settings: Corpus, meter: StageMeter, index: Path) -> None:
        super().__init__(settings, meter)
        self.folder = index

    def begin(self) -> None:
        self.index = Index(self.folder, self.settings.leakage)

    def look(self, doc: Document) -> None:
        if leak := self.index.find(doc.metadata["words"]):
            drop(doc, "benchmark", f"{leak.benchmark}: {leak.common} words in common with: {leak.text}")


class Sign(DocumentStep):
    """What duplicates are recognised by."""

    name = "signatures"

    def begin(self) -> None:
        self.signer = Signer(self.settings.dedup, self.settings.seed)

    def look(self, doc: Document) -> None:
        words = doc.metadata["words"]
        doc.metadata["key"] = exact_key(words)
        if self.settings.dedup.near and doc.metadata["row"].near_dedup:
            doc.metadata["signature"] = self.signer.sign(words)


class Mask(DocumentStep):
    name = "privacy"

    def look(self, doc: Document) -> None:
        kinds, fields = self.settings.privacy.mask, doc.metadata["fields"]
        doc.text, masked = mask(doc.text, kinds)
        for name in ATTRIBUTION:
            if value := fields.get(name):
                fields[name], more = mask(str(value), kinds)
                masked += more
        kept, wanted = {}, self.settings.metadata
        for name, value in fields.items():
            if name in _NAMED or value is None or value == "" or not matches(str(name), wanted.fields):
                continue
            if len(json.dumps(value, default=str)) <= wanted.max_bytes:
                (kept[str(name)], more) = masked_value(value, kinds)
                masked += more
        doc.metadata["kept_fields"] = kept
        doc.metadata["masked"] = masked


def masked_value(value: Any, kinds: tuple[str, ...]) -> tuple[Any, Counter[str]]:
    """A field of a record with the personal data in it masked: in strings, in long numbers, in lists and objects."""
    if isinstance(value, str):
        return mask(whole_characters(value), kinds)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**7:
        said, found = mask(str(value), kinds)
        return (said, found) if found else (value, found)
    if isinstance(value, dict):
        parts = [(mask(str(key), kinds), masked_value(part, kinds)) for key, part in value.items()]
        return {key: part for (key, _), (part, _) in parts}, sum((a + b for (_, a), (_, b) in parts), Counter())
    if isinstance(value, list | tuple):
        items = [masked_value(item, kinds) for item in value]
        return [item for item, _ in items], sum((found for _, found in items), Counter())
    if isinstance(value, float) and not math.isfinite(value):
        return None, Counter()  # JSON has no such number
    return value if isinstance(value, bool | int | float) else str(value), Counter()


ATTRIBUTION = ("url", "title", "author", "source")  # fields of a record that have a place of their own in a document
_NAMED = {*ATTRIBUTION, "license", "licence"}


class Write(DocumentStep):
    """Kept documents, dropped documents, signatures and counts of one task, all under their final names at the end."""

    name = "write"

    def __init__(self, settings: Corpus, meter: StageMeter, tasks: tuple[ReadTask, ...], files: TaskFiles) -> None:
        super().__init__(settings, meter)
        self.tasks, self.files = tasks, files

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        source = self.tasks[rank].source
        tally = Tally(source=source, seed=self.settings.seed, samples=self.settings.samples)
        width = self.settings.dedup.bands * self.settings.dedup.rows
        signatures: list[np.ndarray[Any, np.dtype[np.uint32]]] = []
        facts: list[tuple[int, int, int, int]] = []
        ids: list[str] = []
        unsigned = np.zeros(width, dtype=np.uint32)
        with PartWriter(self.files.judged(rank)) as kept, PartWriter(self.files.dropped(rank)) as dropped:
            for doc in data:
                began = time.thread_time()
                meta = doc.metadata
                tally.read(meta["size"], len(doc.text), meta["encoding"])
                if reason := meta.get("dropped"):
                    # It was dropped before the privacy step, and is kept beside the corpus all the same.
                    text, detail = (
                        mask(said, self.settings.privacy.mask)[0] for said in (doc.text, meta.get("detail", ""))
                    )
                    tally.drop(reason, doc.id, text, detail)
                    dropped.write({"id": doc.id, "reason": reason, "detail": detail, "source": source, "text": text})
                else:
                    line = _line(doc, source)
                    tally.survive(meta["masked"], meta.get("lines", 0), meta["site_lines"], meta["kind"])
                    signatures.append(meta.get("signature", unsigned))
                    facts.append((*meta["key"], len(doc.text), _group(meta, doc.id)))
                    ids.append(doc.id)
                    kept.write(line)
                self.meter.add(self.name, began, doc.metadata["size"])
                yield doc
        _save(self.files.signatures(rank), np.array(signatures, dtype=np.uint32).reshape(len(ids), width))
        _save(self.files.facts(rank), np.array(facts, dtype=np.uint64).reshape(len(ids), 4))
        write_json(self.files.ids(rank), ids)
        write_json(
            self.files.tally(rank), tally.plain() | {"seconds": self.meter.seconds, "stage_bytes": self.meter.raw_bytes}
        )


def _line(doc: Document, source: str) -> dict[str, Any]:
    """A kept document as it will stand in the corpus; attribution travels with it."""
    fields = doc.metadata["fields"]
    line = {"id": doc.id, "text": doc.text, "source": source, "lang": doc.metadata["lang"]}
    for name in ATTRIBUTION:
        if value := fields.get(name):
            line["origin" if name == "source" else name] = str(value)
    if own := fields.get("license") or fields.get("licence"):
        line["licence"] = str(own)
    if kept := doc.metadata["kept_fields"]:
        line["meta"] = kept
    return line


def _group(meta: dict[str, Any], identity: str) -> int:
    """Hash that documents of one group share: they stay on one side of the held-out split."""
    import re

    import xxhash

    field_name, _, pattern = meta["row"].group.partition(" ~ ")
    value = str(meta["fields"].get(field_name, "")) if field_name else ""
    if value and pattern and (match := re.search(pattern, value)):
        value = match[1]
    return xxhash.xxh3_64_intdigest((value or identity).encode())


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as stream:
        np.save(stream, array)
    scratch.replace(path)
