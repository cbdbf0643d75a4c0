"""`creuset audit`: what a model does beside answering well, requirement by requirement, with no overall verdict.

stdout gets the table (or one JSON document), progress goes to stderr. Exit codes: 0 the audit was made, whatever it
found; 1 a part met a damaged file and has a row that says so; 2 what was asked cannot be; 3 the model is damaged;
5 the endpoint is gone: give the same command again and it goes on.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.endpoints import add_endpoint, nothing_answered, reach_of
from creuset.cli.numbers import integer
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.governance.audit.run import AuditPlan, Result
    from creuset.report.language import Lang


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "creuset audit MODEL|URL [options]\n       creuset audit --list"
    add = parser.add_argument
    add("subject", nargs="?", metavar="MODEL|URL", help="a model's folder or name, or the base URL of an endpoint")
    add("--items", default="", metavar="A,B", help="requirements by name or number, parts by name (default: all)")
    add("--bench", type=Path, metavar="DIR", help="a folder of benchmark files")
    add(
        "--given",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="material that a part needs (--list names it); may be given several times",
    )
    add("--garak", type=Path, metavar="FILE", help="a report of garak to take in: the same as --given garak=FILE")
    add("--limit", type=integer("[1, inf)"), metavar="N", help="first N samples of each part")
    add("--seed", type=int, default=1234, help="of perturbations and whatever else is drawn (default: %(default)s)")
    add("--allow-harmful", action="store_true", help="also ask the harmful sets; their prompts are never shown")
    add("--retry-failed", action="store_true", help="ask again what failed in an earlier run")
    add("--work", type=Path, metavar="DIR", help="where answers are kept until they are published (default: OUT.work)")
    add("--out", type=Path, metavar="PATH", help="keep the audit as an artifact")
    add("--json", action="store_true", help="print one JSON document")
    add("--list", action="store_true", help="print requirements, parts and what they need, and stop")
    add("--lang", choices=("en", "fr"), default="en", help="of what is printed and of the page (default: en)")
    add("--dtype", choices=("fp32", "bf16"), default="fp32", help="of local weights (default: %(default)s)")
    add("--device", default="cpu", help="cpu, cuda or auto")
    add_endpoint(
        parser,
        {
            "judge": "an endpoint that labels what rules judge (refusals, leaks ...) as a second opinion",
            "paraphraser": "an endpoint that rewrites marked text, to see whether it is still found",
        },
    )


def main(args: argparse.Namespace) -> int:
    if args.list:
        print(json.dumps(listing(), indent=2, ensure_ascii=False) if args.json else listed(args.lang))
        return 0
    if args.subject is None:
        raise ConfigError("what is to be audited?", hint="give a model's folder, or the base URL of an endpoint")
    from creuset.api.evaluation import audit
    from creuset.core.log import say
    from creuset.evals.clients.open import is_url
    from creuset.evals.usage import usage_lines

    said, results = audit(
        args.subject, _asked(args), to=reach_of(args, dtype=args.dtype, device=args.device),
        judge=args.judge, judge_to=reach_of(args, "judge"),
        paraphraser=args.paraphraser, paraphraser_to=reach_of(args, "paraphraser"),
        work=args.work, out=args.out, lang=args.lang,
    )  # fmt: skip
    if is_url(args.subject) or args.judge or args.paraphraser:
        for line in usage_lines(said["usage"]):
            say(line)
    print(json.dumps(said, indent=2, ensure_ascii=False) if args.json else table(results, args.lang))
    return nothing_answered(said["usage"]) or (1 if any(r.trouble for r in results) else 0)


def _asked(args: argparse.Namespace) -> "AuditPlan":
    from creuset.governance.audit.items import PARTS, REQUIREMENTS, unknown
    from creuset.governance.audit.run import AuditPlan

    items = tuple(name for name in args.items.split(",") if name)
    if strange := unknown(items):
        names = ", ".join(r.name for r in REQUIREMENTS.values())
        raise ConfigError(
            f"`{strange[0]}` is neither a requirement nor a part",
            hint=f"requirements: {names}; `creuset audit --list` has the parts",
        )
    material = {name for part in PARTS for name in (*part.material, *part.optional)}
    given = {"garak": args.garak} if args.garak else {}
    for text in args.given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigError(f"`--given {text}` is not of the form NAME=PATH")
        if name not in material:
            raise ConfigError(
                f"`{name}` is not material that a part needs",
                hint=f"it may be {', '.join(sorted(material)) or 'nothing'}",
            )
        given[name] = Path(path)
    try:
        return AuditPlan(
            items=items,
            bench=args.bench,
            given=given,
            limit=args.limit,
            harmful=args.allow_harmful,
            seed=args.seed,
            retry_failed=args.retry_failed,
        )
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused


def listing() -> list[dict[str, Any]]:
    from creuset.governance.audit.items import PARTS, REQUIREMENTS
    from creuset.governance.audit.run import placed

    rows = []
    for row, r in REQUIREMENTS.items():
        parts = []
        for part in PARTS:
            if part.row != row:
                continue
            task = placed(part.task)() if part.task else None
            parts.append({
                "name": part.name, "needs": sorted(part.needs | (task.needs if task else frozenset())),
                "files": sorted({f.split("/")[0] for f in (task.files if task else ())}),
                "material": dict(part.material), "optional": dict(part.optional),
                "harmful": bool(task and task.harmful),
                "licence": task.licence if task else "",
            })  # fmt: skip
        rows.append(
            {
                "row": row,
                "name": r.name,
                "title": r.title,
                "asks": r.asks,
                "articles": list(r.articles),
                "hint": r.hint,
                "untested": r.untested,
                "parts": parts,
            }
        )
    return rows


def listed(lang: "Lang") -> str:
    from creuset.core.sentences import in_language
    from creuset.governance.audit.articles import article
    from creuset.report.language import words_of
    from creuset.report.table import STATUS

    lines = []
    for row in listing():
        articles = "; ".join(words_of(article(name), lang) for name in row["articles"])
        lines.append(f"{row['row']:>2}  {row['name']}: {row['title'][lang]}  ({articles})")
        lines.append(f"      {row['asks'][lang]}")
        if row["untested"]:
            lines.append(f"      {in_language(STATUS['not_tested'], lang)}: {row['untested']}")
        for part in row["parts"]:
            needs = [
                *part["needs"],
                *(f"--bench {f}" for f in part["files"]),
                *(f"--given {n}=PATH" for n in part["material"]),
                *(f"[--given {n}=PATH]" for n in part["optional"]),
            ]
            needs += ["--allow-harmful"] if part["harmful"] else []
            lines.append(f"      - {part['name']:<22} {', '.join(needs)}")
    return "\n".join(lines)


def table(results: "Sequence[Result]", lang: "Lang") -> str:
    """Measures for people, a line each, under their requirement; what was not measured says why."""
    from creuset.core.sentences import in_language, say
    from creuset.governance.audit.items import REQUIREMENTS
    from creuset.report.table import STATUS

    lines = []
    asked = [r for r in results if not r.left_out]
    for row in dict.fromkeys(r.row for r in asked):
        lines.append(f"\n{row}. {REQUIREMENTS[row].title[lang]}")
        for result in (r for r in asked if r.row == row):
            for m in result.measures:
                if m.score is None:
                    lines.append(f"   {m.id:<44} {in_language(STATUS[m.status], lang)}: {m.why}")
                    continue
                span = f"[{m.interval.low:.3f}, {m.interval.high:.3f}]" if m.interval else ""
                lost = f", {m.failed} failed" if m.failed else ""
                told = "" if m.status == "measured" else f"  ({in_language(STATUS[m.status], lang)})"
                lines.append(f"   {m.id:<44} {m.score:>8.3f} {span:<16} n = {m.n:,}{lost}{told}")
            notes = dict.fromkeys(m.caveat for m in result.measures if m.caveat and m.score is not None)
            lines += [f"      ({note})" for note in notes]
    left = dict.fromkeys(f"{r.row}. {REQUIREMENTS[r.row].title[lang]}" for r in results if r.left_out)
    lines += ["", say(lang, "audit.left_out_names", names="; ".join(left))] if left else []
    return "\n".join([*lines, "", say(lang, "audit.no_overall_verdict")]).lstrip("\n")
