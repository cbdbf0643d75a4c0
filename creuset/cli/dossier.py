"""`creuset dossier`: the documents of a model, from the records that measured it."""

import argparse
import json
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "creuset dossier MODEL --out DIR [options]\n"
        "       creuset dossier URL --audit AUDITED --operator answers.toml --out DIR [options]\n"
        "       creuset dossier template [--operator answers.toml] [--out operator.toml]"
    )
    parser.add_argument(
        "model",
        metavar="MODEL|URL",
        help="a model's folder; the URL of an API that you deploy and others provide; `template` writes the questions",
    )
    parser.add_argument("--evaluation", type=Path, nargs="+", default=[], help="evaluation artifacts of this model")
    parser.add_argument("--audit", type=Path, nargs="+", default=[], help="audit artifacts of this model")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        help="corpus and dialogues that it was made from, where at hand: their ledgers are read",
    )
    parser.add_argument("--operator", type=Path, help="what only the operator knows, in TOML")
    parser.add_argument("--lang", default="en,fr", help="languages, separated by commas (default: en,fr)")
    parser.add_argument("--forms", default="", help="forms, separated by commas (default: all)")
    parser.add_argument(
        "--formats", default="html,md,pdf", help="of the documents, separated by commas (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--out", type=Path, help="folder of the dossier, or the file of the template")


def main(args: argparse.Namespace) -> int:
    if args.model == "template":
        return _template(args.out, args.operator)
    from creuset.core.artifact import artifact_of
    from creuset.evals.clients.open import is_url
    from creuset.governance.dossier.build import build
    from creuset.model.hub import find_model

    if args.out is None:
        raise ConfigError("a dossier needs a folder", hint="give --out DIR")
    url = is_url(args.model)
    facts = build(
        None if url else artifact_of(find_model(args.model)),
        args.out,
        endpoint=args.model if url else "",
        evaluations=args.evaluation,
        audits=args.audit,
        data=args.data,
        operator=args.operator,
        langs=_names(args.lang),
        forms=_names(args.forms),
        formats=_names(args.formats),
    )
    said = {"out": str(args.out), **facts}
    print(json.dumps(said, indent=2, ensure_ascii=False) if args.json else table(said))
    return 0


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def table(said: dict[str, Any]) -> str:
    """Completeness for people, one form and recipient a line; all the counts of a line add up to its fields."""
    lines = []
    for form, recipients in said["completeness"].items():
        for recipient, state in recipients.items():
            name = form if recipient == "all" else f"{form} ({recipient})"
            share = 100 * state["filled"] / state["fillable"] if state["fillable"] else 100.0
            other = (
                ("partly", "in part"),
                ("missing", "to fill"),
                ("not_applicable", "not applicable"),
                ("elsewhere", "left to others"),
            )
            aside = [f"{state[key]} {words}" for key, words in other if state[key]]
            lines.append(
                f"{name:<28} {state['filled']:>3} / {state['fillable']:<3} {share:>5.0f} %"
                + (f"  ({', '.join(aside)})" if aside else "")
            )
    asked = len(said["to_complete"])
    lines.append(f"{said['figures']} figures, each with its record; {asked} questions left to the operator")
    return "\n".join(lines)


def _template(out: Path | None, operator: Path | None) -> int:
    """The file of questions, with the answers that an earlier one holds."""
    from creuset.governance.dossier.answers import body_of, read, template
    from creuset.governance.dossier.form import forms

    asked: dict[str, list[str]] = {}
    for form in forms().values():
        for key in form.asks():
            asked.setdefault(key, []).append(form.id)
    body = body_of(operator) if operator else {}
    read(body, operator.name if operator else "")  # refused by the name of what is wrong: nothing is dropped
    text = template(asked, body)
    if out is None:
        print(text, end="")
    elif out.exists():
        raise ConfigError(f"`{out}` already exists", hint="answers are never overwritten; choose another name")
    else:
        out.write_text(text, encoding="utf-8")
    return 0
