"""`creuset export`: a model as a plain Hugging Face folder, or as a GGUF file; from either of them, or ours."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from creuset.cli.weights import facts_of
from creuset.core.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", help="a model artifact (quantized or not), a Hugging Face folder, a GGUF file or a name"
    )
    parser.add_argument(
        "out", type=Path, nargs="?", help="folder to write, in Hugging Face's layout; it must not exist"
    )
    parser.add_argument("--out", type=Path, dest="folder", metavar="FOLDER", help="the same as OUT")
    parser.add_argument(
        "--gguf", type=Path, metavar="FILE", help="GGUF file to write, for llama.cpp; it must not exist"
    )
    parser.add_argument(
        "--dtype",
        choices=["bf16", "fp16", "fp32"],
        default="bf16",
        help="of the written weights (bf16); a folder has no fp16",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    from creuset.core.gguf import is_gguf
    from creuset.model.hub import find_model

    out: Path | None = args.out or args.folder
    if out is None and args.gguf is None:
        raise ConfigError("nothing to write", hint="give OUT, a folder, or --gguf FILE")
    if out is not None and args.dtype == "fp16":
        raise ConfigError("--dtype fp16 is for --gguf", hint="a folder has bf16 or fp32 weights")
    model = find_model(args.model)
    print(f"reading {model}", file=sys.stderr)
    report: dict[str, Any] = {}
    if args.gguf is not None:
        report["gguf"] = _gguf(model, args.gguf, args.dtype)
    if out is not None:
        from creuset.model.formats.huggingface import export

        report |= export(model, out, dtype=args.dtype, tokenizer=_tokenizer(model) if is_gguf(model) else None)
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    if out is not None:
        print(f"{report['out']}: {report['family']}, {report['parameters']:,} parameters, {report['dtype']}")
        for name, size in report["files"].items():
            print(f"  {name:<28} {size:>12,} bytes")
    if args.gguf is not None:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report["gguf"]["tensors"].items())
        print(f"{args.gguf}: {report['gguf']['bytes']:,} bytes, tensors: {kinds}")
    return 0


def _tokenizer(file: Path) -> dict[str, dict[str, Any]]:
    """The tokenizer's files, from the vocabulary in a GGUF file."""
    from creuset.text.sources import read_tokenizer

    found = read_tokenizer(file)
    return {"tokenizer.json": found.spec, "tokenizer_config.json": found.config or {}}


def _gguf(model: Path, file: Path, dtype: str) -> dict[str, Any]:
    from creuset.model.formats.gguf.write import PLANS, write_gguf
    from creuset.model.formats.weights import open_weights
    from creuset.model.hub import end_ids
    from creuset.text.vocabulary.gguf_keys import vocabulary_keys

    source = open_weights(model)
    vocabulary = vocabulary_keys(model, source.config.vocab_size, end_ids(model))
    tensors = write_gguf(source, vocabulary, file, plan=PLANS[dtype], facts=facts_of(model))
    return {"file": str(file), "bytes": file.stat().st_size, "tensors": tensors}
