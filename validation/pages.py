"""How well do programs find the main text of a web page? Ours, trafilatura and resiliparse on labelled pages.

    python validation/pages.py --articles FOLDER --pages FOLDER [--seed 17] [--sample 220] [--json FILE]

    --articles   a checkout of scrapinghub/article-extraction-benchmark: 181 news pages, the article by hand
    --pages      a checkout of Murrough-Foley/web-content-extraction-benchmark: pages of seven types; its part `test`,
                 of which `--sample` are drawn by the seed

A page counts by words, as a bag: precision is the share of the extracted words that the label has, recall the share of
the label's words that were extracted, F their harmonic mean. The figures are means over pages, so long pages weigh no
more than short ones. `empty` counts pages of which nothing came; MB/s is raw HTML by processor time of one thread.
"""

import argparse
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_WORD = re.compile(r"\w+")


class LabelledPage(NamedTuple):
    kind: str
    raw: bytes
    text: str


def articles(folder: Path) -> Iterator[LabelledPage]:
    for name, label in json.loads((folder / "ground-truth.json").read_bytes()).items():
        yield LabelledPage(
            "news", gzip.decompress((folder / f"html/{name}.html.gz").read_bytes()), label["articleBody"]
        )


def pages(folder: Path, sample: int, seed: int) -> Iterator[LabelledPage]:
    files = sorted((folder / "test/ground-truth").glob("*.json"))
    for file in sorted(random.Random(seed).sample(files, min(sample, len(files)))):
        label = json.loads(file.read_bytes())
        raw = gzip.decompress((folder / f"test/html/{file.stem}.html.gz").read_bytes())
        yield LabelledPage(label["_internal"]["page_type"]["primary"], raw, label["ground_truth"]["main_content"] or "")


def extractors() -> dict[str, Callable[[bytes], str]]:
    out: dict[str, Callable[[bytes], str]] = {}

    from creuset.data.read.encoding import decode
    from creuset.data.read.html import all_text
    from creuset.data.read.main_text import declared, page_of

    out["all_text"] = lambda raw: all_text(decode(raw, declared(raw)).text).text
    out["page_of"] = lambda raw: page_of(raw)[0].text
    try:
        import trafilatura

        out["trafilatura"] = lambda raw: trafilatura.extract(raw) or ""
        out["trafilatura, precision"] = lambda raw: trafilatura.extract(raw, favor_precision=True) or ""
        out["trafilatura, no comments"] = lambda raw: trafilatura.extract(raw, include_comments=False) or ""
    except ModuleNotFoundError:
        pass
    try:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import detect_encoding
        from resiliparse.parse.html import HTMLTree

        def tree(raw: bytes) -> HTMLTree:
            return HTMLTree.parse_from_bytes(raw, detect_encoding(raw, from_html_meta=True))

        out["resiliparse"] = lambda raw: extract_plain_text(tree(raw), main_content=True)
        out["resiliparse, no comments"] = lambda raw: extract_plain_text(tree(raw), main_content=True, comments=False)
    except ModuleNotFoundError:
        pass
    return out


def score(found: str, label: str) -> tuple[float, float, float]:
    """(precision, recall, F) by words, as bags; a page whose label is empty is right when nothing was found."""
    have, want = Counter(_WORD.findall(found.lower())), Counter(_WORD.findall(label.lower()))
    if not want or not have:
        same = float(not want and not have)
        return same, same, same
    both = (have & want).total()
    precision, recall = both / have.total(), both / want.total()
    return precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--sample", type=int, default=220)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sets: dict[str, list[LabelledPage]] = {}
    if args.articles:
        sets["articles"] = list(articles(args.articles))
    if args.pages:
        sets["pages"] = list(pages(args.pages, args.sample, args.seed))
    rows = []
    for label, members in sets.items():
        for name, extract in extractors().items():
            results, spent, broken = [], 0.0, 0
            for page in members:
                began = time.process_time()
                try:
                    text = extract(page.raw)
                except Exception:  # a program under comparison may raise anything; it counts as nothing found
                    text, broken = "", broken + 1
                spent += time.process_time() - began
                results.append((page.kind, *score(text, page.text), not text.strip()))
            groups = {"all": results}
            if len({r[0] for r in results}) > 1:
                groups |= {kind: [r for r in results if r[0] == kind] for kind in sorted({r[0] for r in results})}
            for kind, group in groups.items():
                mean = [sum(r[i] for r in group) / len(group) for i in (1, 2, 3)]
                row = {
                    "set": label, "kind": kind, "extractor": name, "pages": len(group), "precision": round(mean[0], 3),
                    "recall": round(mean[1], 3), "f": round(mean[2], 3), "empty": sum(r[4] for r in group),
                    "raised": broken if kind == "all" else None,
                    "mb_s": round(sum(len(p.raw) for p in members) / 1e6 / spent, 2) if kind == "all" else None,
                }  # fmt: skip
                rows.append(row)
    print("| set | pages | extractor | precision | recall | F | empty | MB/s |\n|---|---|---|--:|--:|--:|--:|--:|")
    for row in rows:
        speed = "" if row["mb_s"] is None else row["mb_s"]
        print(f"| {row['set']}, {row['kind']} | {row['pages']} | {row['extractor']} | {row['precision']:.3f} | "
              f"{row['recall']:.3f} | {row['f']:.3f} | {row['empty']} | {speed} |")  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
