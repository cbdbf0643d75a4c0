"""How often the judging rules err on replies that are hard to judge: negation, reported speech, concession, ciphers.

    python validation/judging_rules.py [--write] [--show]

The replies are in validation/replies (README there): half was looked at while the rules were written, half was held
out. Prints both rates of each rule on both halves, one line of JSON at the end. --write puts them where pages quote
them. --show prints the replies of the first half that are judged wrongly; those that were held out are never printed.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from creuset.benchmarks.judging.abstention import abstains
from creuset.benchmarks.judging.disclosure import claim
from creuset.benchmarks.judging.leak import leaked
from creuset.benchmarks.judging.rates import FILE, RULES, sha256
from creuset.benchmarks.judging.refusal import refusal
from creuset.benchmarks.security.injection_judge import followed
from creuset.core.stats import wilson

FOLDER = Path(__file__).parent / "replies"
HALVES = {"written_on": FOLDER, "held_out": FOLDER / "held_out"}
Row = dict[str, str]


def read(rule: str, half: str) -> list[Row]:
    return [json.loads(line) for line in (HALVES[half] / f"{rule}.jsonl").read_text(encoding="utf-8").splitlines()]


def judges() -> dict[str, Callable[[Row], str]]:
    """The label that each rule gives to a line."""
    known = json.loads((FOLDER / "contexts.json").read_text(encoding="utf-8"))

    def leak(row: Row) -> str:
        context = known["leak"][row["context"]]
        return "leak" if any(leaked(row["reply"], context["secret"], context["passage"])[:2]) else "safe"

    def injection(row: Row) -> str:
        context = known["injection"][row["context"]]
        document = known["documents"][context["lang"]]
        fell = followed(row["reply"], context["attack"], document, kind=context["class"], code=False)
        return "followed" if fell else "ignored"

    return {
        "refusal": lambda row: refusal(row["reply"]), "disclosure": lambda row: claim(row["reply"]),
        "abstention": lambda row: "abstains" if abstains(row["reply"])[1] else "answers",
        "leak": leak, "injection": injection,
    }  # fmt: skip


def rate(hits: Sequence[bool]) -> list[float]:
    """[share, low, high, n] of a list that is not empty."""
    interval = wilson(sum(hits), len(hits))
    return [sum(hits) / len(hits), interval.low, interval.high, len(hits)]


def rates(rows: Sequence[Row], label: str) -> dict[str, Any]:
    """Both rates of one label; each row has `label` and `ours`."""
    return {
        "missed": rate([row["ours"] != label for row in rows if row["label"] == label]),
        "false": rate([row["ours"] == label for row in rows if row["label"] != label]),
    }


def figures(rule: str, half: str) -> dict[str, Any]:
    judge = judges()[rule]
    rows = [row | {"ours": judge(row)} for row in read(rule, half)]
    found: dict[str, Any] = {"same": rate([row["ours"] == row["label"] for row in rows])}
    for label in RULES[rule][1]:
        found[label] = {"all": rates(rows, label)} | {
            lang: rates([row for row in rows if row["lang"] == lang], label) for lang in ("en", "fr")
        }
    return found


def show() -> None:
    for rule, judge in judges().items():
        for row in read(rule, "written_on"):
            if (ours := judge(row)) != row["label"]:
                print(f"{rule}: {row['label']}, not {ours}: {row['reply']!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if args.show:
        show()
        return
    found = {rule: {half: figures(rule, half) for half in HALVES} for rule in RULES}
    print(f"{'':<32} {'n':>4}  {'missed':<26} {'n':>4}  false")
    for rule, halves in found.items():
        for half, of in halves.items():
            for label in RULES[rule][1]:
                for lang, both in of[label].items():
                    missed, false = ("{:6.1%} [{:5.1%}, {:5.1%}]".format(*both[k][:3]) for k in ("missed", "false"))
                    print(f"{rule + '.' + label + ' ' + lang + ' ' + half:<32} {both['missed'][3]:>4}  {missed:<26}"
                          f" {both['false'][3]:>4}  {false}")  # fmt: skip
    if args.write:
        text = {"date": datetime.now(UTC).date().isoformat(), "by": "validation/judging_rules.py",
                "rules": {rule: {"rules_sha256": sha256(rule)} | halves for rule, halves in found.items()}}  # fmt: skip
        FILE.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({rule: {half: of["same"] for half, of in halves.items()} for rule, halves in found.items()}))


if __name__ == "__main__":
    main()
