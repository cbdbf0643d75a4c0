"""Write the instruction data of `mini`: `python datasets/mini_instructions --out dialogues --pretrain texts`.

Exit codes are those of `creuset`: 0 done, 2 what was asked cannot be, 3 an input is damaged.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a folder: its parent has to be found
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from creuset.core.errors import ConfigError, CreusetError
from mini_instructions.build import build, to_stderr
from mini_instructions.shelf import Shelf


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mini_instructions", description="Write instruction data by rule.")
    parser.add_argument("--out", type=Path, required=True, help="artifact to write")
    parser.add_argument("--pretrain", type=Path, help="folder of texts: simple-wiki, factbook, stories, OneStop")
    parser.add_argument("--instruct", type=Path, help="folder of ready-made dialogues (`messages`)")
    parser.add_argument("--reasoning", type=Path, help="folder of word problems (`prompt`, `solution`, `answer`)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--size", choices=("full", "medium", "small"), default="full",
        help="small and medium: for a model that sees some ten or twenty-five million tokens",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, help="at most this many dialogues for each rule")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args(argv)
    try:
        for name in ("pretrain", "instruct", "reasoning"):
            folder: Path | None = getattr(args, name)
            if folder is not None and not folder.is_dir():
                raise ConfigError(f"--{name} `{folder}` is not a folder")
        shelf = Shelf(args.pretrain, args.instruct, args.reasoning)
        report = build(args.out, shelf, seed=args.seed, size=args.size, limit=args.limit, say=to_stderr)
    except CreusetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return 0
    totals = report["totals"]
    print(f"{'rule':24} {'read':>8} {'written':>8} {'held out':>8} {'words':>9}")
    for name, row in report["rules"].items():
        print(f"{name:24} {row['read']:8} {row['written']:8} {row['heldout']:8} {row['words']:9}")
    print(f"{'all':24} {'':8} {totals['dialogues'] + totals['heldout']:8} {totals['heldout']:8} {totals['words']:9}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
