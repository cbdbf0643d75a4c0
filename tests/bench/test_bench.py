import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch):
    """The scripts as modules, without leaving their names behind."""
    monkeypatch.syspath_prepend(BENCH)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_bench_prints_a_table_and_one_json_line():
    ran = subprocess.run(
        [sys.executable, BENCH / "matmul.py", "--size", "64", "--repeat", "2", "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    *people, machine = ran.stdout.splitlines()
    said = json.loads(machine)
    assert people[0].split()[0] == "type" and said["bench"] == "matmul" and said["arguments"]["size"] == 64
    assert said["figures"]["fp32"]["median_gflop_s"] > 0 and said["bandwidth_gb_s"] > 0
    assert said["host"]["hardware"]["cpu"] and said["host"]["commit"]["sha"]


def test_the_readme_table_is_what_the_newest_results_say(bench, tmp_path, monkeypatch):
    common, every = bench("common"), bench("all")
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    at = {"hardware": {"cpu": "X", "gpus": []}, "threads": 2}
    for date, figure in (("2026-01-01", "1 tok/s"), ("2026-01-02", "2 tok/s")):
        with (tmp_path / "engine.jsonl").open("a") as stream:
            stream.write(
                json.dumps(
                    {"date": date, "host": at, "bandwidth_gb_s": 40.2, "figures": {"table": [["decode", figure]]}}
                )
                + "\n"
            )
    text = f"Before.\n{every.BEGIN}\nold\n{every.END}\nAfter.\n"
    new = every.with_table(text)
    assert "| decode | 2 tok/s | X, 2 threads | 40 GB/s | 2026-01-02 |" in new and "1 tok/s" not in new
    assert new.startswith("Before.") and new.endswith("After.\n") and "old" not in new
    assert every.with_table(new) == new and every.with_table("no markers") == "no markers"


def test_every_bench_explains_itself(bench):
    for script in bench("all").scripts():
        ran = forked.run([script, "--help"], cwd=BENCH, env=os.environ, timeout=60)
        assert ran.returncode == 0 and "--keep" in ran.stdout, script.name
