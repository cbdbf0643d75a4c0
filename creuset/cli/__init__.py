"""The command line: verbs are stages of the system, loaded late so that `--help` never imports torch.

stdout is data, stderr is talk. Exit codes: 0 done, 1 a check did not pass, 2 what was asked cannot be,
3 an input or an artifact is damaged, 4 a run cannot go on, 5 the engine is gone, 130 interrupted.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from creuset import __version__
from creuset.core.disk import room_for
from creuset.core.errors import CreusetError
from creuset.core.extras import missing
from creuset.core.memory import memory_for

VERBS = {
    "corpus": ("creuset.cli.corpus", "read, clean, deduplicate and tokenize a corpus"),
    "tokenizer": ("creuset.cli.tokenizer", "train a byte-level BPE, encode, decode"),
    "train": ("creuset.cli.training.train", "pre-train a model from a recipe"),
    "sweep": ("creuset.cli.training.sweep", "train a recipe with several values of its settings"),
    "runs": ("creuset.cli.training.runs", "compare training runs: a table, a page of losses"),
    "tune": ("creuset.cli.training.tune", "fine-tune on dialogues, round the weights"),
    "pull": ("creuset.cli.store.pull", "fetch a model by its name, after its licence was shown"),
    "list": ("creuset.cli.store.list", "models that are shipped, pulled, or known by name"),
    "show": ("creuset.cli.store.show", "one model: licence, origin, and what is not known of it"),
    "rm": ("creuset.cli.store.rm", "delete a model that was pulled"),
    "chat": ("creuset.cli.chat", "talk with a model in the terminal"),
    "serve": ("creuset.cli.serve", "serve a model: OpenAI-compatible API and chat page"),
    "people": ("creuset.cli.tenants.people", "organizations, projects and people who may use a server"),
    "keys": ("creuset.cli.tenants.keys", "API keys of those people: make, list, rotate, revoke"),
    "limits": ("creuset.cli.tenants.limits", "how many requests and tokens they may use"),
    "budgets": ("creuset.cli.tenants.budgets", "how much money they may spend, and who is told"),
    "prices": ("creuset.cli.tenants.prices", "what tokens cost on this server"),
    "routes": ("creuset.cli.tenants.routes", "check a file of routes: many models behind one name"),
    "usage": ("creuset.cli.tenants.usage", "what was used, by project, person, key and model"),
    "costs": ("creuset.cli.tenants.usage", "what that cost; as a table, JSON or CSV (FOCUS)"),
    "backup": ("creuset.cli.tenants.backup", "a server's database in one file, and back"),
    "privacy": ("creuset.cli.tenants.privacy", "retention, legal holds, export and erasure, with signed receipts"),
    "vault": ("creuset.cli.tenants.vault", "the key that encrypts what a server keeps: make it, rotate it"),
    "doctor": ("creuset.cli.tenants.doctor", "what is wrong in a server's database: unreadable content, a changed log"),
    "bench": ("creuset.cli.speed.bench", "how fast a model answers on this machine"),
    "eval": ("creuset.cli.eval", "score a model"),
    "audit": ("creuset.cli.audit", "test a model or an endpoint: robustness, security, bias, privacy, law"),
    "compare": ("creuset.cli.compare", "a scorecard of models and providers, speed of an endpoint"),
    "dossier": ("creuset.cli.dossier", "the documents of a model, from the records that measured it"),
    "quantize": ("creuset.cli.weights.quantize", "write a model with light weights, and say what they cost"),
    "export": ("creuset.cli.weights.export", "write a model as a Hugging Face folder or a GGUF file"),
    "verify": ("creuset.cli.verify", "re-hash an artifact and everything it was made from"),
    "plan": ("creuset.cli.plan", "parameters, FLOPs, memory, time of a shape, by arithmetic"),
}

# The extra that a verb needs; one that is not here needs none (core/extras.py).
EXTRA = {
    "corpus": "data", "tokenizer": "data", "train": "train", "tune": "train", "sweep": "train", "runs": "train",
    "serve": "serve", "people": "serve", "keys": "serve", "limits": "serve", "budgets": "serve", "prices": "serve",
    "privacy": "tenants", "vault": "tenants", "doctor": "serve", "routes": "serve",
    "usage": "serve", "costs": "serve", "backup": "serve",
    "eval": "eval", "audit": "eval", "compare": "eval", "dossier": "eval",
}  # fmt: skip

# What `creuset verify` asks of an artifact of this kind beyond its hashes: a module with `check(path)`, the problems,
# and `limits(path)`, sentences on what could not be proved.
CHECKS = {"dossier": "creuset.governance.dossier.check", "model": "creuset.model.store.origin"}


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="creuset", description="From corpus to chat, one verb at a time.")
    parser.add_argument("--version", action="version", version=f"creuset {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    for name, (module, summary) in VERBS.items():
        sub = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            importlib.import_module(module).add_arguments(sub)
            sub.set_defaults(checks=CHECKS)
    return parser


@contextmanager
def _packages(verb: str) -> Iterator[None]:
    """Name the extra to install where a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if clear := missing(error, prefer=EXTRA.get(verb, "")):
            raise clear from error
        raise


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    verb = next((word for word in argv if word in VERBS), None)
    try:
        with _packages(verb or ""):
            args = _parser(verb).parse_args(argv)
        with room_for(), memory_for(f"`creuset {args.verb}`"), _packages(args.verb):
            code: int = importlib.import_module(VERBS[args.verb][0]).main(args)
            with room_for("standard output"):
                sys.stdout.flush()
        return code
    except CreusetError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `creuset ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def entry() -> None:
    sys.exit(main())
