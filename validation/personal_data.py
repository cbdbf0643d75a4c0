"""How much of the personal data in real-looking lines do the recognisers find (creuset/core/personal)?

    python validation/personal_data.py [FILE.jsonl ...]    writes creuset/benchmarks/privacy/data/labelled.json
    python validation/personal_data.py --labelled validation/personal_data_blind.jsonl      other lines; writes nothing

`personal_data.jsonl` beside this file holds 811 invented lines of mails, forms, logs, contracts and code in French,
German, Spanish and English, with what of them is personal data. They were written by somebody who had a list of the
kinds and of ways of writing them, but had not seen the recognisers. Half of the lines hold nothing of anybody, but look
like it: versions, scores, order numbers, numbers with a wrong check digit. They are hard cases, not a sample of any
corpus: where personal data is rarer than in every second line, precision is another.

    right     found with the kind and the very characters of the label
    overlaps  a label that is not right, over part of which the right kind was found: too short or too long
    other     a label that is neither, over part of which another kind was found
    missed    a label over which nothing was found
    wrong     found, and right for no label (an overlap has both a label and a find, so it counts here too)

Precision is right / (right + wrong), recall is right / labels; intervals are Wilson's, of 95 %. Of each FILE the speed
is measured: the bytes of all strings in its rows by the processor time of the search alone.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core import jsonl
from creuset.core import personal as privacy
from creuset.core.personal import find, places
from creuset.core.stats import wilson

LABELLED = Path(__file__).parent / "personal_data.jsonl"
WRITTEN = Path(privacy.__file__).parents[2] / "benchmarks/privacy/data/labelled.json"

COUNTED = ("labels", "right", "overlaps", "other", "missed", "wrong")

Span = tuple[str, int, int]  # kind, start, end


@dataclass(frozen=True, slots=True)
class Labelled:
    """One line and the places of the personal data in it."""

    lang: str
    text: str
    has: tuple[Span, ...]


def labelled(file: Path = LABELLED) -> list[Labelled]:
    found = []
    for _, row in jsonl.read(file):
        spans: list[Span] = []
        at: dict[str, int] = {}  # where the search goes on, for what is labelled twice in a line
        for kind, what in row["has"]:
            start = row["text"].index(what, at.get(what, 0))
            at[what] = start + len(what)
            spans.append((kind, start, start + len(what)))
        found.append(Labelled(row["lang"], row["text"], tuple(spans)))
    return found


@dataclass(slots=True)
class Counts:
    """Of a kind, of a language, or of all."""

    labels: int = 0
    right: int = 0
    overlaps: int = 0
    other: int = 0
    missed: int = 0
    wrong: int = 0

    def rates(self) -> dict[str, Any]:
        said = self.right + self.wrong
        exact, whole = (wilson(self.right, n) if n else None for n in (said, self.labels))
        return {
            **{name: getattr(self, name) for name in COUNTED},
            "precision": self.right / said if said else None,
            "precision_interval": [exact.low, exact.high] if exact else None,
            "recall": self.right / self.labels if self.labels else None,
            "recall_interval": [whole.low, whole.high] if whole else None,
        }


def judged(line: Labelled) -> tuple[list[tuple[str, Span]], list[Span]]:
    """Each label of the line with what became of it (a name of `Counts`), and what was found wrongly."""
    said = {(place.kind, place.start, place.end) for place in places(line.text)}
    fates: list[tuple[str, Span]] = []
    for label in line.has:
        kind, start, end = label
        over = {k for k, a, b in said - set(line.has) if a < end and start < b}
        fate = "right" if label in said else "overlaps" if kind in over else "other" if over else "missed"
        fates.append((fate, label))
    return fates, sorted(said - set(line.has), key=lambda span: span[1])


def measured(file: Path = LABELLED) -> dict[str, Any]:
    """Counts and rates by kind, by language and of all, and how many lines of nobody were suspected."""
    lines = labelled(file)
    kinds = {kind: Counts() for kind in privacy.KINDS}
    langs = {lang: Counts() for lang in sorted({line.lang for line in lines})}
    every = Counts()
    suspected = 0
    for line in lines:
        fates, wrong = judged(line)
        for fate, (kind, _, _) in fates:
            for counts in (kinds[kind], langs[line.lang], every):
                counts.labels += 1
                setattr(counts, fate, getattr(counts, fate) + 1)
        for kind, _, _ in wrong:
            for counts in (kinds[kind], langs[line.lang], every):
                counts.wrong += 1
        suspected += bool(wrong) and not line.has
    return {
        "lines": len(lines),
        "lines_of_nobody": sum(not line.has for line in lines),
        "of_these_suspected": suspected,
        "all": every.rates(),
        "kinds": {kind: counts.rates() for kind, counts in kinds.items()},
        "languages": {lang: counts.rates() for lang, counts in langs.items()},
    }


def strings(value: Any) -> Iterator[str]:
    """Every string in a row, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def speed(path: Path) -> dict[str, Any]:
    """Megabytes a second, of text in UTF-8."""
    size = found = 0
    seconds = 0.0
    for _, row in jsonl.read(path):
        texts = list(strings(row))
        size += sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
        began = time.process_time()
        found += sum(len(find(text)) for text in texts)
        seconds += time.process_time() - began
    rate = size / 1e6 / seconds if seconds else None
    return {"file": path.name, "bytes": size, "seconds": seconds, "found": found, "mb_per_second": rate}


def table(said: dict[str, Any]) -> Iterator[str]:
    """For people."""
    yield f"{'':12} precision  recall" + "".join(f"{name:>9}" for name in COUNTED)
    for group, row in [*said["kinds"].items(), *said["languages"].items(), ("all", said["all"])]:
        precision = "-" if row["precision"] is None else f"{row['precision']:.3f}"
        recall = "-" if row["recall"] is None else f"{row['recall']:.3f}"
        yield f"{group:12} {precision:>9} {recall:>7}" + "".join(f"{row[name]:9}" for name in COUNTED)
    yield f"{said['of_these_suspected']} of {said['lines_of_nobody']} lines with nobody's data were suspected"


def listed(file: Path = LABELLED) -> Iterator[str]:
    """Each line that was not read as it is labelled."""
    for line in labelled(file):
        fates, wrong = judged(line)
        if wrong or any(fate != "right" for fate, _ in fates):
            yield f"{line.lang} {line.text!r}"
            for fate, (kind, start, end) in fates:
                if fate != "right":
                    yield f"     {fate:8} {kind} {line.text[start:end]!r}"
            for kind, start, end in wrong:
                yield f"     wrong    {kind} {line.text[start:end]!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="JSON lines on which the speed is measured")
    parser.add_argument("--list", action="store_true", help="show each line that was not read as it is labelled")
    parser.add_argument("--labelled", type=Path, default=LABELLED, metavar="FILE", help="other labelled lines")
    args = parser.parse_args()
    said: dict[str, Any] = {"command": "python validation/personal_data.py", **measured(args.labelled)}
    print("\n".join(table(said)))
    if args.list:
        print("\n".join(listed(args.labelled)))
    if args.labelled == LABELLED:
        WRITTEN.parent.mkdir(parents=True, exist_ok=True)
        WRITTEN.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    speeds = [speed(path) for path in args.files]  # of this machine at this hour, so in no file
    for row in speeds:
        rate = "-" if row["mb_per_second"] is None else f"{row['mb_per_second']:.1f}"
        print(f"{row['file']}: {rate} MB/s ({row['bytes'] / 1e6:.2f} MB, {row['found']} found)")
    print(json.dumps(said | {"speed": speeds}))


if __name__ == "__main__":
    main()
