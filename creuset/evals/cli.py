"""`creuset eval`: score a model; `creuset eval card`: write its model card from the artifacts."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "creuset eval MODEL [options]\n       creuset eval card MODEL --evaluation PATH ... [--out card.md]\n"
        "       creuset eval report PATH [--out page.html]\n       creuset eval compare A B [--out page.html]"
    )
    parser.add_argument("words", nargs="+", metavar="MODEL", help="a model's folder; `card MODEL` writes its card, "
                        "`report PATH` the page of an evaluation, `compare A B` sets two of them side by side")
    parser.add_argument("--task", default="bpb", help="names separated by commas: bpb, arc_easy, arc_challenge, "
                        "hellaswag, piqa, boolq (default: bpb)")
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="for bpb: shards, or files of text or jsonl")
    parser.add_argument("--bench", type=Path, help="for the other tasks: a folder of benchmark files, or the one file")
    parser.add_argument("--limit", type=int, help="first documents of each source, first items of each task")
    parser.add_argument("--context", type=int, default=0, help="tokens (default: the model's own)")
    parser.add_argument("--overlap", type=int, default=0, help="tokens that a window of a long document sees twice")
    parser.add_argument("--no-prefix", action="store_true", help="no <|endoftext|> before a question's context")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="keep the results as an artifact; of `card`: the file to write")
    card = parser.add_argument_group("card")
    card.add_argument("--evaluation", type=Path, nargs="+", default=[], help="evaluation artifacts of this model")
    card.add_argument("--licence", default="apache-2.0", help="of the weights, as Hugging Face names it")
    card.add_argument("--package", type=Path, metavar="PATH", help="publish the model with its card as an artifact")
    card.add_argument("--dialogues", type=int, default=20, help="conversations to hold, the first of the fixed list")
    pages = parser.add_argument_group("report, compare")
    pages.add_argument("--margin", type=float, default=0.02, help="differences below it are equal (default: 0.02)")
    pages.add_argument("--lang", choices=["en", "fr"], default="en", help="that a page opens in (default: en)")
    pages.add_argument("--inspect", action="store_true", help="of `report`: also write logs for inspect_ai's viewer")


def main(args: argparse.Namespace) -> int:
    if args.words[0] in ("report", "compare") and len(args.words) == {"report": 2, "compare": 3}[args.words[0]]:
        from creuset.evals import report_cli

        paths = [Path(word) for word in args.words[1:]]
        if args.words[0] == "report":
            return report_cli.report(paths[0], args.out, lang=args.lang, as_json=args.json, inspect=args.inspect)
        return report_cli.compare(paths[0], paths[1], args.out, margin=args.margin, lang=args.lang, as_json=args.json)
    if args.words[0] == "card" and len(args.words) == 2:
        return _card(args)
    if len(args.words) != 1:
        raise ConfigError(f"one model at a time, got {' '.join(args.words)}")
    from creuset.engine.locate import find_model
    from creuset.evals.run import Evaluation, evaluate, keep

    path = find_model(args.words[0])
    try:
        ask = Evaluation(
            tasks=tuple(t for t in args.task.split(",") if t), data=tuple(args.data), bench=args.bench,
            prefix=not args.no_prefix, limit=args.limit, context=args.context, overlap=args.overlap,
            dtype=args.dtype, device=args.device,
        )
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused
    if args.out is not None and args.out.exists():
        raise ConfigError(f"`{args.out}` already exists", hint="artifacts are never overwritten; choose another name")
    results, samples = evaluate(path, ask)
    if args.out is not None:
        keep(args.out, path, ask, results, samples)
    print(json.dumps(results, indent=2, ensure_ascii=False) if args.json else table(results["results"]))
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    """Scores for people, one a line."""
    lines = []
    for row in rows:
        what = f"bits per byte  {row['source']}" if row["task"] == "bpb" else f"{row['task']}  {row['metric']}"
        low, high = row["interval"]
        unit = "documents" if row["task"] == "bpb" else "items"
        said = f"  {row['verdict']} ({row['chance']:.3f})" if "verdict" in row else ""
        lines.append(f"{what:<44} {row['score']:.4f}  [{low:.4f}, {high:.4f}]  n = {row['n']:,} {unit}{said}")
    return "\n".join(lines)


def _card(args: argparse.Namespace) -> int:
    from creuset.engine.locate import find_model
    from creuset.evals.card import package, write

    model = find_model(args.words[1])
    if args.package is not None and args.package.exists():
        raise ConfigError(f"`{args.package}` already exists", hint="artifacts are never overwritten")
    text = write(model, args.evaluation, dialogues=args.dialogues, licence=args.licence)
    if args.package is not None:
        package(model, args.evaluation, text, args.package)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")
    if args.json:
        print(json.dumps({"out": args.out and str(args.out), "package": args.package and str(args.package)}))
    elif args.out is None and args.package is None:
        sys.stdout.write(text)
    return 0
