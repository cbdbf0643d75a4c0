"""`creuset serve`: an OpenAI-compatible API and a chat page for one model.

stdout gets one line that says where; logs go to stderr, one JSON object a line. Exit codes: 0 stopped by a
signal, 2 the address or the settings cannot be, 3 the model is missing or damaged, 5 the engine cannot start.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.model.hub import find_model

LEVELS = ("debug", "info", "warning", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", metavar="PATH|NAME", help="a model artifact or a Hugging Face folder (default: the shipped model)")
    add(
        "--host", default="127.0.0.1", help="address to listen on; any but loopback needs --keys (default: %(default)s)"
    )
    add("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
    add(
        "--served-name", action="extend", nargs="+", default=[], metavar="ALIAS",
        help="name that requests use for the model; may be given several times",
    )  # fmt: skip
    add("--keys", type=Path, metavar="FILE", help="accept only the API keys of this file")
    add(
        "--new-key", metavar="NAME", help="make a key called NAME, store its digest in --keys FILE, print it once, stop"
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a Host name under which this server is reached",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web origin whose pages may call the API",
    )
    add(
        "--max-concurrency",
        type=int,
        default=16,
        metavar="N",
        help="completions generated together (default: %(default)s)",
    )
    add(
        "--max-queue",
        type=int,
        default=64,
        metavar="N",
        help="completions that may wait; more get 429 (default: %(default)s)",
    )
    add("--max-body-mb", type=float, default=8, metavar="MB", help="longest request body (default: %(default)s)")
    add(
        "--kv-tokens",
        type=int,
        default=0,
        metavar="N",
        help="tokens the key-value cache holds (0: chosen from the model)",
    )
    add(
        "--dtype",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="arithmetic of the engine (default: %(default)s)",
    )
    add("--threads", type=int, default=0, metavar="N", help="processor threads of the engine (0: torch's own choice)")
    add(
        "--watermark",
        type=Path,
        metavar="FILE",
        help="mark sampled text with the key of this file, and detect it (default: $CREUSET_WATERMARK, or off)",
    )
    add("--new-watermark", type=Path, metavar="FILE", help="make a watermark key, store it in FILE, stop")
    add("--no-prefix-cache", action="store_true", help="read every prompt anew")
    add("--log-level", choices=LEVELS, default="info", help="of the JSON lines on stderr (default: %(default)s)")
    add("--json", action="store_true", help="print the line that says where as JSON")
    add("--dry-run", action="store_true", help="print the resolved settings as JSON and stop")


def main(args: argparse.Namespace) -> int:
    if args.new_key is not None:
        return _new_key(args)
    if args.new_watermark is not None:
        return _new_watermark(args)
    settings = _settings(args)
    if not settings.loopback and args.keys is None:
        raise ConfigError(
            f"`--host {settings.host}` can be reached from other machines, and there are no keys",
            hint="make one with `creuset serve --new-key NAME --keys FILE`, then serve with `--keys FILE`",
        )
    engine = {
        "max_running": args.max_concurrency,
        "kv_tokens": args.kv_tokens,
        "dtype": args.dtype,
        "threads": args.threads,
        "prefix_cache": not args.no_prefix_cache,
    }
    mark = args.watermark or (Path(os.environ["CREUSET_WATERMARK"]) if os.environ.get("CREUSET_WATERMARK") else None)
    if mark is not None:
        engine["watermark"] = str(mark.resolve())
    folder = find_model(args.model)
    if args.dry_run:
        from creuset.core.config import resolved

        print(json.dumps({"model": str(folder), "serve": resolved(settings), "engine": engine}, indent=2))
        return 0
    return _serve(args, settings, folder, engine)


def _serve(args: argparse.Namespace, settings: Any, folder: Path, engine: dict[str, Any]) -> int:
    import asyncio

    from creuset.server.log import new_log
    from creuset.server.model import describe
    from creuset.server.run import bind, serve, worker_command
    from creuset.server.tenants.keys import KeyRing
    from creuset.text.watermark import load_watermark

    keys = KeyRing(args.keys) if args.keys else None
    mark = load_watermark(Path(engine["watermark"])) if "watermark" in engine else None
    listener = bind(settings)
    model = describe(folder, args.served_name)

    def say(where: str) -> None:
        if args.json:
            found = {"model": model.name, "names": list(model.names), "url": where, "api": f"{where}/v1"}
            print(json.dumps(found), flush=True)
        else:
            print(f"creuset serves {model.name} at {where} (API at {where}/v1)", flush=True)

    command = worker_command(folder, json.dumps(engine))
    log = new_log(settings.log_level)
    asyncio.run(
        serve([(model, command)], settings, log=log, keys=keys, listener=listener, on_listening=say, watermark=mark)
    )
    return 0


def _settings(args: argparse.Namespace) -> Any:
    from creuset.server.settings import ServeSettings

    try:
        return ServeSettings(
            host=args.host,
            port=args.port,
            max_concurrency=args.max_concurrency,
            max_queue=args.max_queue,
            body_limit_bytes=int(args.max_body_mb * 2**20),
            allow_hosts=tuple(args.allow_host),
            allow_origins=tuple(args.allow_origin),
            log_level=args.log_level,
        )
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused


def _new_key(args: argparse.Namespace) -> int:
    from creuset.server.tenants.keys import add_key

    if args.keys is None:
        raise ConfigError("`--new-key` needs `--keys FILE`: where the key's digest is stored")
    key = add_key(args.keys, args.new_key)
    if args.json:
        print(json.dumps({"name": args.new_key, "key": key}))
    else:
        print(key)
        print(f"this is the only time this key is shown; `{args.keys}` keeps its digest", file=sys.stderr)
    return 0


def _new_watermark(args: argparse.Namespace) -> int:
    from creuset.text.watermark import new_watermark

    mark = new_watermark(args.new_watermark)
    if args.json:
        print(json.dumps({"file": str(args.new_watermark), "key_id": mark.id}))
    else:
        print(f"watermark {mark.id}: the key is in `{args.new_watermark}`; text marked with it is found with it only")
    return 0
