"""`creuset eval`: score a model; `creuset eval card`: write its model card from the artifacts.

Exit codes: 0 done, and every gate passed; 1 a gate did not pass (--require, --fail-if), all results are kept all the
same; 2 what was asked cannot be; 3 a file or an artifact is damaged; 4 the disk is full; 5 the endpoint is gone.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.endpoints import add_endpoint, nothing_answered, reach_of
from creuset.cli.numbers import integer, number
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.evals.gate import Needed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "creuset eval MODEL [options]\n       creuset eval card MODEL --evaluation PATH ... [--out card.md]\n"
        "       creuset eval report PATH [--out page.html]\n"
        "       creuset eval compare A B [--fail-if worse] [--out page.html]"
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="MODEL",
        help="a model's folder, a shipped name, or the URL of an "
        "endpoint (https://host/v1); `card MODEL` writes its card, `report PATH` the page of an "
        "evaluation, `compare A B` sets two of them side by side",
    )
    parser.add_argument(
        "--task",
        help="names separated by commas; --list has them; or a task of your own as file.py:Class (default: bpb)",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="make a task of a CSV file: columns question and answer, and choices (or A, B, C ...) for multiple choice",
    )
    parser.add_argument(
        "--columns",
        default="",
        metavar="ROLE=NAME,...",
        help="what the columns of --csv are, where "
        "their names do not say it: question=, answer=, choices=, id=, group=",
    )
    parser.add_argument("--list", action="store_true", help="print the tasks with their data, licence and forms")
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="for bpb: shards, or files of text or jsonl")
    parser.add_argument("--bench", type=Path, help="for the other tasks: a folder of benchmark files, or the one file")
    parser.add_argument(
        "--limit", type=integer("[1, inf)"), help="first documents of each source, first items of each task"
    )
    parser.add_argument("--context", type=integer("[0, inf)"), default=0, help="tokens (default: the model's own)")
    parser.add_argument(
        "--overlap", type=integer("[0, inf)"), default=0, help="tokens that a window of a long document sees twice"
    )
    parser.add_argument("--no-prefix", action="store_true", help="no <|endoftext|> before a question's context")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="keep the results as an artifact; of `card`: the file to write")
    parser.add_argument("--form", choices=["loglikelihood", "generate", "chat"], help="default: each task's own")
    parser.add_argument(
        "--fewshot", type=integer("[0, 100]"), metavar="N", help="worked examples (default: each task's own)"
    )
    parser.add_argument("--seed", type=int, default=1234, help="kept with every score (default: %(default)s)")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="keep answers here as they come: a run that was cut "
        "off goes on when it is started again (default: OUT.work until OUT is whole)",
    )
    parser.add_argument("--retry-failed", action="store_true", help="ask again what failed in an earlier run")
    parser.add_argument("--rescore", type=Path, metavar="WORK", help="ask nobody: score the answers kept in WORK")
    add_endpoint(parser, {"judge": "for tasks whose replies are graded: the judge's endpoint"})
    parser.add_argument("--stream", action="store_true", help="stream replies: also gives the time to the first token")
    card = parser.add_argument_group("card")
    card.add_argument("--evaluation", type=Path, nargs="+", default=[], help="evaluation artifacts of this model")
    card.add_argument("--licence", default="apache-2.0", help="of the weights, as Hugging Face names it")
    card.add_argument("--package", type=Path, metavar="PATH", help="publish the model with its card as an artifact")
    card.add_argument(
        "--dialogues", type=integer("[0, inf)"), default=20, help="conversations to hold, the first of the fixed list"
    )
    gates = parser.add_argument_group("gates", "for continuous integration: the exit code is 1 where one does not pass")
    gates.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="TASK.METRIC>=NUMBER",
        help="a score that the run must reach (>=, >, <=, <; METRIC@low is the lower end of its interval); may be "
        "given several times",
    )
    gates.add_argument(
        "--against", type=Path, metavar="PATH", help="compare with an earlier evaluation, or a folder's last one"
    )
    gates.add_argument(
        "--fail-if",
        choices=["worse", "unproved"],
        help="of `compare` and --against: fail where the newer run is worse in a task; or where it was not shown to be "
        "better or equal within the margin",
    )
    pages = parser.add_argument_group("report, compare")
    pages.add_argument(
        "--margin", type=number("(0, 1)"), default=0.02, help="differences below it are equal (default: 0.02)"
    )
    pages.add_argument("--lang", choices=["en", "fr"], default="en", help="that a page opens in (default: en)")
    pages.add_argument("--inspect", action="store_true", help="of `report`: also write logs for inspect_ai's viewer")


def main(args: argparse.Namespace) -> int:
    words = args.words
    if args.list:
        print(json.dumps(listing(), indent=2, ensure_ascii=False) if args.json else listed())
        return 0
    if words and words[0] in ("report", "compare") and len(words) == {"report": 2, "compare": 3}[words[0]]:
        from creuset.cli import eval_report as report_cli

        paths = [Path(word) for word in words[1:]]
        if words[0] == "report":
            return report_cli.report(paths[0], args.out, lang=args.lang, as_json=args.json, inspect=args.inspect)
        return report_cli.compare(
            paths[0], paths[1], args.out, margin=args.margin, lang=args.lang, as_json=args.json, fail_if=args.fail_if
        )
    if words and words[0] == "card" and len(words) == 2:
        return _card(args)
    if args.rescore is not None and words:
        raise ConfigError("--rescore asks no model: the journals say who answered", hint=f"leave `{words[0]}` out")
    if len(words) != (args.rescore is None):
        raise ConfigError(f"one model at a time, got {' '.join(words) or 'none'}")
    return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> int:
    from creuset.api.evaluation import evaluate
    from creuset.core.log import say
    from creuset.evals import gate
    from creuset.evals.clients.open import is_url
    from creuset.evals.usage import usage_lines

    needed, against = _gates(args)
    name = str(args.words[0]) if args.words else ""
    named = args.task if args.task is not None else "" if args.csv else "bpb"
    results = evaluate(
        name, [task for task in named.split(",") if task], csv=args.csv, columns=_columns(args.columns),
        to=reach_of(args, stream=args.stream, prefix=not args.no_prefix, context=args.context, dtype=args.dtype,
                    device=args.device),
        judge=args.judge, judge_to=reach_of(args, "judge"), rescore=args.rescore, work=args.work, out=args.out,
        data=tuple(args.data), bench=args.bench, prefix=not args.no_prefix, limit=args.limit, context=args.context,
        overlap=args.overlap, dtype=args.dtype, device=args.device, form=args.form, fewshot=args.fewshot,
        seed=args.seed, retry_failed=args.retry_failed,
    )  # fmt: skip
    print(json.dumps(results, indent=2, ensure_ascii=False) if args.json else table(results["results"]))
    if is_url(name) or results["usage"]["judge"] is not None:
        for line in usage_lines(results["usage"]):
            say(line)
    if code := nothing_answered(results["usage"]):
        return code
    problems = gate.unmet(needed, results["results"])
    for problem in problems:
        say(f"FAILED  {problem}")
    if against is not None:
        from creuset.cli.eval_report import compare

        worse = compare(against, args.out, None, margin=args.margin, fail_if=args.fail_if, quiet=True)
        return 1 if problems else worse
    return 1 if problems else 0


def _gates(args: argparse.Namespace) -> "tuple[list[Needed], Path | None]":
    """What the run must reach, and the run that it is compared with; what cannot be is refused before it is asked."""
    from creuset.core.log import say
    from creuset.evals import gate

    needed = [gate.requirement(text) for text in args.require]
    names = (args.task if args.task is not None else "" if args.csv else "bpb").split(",")
    if args.task != "" and not args.csv and not any(":" in name for name in names):
        gate.refuse_unasked(needed, [name for name in names if name])
    if args.against is None:
        if args.fail_if:
            raise ConfigError("--fail-if compares with another run", hint="give --against PATH, or `eval compare A B`")
        return needed, None
    if args.out is None:
        raise ConfigError("--against compares sample by sample, and this run is not kept", hint="give --out PATH")
    earlier = gate.last_run(args.against, but=args.out)
    if earlier is None:
        say(f"`{args.against}` holds no earlier evaluation: nothing is compared this time")
    return needed, earlier


def _columns(given: str) -> dict[str, str]:
    found = {}
    for text in filter(None, given.split(",")):
        role, equals, name = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"`--columns {text}` is not of the form question=NAME")
        found[role.strip()] = name.strip()
    return found


def listing() -> list[dict[str, Any]]:
    """Every task: its data, licence, needs and forms."""
    from creuset.benchmarks import catalogue

    rows: list[dict[str, Any]] = [{
        "task": "bpb", "files": ["--data"], "licence": "", "needs": ["loglikelihood"], "forms": ["loglikelihood"],
        "reference": "",
    }]  # fmt: skip
    for name in catalogue.NAMES:
        task = catalogue.about(name)
        rows.append(
            {
                "task": name,
                "files": list(task.files),
                "licence": task.licence,
                "needs": sorted(task.needs),
                "forms": list(catalogue.forms(name)),
                "reference": task.reference,
            }
        )
    return rows


def listed() -> str:
    lines = []
    for row in listing():
        files = row["files"]
        data = files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else "") if files else "in the package"
        lines.append(f"{row['task']:<18} {', '.join(row['forms']):<30} {data:<48} {row['licence']}")
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """Scores for people, one a line."""
    lines = []
    for row in rows:
        what = f"bits per byte  {row['source']}" if "source" in row else f"{row['task']}  {row['metric']}"
        if row["score"] is None:
            lines.append(f"{what:<44} {row['status'].replace('_', ' ')}: {row['why']}")
            continue
        unit = "documents" if row["task"] == "bpb" else "items"
        between = "[{:.4f}, {:.4f}]".format(*row["interval"]) if row["interval"] else ""
        said = f"  {row['verdict']} ({row['chance']:.3f})" if "verdict" in row else ""
        said += f"  {row['failed']:,} failed" if row["failed"] else ""
        said += f"  {row['unextracted']:,} without an answer" if row["unextracted"] else ""
        lines.append(f"{what:<44} {row['score']:.4f}  {between}  n = {row['n']:,} {unit}{said}")
    caveats = {row["task"]: row["caveat"] for row in rows if row.get("caveat")}
    return "\n".join([*lines, *(f"{task}: {caveat}" for task, caveat in caveats.items())])


def _card(args: argparse.Namespace) -> int:
    from creuset.core.log import say
    from creuset.evals.clients.conversations import converse, openings
    from creuset.governance.card.build import facts_of, package, write
    from creuset.model.hub import find_model

    model = find_model(args.words[1])
    if args.package is not None and args.package.exists():
        raise ConfigError(f"`{args.package}` already exists", hint="artifacts are never overwritten")
    with facts_of(model, args.evaluation) as facts:  # what does not belong together is refused before anything is asked
        talks = converse(model, openings(args.dialogues), progress=say) if args.dialogues else []
        text = write(facts, talks, licence=args.licence)
    if args.package is not None:
        package(model, args.evaluation, text, args.package)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")
    if args.json:
        print(json.dumps({"out": args.out and str(args.out), "package": args.package and str(args.package)}))
    elif args.out is None and args.package is None:
        sys.stdout.write(text)
    return 0
