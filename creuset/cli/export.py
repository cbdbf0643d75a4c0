"""`creuset export`: a model of ours as a plain Hugging Face folder, and from there as GGUF."""

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model artifact (quantized or not) or a Hugging Face folder")
    parser.add_argument("out", type=Path, help="folder to write; it must not exist")
    parser.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16", help="of the written weights (bf16)")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="also run llama.cpp's converter on the folder")
    parser.add_argument("--llama-cpp", type=Path, metavar="DIR", help="where its convert_hf_to_gguf.py is")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    from creuset.model.formats.gguf import check_converter, convert
    from creuset.model.formats.huggingface import export

    if args.gguf:
        check_converter(args.llama_cpp)
    print(f"reading {args.model}", file=sys.stderr)
    report = export(args.model, args.out, dtype=args.dtype)
    if args.gguf:
        print("running convert_hf_to_gguf.py", file=sys.stderr)
        convert(args.out, args.gguf, args.llama_cpp, outtype={"bf16": "bf16", "fp32": "f32"}[args.dtype])
        report["gguf"] = {"file": str(args.gguf), "bytes": args.gguf.stat().st_size}
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    print(f"{report['out']}: {report['family']}, {report['parameters']:,} parameters, {report['dtype']}")
    for name, size in report["files"].items():
        print(f"  {name:<28} {size:>12,} bytes")
    if args.gguf:
        print(f"{args.gguf}: {report['gguf']['bytes']:,} bytes")
    return 0
