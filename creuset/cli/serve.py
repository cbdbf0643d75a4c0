"""`creuset serve`: an OpenAI-compatible API and a chat page for one model or several.

stdout gets one line that says where; logs go to stderr, one JSON object a line. Exit codes: 0 stopped by a signal,
2 the address or the settings cannot be, also where the engine is the one to find that out, 3 the model is missing or
damaged, 4 the system gave no more memory, 5 the model does not fit, or its process ended again and again while loading.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.tenants.directory import add_database, refuse_open_door, sources_of_keys
from creuset.cli.tenants.money import add_mail, add_replicas
from creuset.cli.tenants.protect import add_protection, close_door, protect_settings
from creuset.cli.upstreams import add_upstreams, routes_of, upstreams_of
from creuset.core.errors import ConfigError, CreusetError
from creuset.core.memory import available_memory, parse_size
from creuset.model.hub import find_model, shipped_models
from creuset.model.store.shelf import all_pulled

if TYPE_CHECKING:
    from creuset.server.model import ServedModel

LEVELS = ("debug", "info", "warning", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--model", action="append", default=[], metavar="[ALIAS=]PATH|NAME",
        help="a model: an artifact, a Hugging Face folder, a GGUF file, or the name of one that is shipped or was "
        "pulled; may be given several times (default: the shipped model)",
    )  # fmt: skip
    add_upstreams(add)
    add("--all", action="store_true", help="serve every model that is shipped or was pulled, each loaded when asked")
    add(
        "--memory", metavar="SIZE",
        help="what all models together may take, such as 12GiB; the least used is unloaded where another needs the "
        "room (default: four fifths of what is free)",
    )  # fmt: skip
    add(
        "--context", type=int, default=0, metavar="N",
        help="longest prompt and reply, tokens; more than the model's own by YaRN (0: the model's own)",
    )  # fmt: skip
    add(
        "--host", default="127.0.0.1", help="address to listen on; any but loopback needs --keys (default: %(default)s)"
    )
    add("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
    add(
        "--served-name", action="extend", nargs="+", default=[], metavar="ALIAS",
        help="name that requests use for the first model; may be given several times",
    )  # fmt: skip
    add(
        "--chat-template", action="append", default=[], metavar="[ALIAS=]FILE",
        help="a Jinja file in the place of the template of the first model, or of the one called ALIAS; `chatml` is "
        "the template of the models trained here",
    )  # fmt: skip
    add(
        "--tool-format", action="append", default=[], metavar="[ALIAS=]NAME",
        help="how the model writes tool calls, where its template does not tell: hermes, qwen3_xml, llama3, mistral, "
        "mistral_args, deepseek_v3, deepseek_v31 or harmony",
    )  # fmt: skip
    add("--keys", type=Path, metavar="FILE", help="accept only the API keys of this file")
    add(
        "--new-key", metavar="NAME", help="make a key called NAME, store its digest in --keys FILE, print it once, stop"
    )
    add(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="a Host name under which this server is reached",
    )  # fmt: skip
    add(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="a web origin whose pages may call the API",
    )  # fmt: skip
    add(
        "--lora", action="append", default=[], metavar="NAME=FOLDER",
        help="serve the first model with the PEFT adapter in FOLDER added, as a model called NAME; may be repeated",
    )  # fmt: skip
    add(
        "--max-concurrency", type=int, default=16, metavar="N",
        help="completions generated together (default: %(default)s)",
    )  # fmt: skip
    add(
        "--max-queue", type=int, default=64, metavar="N",
        help="completions that may wait; more get 429 (default: %(default)s)",
    )  # fmt: skip
    add("--max-body-mb", type=float, default=8, metavar="MB", help="longest request body (default: %(default)s)")
    add(
        "--kv-tokens",
        type=int,
        default=0,
        metavar="N",
        help="tokens the key-value cache of each model holds (0: chosen from the memory that is free)",
    )
    add("--kv-memory", metavar="SIZE", help="what that cache may take, such as 2GiB, instead of --kv-tokens")
    add(
        "--dtype",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="arithmetic of the engine (default: %(default)s)",
    )
    add(
        "--backend",
        choices=("auto", "native", "torch"),
        default="auto",
        help="who computes: the native core (on a CPU) or torch (default: %(default)s)",
    )
    add("--threads", type=int, default=0, metavar="N", help="processor threads of the engine (0: chosen for the model)")
    add(
        "--watermark",
        type=Path,
        metavar="FILE",
        help="mark sampled text with the key of this file, and detect it (default: $CREUSET_WATERMARK, or off)",
    )
    add("--new-watermark", type=Path, metavar="FILE", help="make a watermark key, store it in FILE, stop")
    add("--no-prefix-cache", action="store_true", help="read every prompt anew")
    add("--share-prefixes", action="store_true", help="let all keys share the prefix cache: faster where prompts begin "
        "alike, but a caller can then tell by time whether another has sent the same beginning")  # fmt: skip
    add_database(add)
    add_mail(add)
    add_replicas(add)
    add_protection(add)
    add(
        "--speculation",
        choices=("auto", "off", "model", "lookup"),
        default="auto",
        help="who guesses tokens that are then verified together: the model's own layer for it, or a look at what "
        "followed before; answers stay the same (default: %(default)s, the model's layer where it has one)",
    )
    add(
        "--draft", metavar="MODEL", help="a smaller model with the same tokens that guesses them; answers stay the same"
    )
    add("--log-level", choices=LEVELS, default="info", help="of the JSON lines on stderr (default: %(default)s)")
    add("--json", action="store_true", help="print the line that says where as JSON")
    add("--dry-run", action="store_true", help="print the resolved settings as JSON and stop")


def main(args: argparse.Namespace) -> int:
    if args.new_key is not None:
        return _new_key(args)
    if args.new_watermark is not None:
        return _new_watermark(args)
    settings = _settings(args)
    refuse_open_door(args, settings)
    engine = {
        "max_running": args.max_concurrency,
        "kv_tokens": args.kv_tokens,
        "kv_mib": -(-_size(args, "kv_memory") // 2**20),
        "context": args.context,
        "dtype": args.dtype,
        "backend": args.backend,
        "threads": args.threads,
        "prefix_cache": not args.no_prefix_cache,
        "speculation": args.speculation,
    } | ({"draft": str(find_model(args.draft).resolve())} if args.draft else {})
    mark = args.watermark or (Path(os.environ["CREUSET_WATERMARK"]) if os.environ.get("CREUSET_WATERMARK") else None)
    if mark is not None:
        engine["watermark"] = str(mark.resolve())
    models, upstreams, routes = _models(args), upstreams_of(args), routes_of(args)
    if (upstreams or routes.upstreams) and mark is not None:
        raise ConfigError(
            "the text of a model of another server cannot be marked", hint="leave out --watermark or --upstream"
        )
    if args.dry_run:
        from creuset.core.config import resolved

        paths = {"model": str(models[0][0]) if models else None, "models": [str(path) for path, _ in models]}
        others = [{"url": one.url, "model": one.model, "names": one.names} for one in upstreams]
        found = paths | {
            "upstreams": others,
            "routes": list(routes.routes),
            "serve": resolved(settings),
            "engine": engine,
        }
        print(json.dumps(found, indent=2))
        return 0
    return _serve(args, settings, models, upstreams, engine, routes)


def _one_of(served: "Sequence[ServedModel]", option: str, given: str, *, whole: bool = False) -> tuple[int, str]:
    """Which model `[ALIAS=]VALUE` is about, and the value; `whole`: there is no alias in it."""
    name, equals, value = given.partition("=")
    if not equals or whole:
        return 0, given
    at = next((at for at, model in enumerate(served) if name in model.names), None)
    if at is None:
        raise ConfigError(f"{option} {given}: no model here is called `{name}`")
    return at, value


def _models(args: argparse.Namespace) -> list[tuple[Path, list[str]]]:
    """The models to serve, each with the names that replace its own."""
    found: list[tuple[Path, list[str]]] = []
    for given in args.model:
        name, equals, path = given.partition("=")
        if equals and "/" not in name and not Path(given).exists():
            found.append((find_model(path), [name]))
        else:
            found.append((find_model(given), []))
    if args.all:
        there = {path.resolve() for path, _ in found}
        for name in [*shipped_models(), *(one.name for one in all_pulled())]:
            if (path := find_model(name)).resolve() not in there:
                found.append((path, [name]))
    if not found and not args.upstream and not (args.routes and not routes_of(args).models()):
        found = [(find_model(), [])]
    if args.served_name and found:
        found[0] = found[0][0], args.served_name
    return found


def _asked_for(args: argparse.Namespace) -> set[str]:
    """Paths of the models that were named, and are not only among `--all`."""
    named = argparse.Namespace(**(vars(args) | {"all": False}))
    return {str(path) for path, _ in _models(named)} if args.model else set()


def _size(args: argparse.Namespace, name: str) -> int:
    """Bytes of an argument such as 12GiB; 0 where it was not given."""
    given = getattr(args, name)
    try:
        return parse_size(given) if given is not None else 0
    except ValueError as error:
        raise ConfigError(f"--{name.replace('_', '-')}: {error}") from None


def _serve(
    args: argparse.Namespace,
    settings: Any,
    models: list[tuple[Path, list[str]]],
    upstreams: list[Any],
    engine: dict[str, Any],
    routes: Any,
) -> int:
    import asyncio

    from creuset.model.context import stretching
    from creuset.model.formats.adapter import modules_of
    from creuset.model.formats.hf_config import config_of
    from creuset.model.formats.refused import refuse_without_weights
    from creuset.server.engines.loop import run_loop
    from creuset.server.engines.needs import SHARE, needs
    from creuset.server.engines.residency import DoesNotFit
    from creuset.server.log import new_log
    from creuset.server.model import adapted, describe, with_template, with_tool_format
    from creuset.server.run import bind, serve, worker_command
    from creuset.text.watermark import load_watermark

    database, keys, directory = sources_of_keys(args, settings.database)
    mark = load_watermark(Path(engine["watermark"])) if "watermark" in engine else None
    log = new_log(settings.log_level)
    served = []
    for path, names in list(models):
        try:
            served.append(describe(path, names, context=args.context))
            if path.is_dir():
                refuse_without_weights(path)
        except CreusetError as error:
            if not args.all or str(path) in _asked_for(args):
                raise
            log.warning("model", model=" ".join(names), left_out=str(error))  # of all that are there, one is unfit
            models.remove((path, names))
    far = upstreams or routes.routes
    if not served and (args.chat_template or args.tool_format or not far):
        raise ConfigError("no model of this server has a template" if far else "there is no model to serve")
    for given in args.chat_template:
        at, file = _one_of(served, "--chat-template", given, whole=Path(given).exists())
        served[at] = with_template(served[at], models[at][0], Path(file))
    for given in args.tool_format:
        at, form = _one_of(served, "--tool-format", given)
        served[at] = with_tool_format(served[at], form)
    for given in args.lora:  # a damaged one is known before anything starts
        if (folder := Path(given.partition("=")[2])).is_dir():
            modules_of(folder)
    shared = _shared(args, models[0][0]) if args.lora else []
    for given in args.lora:
        number = shared.index(given) + 1 if given in shared else 0
        served.append(adapted(served[0], given, number=number))
        models.append((models[0][0], [served[-1].name]))
    engine_of = {0: {"adapters": [one.adapter for one in served if one.adapter_number]}} if shared else {}
    memory = _size(args, "memory") or int(available_memory() * (SHARE if len(served) > 1 else 1))
    # One model alone, with nothing said of its memory, takes what is free when it is loaded.
    own = [at for at, model in enumerate(served) if not model.adapter_number]
    alone = len(own) == 1 and not args.memory
    found = dict(zip(own, needs([served[at].config for at in own], engine, memory, free=alone), strict=True))
    planned = [found.get(at, found[0]) for at in range(len(served))]
    for (path, _), model, need in zip(models, served, planned, strict=True):
        if note := stretching(config_of(path), args.context):
            log.warning("context", model=model.name, tokens=args.context, note=note)
        if args.memory and need.total > memory and (not args.all or str(path) in _asked_for(args)):
            raise DoesNotFit(model.name, str(need), memory)

    listener = bind(settings)

    def say(where: str) -> None:
        every = [model.names for model in served] + [one.names or (one.model,) for one in upstreams]
        every += [(name,) for name in routes.routes]
        if args.json:
            found = {"model": every[0][0], "names": list(every[0]), "url": where, "api": f"{where}/v1"}
            print(json.dumps(found | {"models": [names[0] for names in every]}), flush=True)
        else:
            names = ", ".join(names[0] for names in every)
            print(f"creuset serves {names} at {where} (API at {where}/v1)", flush=True)

    commands = [
        worker_command(path, json.dumps(engine | need.settings | engine_of.get(at, {}) | _added(model)))
        for at, ((path, _), need, model) in enumerate(zip(models, planned, served, strict=True))
    ]
    closed = close_door(args, settings, [one.url for one in (*upstreams, *routes.upstreams.values())], database)
    (asyncio.run if closed else run_loop)(
        serve(
            list(zip(served, commands, strict=True)), settings, log=log, keys=keys, listener=listener, on_listening=say,
            watermark=mark, needs=planned, memory=memory, upstreams=upstreams, database=database, directory=directory,
            protect=protect_settings(args, settings.database), routes=routes,
        )
    )  # fmt: skip
    return 0


def _shared(args: argparse.Namespace, path: Path) -> list[str]:
    """Of the adapters in --lora those that the model's own engine computes beside each other; the others are added to a
    copy of its weights, which takes as much memory again."""
    from creuset.engine.backend.choose import adapts
    from creuset.model.formats.hf_config import config_of

    if args.backend == "torch":
        return []
    return [given for given in args.lora if adapts(config_of(path), Path(given.partition("=")[2]))]


def _added(model: "ServedModel") -> dict[str, str]:
    return {"lora": model.adapter} if model.adapter and not model.adapter_number else {}


def _settings(args: argparse.Namespace) -> Any:
    from creuset.model.store.shelf import store_folder
    from creuset.server.settings import ServeSettings, database_url, journal_folder

    database = database_url(args.database, store_folder().parent)
    try:
        return ServeSettings(
            host=args.host,
            port=args.port,
            max_concurrency=args.max_concurrency,
            max_queue=args.max_queue,
            body_limit_bytes=int(args.max_body_mb * 2**20),
            allow_hosts=tuple(args.allow_host),
            allow_origins=tuple(args.allow_origin),
            share_prefixes=args.share_prefixes,
            database=database,
            redis=args.redis,
            drain_s=args.drain,
            mail=args.mail,
            mail_sender=args.mail_sender,
            journal=journal_folder(database, store_folder().parent),
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
