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


EACH = """
import contextlib, io, json, runpy, sys
said = {}
for script in SCRIPTS:
    out, sys.argv = io.StringIO(), [script, "--help"]
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    said[script] = out.getvalue()
print(json.dumps(said))
"""


def test_every_bench_explains_itself(bench):
    """In one process, since most of them import the same."""
    scripts = [str(script) for script in bench("all").scripts()]
    env = os.environ | {"PYTHONPATH": f"{BENCH}:{BENCH.parent}"}
    ran = forked.run(["-c", f"SCRIPTS = {scripts!r}\n{EACH}"], cwd=BENCH, env=env, timeout=120)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert list(said) == scripts and all("--keep" in text for text in said.values())


def race(ours, theirs):
    """What a race of two programs leaves: tokens a second of each load, as [median, least, most]."""
    return {
        "columns": {
            "ours": {"rates": {"1": [ours, 1, 9], "8": [10.0, 1, 9]}, "blocks": 1, "about": {}},
            "llamacpp": {"rates": {"1": [theirs, 1, 9]}, "blocks": 1, "about": {}},
        },
        "thrown": 0,
        "bandwidth_gb_s": [1, 2],
    }


def test_the_table_of_peers_takes_the_newest_race_of_each_model_and_width(bench, tmp_path, monkeypatch):
    common, peers = bench("common"), bench("engine_peers")
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    host = {"hardware": {"cpu": "X", "gpus": []}, "threads": 2, "load_1min": 3.2}
    for date, figures in (
        ("2026-01-01T", {"mini, 8 bits": race(100.0, 50.0), "moe, bf16": race(30.0, 20.0)}),
        ("2026-01-02T", {"mini, 8 bits": race(300.0, 100.0)}),
    ):
        with (tmp_path / "engine_peers.jsonl").open("a") as stream:
            stream.write(
                json.dumps({"date": date + "00:00:00Z", "host": host, "arguments": {}, "figures": figures}) + "\n"
            )
    lines = peers.table().splitlines()[2:]
    assert lines == [
        "| mini, 8 bits | creuset | 300 | 10 | - | - | X, 2 threads, 2026-01-02 |",
        "|  | llama.cpp | 100 (3.0x) | - | - | - |  |",
        "| moe, bf16 | creuset | 30 | 10 | - | - | X, 2 threads, 2026-01-01 |",
        "|  | llama.cpp | 20 (1.5x) | - | - | - |  |",
    ]
    assert peers.servers() == ""
    measured = {
        "tokens_s": [100.0, 1, 2],
        "processor_ms": [0.1, 1, 2],
        "first_ms": [9.0, 1, 2],
        "gap_p95_ms": [3.0, 1, 2],
    }
    kept = {"mini": {"columns": {"ours": {"8": measured}, "vllm": {"8": measured}}, "thrown": 0}}
    line = {"date": "2026-01-02T", "host": host, "arguments": {"threads": 1}, "figures": kept}
    (tmp_path / "http_peers.jsonl").write_text(json.dumps(line) + "\n")
    assert peers.servers().splitlines()[3:] == [
        "| creuset, mini | 8 | 100 | 0.1 | 9 | 3 | X, 1 thread, 2026-01-02, load average 3 |",
        "| vLLM (CPU), mini | 8 | 100 | 0.1 | 9 | 3 | X, 1 thread, 2026-01-02, load average 3 |",
    ]
    blocks = [{"1": 5.0}, {"1": 1.0}, {"1": 4.0}]
    assert peers.spread(blocks) == {"1": [4.0, 1.0, 5.0]} and peers.spread([]) == {}


def test_a_process_that_is_not_ours_is_noticed(bench):
    bench("engine_peers")  # its folder of peers is on the path then
    from busy import Quiet, descendants

    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            assert other.pid in descendants(other.pid)
            with Quiet([]) as quiet:
                sum(i * i for i in range(3_000_000))
            with Quiet([other.pid]) as ours:
                sum(i * i for i in range(3_000_000))
        finally:
            other.kill()
    assert quiet.others > 0.05 and ours.others >= 0


@pytest.mark.slow
def test_the_bench_for_gpus_can_be_rehearsed_without_one():
    ran = subprocess.run(
        [sys.executable, BENCH / "gpu.py", "--device", "cpu", "--tiny", "--repeat", "1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(ran.stdout.splitlines()[-1])["figures"]
    answers, speed = found["the same answers as on the CPU"], found["speed"]
    assert answers["ran"] and speed["ran"] and answers["tokens_equal"] == answers["of"] == 96
    assert answers["largest_distance_of_ln_p"] == 0 and speed["tokens_s"]["8 streams"] > 0
    assert "a GPU: this was a rehearsal" in found["not tried"]
