"""`creuset tokenizer`: train a byte-level BPE on a corpus, encode, decode."""

import argparse
import json
import sys
from pathlib import Path

from creuset.core.config import as_json
from creuset.core.errors import ConfigError, DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    _train_arguments(verbs.add_parser("train", help="learn a vocabulary and write a tokenizer artifact"))
    encode = verbs.add_parser("encode", help="text to ids")
    encode.add_argument("text", nargs="?", help="the text; without it, stdin is read")
    encode.add_argument("--special", action="store_true", help="recognise control tokens such as <|im_end|>")
    encode.add_argument("--pieces", action="store_true", help="print the text of each id too")
    decode = verbs.add_parser("decode", help="ids to text")
    decode.add_argument("ids", nargs="*", type=int, help="the ids; without them, stdin is read")
    for sub in (encode, decode):
        sub.add_argument("--tokenizer", type=Path, required=True, metavar="PATH", help="tokenizer, model or GGUF file")
        sub.add_argument("--json", action="store_true", help="print one JSON document")


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--corpus", type=Path, help="a corpus artifact")
    origin.add_argument("--text", type=Path, nargs="+", metavar="FILE", help="plain UTF-8 text files")
    add("--sources", metavar="A,B=MB", help="only these sources of the corpus; with `=MB`, that much of it")
    add("--vocab-size", type=int, default=8192, metavar="N", help="ids, the 26 control tokens included (default 8192)")
    add("--limit-mb", type=float, default=12.0, metavar="N", help="text of each source, spread; 0 is all (default 12)")
    add("--max-token-chars", type=int, default=24, metavar="N", help="longest token (default 24)")
    add("--out", type=Path, required=True, help="folder of the new artifact")
    add("--dry-run", action="store_true", help="print the settings and stop")
    add("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    return {"train": _train, "encode": _encode, "decode": _decode}[args.action](args)


def _train(args: argparse.Namespace) -> int:
    from creuset.data.build.documents import chosen_sources
    from creuset.data.shards.vocabulary import train_tokenizer

    limits: dict[str, float] = {}  # MB of each source
    if args.corpus:
        flags = [flag.partition("=") for flag in args.sources.split(",")] if args.sources else []
        names = chosen_sources(args.corpus, [name for name, _, _ in flags] or None)
        limits = dict.fromkeys(names, args.limit_mb) | {name: _megabytes(name, mb) for name, _, mb in flags if mb}
    elif args.sources:
        raise ConfigError("--sources goes with --corpus")
    if args.dry_run:
        texts = [file.name for file in args.text or []]
        said = {"vocab_size": args.vocab_size, "max_token_chars": args.max_token_chars, "limits_mb": limits}
        print(as_json({**said, "texts": texts}))
        return 0
    facts = train_tokenizer(
        args.out, corpus=args.corpus, limits_mb=limits, texts=args.text or (),
        vocab_size=args.vocab_size, max_token_chars=args.max_token_chars,
    )  # fmt: skip
    if args.json:
        print(json.dumps({"path": str(args.out), **facts}, ensure_ascii=False))
    else:
        for name, ratio in facts["bytes_per_token"].items():
            print(f"{name:<32} {ratio:5.2f} bytes a token")
        print(f"tokenizer {args.out}")
    return 0


def _megabytes(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--sources {name}={text}: expected a number of megabytes") from None


def _encode(args: argparse.Namespace) -> int:
    from creuset.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(args.tokenizer)
    if args.text is not None:
        ids = tokenizer.encode_special(args.text) if args.special else tokenizer.encode(args.text)
    else:
        data = sys.stdin.buffer.read()
        ids = tokenizer.encode_special(_utf8(data)) if args.special else tokenizer.encode_bytes(data)
    pieces = [tokenizer.token_bytes(id).decode("utf-8", "replace") for id in ids]
    if args.json:
        more = {"pieces": pieces} if args.pieces else {}
        print(json.dumps({"ids": ids, "count": len(ids), **more}, ensure_ascii=False))
    elif args.pieces:
        for id, piece in zip(ids, pieces, strict=True):
            print(f"{id}\t{piece!r}")
    else:
        print(*ids)
    return 0


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"stdin is not UTF-8: {error}", hint="without --special any bytes are encoded") from None


def _decode(args: argparse.Namespace) -> int:
    from creuset.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(args.tokenizer)
    ids = args.ids
    if not ids:
        try:
            ids = [int(word) for word in sys.stdin.read().replace(",", " ").replace("[", " ").replace("]", " ").split()]
        except ValueError as error:
            raise DataError(f"stdin does not hold ids: {error}") from None
    if args.json:
        print(json.dumps({"text": tokenizer.decode(ids)}, ensure_ascii=False))
    else:
        sys.stdout.flush()
        # The bytes themselves, so that encode | decode is exact; of a metaspace vocabulary, without the first space.
        said = tokenizer.decode_bytes(ids) if tokenizer.pieces.byte_level else tokenizer.decode(ids).encode()
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()
    return 0
