"""From the start of `creuset serve` to the first token over HTTP: where the time goes, and what it takes in memory.

    python bench/cold_start.py --keep

Each turn starts a new server. `listening` is when its address answers, `ready` when the model is loaded, `first token`
when a streamed answer has begun. Processor time of all its processes is beside the wall time, since it says more on a
machine that others use; memory is the most that each process ever had, added up.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import common

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
from busy import descendants, process_seconds


def peak_bytes(id: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{id}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def turn(model: str, backend: str) -> dict[str, float]:
    command = [sys.executable, "-m", "creuset", "serve", "--port", "0", "--model", model, "--backend", backend]
    begun = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
        assert found, "the server said no address"
        at = {"listening_s": time.perf_counter() - begun}
        name = None
        while True:
            try:
                with urllib.request.urlopen(f"{found[0]}/health", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except urllib.error.HTTPError:  # 503: the model is not there yet
                pass
            time.sleep(0.005)
        at["ready_s"] = time.perf_counter() - begun
        with urllib.request.urlopen(f"{found[0]}/v1/models") as answer:
            name = json.load(answer)["data"][0]["id"]
        body = {"model": name, "messages": [{"role": "user", "content": "Hello!"}], "stream": True, "max_tokens": 4}
        request = urllib.request.Request(
            f"{found[0]}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            while b'"content":"' not in (line := answer.readline()).replace(b": ", b":") or b'"content":""' in line:
                assert line, "the answer had no words"
            at["first_token_s"] = time.perf_counter() - begun
        family = descendants(server.pid)
        at["cpu_s"] = process_seconds(family)
        at["memory_mib"] = sum(peak_bytes(id) for id in family) / 2**20
        return at
    finally:
        server.terminate()
        server.wait(20)
        assert server.stdout is not None
        server.stdout.close()


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--backend", default="auto")
    args = parser.parse_args()
    turn(args.model, args.backend)  # files come into the system's cache, and bytecode is written
    turns = [turn(args.model, args.backend) for _ in range(args.repeat)]
    figures: dict[str, Any] = {
        name: {
            "median": round(statistics.median(t[name] for t in turns), 3),
            "least": round(min(t[name] for t in turns), 3),
        }
        for name in turns[0]
    }
    figures["table"] = [
        ["`creuset serve` of the shipped model, from its start to the first token",
         f"{figures['first_token_s']['median']:.1f} s, {figures['cpu_s']['median']:.1f} s of processor time"],
        ["memory of `creuset serve` of the shipped model, all processes", f"{figures['memory_mib']['median']:.0f} MiB"],
    ]  # fmt: skip
    print(
        common.table(
            ("", "median", "least"), [(n, f["median"], f["least"]) for n, f in figures.items() if n != "table"]
        )
    )
    print(f"load average {os.getloadavg()[0]:.1f}")
    common.keep("cold_start", args, figures)


if __name__ == "__main__":
    main()
