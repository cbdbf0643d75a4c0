"""The texts of the twin of runs/canaries.sh: documents written 1, 2, 4 ... times, and others written once around them.

    python runs/canaries_texts.py CORPUS TOKENIZER OUT [SHARE]

CORPUS is a corpus artifact with the source en_simplewiki; what is drawn comes from its training documents. OUT gets a
jsonl file a source, and ledger.toml. SHARE makes everything smaller (1: what is kept in docs/runs/canaries).

    members     pages of Simple Wikipedia of 256 to 320 tokens, each in as many copies as its level says. `page` keeps
                the copies of a page on one side of the held-out split; half the pages are held out, by hash: these are
                the non-members, of the same distribution whatever the level
    others      up to so many tokens of other pages, stories and French novels, once each, so that a language is learned
"""

import json
import random
import sys
from pathlib import Path

from creuset.data import ledger
from creuset.data.build.parts import read_lines
from creuset.text.tokenizer import Tokenizer

PAGES = {1: 600, 2: 400, 4: 300, 8: 200, 16: 160, 32: 120}  # copies: pages, of which half are held out
LENGTH = range(256, 321)  # tokens: 250 are needed to ask for the last 50 behind 200
OTHERS = {"en_simplewiki": 2_200_000, "fr_novels_eltec": 400_000, "en_tinystories_sample": 200_000,
          "fr_african_storybook": 60_000}  # fmt: skip
SEED = 17


def rows(corpus: Path, source: str) -> list[str]:
    """The texts of a source, in drawn order."""
    texts = [json.loads(line)["text"] for line in read_lines(corpus / "docs" / f"{source}.jsonl.zst")]
    random.Random(f"{SEED} {source}").shuffle(texts)
    return texts


def main(corpus: Path, tokenizer: Tokenizer, out: Path, share: float) -> None:
    wanted = {times: max(2, round(count * share)) for times, count in PAGES.items()}
    levels = [times for times, count in wanted.items() for _ in range(count)]
    out.mkdir(parents=True)
    members: list[dict[str, str]] = []
    terms = {row.name: row.licence for row in ledger.read([corpus / "ledger.json"])}
    for source, tokens in OTHERS.items():
        left, kept = round(tokens * share), []
        for text in rows(corpus, source):
            if left <= 0 and (source != "en_simplewiki" or not levels):
                break
            size = len(tokenizer.encode(text))
            if source == "en_simplewiki" and levels and size in LENGTH:
                times = levels.pop()
                members += [{"text": text, "page": f"page {len(levels)}"}] * times
            elif left > 0:
                left -= size
                kept.append({"text": text})
        write(out / f"{source}.jsonl", kept)
    if levels:
        raise SystemExit(f"`{corpus}`: {len(levels)} pages of {LENGTH.start} to {LENGTH.stop - 1} tokens are missing")
    random.Random(SEED).shuffle(members)
    write(out / "members.jsonl", members)
    said = [f'[[source]]\nname = "members"\nlicence = "{terms["en_simplewiki"]}"\norigin = "en_simplewiki"\n'
            'kind = "any"\nnear_dedup = false\ngroup = "page"\n']  # fmt: skip
    said += [f'[[source]]\nname = "{name}"\nlicence = "{terms[name]}"\nkind = "any"\n' for name in OTHERS]
    (out / "ledger.toml").write_text("\n".join(said), encoding="utf-8")


def write(file: Path, items: list[dict[str, str]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Tokenizer.load(Path(sys.argv[2])), Path(sys.argv[3]), float((sys.argv[4:] or ["1"])[0]))
