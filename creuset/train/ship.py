"""`creuset tune ship MODEL`: the weights rounded to what the tree can carry, as an artifact of its own."""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from creuset.core.errors import ConfigError


def add_ship_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model artifact")
    parser.add_argument("--out", type=Path, required=True, help="artifact to write")
    parser.add_argument("--bits", choices=["q8", "q4"], default="q8", help="q8: 8 bits; q4: experts 4 bits, the rest 8")
    parser.add_argument(
        "--sampling", nargs="*", default=[], metavar="KEY=VALUE",
        help="what a request that says nothing gets, kept in generation_config.json: temperature, top_p, top_k, ...",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run_ship(args: argparse.Namespace) -> int:
    from creuset.core.artifact import new_artifact, read_manifest
    from creuset.model.quant import quantize_folder
    from creuset.train.state import PLANS

    manifest = read_manifest(args.model)
    if manifest["kind"] != "model":
        raise ConfigError(f"`{args.model}` is a {manifest['kind']}, not a model")
    facts = manifest["facts"] | {"bits": args.bits}
    with new_artifact(args.out, kind="model", settings=PLANS[args.bits], parents=[args.model], facts=facts) as scratch:
        quantize_folder(args.model, scratch, PLANS[args.bits])
        for file in sorted(args.model.glob("*.json")):
            if file.name.startswith(("tokenizer", "record", "generation_config")):
                shutil.copyfile(file, scratch / file.name)
        write_sampling(scratch / "generation_config.json", args.sampling)
    size = sum(f.stat().st_size for f in args.out.rglob("*") if f.is_file())
    if args.json:
        print(json.dumps({"model": str(args.out), "bytes": size, "sha256": read_manifest(args.out)["sha256"]}))
    else:
        print(f"{args.out}: {size / 1e6:.1f} MB")
    return 0


SAMPLING = {"temperature": float, "top_p": float, "top_k": int, "min_p": float, "repetition_penalty": float}


def write_sampling(file: Path, assignments: Sequence[str]) -> None:
    """Put each `key=value` into the generation config, other keys kept."""
    if not assignments:
        return
    config = json.loads(file.read_text()) if file.is_file() else {}
    for text in assignments:
        key, _, raw = text.partition("=")
        if key not in SAMPLING:
            raise ConfigError(f"`{key}` is no sampling setting", hint=f"choose from {', '.join(SAMPLING)}")
        try:
            config[key] = SAMPLING[key](raw)
        except ValueError:
            raise ConfigError(f"`{text}` is refused: expected a number") from None
    file.write_text(json.dumps(config | {"do_sample": True}, indent=2) + "\n")
