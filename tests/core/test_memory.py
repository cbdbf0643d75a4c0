"""Free memory as the system and the control groups tell it, from made-up /proc and /sys; sizes in words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from creuset.core.errors import MemoryFull
from creuset.core.host import usable_cores
from creuset.core.memory import available_memory, memory_for, parse_size, resident_memory, show_size


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  16000 kB\nMemFree:  100 kB\nMemAvailable:  8000 kB\n"}
V2 = MEMINFO | {"proc/self/cgroup": "0::/a/b\n"}
V1 = MEMINFO | {"proc/self/cgroup": "3:cpu:/a\n4:memory,hugetlb:/a\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MEMINFO, 8000 << 10),
        (V2, 8000 << 10),
        # A group of the second version, and a tighter one above it; files kept in memory count as free.
        (V2 | {"sys/fs/cgroup/a/b/memory.max": "5000000\n", "sys/fs/cgroup/a/b/memory.current": "1000000\n"}, 4000000),
        (
            V2
            | {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "1000000\n"}
            | {"sys/fs/cgroup/a/memory.max": "3000000\n", "sys/fs/cgroup/a/memory.current": "2500000\n"}
            | {"sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 400000\n"},
            900000,
        ),
        # In a container the path is the machine's; what can be seen is the mount itself.
        (V2 | {"sys/fs/cgroup/memory.max": "2000000", "sys/fs/cgroup/memory.current": "500000"}, 1500000),
        (
            V1
            | {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3000000"}
            | {"sys/fs/cgroup/memory/a/memory.usage_in_bytes": "2900000"}
            | {"sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 200000\n"},
            300000,
        ),
        (
            V1
            | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}
            | {"sys/fs/cgroup/memory/memory.usage_in_bytes": "1"},
            8000 << 10,
        ),
        (V2 | {"sys/fs/cgroup/a/b/memory.max": "10", "sys/fs/cgroup/a/b/memory.current": "20"}, 0),
    ],
)
def test_the_tightest_limit_counts(tmp_path: Path, files: dict[str, str], free: int) -> None:
    assert available_memory(system(tmp_path, files)) == free


def test_here_and_without_linux() -> None:
    assert available_memory() > 0 and 1 << 20 < resident_memory() < 1 << 36
    assert available_memory(Path("/nowhere")) > 1 << 20 and resident_memory(Path("/nowhere")) == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("512M", 512 << 20), ("12GiB", 12 << 30), ("1.5g", 3 << 29), ("2 TB", 2 << 40), ("8kib", 8192)],
)
def test_sizes_in_words(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1G", "1X", "G", "1e9", "12 GiBs", "0.0001"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write it as 512M or 12GiB"):
        parse_size(text)


def test_sizes_for_people() -> None:
    assert [show_size(size) for size in (0, 999, 2048, 5 << 20, 3 << 29, 1500 << 30)] == [
        "0 bytes", "999 bytes", "2 KiB", "5 MiB", "1.5 GiB", "1500 GiB",
    ]  # fmt: skip


ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, ALL),
        (V2 | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, ALL),
        (V2 | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),
        (V2 | {"sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        (V2 | {"sys/fs/cgroup/a/cpu.max": "99900000 100000\n"}, ALL),
        (V1 | {"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000"}, 1),
        (V1 | {"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000"}, ALL),
    ],
)
def test_cores_are_those_of_the_affinity_within_the_share_of_the_groups(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(system(tmp_path, files)) == cores


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (MemoryError(), "there is not enough memory for a model"),
        (MemoryError("no memory for a batch"), "there is not enough memory for a model: no memory for a batch"),
        (ImportError("x.so: failed to map segment from shared object"), "for a model: x.so: failed to map segment"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes\nhere"), "can't allocate memory: 8 bytes"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
    ],
)
def test_what_libraries_say_without_memory_is_one_error(raised: Exception, words: str) -> None:
    with pytest.raises(MemoryFull) as found, memory_for("a model"):
        raise raised
    assert words in str(found.value) and "\n" not in str(found.value) and found.value.exit_code == 4


@pytest.mark.parametrize("raised", [ImportError("no such name"), RuntimeError("wrong shape"), OSError(2, "nothing")])
def test_other_errors_stay_what_they_are(raised: Exception) -> None:
    with pytest.raises(type(raised)) as found, memory_for("a model"):
        raise raised
    assert found.value is raised


def test_a_command_under_a_limit_of_memory_says_so_in_one_line(tmp_path: Path) -> None:
    """Less than NumPy and the model need, as a container with a tight limit leaves it."""
    limited = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))\n"
        "from creuset.cli import main\n"
        "sys.exit(main(['chat', '--model', 'mini', '--threads', '1']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", limited], input="Hello", capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert ran.returncode == 4, ran.stderr
    assert "error: there is not enough memory for `creuset chat`" in ran.stderr and "Traceback" not in ran.stderr
