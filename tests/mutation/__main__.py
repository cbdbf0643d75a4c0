"""Mutation testing: change the code in one small place, run the tests that should notice, list what nobody noticed.

    python -m tests.mutation                            about 300 mutants: a table, then one JSON document as last line
    python -m tests.mutation --count 20 --only engine   a small sample of one package
    python -m tests.mutation --at creuset/engine/answer/stop.py:31     every mutant of one line
    python -m tests.mutation --again docs/runs/mutants.jsonl    what survived in kept results

cosmic-ray makes the mutants (docs/adr/0011), `runner.py` runs the tests. A sample is drawn with a seed, from each
package in proportion to the places where it can be changed. For each mutant the tests that execute its line run, the
quickest first, until one fails. If none does, the mutant survives: a test is missing, or `equivalent.toml` says why no
test can tell it from the original.
"""

import argparse
import json
import random
import sys
import time
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.mutation.places import Mutant, mutants
from tests.mutation.runner import Baseline, Pool, Verdict

TREE = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Package:
    """Files whose mutants are drawn together, and the tests that defend them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    but: tuple[str, ...] = ()  # files that belong to another package


TUNE = ("dialogues/*.py", "finetune.py")
PACKAGES = {
    "train": Package(("creuset/train/**/*.py",), ("tests/train",), but=tuple(f"creuset/train/{f}" for f in TUNE)),
    "tune": Package(tuple(f"creuset/train/{f}" for f in TUNE), ("tests/train",)),
    "engine": Package(("creuset/engine/**/*.py",), ("tests/engine",)),
    "server": Package(("creuset/server/**/*.py",), ("tests/server",)),
    "privacy": Package(
        ("creuset/core/personal/*.py",), ("tests/core/test_personal.py", "tests/core/test_personal_peers.py")
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="mutants to draw, over all packages")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--only", default=",".join(PACKAGES), help="packages of the sample, separated by commas")
    parser.add_argument("--at", help="file.py:LINE or file.py: its mutants instead of a sample")
    parser.add_argument("--again", type=Path, help="a file that --keep wrote: try what survived in it once more")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at one time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no mutant after so long")
    parser.add_argument("--keep", type=Path, help="append the result to this file of JSON lines")
    args = parser.parse_args()
    chosen = args.only.split(",")
    begun = time.monotonic()
    verdicts: dict[str, list[Verdict]] = {}
    known = equivalents()
    with Pool(TREE, args.jobs) as pool:
        places = {name: list(mutants(pool.pristine, p.files, but=p.but)) for name, p in PACKAGES.items()}
        if args.again:
            drawn = {n: m for n, m in survivors(args.again, pool.pristine, places).items() if n in chosen}
        elif args.at:
            file, _, line = args.at.partition(":")
            drawn = {name: [m for m in found if m.file == file and line in ("", str(m.line))]
                     for name, found in places.items()}  # fmt: skip
        else:
            drawn = {n: found for n, found in sample(places, args.count, args.seed).items() if n in chosen}
        for name, found in drawn.items():
            if not found:
                continue
            baseline = pool.baseline(PACKAGES[name].tests)
            say(f"{name}: {len(found)} of {len(places[name])} places, {len(baseline.seconds)} tests in "
                f"{sum(baseline.seconds.values()):.0f} s")  # fmt: skip
            verdicts[name] = tried(pool, baseline, found, known, stop_at=begun + 60 * args.minutes)
    print(table(verdicts, places))
    for name, results in verdicts.items():
        for v in results:
            if v.outcome in ("survived", "timeout", "equivalent"):
                print(f"\n{v.outcome}: {name}, {v}" + (f"\n    {v.reason}" if v.reason else ""))
    document = report(verdicts, places, args, seconds=time.monotonic() - begun)
    if args.keep:
        args.keep.parent.mkdir(parents=True, exist_ok=True)
        with args.keep.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(document) + "\n")
    print(json.dumps(document))
    return 0


def survivors(kept: Path, tree: Path, places: dict[str, list[Mutant]]) -> dict[str, list[Mutant]]:
    """The mutants that survived in kept results, found again by the code at their place, wherever it stands now."""
    rows = [row for line in kept.read_text(encoding="utf-8").splitlines() for row in json.loads(line)["left"]]
    wanted = {(row["mutant"]["file"], row["mutant"]["operator"], row["before"], row["after"]) for row in rows}
    files = {row["mutant"]["file"] for row in rows}
    sources = {file: (tree / file).read_text(encoding="utf-8") for file in files if (tree / file).is_file()}
    befores = {(file, operator, before) for file, operator, before, _ in wanted}

    def survived(m: Mutant) -> bool:
        if m.file not in sources:
            return False
        line = sources[m.file].splitlines()[m.line - 1].strip()  # cheaper to compare than the whole change
        if not any((file, operator) == (m.file, m.operator) and line in before for file, operator, before in befores):
            return False
        return (m.file, m.operator, *m.lines(sources[m.file])) in wanted

    found = {name: [m for m in mutants_ if survived(m)] for name, mutants_ in places.items()}
    say(f"{len(wanted)} survivors, {sum(map(len, found.values()))} of them in today's code")
    return found


def sample(places: dict[str, list[Mutant]], count: int, seed: int) -> dict[str, list[Mutant]]:
    """`count` mutants at different places, from each package in proportion to its places and at least 10."""
    total = sum(len({m.place for m in found}) for found in places.values())
    drawn = {}
    for name, found in places.items():
        random_ = random.Random(f"{seed} {name}")
        by_place: dict[tuple[str, int, int], list[Mutant]] = {}
        for mutant in found:
            by_place.setdefault(mutant.place, []).append(mutant)
        share = min(len(by_place), max(min(10, count), round(count * len(by_place) / total)))
        drawn[name] = [random_.choice(by_place[place]) for place in random_.sample(sorted(by_place), share)]
    return drawn


def tried(
    pool: Pool, baseline: Baseline, found: list[Mutant], known: dict[tuple[str, str, str], str], *, stop_at: float
) -> list[Verdict]:
    results = []
    for verdict in pool.judge(baseline, found, stop_at=stop_at):
        m = verdict.mutant
        reason = known.get((m.file, verdict.before, verdict.after), "")
        if reason and verdict.outcome in ("survived", "timeout"):
            verdict = replace(verdict, outcome="equivalent", reason=reason)
        results.append(verdict)
        say(f"{len(results)}/{len(found)} {verdict.outcome:9} {verdict.seconds:5.1f} s  {m.file}:{m.line} {m.operator}")
    return results


def equivalents() -> dict[tuple[str, str, str], str]:
    """Judged mutants: (file, line before, line after) -> why no test can tell them from the original."""
    rows = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8")).get("mutant", [])
    return {(row["file"], row["before"], row["after"]): row["reason"] for row in rows}


OUTCOMES = ("killed", "survived", "timeout", "equivalent")


def table(verdicts: dict[str, list[Verdict]], places: dict[str, list[Mutant]]) -> str:
    lines = [f"{'package':10}{'places':>8}{'tried':>8}" + "".join(f"{o:>12}" for o in OUTCOMES)]
    counts = {name: Counter(v.outcome for v in results) for name, results in verdicts.items()}
    for name, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        size = sum(len({m.place for m in places[n]}) for n in verdicts if name in (n, "all"))
        lines.append(f"{name:10}{size:8}{count.total():8}" + "".join(f"{count[o]:12}" for o in OUTCOMES))
    return "\n".join(lines)


def report(
    verdicts: dict[str, list[Verdict]], places: dict[str, list[Mutant]], args: argparse.Namespace, *, seconds: float
) -> dict[str, object]:
    counts = {name: Counter(v.outcome for v in results) for name, results in verdicts.items()}
    return {
        "what": "mutants",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seed": args.seed,
        "count": args.count,
        "seconds": round(seconds),
        "packages": {
            name: {"places": len({m.place for m in places[name]}), **{o: count[o] for o in OUTCOMES}}
            for name, count in counts.items()
        },
        "left": [
            {"package": name, **asdict(v)}
            for name, results in verdicts.items()
            for v in results
            if v.outcome != "killed"
        ],
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
