"""Programs and tests of others against this server, and docs/conformance.md from what came of them.

    python validation/conformance/run.py [--only SUITE ...] [--port 8790]

Each suite runs against a script in the place of a model, so that what is tested is the API and not what a model says.
What a suite needs is fetched into .cache/conformance by pip and npm. Results stay in docs/runs/conformance.json until
their suite runs again; the page is written anew from all of them. docs/conformance.md says what could not be fetched.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from page import page
from suites import SUITES, Outcome

TREE = Path(__file__).resolve().parents[2]
KEPT = TREE / "docs" / "runs" / "conformance.json"
PAGE = TREE / "docs" / "conformance.md"


@contextmanager
def served(port: int) -> Iterator[str]:
    """The address of a server with a script in the place of a model."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).parent / "server.py"), "--script", str(port), folder]
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(TREE)})
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(f"{url}/health", process)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not come up within 60 s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=list(SUITES), metavar="SUITE")
    parser.add_argument("--port", type=int, default=8790)
    args = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    with served(args.port) as url:
        for name in args.only:
            version, outcomes = SUITES[name].run(url)
            kept[name] = {
                "version": version,
                "date": time.strftime("%Y-%m-%d"),
                "outcomes": [vars(o) for o in outcomes],
            }
            passed = sum(one.outcome == "passed" for one in outcomes)
            print(f"{name}: {passed} of {len(outcomes)} passed ({version})", flush=True)
            KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    results = {name: [Outcome(**one) for one in kept[name]["outcomes"]] for name in SUITES if name in kept}
    PAGE.write_text(page(results, {name: kept[name]["version"] for name in results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
