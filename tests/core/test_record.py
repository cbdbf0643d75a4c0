import json

import pytest

from creuset.core import host
from creuset.core.energy import Meter, Rapl
from creuset.core.record import Recorder, stages, totals


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


def start(clock, journal=None, **more):
    meter = Meter(cores=2, gpus=0, cpu=None, gpu=None, watts_per_core=10)
    return Recorder.start(
        stage="pretrain",
        cores=2,
        meter=meter,
        clock=clock,
        monotonic=clock,
        journal=journal,
        inputs={"shards": "ab"},
        seeds={"settings": 17},
        **more,
    )


def test_a_run_that_was_not_disturbed():
    clock = Clock(1000.0)
    recorder = start(clock)
    for _ in range(10):
        clock.now += 36
        recorder.add(tokens=100, flops=5e9, counted=6e9)
    record = recorder.finish()
    assert (record["tokens"], record["steps"]) == (1000, 10)
    assert record["flops"]["formula"] == 5e10 and record["flops"]["counted"] == 6e10 and record["flops"]["lost"] == 0
    assert record["time"]["wall_hours"] == pytest.approx(0.1) and record["time"]["core_hours"] == pytest.approx(0.2)
    assert record["energy"]["kwh"] == pytest.approx(0.1 * 2 * 10 / 1000)
    assert not record["energy"]["measured"] and "2 cores x 10 W" in record["energy"]["method"]
    assert record["failed_attempts"] == 0
    assert record["inputs"] == {"shards": "ab"} and record["seeds"] == {"settings": 17}
    assert record["started"] == "1970-01-01T00:16:40+00:00"
    assert record["versions"]["torch"] and record["hardware"][0]["cores"] >= 1
    json.dumps(record, allow_nan=False)


def test_a_killed_attempt_is_counted_with_what_it_lost(tmp_path):
    clock, journal = Clock(), tmp_path / "attempts.jsonl"
    first = start(clock, journal)
    for step in range(4):
        clock.now += 10
        first.add(tokens=100, flops=1e9)
        if step == 1:
            kept = json.loads(json.dumps(first.state()))
    with journal.open("a") as stream:
        stream.write('{"id": "cut sho')  # killed while it wrote
    clock.now += 500  # nobody computes
    second = start(clock, journal)
    second.restore(kept)
    for _ in range(2):
        clock.now += 10
        second.add(tokens=100, flops=1e9)
    record = second.finish()
    assert record["tokens"] == 400 and record["flops"]["formula"] == 4e9 and record["flops"]["lost"] == 2e9
    assert all(json.loads(line) for line in journal.read_text().splitlines() if "cut sho" not in line)
    assert [a["outcome"] for a in record["attempts"]] == ["interrupted", "finished"] and record["failed_attempts"] == 1
    assert record["time"]["wall_hours"] == pytest.approx(60 / 3600)


def test_an_attempt_that_died_before_its_first_checkpoint_is_not_forgotten(tmp_path):
    clock, journal = Clock(), tmp_path / "attempts.jsonl"
    first = start(clock, journal)
    clock.now += 30
    first.add(tokens=100, flops=1e9)
    second = start(clock, journal)
    clock.now += 10
    second.add(tokens=100, flops=1e9)
    record = second.finish()
    assert record["tokens"] == 100 and record["flops"]["lost"] == 1e9 and record["failed_attempts"] == 1


def test_without_a_journal_the_checkpoint_still_tells_of_earlier_attempts():
    clock = Clock()
    first = start(clock)
    clock.now += 20
    first.add(tokens=5)
    second = start(clock)
    second.restore(first.state())
    clock.now += 10
    second.add(tokens=5)
    record = second.finish()
    assert record["tokens"] == 10 and record["time"]["wall_hours"] == pytest.approx(30 / 3600)
    assert [a["outcome"] for a in record["attempts"]] == ["paused", "finished"] and record["failed_attempts"] == 0


def test_a_stage_keeps_the_records_of_those_before_it():
    clock = Clock()
    base = start(clock)
    clock.now += 3600
    base.add(tokens=100, flops=3e9)
    tuned = start(clock, before=[base.finish()])
    clock.now += 360
    tuned.add(tokens=10, flops=1e9)
    record = tuned.finish()
    assert [s["tokens"] for s in stages(record)] == [100, 10]
    assert totals(record)["flops"] == 4e9 and totals(record)["wall_hours"] == pytest.approx(1.1)


def test_rapl_counters_are_summed_over_packages_and_their_wrapping(tmp_path):
    zones = [tmp_path / "intel-rapl:0", tmp_path / "intel-rapl:1", tmp_path / "intel-rapl:0:0"]
    for zone, name in zip(zones, ("package-0", "package-1", "core"), strict=True):
        zone.mkdir()
        (zone / "name").write_text(name + "\n")
        (zone / "max_energy_range_uj").write_text("1000000\n")
        (zone / "energy_uj").write_text("900000\n")
    meter = Rapl.find(tmp_path)
    (zones[0] / "energy_uj").write_text("950000\n")
    (zones[1] / "energy_uj").write_text("100000\n")  # went over the top
    assert meter.joules() == pytest.approx(0.05 + 0.2)
    (zones[0] / "energy_uj").write_text("960000\n")
    assert meter.joules() == pytest.approx(0.26)
    assert Meter(cores=2, gpus=0, cpu=meter, gpu=None).measured
    assert not Meter(cores=2, gpus=1, cpu=meter, gpu=None).measured
    assert Rapl.find(tmp_path / "nothing") is None


def test_a_gpu_without_a_counter_is_estimated_and_said_so():
    meter = Meter(cores=4, gpus=2, cpu=None, gpu=None, watts_per_core=10, watts_per_gpu=700)
    assert meter.joules(10) == 10 * (40 + 1400) and "GPU estimated: 2 x 700 W" in meter.method


def test_the_commit_is_unknown_where_there_is_no_history(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("CREUSET_COMMIT", raising=False)
    assert host.commit(tmp_path) == {"sha": "unknown", "dirty": None}
    monkeypatch.setenv("CREUSET_COMMIT", "abc")
    assert host.commit(tmp_path)["sha"] == "abc"


def test_the_machine_is_described():
    here = host.hardware()
    assert here["cpu"] and here["memory_gib"] > 0.1 and here["gpus"] == []
