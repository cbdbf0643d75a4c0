"""Do two versions of the package give equal results? Runs a kept set of commands in both and compares what they leave.

    python validation/same_results.py OLD NEW [--only serve eval] [--out FOLDER]

OLD and NEW are checkouts of this repository. Every command runs as `python -m creuset ...` in a process of its own with
PYTHONPATH set to the checkout, in fp32, with one thread and fixed seeds. What may change from run to run (times, paths,
hashes of records, host, versions) is taken out; the rest must be equal, numbers to the last bit. `ALLOWED` here and
`REWORDED` in same_side.py name the differences that are intended, with the reason. Exit code 1 where anything else
differs. The last line is one JSON document.
"""

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from same_cases import CASES, NEEDS
from same_side import REWORDED, Failed, Side

# (pattern of CASE/PATH, reason): differences that are intended.
ALLOWED: list[tuple[str, str]] = [
    ("*/sentences/*", "sentences of records have keys, which stand beside their English"),
    ("train/*/optim/muon_precision", "a new setting; the precision of Muon was chosen by timing, unsaid"),
    *(
        (f"train/*/settings/{name}", "a new setting, filled in with what was chosen")
        for name in ("device", "threads", "expert_kernel", "max_bad_total", "max_rise")
    ),
    *(
        (f"train/???/settings/{name}*", "a run keeps its identity, where its inputs are, what was chosen")
        for name in ("id", "stage", "arguments", "choices")
    ),
    ("train/*/record/*choices/*", "what the machine chose is in the record"),
    *((f"serve/{part}*", "what the machine chose is shown") for part in ("model card/body/choices", "health/body/eng")),
    ("train/sft/settings/inputs/shards", "text that fine-tuning reads is one of its inputs"),
    ("dossier/pages/trained/en/annex-xi.md/78", "the version of the package, in the table of what trained it"),
    ("compare/*/note_fr", "notes of a scorecard were missing in French"),
    ("train/sft/record/inputs/talks.jsonl", "a file of dialogues is in the record, as an artifact of them was"),
]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is no container; an empty container is a value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{at}")
    else:
        yield path, value


def differences(case: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[int, list[tuple[str, Any, Any]]]:
    """How many values were compared, and (path, old, new) where they are not equal."""
    nothing = "(nothing)"
    before, after = dict(leaves(old, case)), dict(leaves(new, case))
    found = [
        (path, before.get(path, nothing), after.get(path, nothing))
        for path in before | after
        # repr tells 1 from 1.0 and 0.0 from -0.0, and finds nan equal to nan.
        if repr(before.get(path, nothing)) != repr(after.get(path, nothing))
    ]
    return len(before), found


def check(side: Side) -> None:
    probe = "import creuset, sys; print(creuset.__file__)"
    ran = subprocess.run([sys.executable, "-c", probe], cwd=side.folder, env=side.env(), capture_output=True, text=True)
    if not ran.stdout.startswith(str(side.tree)):
        raise SystemExit(f"{side.tree} is not what `import creuset` finds: {ran.stdout or ran.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--out", type=Path, help="a folder to keep what the commands left, and all differences")
    parser.add_argument("--show", type=int, default=12, help="differences printed of each case (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = (args.out or Path(scratch)).resolve()
        sides = [Side(n, t.resolve(), root / n) for n, t in (("old", args.old), ("new", args.new))]
        for side in sides:
            side.folder.mkdir(parents=True)
            check(side)
        wanted = {need for name in args.only for need in (*NEEDS.get(name, []), name)}
        rows: dict[str, dict[str, Any]] = {}
        print(f"{'case':10} {'values':>8} {'differ':>8} {'allowed':>8} {'seconds':>8}")
        for name in (case for case in CASES if case in wanted):
            begun = time.monotonic()
            try:
                count, found = differences(name, *(CASES[name](side) for side in sides))
            except Failed as failed:
                count, found = 0, [(f"{name}/failed", "", failed)]
            intended = [d for d in found if any(fnmatch.fnmatchcase(d[0], pattern) for pattern, _ in ALLOWED)]
            wrong = [d for d in found if d not in intended]
            rows[name] = {"values": count, "differ": len(wrong), "allowed": len(intended)}
            print(f"{name:10} {count:8} {len(wrong):8} {len(intended):8} {time.monotonic() - begun:8.1f}", flush=True)
            for path, before, after in wrong[: args.show]:
                print(f"    {path}\n      - {str(before)[:200]}\n      + {str(after)[:200]}")
            if args.out:
                (root / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False, default=str))
    equal = not any(row["differ"] for row in rows.values())
    reasons = [reason for *_, reason in (*ALLOWED, *REWORDED)]
    print(json.dumps({"equal": equal, "cases": rows, "intended": reasons}))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
