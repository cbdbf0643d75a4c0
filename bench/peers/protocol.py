"""How a program that is timed is asked: one JSON document a line on standard input, one answer a line.

    {"do": "decode", "prompts": [[ids], ...], "tokens": 64}  ->  {"tokens": 2016, "seconds": 1.2}
    {"do": "prefill", "prompt": [ids]}                       ->  {"tokens": 512, "seconds": 0.4}

`decode` counts what is written while all streams write; `prefill` is the time to the first token. Each program runs in
an environment of its own, so this file needs Python alone.
"""

import json
import os
import sys
import time
from typing import Any, Protocol

# Seconds of this process's processor time tell more than those of the wall where others use the machine; of one thread.
clock = time.process_time if os.environ.get("PEERS_CLOCK") == "processor" else time.perf_counter


class Timed(Protocol):
    def about(self) -> dict[str, Any]:
        """Versions, kernels, threads: what has to be known beside the figures."""
        ...

    def decode(self, prompts: list[list[int]], tokens: int) -> tuple[int, float]: ...

    def prefill(self, prompt: list[int]) -> float: ...


def answer(make: Any) -> None:
    """Make the program, say that it is ready, and answer until the input ends. Its own talk goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    timed: Timed = make()
    print(json.dumps({"about": timed.about()}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "decode":
            tokens, seconds = timed.decode(asked["prompts"], asked["tokens"])
        else:
            tokens, seconds = len(asked["prompt"]), timed.prefill(asked["prompt"])
        print(json.dumps({"tokens": tokens, "seconds": seconds}), file=out, flush=True)
