"""`creuset corpus build | tokenize | report | canaries`."""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.core.config import resolved, with_overrides

if TYPE_CHECKING:
    from creuset.data.settings import Corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    build = verbs.add_parser("build", help="read, clean, deduplicate: documents in, a corpus artifact out")
    build.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="files or folders: jsonl, json, csv, parquet, text, HTML, WARC, tar, each also .gz, .xz, .zst, .bz2",
    )
    build.add_argument("--out", type=Path, required=True, help="folder of the new corpus artifact")
    build.add_argument(
        "--ledger",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="MANIFEST.json, TOML or JSON; later ones add to earlier",
    )
    build.add_argument(
        "--licence",
        action="append",
        default=[],
        metavar="NAME=LICENCE",
        help="licence of a source, or of all that have none",
    )
    build.add_argument(
        "--benchmarks",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="files or folders whose texts must not be trained on",
    )
    build.add_argument("--tokenizer", type=Path, metavar="PATH", help="also write token shards, to OUT-shards")
    build.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="keep the judged work there, so that a later build does only what changed (default: none is kept)",
    )
    build.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1)")
    build.add_argument(
        "--limit-mb",
        action="append",
        default=[],
        metavar="[NAME=]MB",
        help="raw megabytes read of each source, or of one",
    )
    build.add_argument("--set", action="append", default=[], metavar="A.B=C", help="change a setting")
    build.add_argument("--dry-run", action="store_true", help="print settings and tasks, and stop")
    build.add_argument("--json", action="store_true", help="print the report as one JSON document")
    shards = verbs.add_parser("tokenize", help="token shards of a corpus artifact")
    shards.add_argument("corpus", type=Path, help="a corpus artifact")
    shards.add_argument("--tokenizer", type=Path, required=True, metavar="PATH", help="a tokenizer artifact")
    shards.add_argument("--out", type=Path, required=True, help="folder of the new shards artifact")
    shards.add_argument("--sources", metavar="A,B", help="only these sources")
    shards.add_argument("--workers", type=int, default=0, metavar="N", help="encoding processes (default: the cores)")
    shards.add_argument("--dry-run", action="store_true", help="print the settings and stop")
    shards.add_argument("--json", action="store_true", help="print one JSON document")
    report = verbs.add_parser("report", help="print the table of a corpus artifact")
    report.add_argument("path", type=Path)
    report.add_argument("--json", action="store_true", help="print report.json")
    report.add_argument("--markdown", action="store_true", help="print all tables as a Markdown page")
    canaries = verbs.add_parser("canaries", help="invented secrets to plant in a corpus, for the audit of memorisation")
    canaries.add_argument("--out", type=Path, required=True, help="folder of the new canaries artifact")
    canaries.add_argument("--set", action="append", default=[], metavar="A=B", help="change the plan, e.g. seed=3")


def main(args: argparse.Namespace) -> int:
    if args.action == "build":
        return _build(args)
    if args.action == "tokenize":
        return _tokenize(args)
    if args.action == "canaries":
        return _canaries(args)
    return _report(args)


def _canaries(args: argparse.Namespace) -> int:
    from creuset.data.build.canaries import LEDGER, SOURCE, CanaryPlan, plant

    facts = plant(with_overrides(CanaryPlan(), args.set), args.out)
    folder = (args.out / SOURCE).parent
    print(
        f"{facts['canaries']} canaries in {facts['documents']} documents: build the corpus with `{folder}` among its "
        f"inputs and `--ledger {args.out / LEDGER}`; keep {args.out} for the audit"
    )
    return 0


def _build(args: argparse.Namespace) -> int:
    from creuset.core.errors import ArtifactError, ConfigError
    from creuset.data import ledger
    from creuset.data.read.sources import plan
    from creuset.data.settings import Corpus

    settings = with_overrides(_limited(Corpus(), args.limit_mb), args.set)
    if args.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {args.workers}")
    rows = ledger.with_licences(ledger.read(args.ledger), args.licence)
    work = plan(args.inputs, rows, settings)
    if args.dry_run:
        sources = {
            r.name: {
                "licence": r.licence,
                "kind": r.kind or settings.kind,
                "tasks": sum(t.source == r.name for t in work.tasks),
            }
            for r in work.sources
        }
        print(json.dumps({"settings": resolved(settings), "sources": sources, "skipped": work.skipped}, indent=2))
        return 0
    if args.out.exists():
        raise ArtifactError(f"`{args.out}` already exists", hint="artifacts are never overwritten; choose another name")
    from creuset.data.build.pipeline import build
    from creuset.data.build.report import table

    report = build(work, settings, args.out, benchmarks=args.benchmarks, workers=args.workers, keep_work=args.work)
    if args.tokenizer:
        from creuset.data.shards.tokenize import tokenize

        tokenize(args.out, args.tokenizer, args.out.with_name(args.out.name + "-shards"))
    print(json.dumps(report) if args.json else table(report))
    return 0


def _limited(settings: "Corpus", flags: list[str]) -> "Corpus":
    from dataclasses import replace

    from creuset.core.errors import ConfigError

    for flag in flags:
        name, _, megabytes = flag.rpartition("=")
        try:
            limit = float(megabytes)
        except ValueError:
            raise ConfigError(f"`--limit-mb {flag}` is not of the form MB or NAME=MB") from None
        settings = (
            replace(settings, limits_mb=settings.limits_mb | {name: limit})
            if name
            else replace(settings, limit_mb=limit)
        )
    return settings


def _tokenize(args: argparse.Namespace) -> int:
    from creuset.core.log import duration
    from creuset.data.build.documents import chosen_sources
    from creuset.data.shards.tokenize import tokenize

    names = chosen_sources(args.corpus, args.sources.split(",") if args.sources else None)
    if args.dry_run:
        print(json.dumps({"corpus": str(args.corpus), "tokenizer": str(args.tokenizer), "sources": names}, indent=2))
        return 0
    started = time.monotonic()
    stats = tokenize(args.corpus, args.tokenizer, args.out, sources=names, workers=args.workers)
    seconds = time.monotonic() - started
    if args.json:
        print(json.dumps({"path": str(args.out), "seconds": round(seconds, 1), "sources": resolved(stats)}))
        return 0
    print(f"{'source':<28} {'documents':>10} {'tokens':>12} {'held out':>10} {'bytes/token':>12}  licence")
    for name, one in stats.items():
        row = f"{name:<28} {one.train.documents:>10,} {one.train.tokens:>12,} {one.heldout.tokens:>10,}"
        print(f"{row} {one.train.bytes_per_token:>12.2f}  {one.licence}")
    print(f"{sum(s.train.tokens for s in stats.values()):,} tokens in {duration(seconds)}: {args.out}")
    return 0


def _report(args: argparse.Namespace) -> int:
    from creuset.core.artifact import read_manifest
    from creuset.core.errors import ArtifactError
    from creuset.data.build.report import markdown, read_report, table

    if (kind := read_manifest(args.path)["kind"]) != "corpus":
        raise ArtifactError(f"`{args.path}` is a {kind}, not a corpus")
    report = read_report(args.path)
    if args.json:
        print(json.dumps(report))
    else:
        print(markdown(report) if args.markdown else table(report))
    return 0
