"""A server under random load for a minute, over HTTP, with engines that are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parent.parent.parent / "bench" / "soak.py"


def test_a_minute_of_random_load_leaks_nothing_and_ends_each_request_once():
    done = subprocess.run([sys.executable, str(SCRIPT), "--minutes", "1"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
