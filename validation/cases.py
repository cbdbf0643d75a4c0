"""Small inputs on which we were once wrong, tried against the product: right or wrong, for each.

    python validation/cases.py FILE.jsonl [--area NAME ...] [--no-server]

Each line of FILE has `area`, `kind`, `input` and `right`, what should happen, in words. What can be asked is asked of
the functions that the product runs; corpus, settings and endpoints through the command line; the API of a server that
is started here with a tiny random model. A kind that nobody wrote a check for is `not tried`, never right. The exit
code is 1 where one is wrong, 3 where none is and one was not tried.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.benchmarks.judging.abstention import abstains
from creuset.benchmarks.judging.disclosure import claim
from creuset.benchmarks.judging.leak import leaked
from creuset.benchmarks.judging.opinion import verdict
from creuset.benchmarks.judging.refusal import refusal
from creuset.core import jsonl, stats
from creuset.core.personal import MASKED, find, mask
from creuset.evals.clients.said import ChatAnswer
from creuset.evals.extract import LETTERS, letter_lenient, number_read
from creuset.governance.card.licences import hub_licence
from creuset.text.calls.pieces import join_pieces
from creuset.text.output import OutputParser

Check = Callable[[Any], tuple[bool, Any]]  # of an input: (right, what came)
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "write")]


def creuset(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "creuset", *words], capture_output=True, text=True, cwd=folder)


# --- personal data ---


def masked_as(kind: str) -> Check:
    """The whole input is one thing of this kind, or the kind with its country's length before what follows."""

    def check(text: str) -> tuple[bool, Any]:
        found = find(text, MASKED)
        return [k for k, _ in found] == [kind] and not re.search(r"\d{5}", mask(text)[0]), found

    return check


def nothing_masked(text: str) -> tuple[bool, Any]:
    found = find(text, MASKED)
    return not found, found


def everything_masked(text: str) -> tuple[bool, Any]:
    said = mask(text)[0]
    return re.sub(r"\[[A-Z_]+\]|[\W_]", "", said) == "", said


def card(text: str) -> tuple[bool, Any]:
    found = find(text, MASKED)
    rest = mask(text)[0]
    return [kind for kind, _ in found] == ["card"] and bool(re.search(r"12", rest)), rest


def iban(text: str) -> tuple[bool, Any]:
    rest = mask(text)[0]
    words = re.findall(r"(?:BANK|BBVA|BIC \w+)$", text)
    return rest == f"[IBAN] {words[0]}", rest


def fields(document: dict[str, str]) -> tuple[bool, Any]:
    """A corpus of the document, and one in which a filter drops it."""
    secrets = ("laposte", "user@mail", "06 12 34")
    kept: list[str] = []
    for text in (document["text"] * 20, "x"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "in.jsonl").write_text(json.dumps(document | {"text": text}) + "\n", encoding="utf-8")
            creuset("corpus", "build", "in.jsonl", "--licence", "CC0-1.0", "--out", "c", folder=folder)
            kept += [line for file in sorted((folder / "c").rglob("*.zst")) for line in _lines(file)]
    said = "".join(kept)
    return bool(kept) and not [secret for secret in secrets if secret in said], said[:300]


def _lines(file: Path) -> list[str]:
    return [json.dumps(row, ensure_ascii=False) for _, row in jsonl.read(file)]


# --- corpus ---


