"""Zero retention, traced: not one write of the server's processes holds a canary, by strace of their system calls."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from creuset.server.protect.privacy.rules import set_rules

from ..conftest import NAME
from .conftest import House

CANARY = "canary5c91e0"
SERVER = """
import sys
from pathlib import Path
from tests.server.conftest import start
server = start(Path(sys.argv[1]), people=Path(sys.argv[2]), journal=Path(sys.argv[2] + "-usage"))
print(server.url, flush=True)
sys.stdin.read()
server.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
@pytest.mark.parametrize("keeps", [False, True])
def test_content_never_reaches_a_file(house: House, folder: Path, tmp_path: Path, keeps: bool) -> None:
    key = house.key()[1]
    house.do(set_rules, house.a, house.project, keeps=keeps)
    trace = tmp_path / "trace"
    calls = "trace=write,pwrite64,writev,pwritev,pwritev2,sendfile"
    command = ["strace", "-f", "-y", "-qq", "-s", "1000000", "-e", calls,
               "-o", str(trace), sys.executable, "-c", SERVER, str(folder), str(house.file)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None and process.stdin is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) as own:
            asked = {
                "/v1/chat/completions": {"messages": [{"role": "user", "content": f"say {CANARY}"}]},
                "/v1/responses": {"input": f"say {CANARY}", "store": True}, "/v1/embeddings": {"input": CANARY},
                "/v1/messages": {"messages": [{"role": "user", "content": f"say {CANARY}"}], "max_tokens": 30},
                "/v1/completions": {"prompt": f"say {CANARY}", "max_tokens": 30},
            }  # fmt: skip
            for path, body in asked.items():
                assert own.post(path, json={"model": NAME, **body}).status_code == 200
                if path != "/v1/embeddings":
                    assert own.post(path, json={"model": NAME, **body, "stream": True}).status_code == 200
            own.get("/v1/organization/audit_logs")
        time.sleep(0.5)
        process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    # `-y` names what each descriptor is: a file has a path, a connection is socket:[...] or TCP:[...].
    guilty = [
        line[:200] for line in trace.read_text(errors="replace").splitlines()
        if CANARY in line and re.search(r"\(\d+</", line)
    ]  # fmt: skip
    assert bool(guilty) == keeps, f"{len(guilty)} writes to files: {json.dumps(guilty[:3])}"
