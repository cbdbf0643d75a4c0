"""`creuset rm`: delete a model that was pulled, and say how much room that made."""

import argparse
import json

from creuset.cli.store.pull import add_store
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.hub import shipped_models
from creuset.model.store.plan import human
from creuset.model.store.shelf import all_partial, all_pulled, remove
from creuset.model.store.wanted import wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    parser.add_argument("name", nargs="+", help="of a model that was pulled, or whose pull was begun")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    shipped = shipped_models()
    if refused := [name for name in args.name if name in shipped]:
        raise ConfigError(f"`{refused[0]}` is shipped with creuset; only pulled models are removed")
    freed = {}
    for name in args.name:
        freed[name] = remove(wanted(name), args.store)
        if not freed[name]:
            here = [one.name for one in all_pulled(args.store)] + list(all_partial(args.store))
            near = f"there is {', '.join(here)}" if here else "nothing was"
            raise ArtifactError(f"`{name}` was not pulled", hint=near)
    if args.json:
        print(json.dumps({"removed": list(freed), "freed_bytes": sum(freed.values())}, indent=2))
    else:
        for name, size in freed.items():
            print(f"{name}: removed, {human(size)} are free again")
    return 0
