"""`creuset compare`: a scorecard of models and providers, and what an endpoint is measured by for it.

Exit codes: 0 done, 2 the file asks for what cannot be, 3 an artifact is damaged, 5 an endpoint does not answer.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.numbers import integer, number
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.governance.compare.ask import AskedSystem
    from creuset.types.usage import Load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", required=True, metavar="run|speed|portability|published")
    run = kinds.add_parser("run", help="build a scorecard from a TOML file that names the systems")
    run.add_argument("file", type=Path, metavar="FILE.toml")
    run.add_argument("--out", type=Path, required=True, help="folder to publish: index.html, scorecard.json and .csv")
    run.add_argument("--no-measure", action="store_true", help="do not ask endpoints anything")
    run.add_argument("--prices", type=Path, help="a price file of your own (default: the one shipped)")
    run.add_argument("--json", action="store_true", help="print the scorecard as JSON")
    speed = kinds.add_parser("speed", help="time to first token and tokens a second of an endpoint, under a load")
    speed.add_argument("url", metavar="URL", help="of the API, …/v1")
    speed.add_argument("--model", default="", help="its name there (default: the first that the endpoint lists)")
    speed.add_argument("--key-env", default="", metavar="NAME", help="environment variable that holds the key")
    speed.add_argument(
        "--requests", type=integer("[1, inf)"), default=24, help="counted requests (default: %(default)s)"
    )
    speed.add_argument(
        "--concurrency", type=integer("[1, 1024]"), default=2, help="open at a time (default: %(default)s)"
    )
    speed.add_argument("--max-tokens", type=integer("[1, inf)"), default=64, help="of a reply (default: %(default)s)")
    speed.add_argument(
        "--prompt-words", type=integer("[1, inf)"), default=120, help="of a prompt (default: %(default)s)"
    )
    speed.add_argument(
        "--timeout", type=number("(0, inf)"), default=120.0, metavar="S", help="of a request (default: %(default)s)"
    )
    speed.add_argument("--out", type=Path, help="keep the figures and every call as an artifact")
    speed.add_argument("--json", action="store_true", help="print one JSON document")
    tried = kinds.add_parser("portability", help="which parts of OpenAI's API an endpoint answers rightly")
    tried.add_argument("url", metavar="URL", help="of the API, …/v1")
    tried.add_argument("--model", default="", help="its name there (default: the first that the endpoint lists)")
    tried.add_argument("--key-env", default="", metavar="NAME", help="environment variable that holds the key")
    tried.add_argument(
        "--timeout", type=number("(0, inf)"), default=60.0, metavar="S", help="of a request (default: %(default)s)"
    )
    tried.add_argument("--out", type=Path, help="keep what was tried as an artifact")
    tried.add_argument("--json", action="store_true", help="print one JSON document")
    shown = kinds.add_parser("published", help="print what is known to be published of the systems that ship with this")
    shown.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    return {"run": _run, "speed": _speed, "portability": _portability, "published": _published}[args.what](args)


def _free(out: Path | None) -> None:
    if out is not None and out.exists():
        raise ConfigError(f"`{out}` already exists", hint="artifacts are never overwritten; choose another name")


def _key(name: str) -> str:
    if name and name not in os.environ:
        raise ConfigError(f"the environment has no `{name}`", hint="put the key of the endpoint there")
    return os.environ.get(name, "")


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _timed(url: str, model: str, key_env: str, load: "Load", name: str) -> Any:
    import asyncio

    from creuset.benchmarks.service.speed import measure
    from creuset.core.log import Progress

    line = Progress()

    def show(done: int, of: int) -> None:
        line.show(f"speed of {name}: {done}/{of} requests", final=done == of)

    return asyncio.run(measure(url, model, load, key_env=key_env, date=_today(), progress=show))


def _speed(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from creuset.benchmarks.service.speed import keep
    from creuset.types.usage import Load

    _free(args.out)
    try:
        load = Load(
            requests=args.requests,
            concurrency=args.concurrency,
            max_tokens=args.max_tokens,
            prompt_words=args.prompt_words,
            timeout_s=args.timeout,
        )
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused
    speed, calls = _timed(args.url, args.model, args.key_env, load, args.url)
    if args.out is not None:
        keep(args.out, speed, calls)
    if args.json:
        print(json.dumps(asdict(speed), indent=2))
        return 0

    def said(value: float | None, form: str) -> str:
        return "-" if value is None else form.format(value)

    def pair(first: float | None, last: float | None) -> str:
        return f"median {said(first, '{:.3f} s')}, 95 % within {said(last, '{:.3f} s')}"

    print(
        f"{speed.model} at {speed.url}: {speed.calls} requests, {load.concurrency} at a time, "
        f"{speed.prompt_tokens_mean:.0f} tokens in, {speed.tokens_mean:.0f} out, {speed.failed} failed"
    )
    print(f"time to first token  {pair(speed.first_p50_s, speed.first_p95_s)}")
    print(f"whole reply          {pair(speed.whole_p50_s, speed.whole_p95_s)}")
    print(
        f"tokens a second      {said(speed.stream_p50, '{:.1f}')} in one reply, "
        f"{said(speed.together, '{:.1f}')} all together"
    )
    for reason, count in speed.failures.items():
        print(f"failed: {reason} x {count}")
    return 0


def _probed(url: str, model: str, key_env: str, name: str, timeout_s: float = 60.0) -> Any:
    import asyncio

    from creuset.benchmarks.service.portability import try_all
    from creuset.core.log import Progress

    line = Progress()

    def show(done: int, of: int) -> None:
        line.show(f"API of {name}: {done}/{of} probes", final=done == of)

    return asyncio.run(try_all(url, model, key_env=key_env, timeout_s=timeout_s, date=_today(), progress=show))


def _portability(args: argparse.Namespace) -> int:
    _free(args.out)
    _key(args.key_env)
    found = _probed(args.url, args.model, args.key_env, args.url, args.timeout)
    if args.out is not None:
        found.keep(args.out)
    if args.json:
        print(json.dumps(found.as_json(), indent=2))
        return 0
    print(f"{found.model} at {found.url}: {found.right} of {found.tried} parts of the API are answered rightly")
    for probe in found.probes:
        print(f"{probe.id:<22} {probe.status:<8} {probe.said}")
    return 0


def _run(args: argparse.Namespace) -> int:
    from creuset.benchmarks.service import portability, speed
    from creuset.evals.prices import SHIPPED
    from creuset.evals.prices import load as load_prices
    from creuset.governance.compare.ask import read
    from creuset.governance.compare.run import keep, scorecard

    _free(args.out)
    asked = read(args.file)
    prices = load_prices(args.prices)
    speeds = [speed.read(s.speed) if s.speed else _measured(s, asked.load, args.no_measure) for s in asked.systems]
    probed = [
        portability.read(s.portability)
        if s.portability
        else _probed(s.endpoint, s.model, s.key_env, s.name).as_json()
        if s.endpoint and not args.no_measure
        else None
        for s in asked.systems
    ]
    card = scorecard(asked, speeds, probed, prices, date=_today(), price_file=args.prices or SHIPPED)
    keep(args.out, card, asked, speeds, probed)
    if args.json:
        print(json.dumps(card.as_json(), ensure_ascii=False))
    else:
        print(f"{args.out / 'index.html'}: {len(card.systems)} systems, {len(card.rows)} rows, {_kinds(card)}")
    return 0


def _measured(system: "AskedSystem", load: "Load", skip: bool) -> Any:
    from dataclasses import asdict

    if skip or not system.endpoint:
        return None
    return asdict(_timed(system.endpoint, system.model, system.key_env, load, system.name)[0])


def _kinds(card: Any) -> str:
    from creuset.governance.compare.card import KINDS

    counts: dict[str, int] = {}
    for row in card.rows:
        for cell in row.cells:
            counts[cell.kind] = counts.get(cell.kind, 0) + 1
    return ", ".join(f"{counts.get(k, 0)} {k}" for k in KINDS)


def _published(args: argparse.Namespace) -> int:
    from creuset.governance.compare.ask import book as shipped

    book = shipped()
    if args.json:
        facts = {name: about["declared"] for name, about in book["system"].items()}
        json.dump(
            {"read": book["read"], "benchmarks": book["benchmark"], "practice": facts, "sources": book["source"]},
            sys.stdout,
        )
        print()
        return 0
    names = list(book["system"])
    print(f"{'published, read by ' + book['read']:<36}" + "".join(f"{n:>19}" for n in names))
    for bench in book["benchmark"]:
        print(
            f"{bench['label']:<36}"
            + "".join(f"{bench['scores'].get(n, '-'):>19}" for n in names)
            + f"  {book['source'][bench['source']]['title']}"
        )
    return 0
