"""Hits of the word list of the training-data audit, drawn from a corpus for somebody to label.

    python validation/toxic_sample.py CORPUS EN FR > hits.jsonl

EN and FR hits, drawn by a seed over the whole corpus, each with some words around it and `abusive: null`. Whoever
labels writes true where the word insults, swears, or names people in a demeaning way, also in a quotation or as was
usual then; false where it is another word, a name or a title, or is itself spoken of.
`toxic_labels.jsonl` is such a file, labelled once by one reader; the audit prints the share of true
ones beside its figures.
"""

import json
import random
import re
import sys
from pathlib import Path

from creuset.benchmarks.training_data.corpus import LISTS
from creuset.data.read.training import documents

AROUND = 60  # characters


def main(corpus: Path, wanted: dict[str, int]) -> None:
    lists = json.loads(LISTS.read_text(encoding="utf-8"))["toxic"]
    known = {code: re.compile(rf"(?<!\w)(?:{'|'.join(lists[code].split())})(?!\w)", re.I) for code in wanted}
    dice = random.Random(17)
    kept: dict[str, list[dict[str, object]]] = {code: [] for code in wanted}
    seen = dict.fromkeys(wanted, 0)
    for text in documents(corpus):
        if text.language not in wanted:
            continue
        for found in known[text.language].finditer(text.text):
            code = text.language
            seen[code] += 1
            # Reservoir sampling: each hit of the corpus is as likely as any other.
            at = len(kept[code]) if len(kept[code]) < wanted[code] else dice.randrange(seen[code])
            if at < wanted[code]:
                around = text.text[max(0, found.start() - AROUND) : found.end() + AROUND]
                row = {"lang": code, "word": found[0].lower(), "source": text.source, "abusive": None,
                       "context": " ".join(around.split())}  # fmt: skip
                kept[code][at : at + 1] = [row]
    print(f"{seen} hits", file=sys.stderr)
    for rows in kept.values():
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), {"en": int(sys.argv[2]), "fr": int(sys.argv[3])})
