"""The thread pool: barriers that hold, threads that sleep and end, fewer of them beside a busy neighbour."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from creuset.core.native.library import FILE, library
from creuset.engine.backend.native.pool import ThreadPool
from tests.tree import TREE

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="there is no native library: apt-get install g++")


def wrong(pool: ThreadPool, runs: int, barriers: int, work_ns: int = 0) -> int:
    """Reads that were wrong when each thread read after a barrier what its neighbour wrote before it."""
    check = library().functions.creuset_pool_check
    check.restype, check.argtypes = ctypes.c_int64, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    return int(check(pool.handle, runs, barriers, work_ns))


@pytest.fixture
def busy() -> Iterator[None]:
    """A process that keeps one of the processors of this one busy."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


@pytest.mark.parametrize("controlled", [False, True])
@pytest.mark.parametrize("spin_us", [0, 20])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_nobody_passes_a_barrier_before_everybody_is_there(threads: int, spin_us: int, controlled: bool) -> None:
    with ThreadPool(library(), threads) as pool:
        pool.hold(controlled, spin_us)
        assert wrong(pool, 40, 25) == 0 and wrong(pool, 400, 1) == 0
        stats = pool.stats
        assert stats.threads == threads and stats.runs == 440 and (stats.active == threads or controlled)
        if controlled and stats.waiting > 0.25:
            assert stats.drops


def test_a_thread_that_is_late_costs_threads_and_answers_stay_right(busy: None) -> None:
    """More threads than processors: some always wait for others, and the controller takes fewer of them."""
    with ThreadPool(library(), 4 * (os.cpu_count() or 1)) as pool:
        pool.hold(controlled=True)
        for _ in range(200):
            assert wrong(pool, 10, 10, 1000) == 0
            if pool.stats.drops >= 2:
                break
        stats = pool.stats
        assert stats.drops >= 2 and stats.active < stats.threads and 0.25 < stats.waiting <= 1
        for _ in range(20_000):  # and later tries more of them again
            wrong(pool, 10, 1, 10_000)
            if pool.stats.rises:
                break
        assert pool.stats.rises


def test_two_callers_take_turns() -> None:
    with ThreadPool(library(), 2) as pool:
        found: list[int] = []
        callers = [threading.Thread(target=lambda: found.append(wrong(pool, 100, 5))) for _ in range(3)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert found == [0, 0, 0] and pool.stats.runs == 300


def test_a_forked_child_has_threads_of_its_own() -> None:
    program = (
        "import os, sys\n"
        "from creuset.core.native.library import library\n"
        "from creuset.engine.backend.native.pool import ThreadPool\n"
        "from tests.native.test_pool import wrong\n"
        "used, unused = ThreadPool(library(), 2), ThreadPool(library(), 2)\n"
        "assert wrong(used, 20, 5) == 0\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    used.hold()\n"
        "    bad = wrong(used, 20, 5) or used.stats.threads != 2\n"
        "    used.close(); unused.close()\n"
        "    os._exit(int(bad))\n"
        "assert wrong(used, 20, 5) == 0\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=TREE, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_threads_end_with_the_pool_and_take_no_signals() -> None:
    before = set(os.listdir("/proc/self/task"))
    pool = ThreadPool(library(), 3)
    assert wrong(pool, 5, 5) == 0
    new = set(os.listdir("/proc/self/task")) - before
    assert len(new) == 2
    for task in new:
        status = Path(f"/proc/self/task/{task}/status").read_text()
        (blocked,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:"))
        assert int(blocked, 16) & (1 << 1) and int(blocked, 16) & (1 << 14)  # SIGINT, SIGTERM
    pool.close()
    pool.close()
    assert not new & set(os.listdir("/proc/self/task"))


@pytest.mark.slow
def test_a_thread_sanitizer_finds_no_race(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++: apt-get install g++")
    program = tmp_path / "race"
    sources = [str(TREE / "native" / "pool.cpp"), str(TREE / "native" / "tests" / "pool_race.cpp")]
    flags = ["-std=c++17", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{TREE / 'native'}"]
    subprocess.run(["g++", *flags, *sources, "-o", str(program)], check=True)
    # Address layouts of some kernels are too random for the sanitizer's map.
    ran = subprocess.run(["setarch", "-R", str(program)], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0 and "wrong: 0" in ran.stdout, ran.stdout + ran.stderr
