"""`creuset quantize`: a model with light weights, as a GGUF file, with what they cost in bits per byte of a text."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.weights import facts_of
from creuset.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType
    from torch import Tensor

    from creuset.model.formats.gguf.write import TypePlan
    from creuset.model.formats.weights import WeightSource
    from creuset.text.tokenizer import Tokenizer

KINDS = ("q8_0", "q4_0", "q4_1", "q4_k")
TEXT = Path(__file__).with_suffix(".txt")
CONTEXT = 1024  # tokens of a window of the text, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a model artifact, a Hugging Face folder, a GGUF file or a name")
    parser.add_argument("out", type=Path, help="FILE.gguf, or the folder of an artifact with the file in it")
    parser.add_argument(
        "--to", choices=KINDS, required=True, help="type of the matrices: 8.5, 4.5, 5 or 4.5 bits a weight"
    )
    parser.add_argument("--search", action="store_true", help="search the scales of 4 bits with the least error")
    parser.add_argument(
        "--calibrate", type=Path, metavar="FILE",
        help="search, and count an error by what it does to the model on this text (its first 8,192 tokens)",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=float, default=0.0, metavar="SHARE",
        help="share of the weights that keep 8 bits: the matrices that lose most on the text of --calibrate",
    )  # fmt: skip
    parser.add_argument("--text", type=Path, metavar="FILE", help="text that is read before and after (one of ours)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    from creuset import __version__
    from creuset.model.formats.gguf.write import PLANS, light, write_gguf
    from creuset.model.formats.weights import open_weights
    from creuset.model.hub import end_ids, find_model
    from creuset.text.tokenizer import Tokenizer
    from creuset.text.vocabulary.gguf_keys import vocabulary_keys

    model = find_model(args.model)
    text = _text(args.text or TEXT)
    _refuse_options(args)
    calibration = None if args.calibrate is None else _text(args.calibrate)
    if args.out.exists():
        raise ArtifactError(f"`{args.out}` already exists", hint="choose another name: nothing is written over")
    source, plan = open_weights(model), PLANS[args.to]
    vocabulary = vocabulary_keys(model, source.config.vocab_size, end_ids(model))
    light(source.config, plan)
    tokenizer = Tokenizer.load(model)
    print(f"reading {model}: bits per byte before", file=sys.stderr)
    before = bits_per_byte(model, tokenizer, text)
    importance: dict[str, Tensor] = {}
    if args.search or calibration is not None:
        plan = replace(plan, searched=True)
    if calibration is not None:
        print("reading the text of --calibrate: what an error does in each matrix", file=sys.stderr)
        plan, importance = _calibrated(model, source, plan, tokenizer.encode(calibration), args.keep)
    parent = {"name": _name(model), "sha256": identity(model)}
    facts = facts_of(model) | {
        "creuset.version": __version__,
        "creuset.parent.name": parent["name"],
        "creuset.parent.sha256": parent["sha256"],
    }
    report: dict[str, Any] = {"to": args.to, "parent": parent, "bytes_before": size_of(model)}
    report["scales"] = "calibrated" if importance else "searched" if plan.searched else "plain"
    if plan.wider:
        report["kept"] = sorted(plan.wider)

    def write(file: Path) -> None:
        print(f"writing {file.name}: bits per byte after", file=sys.stderr)
        report["tensors"] = write_gguf(source, vocabulary, file, plan=plan, facts=facts, importance=importance)
        report["bytes"] = file.stat().st_size
        report["bits_per_byte"] = {"before": before, "after": bits_per_byte(file, tokenizer, text)}
        report["bits_per_byte"]["text_bytes"] = len(text.encode())

    if args.out.suffix.lower() == ".gguf":
        write(args.out)
    else:
        _artifact(args.out, model, report, write)
    report["out"] = str(args.out)
    print(json.dumps(report, indent=2) if args.json else _words(report))
    return 0


def _refuse_options(args: argparse.Namespace) -> None:
    if not 0 <= args.keep < 1:
        raise ConfigError(f"--keep must be from 0 to below 1, not {args.keep}")
    if args.keep and args.calibrate is None:
        raise ConfigError("--keep needs --calibrate FILE, a text that tells which matrices lose most")
    if args.to == "q8_0" and (args.search or args.calibrate is not None):
        raise ConfigError("--search and --calibrate are for 4 bits; at 8 bits there is nothing to win")


def _calibrated(
    model: Path, source: "WeightSource", plan: "TypePlan", ids: list[int], keep: float
) -> "tuple[TypePlan, dict[str, Tensor]]":
    """The plan with the matrices that keep 8 bits, and how much an error counts at each input of each matrix."""
    import torch

    from creuset.model import sensitivity
    from creuset.model.formats.gguf.blocks import dequantized, quantized
    from creuset.model.formats.gguf.keys import architecture_of
    from creuset.model.formats.gguf.write import matrices_of
    from creuset.model.formats.weights import load_model

    if len(ids) < sensitivity.WINDOW:
        raise ConfigError(
            f"the text of --calibrate is too short: its tokens are {len(ids)}, and it needs {sensitivity.WINDOW}"
        )
    squared = sensitivity.squared_gradients(load_model(model), ids)
    importance = sensitivity.importance(squared)
    if not keep:
        return plan, importance
    stored = {tensor.name: tensor for tensor in source.tensors()}
    shapes = {name: tensor.shape for name, tensor in stored.items()}
    groups: dict[str, list[str]] = {}
    types: dict[str, GGMLQuantizationType] = {}
    for tensor, group in matrices_of(architecture_of(source.config), source.config, shapes).items():
        names = [name for _, name in group]
        kind = plan.kind(tensor, shapes[names[0]][-1]) if all(name in squared for name in names) else None
        if kind in (plan.matrices, plan.narrow):
            groups[tensor] = names
            types |= dict.fromkeys(names, kind)

    def error(name: str) -> "Tensor":
        values = stored[name].values(torch.float32)
        blocks = quantized(values, types[name], searched=True, importance=importance[name])
        return torch.from_numpy(dequantized(blocks, types[name].name)) - values

    return replace(plan, wider=frozenset(sensitivity.most_sensitive(groups, squared, error, keep))), importance


def _artifact(out: Path, model: Path, report: dict[str, Any], write: Any) -> None:
    """The file in a folder whose manifest names the parent, with the parent's lineage where it is an artifact."""
    from creuset.core.artifact import MANIFEST, new_artifact

    parents = [model] if model.is_dir() and (model / MANIFEST).is_file() else []
    with new_artifact(out, kind="model", settings={"to": report["to"]}, parents=parents, facts=report) as scratch:
        write(scratch / f"{_name(model)}-{report['to']}.gguf")
        (scratch / "quantization.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def bits_per_byte(model: Path, tokenizer: "Tokenizer", text: str) -> float:
    """Bits that the model needs for a byte of `text`, read from its beginning in windows of at most 1024 tokens."""
    import numpy as np

    from creuset.model.formats.weights import load_model
    from creuset.model.score import Reading, bits, log_likelihoods
    from creuset.model.windows import windows

    network = load_model(model)
    ids = np.array([tokenizer.start, *tokenizer.encode(text)], dtype=np.int64)
    cut = windows(len(ids) - 1, context=min(CONTEXT, network.config.context))
    readings = [Reading(ids[window.start : window.end + 1]) for window in cut]
    total = sum(float(values.sum()) for _, values, _ in log_likelihoods(network, readings))
    return bits(total) / len(text.encode())


def identity(model: Path) -> str:
    """Of an artifact, its manifest's hash; else the hash of the weights' files."""
    from creuset.core.artifact import MANIFEST, read_manifest, sha256_file, sha256_json

    if (model / MANIFEST).is_file():
        return str(read_manifest(model)["sha256"])
    hashes = {file.name: sha256_file(file) for file in weight_files(model)}
    return next(iter(hashes.values())) if len(hashes) == 1 else sha256_json(hashes)


def weight_files(model: Path) -> list[Path]:
    from creuset.core.gguf import GgufFile

    return GgufFile(model).files if model.is_file() else sorted(model.glob("*.safetensors"))


def size_of(model: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(model))


def _name(model: Path) -> str:
    return model.stem if model.is_file() else model.resolve().name


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{file}` is not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(f"`{file}` cannot be read: {error.strerror or error}") from error
    if not text.strip():
        raise ConfigError(f"`{file}` is empty: there is nothing to read before and after")
    return text


def _words(report: dict[str, Any]) -> str:
    cost = report["bits_per_byte"]
    more = 100 * (cost["after"] / cost["before"] - 1)
    kinds = ", ".join(f"{count} {kind}" for kind, count in report["tensors"].items())
    return (
        f"{report['out']}: {report['to']}, {report['scales']} scales, {report['bytes']:,} bytes; "
        f"the weights had {report['bytes_before']:,}"
        f"{' (heavier than before: they were lighter already)' if report['bytes'] > report['bytes_before'] else ''}\n"
        f"  tensors        {kinds}\n"
        f"  bits per byte  {cost['before']:.4f} before, {cost['after']:.4f} after ({more:+.2f} %), "
        f"on a text of {cost['text_bytes']:,} bytes"
    )