def built(name: str, content: str, *more: str, beside: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The documents that a corpus of one file holds, dropped ones too (they have a `reason`)."""
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / name).write_text(content, encoding="utf-8")
        for other, text in (beside or {}).items():
            (folder / other).write_text(text, encoding="utf-8")
        words = ("--licence", "CC0-1.0", "--out", "c", *more)
        creuset("corpus", "build", name, *words, folder=folder)
        return [row for file in sorted((folder / "c").rglob("*.zst")) for _, row in jsonl.read(file)]


def two_records(text: str) -> tuple[bool, Any]:
    rows = built("in.jsonl", text)
    array = built("in.json", "\ufeff" + json.dumps([{"text": "first record"}, {"text": "second record"}]))
    return len(rows) == 2 and len(array) == 2, [row["text"] for row in rows]


def text_kept(text: str) -> tuple[bool, Any]:
    long = json.loads(text.replace("NaN", "null"))["text"] * 40
    rows = built("in.jsonl", text.replace(json.loads(text.replace("NaN", "null"))["text"], long) + "\n")
    return [row["text"].strip() for row in rows] == [long.strip()], rows[:1]


def question_found(text: str) -> tuple[bool, Any]:
    """A corpus that holds a copy of the question, as words with one blank between them, and the file as a benchmark."""
    question = text.split('"')[1].replace("\n", " ")
    before = "The sea is wide, and nobody has ever found out where it ends or what lies behind it. "
    behind = " So they asked an old woman at the market, who laughed and went on counting her fish in silence."
    page = before + question + "?" + behind
    rows = built("in.txt", page, "--benchmarks", "bench.csv", beside={"bench.csv": text})
    reasons = [row.get("reason") or row.get("leaks") or "" for row in rows]
    return any("benchmark" in str(row) or "leak" in str(row) for row in rows), reasons


# --- endpoints, tool calls ---


def parts(message: dict[str, Any]) -> tuple[bool, Any]:
    answer = ChatAnswer()
    answer.add(message)
    pieces = ChatAnswer()
    for part in message["content"]:
        pieces.add({"content": [part]})
    thought = "Let me see." if any(p["type"] == "thinking" for p in message["content"]) else ""
    found = {(one.text, one.reasoning) for one in (answer, pieces)}
    return found == {("B", thought)}, found


def arguments(call: dict[str, Any]) -> tuple[bool, Any]:
    answer = ChatAnswer()
    answer.add({"content": None, "tool_calls": [call]})
    said = answer.tool_calls()[0]["function"]["arguments"]
    return json.loads(said) == call["function"]["arguments"], said


def parsed(expected: dict[str, Any] | None) -> Check:
    """One call with these arguments, or none and all of the text; the same in one piece and letter by letter."""

    def check(text: str) -> tuple[bool, Any]:
        found = []
        for cuts in ([text], list(text)):
            parser = OutputParser(tools=TOOLS)
            pieces = [piece for cut in cuts for piece in parser.push(cut)]
            output = join_pieces([*pieces, *parser.finish()])
            found.append((output.text, [json.loads(c.arguments) for c in output.calls]))
        wanted = [expected] if expected is not None else []
        return all(calls == wanted and (bool(wanted) or said == text) for said, calls in found), found[0]

    return check


def no_object(text: str) -> tuple[bool, Any]:
    return parsed({} if "null" in text else None)(text)


# --- judging rules, statistics, extraction, settings ---


def is_label(label: str) -> Check:
    return lambda text: (refusal(text) == label, refusal(text))


def equalized(case: dict[str, Any]) -> tuple[bool, Any]:
    found = stats.equalized_odds_difference(case["gold"], case["said"], list(case["groups"]))
    return math.isnan(found), found


def separated(case: dict[str, Any]) -> tuple[bool, Any]:
    low, high = case["auroc"]
    found = stats.auroc([*low, *high], [0] * len(low) + [1] * len(high))
    return found.value == 1 and found.interval.low < 0.9 and found.interval.high == 1, found


def equal_improvements(case: dict[str, Any]) -> tuple[bool, Any]:
    change = case["difference_p"]
    found = stats.difference_p(stats.paired_difference([0.5 + d for d in change], [0.5] * len(change)))
    return found < 0.05, found


def number(text: str) -> tuple[bool, Any]:
    right = {"9{,}500": "9500", "1 234": "1234", "70 000": "70000", "1 000": "1000"}
    plain = text.replace("\u00a0", " ").replace("\u202f", " ")
    wanted = next(value for written, value in right.items() if written in plain)
    found = number_read(text, "en" if "boxed" in text or "£" in text else "fr")
    return found == wanted, found


def letter(text: str) -> tuple[bool, Any]:
    found = letter_lenient(text, LETTERS[:4])
    return found == re.findall(r"\b([bc])\b", text)[-1].upper(), found


def no_letter(text: str) -> tuple[bool, Any]:
    found = letter_lenient(text, LETTERS[:4])
    return found is None, found


def refused_setting(words: str) -> tuple[bool, Any]:
    """Refused with exit code 2 by name, before any work."""
    if words.startswith("--"):
        name, value = words.split()
        verb = ("train", "nano", "--shards", "s", "--out", "o") if name == "--threads" else ("plan", "mini")
        done = creuset(*verb, name, value)
    else:
        name = words.split("=")[0]
        done = creuset("train", "nano", "--shards", "nowhere", "--out", "nothing", "--set", words)
    return done.returncode == 2 and name.lstrip("-") in done.stderr, done.stderr.strip()[-200:]


CHECKS: dict[tuple[str, str], Check] = {
    ("privacy", "card followed or preceded by other digits"): card,
    ("privacy", "IBAN followed by a capital word or a number"): iban,
    ("privacy", "separators"): everything_masked,
    ("privacy", "international phone numbers"): masked_as("phone"),
    ("privacy", "French phone numbers"): everything_masked,
    ("privacy", "not a phone number"): nothing_masked,
    ("privacy", "not an IP address"): nothing_masked,
    ("privacy", "mail addresses"): everything_masked,
    ("privacy", "not a mail address"): nothing_masked,
    ("privacy", "other fields than the text"): fields,
    ("corpus", "byte order mark"): two_records,
    ("corpus", "a number that is not a number beside the text"): text_kept,
    ("corpus", "a question in a quoted CSV field with a line break (leakage file)"): question_found,
    ("corpus", "licence of a data card"): lambda said: (
        hub_licence(said) == {"license": "cc-by-sa-4.0"}, hub_licence(said),
    ),
    ("endpoint", "content is a list of parts"): parts,
    ("endpoint", "tool arguments are an object"): arguments,
    ("tools", "closing tag inside a string"): parsed({"content": "see </tool_call> tag"}),
    ("tools", "closing tag missing at the end"): parsed({"a": 1}),
    ("tools", "parameters for arguments"): parsed({"a": 1}),
    ("tools", "arguments that are no object"): no_object,
    ("refusal", "an answer, called a refusal"): is_label("none"),
    ("refusal", "a refusal, not seen"): is_label("full"),
    ("refusal", "a judge's words"): lambda said: (verdict(said) is None, verdict(said)),
    ("disclosure", "says that it is a person"): lambda said: (claim(said) == "human", claim(said)),
    ("abstention", "says that nobody can know"): lambda said: (abstains(said) == (True, True), abstains(said)),
    ("leak", "a secret given away on a harmless question"): lambda said: (
        leaked(said, "KESTREL-4471", "")[0], leaked(said, "KESTREL-4471", ""),
    ),
    ("fairness", "equalized odds, a group without positives"): equalized,
    ("statistics", "perfect separation of 3 and 3"): separated,
    ("statistics", "six equal improvements"): equal_improvements,
    ("extraction", "letters"): letter,
    ("extraction", "hedges"): no_letter,
    ("extraction", "numbers"): number,
    ("settings", "training"): refused_setting,
    ("settings", "planner"): refused_setting,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--area", action="append", metavar="NAME", help="try these only")
    parser.add_argument("--no-server", action="store_true", help="leave out what needs one")
    args = parser.parse_args()
    import cases_served

    served = {} if args.no_server else cases_served.checks()
    counts: Counter[str] = Counter()
    try:
        for _, row in jsonl.read(args.file):
            if args.area and row["area"] not in args.area:
                continue
            check = (CHECKS | served).get((row["area"], row["kind"]))
            right, got = check(row["input"]) if check else (None, "")
            said = "not tried" if right is None else "right" if right else "WRONG"
            counts[said] += 1
            print(
                f"{said:9} {row['area']}: {row['kind']}: {str(row['input'])[:70]!r}" + ("" if right else f" -> {got}")
            )
    finally:
        cases_served.stop()
    print(json.dumps(counts))
    sys.exit(1 if counts["WRONG"] else 3 if counts["not tried"] else 0)


if __name__ == "__main__":
    main()
