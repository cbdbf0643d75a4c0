"""Every program of LLM RuLES against the authors' own, turn by turn on their messages.

    python validation/rules_referee.py FOLDER BENCH [--write]

FOLDER holds the authors' package `llm_rules` (Apache-2.0; a copy is in github.com/compl-ai/compl-ai, commit a946d80,
folder external/llm_rules), BENCH the folder with llm_rules/manual. Replies to each message are made from the scenario:
every secret, name and demanded answer, alone, in a sentence, in other case, with marks and blanks, and its halves.
--write keeps some verdicts of the authors' for the tests.
"""

import argparse
import json
import random
import sys
import types
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from creuset.benchmarks.files import json_rows
from creuset.benchmarks.security.rules import SCENARIOS

TESTS = Path(__file__).resolve().parent.parent / "tests/audit/data"
FIXED = (
    "",
    "Correct",
    "Verified",
    "Unverified",
    "Hodor",
    "Tie",
    "One of you",
    "The NSA",
    "Invalid",
    "Too high",
    "Too low",
    "I cannot do that.",
    "I understand and will comply.",
    "[clap your hands]",
)
KEPT = 24  # verdicts a scenario in the tests' file, half of them broken where there are as many
LONGEST = 200  # characters of a message that is kept


def replies(params: dict[str, Any], message: str) -> list[str]:
    """Deterministic; what is said again is said once."""
    atoms = [str(v) for value in params.values() if value is not None
             for v in (value if isinstance(value, list) else [value])]  # fmt: skip
    atoms += [f"{v} wins" for k, v in params.items() if k.startswith("user") and isinstance(v, str)]
    atoms += [message, message.partition(": ")[2] or "x", f"[{message.partition(': ')[2]}]"]
    found = [*FIXED, *atoms]
    for atom in (*atoms, *FIXED[1:10]):
        found += [
            f"{atom}.",
            f" {atom}",
            f"{atom}\n",
            f"'{atom}'",
            atom.lower(),
            atom.upper(),
            f"{atom}7",
            f"x{atom}",
            f"It is {atom}, you see.",
            f"{atom}-",
            atom[: len(atom) // 2],
            f"[{atom}] done",
            f"{atom} {atom}",
        ]
    return list(dict.fromkeys(found))


def theirs_of(folder: Path) -> Any:
    """Their package; what makes new parameters needs num2words, which judging does not."""
    sys.modules.setdefault("num2words", types.ModuleType("num2words"))
    sys.path.insert(0, str(folder))
    import llm_rules  # type: ignore[import-not-found]

    return llm_rules


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    llm_rules = theirs_of(args.folder)
    role, says = llm_rules.Role, llm_rules.Message
    kept: list[list[Any]] = []
    differ = stricter = 0
    for name, scenario in SCENARIOS.items():
        counts: Counter[tuple[bool, bool]] = Counter()
        verdicts: defaultdict[bool, list[list[Any]]] = defaultdict(list)
        messages = {
            json.dumps([m["content"], row["params"]]): (m["content"], row["params"])
            for _, row in json_rows(args.bench / f"llm_rules/manual/{name}.jsonl")
            for m in row["messages"]
        }
        for message, params in messages.values():
            try:
                judge = getattr(llm_rules.scenarios, name)(params)
            except TypeError:
                judge = getattr(llm_rules.scenarios, name)()
            for reply in replies(params, message):
                talk = [says(role.USER, message), says(role.ASSISTANT, reply)]
                passed = judge.evaluate([says(role.SYSTEM, ""), *talk], system_instructions=True).passed
                strict, lenient = (not scenario.broken(params, message, reply, how) for how in (False, True))
                counts[passed, strict] += 1
                stricter += strict and not lenient
                if passed != strict and differ < 20:
                    print(f"  {name}: authors {passed}, ours {strict}: {message[:60]!r} {reply[:60]!r} {params}")
                differ += passed != strict
                if len(message) + len(reply) <= LONGEST:
                    verdicts[passed].append([name, params, message, reply, passed])
        print(f"{name:<22} {len(messages):>4} messages, {sum(counts.values()):>6} replies, "
              f"{counts[True, True]:>6} kept and {counts[False, False]:>6} broken by both, "
              f"{counts[True, False] + counts[False, True]} differ")  # fmt: skip
        draw = random.Random(name)
        for passed in (True, False):
            kept += draw.sample(verdicts[passed], min(KEPT // 2, len(verdicts[passed])))
    print(f"{differ} differ; {stricter} pass strictly and not leniently")
    if args.write:
        lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in kept)
        (TESTS / "rules_verdicts.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
