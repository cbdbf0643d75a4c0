"""How many good documents do the quality rules drop: as their given kind, as web pages, and with the kind guessed?

    python validation/kinds.py FOLDER [--documents 250]

FOLDER holds packed JSON lines, one file a source of `creuset/data/pretrain.toml`, which gives each its kind. Every
fifth document is looked at, up to `--documents` of a source. The patterns of the guess were written with these sources
at hand.
"""

import argparse
import itertools
import tomllib
from collections import Counter
from pathlib import Path

from creuset.core import jsonl
from creuset.data import settings
from creuset.data.clean import filters, repair
from creuset.data.clean.kind import guess_kind
from creuset.data.clean.language import Identifier
from creuset.data.clean.words import Splitter


def verdict(text: str, kind: str, splitter: Splitter, identifier: Identifier) -> str | None:
    rules = settings.KINDS[kind]
    text = repair.repair(text, rules.repair)
    if rules.drop_lines:
        text = filters.drop_lines(text)[0]
    words = splitter.split(text)
    return filters.judge(text, words, identifier.identify(text, words).language, rules)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=250)
    args = parser.parse_args()
    ledger = tomllib.loads((Path(settings.__file__).parent / "pretrain.toml").read_text())["source"]
    kinds = {row["name"]: row.get("kind", "web") for row in ledger}
    splitter, identifier = Splitter(), Identifier()
    print(
        "| source | kind | documents | dropped as it | as web | as guessed | guesses |\n|---|---|--:|--:|--:|--:|---|"
    )
    for file in sorted(args.folder.glob("*.jsonl.*")):
        name = file.name.partition(".")[0]
        rows = itertools.islice(jsonl.read(file), 0, 5 * args.documents, 5)
        texts = [row["text"] for _, row in rows]
        guesses = Counter(map(guess_kind, texts))
        shares = [
            sum(verdict(t, kind or guess_kind(t), splitter, identifier) is not None for t in texts) / len(texts)
            for kind in (kinds[name], "web", "")
        ]
        shown = ", ".join(f"{kind} {n}" for kind, n in guesses.most_common(3))
        print(f"| {name} | {kinds[name]} | {len(texts)} | {' | '.join(f'{100 * s:.1f} %' for s in shares)} | {shown} |")


if __name__ == "__main__":
    main()
