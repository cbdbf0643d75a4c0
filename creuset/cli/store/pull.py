"""`creuset pull`: fetch a model by its name, under a licence that is shown first.

stdout gets the path of the model; what happens is told on stderr. Exit codes: 0 it is there, 2 its licence was
not agreed to, 3 there is no such model, or the place gave nothing, or not what it publishes, 4 no room on the disk.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.log import Progress, say
from creuset.model.formats.hf_config import config_of
from creuset.model.hub import SHIPPED, shipped_models
from creuset.model.store.licence import Terms
from creuset.model.store.listing import pulled_model, shipped_model
from creuset.model.store.origin import Origin
from creuset.model.store.plan import Plan, human
from creuset.model.store.pull import Settings, pull
from creuset.model.store.shelf import Pulled, store_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument(
        "name", nargs="+", help="of the catalogue (`creuset list`), or owner/name[@revision] or owner/name:file.gguf"
    )
    parser.add_argument("--yes", action="store_true", help="agree to the licence, where one has to be agreed to")
    parser.add_argument("--anyway", action="store_true", help="fetch a model that creuset cannot run, too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="folder of pulled models (default: models in $CREUSET_HOME, or creuset/models in your folder of data: "
        "$XDG_DATA_HOME or ~/.local/share)",
    )


def main(args: argparse.Namespace) -> int:
    done: list[dict[str, Any]] = []
    for name in args.name:
        if name in shipped_models():
            say(f"{name} is shipped with creuset: nothing is fetched")
            done.append(shipped_model(SHIPPED / name).as_json() | {"folder": str(SHIPPED / name), "runs": True})
            if not args.json:
                print(SHIPPED / name)
            continue
        progress = Progress()

        def show(file: str, here: int, all: int, progress: Progress = progress) -> None:
            share = f"{100 * here // all:3d} %" if all else ""
            progress.show(f"{share} of {human(all)}  {file}", final=here >= all)

        settings = Settings(
            store=args.store,
            agree=lambda plan: agree(plan, yes=args.yes),
            show=show,
            on_wait=lambda: say("another process is fetching or removing this model: waiting for it"),
            anyway=args.anyway,
        )
        found = pull(name, settings)
        done.append(pulled_model(found).as_json() | {"folder": str(found.folder), "runs": not why_not(found)})
        if problem := why_not(found):
            say(f"{found.name} cannot be run here: {problem}")
        if not args.json:
            for sentence in Origin(found.name, found.origin).unknown():
                say(str(sentence))
            where = store_folder(args.store)
            say(f"{found.name}: {human(found.bytes)} in {where}; talk to it with `creuset serve --model {found.name}`")
            print(found.model)
    if args.json:
        print(json.dumps(done[0] if len(done) == 1 else done, indent=2))
    return 0


def why_not(found: Pulled) -> str:
    """Why creuset cannot run this model; "" where it can."""
    try:
        config_of(found.model)
    except ArtifactError as error:
        return str(error)
    return ""


def agree(plan: Plan, *, yes: bool) -> bool:
    """Show what will be fetched and its licence; ask where the licence has limits and nobody agreed yet."""
    for line in plan.sentences():
        say(line)
    return yes or plan.licence.free or answered(plan.licence)


def answered(licence: Terms) -> bool:
    """What the person at the terminal says; no, where nobody is there."""
    if not sys.stdin.isatty():
        return False
    say(f"Do you agree to {licence.title}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
