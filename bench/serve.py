"""What the HTTP process costs: processor time a streamed token, and a request, with an engine that costs nothing.

    python bench/serve.py --keep

A scripted engine process says tokens as fast as it can; clients read the streams from this process. Counted is
the CPU time of the HTTP process alone (psutil), which other users of a shared machine disturb little; the wall
figures are beside it. One token is one server-sent event.
"""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import common
import psutil

SERVER = """
import asyncio, sys
from pathlib import Path
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
asyncio.run(serve(
    [(describe(Path(sys.argv[1]), ["bench"]), [sys.executable, "-m", "creuset.testing", "{fd}"])],
    ServeSettings(port=0, max_concurrency=64), log=new_log("error"),
    on_listening=lambda url: print(url, flush=True),
))
"""


def folder(path: Path) -> Path:
    """What the HTTP process reads of a model: no weights."""
    from creuset.model.formats.hf_config import to_hf
    from creuset.testing import tiny_config, tiny_tokenizer

    tiny_tokenizer().save(path)
    (path / "config.json").write_text(json.dumps(to_hf(tiny_config(context=4096))))
    return path


def post(address: str, body: dict[str, Any]) -> bytes:
    link = http.client.HTTPConnection(address, timeout=300)
    link.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    found = link.getresponse().read()
    link.close()
    return found


def load(address: str, process: psutil.Process, streams: int, tokens: int) -> tuple[float, float]:
    """(CPU seconds of the HTTP process, wall seconds) for so many streams at once, of so many tokens each."""
    words = {"role": "user", "content": "say x"}
    body = {
        "model": "bench", "messages": [words], "max_tokens": tokens, "ignore_eos": True, "stream": tokens > 1,
    }  # fmt: skip
    before, start = sum(process.cpu_times()[:2]), time.perf_counter()
    clients = [threading.Thread(target=post, args=(address, body)) for _ in range(streams)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(process.cpu_times()[:2]) - before, time.perf_counter() - start


def wait(address: str) -> None:
    while True:
        link = http.client.HTTPConnection(address)
        link.request("GET", "/health")
        status = link.getresponse().status
        link.close()
        if status == 200:
            return
        time.sleep(0.1)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--tokens", type=int, default=1000, help="tokens a stream")
    args = parser.parse_args()
    loads = {"1 stream": (1, args.tokens), "16 streams": (16, args.tokens // 4), "requests of 1 token": (48, 1)}
    figures: dict[str, Any] = {"loads": {}}
    with tempfile.TemporaryDirectory() as scratch:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder(Path(scratch)))], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        address = server.stdout.readline().strip().removeprefix("http://")
        process = psutil.Process(server.pid)
        try:
            wait(address)
            for name, (streams, tokens) in loads.items():
                load(address, process, streams, tokens)
                turns = [load(address, process, streams, tokens) for _ in range(args.repeat)]
                count = streams * tokens
                figures["loads"][name] = {
                    "count": count,
                    "cpu_us_each": round(1e6 * statistics.median(c for c, _ in turns) / count, 1),
                    "per_s": round(count / statistics.median(w for _, w in turns), 1),
                }
        finally:
            server.terminate()
            server.wait(10)
            server.stdout.close()
    each = figures["loads"]
    figures["table"] = [
        ["HTTP process, a streamed token (1 stream, 16 streams)",
         f"{each['1 stream']['cpu_us_each']:.0f}, {each['16 streams']['cpu_us_each']:.0f} us of processor time"],
        ["HTTP process, a request", f"{each['requests of 1 token']['cpu_us_each'] / 1000:.1f} ms of processor time"],
    ]  # fmt: skip
    print(common.table(("", "CPU us each", "a second"), [(n, f["cpu_us_each"], f["per_s"]) for n, f in each.items()]))
    common.keep("serve", args, figures)


if __name__ == "__main__":
    main()
