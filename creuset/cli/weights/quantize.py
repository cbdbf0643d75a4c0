"""`creuset quantize`: a model with light weights, as a GGUF file, with what they cost in bits per byte of a text."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.weights import facts_of
from creuset.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer

KINDS = ("q8_0", "q4_0", "q4_k")
TEXT = Path(__file__).with_suffix(".txt")
CONTEXT = 1024  # tokens of a window of the text, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a model artifact, a Hugging Face folder, a GGUF file or a name")
    parser.add_argument("out", type=Path, help="FILE.gguf, or the folder of an artifact with the file in it")
    parser.add_argument(
        "--to", choices=KINDS, required=True, help="type of the matrices: 8.5, 4.5 or 4.5 bits a weight"
    )
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
    if args.out.exists():
        raise ArtifactError(f"`{args.out}` already exists", hint="choose another name: nothing is written over")
    source, plan = open_weights(model), PLANS[args.to]
    vocabulary = vocabulary_keys(model, source.config.vocab_size, end_ids(model))
    light(source.config, plan)
    tokenizer = Tokenizer.load(model)
    print(f"reading {model}: bits per byte before", file=sys.stderr)
    before = bits_per_byte(model, tokenizer, text)
    parent = {"name": _name(model), "sha256": identity(model)}
    facts = facts_of(model) | {
        "creuset.version": __version__,
        "creuset.parent.name": parent["name"],
        "creuset.parent.sha256": parent["sha256"],
    }
    report: dict[str, Any] = {"to": args.to, "parent": parent, "bytes_before": size_of(model)}

    def write(file: Path) -> None:
        print(f"writing {file.name}: bits per byte after", file=sys.stderr)
        report["tensors"] = write_gguf(source, vocabulary, file, plan=plan, facts=facts)
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
        f"{report['out']}: {report['to']}, {report['bytes']:,} bytes; the weights had {report['bytes_before']:,}"
        f"{' (heavier than before: they were lighter already)' if report['bytes'] > report['bytes_before'] else ''}\n"
        f"  tensors        {kinds}\n"
        f"  bits per byte  {cost['before']:.4f} before, {cost['after']:.4f} after ({more:+.2f} %), "
        f"on a text of {cost['text_bytes']:,} bytes"
    )
