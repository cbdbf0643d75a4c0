"""The whole pipeline on small dirty corpora: conservation, refusal, resumption."""

import fcntl
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from sources_for_tests import FRENCH, english, write_jsonl, write_ledger

from creuset.cli import main
from creuset.core.artifact import read_manifest, verify
from creuset.data.build.parts import read_json, read_lines
from creuset.data.build.pipeline import passes
from creuset.data.clean.leakage import Index
from creuset.data.ledger import read as read_ledger
from creuset.data.ledger import with_licences
from creuset.data.read.sources import plan as make_plan
from creuset.data.settings import Corpus
from creuset.report.page import ASSETS

BENCHMARK = (
    "A farmer has seventeen sheep and buys nine more at the spring market, then sells four of them to a neighbour."
)


def documents(folder, part, source):
    return [json.loads(line) for line in read_lines(folder / part / f"{source}.jsonl.zst")]


def build(*words):
    return main(["corpus", "build", *map(str, words)])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One dirty corpus of every format, built once."""
    home = tmp_path_factory.mktemp("corpus")
    folder = home / "in"
    (folder / "pages").mkdir(parents=True)
    rows = [{"text": english(i), "url": f"https://x.test/{i}", "source": f"repo:{i}"} for i in range(60)]
    rows += [{"text": english(3)}]  # the same again
    rows += [{"text": english(5) + " And more."}]  # nearly the same
    rows += [{"text": english(100) + "\nWrite to ada@analytical.org or call 415-555-0132."}]
    rows += [{"text": english(101) + "\n" + BENCHMARK}]
    rows += [
        {"text": FRENCH},
        {"text": "too short"},
        {"text": ""},
        {"text": "This is the same line of text as on the others.\n" * 40},
    ]
    lines = [json.dumps(row).encode() for row in rows]
    assert len(lines) == 68
    lines += [
        b'{"text": "cut',
        b'{"text": "\xc3\xa9t\xe9"}',
        b'{"messages": []}',
        b'{"text": 7}',
        b"[1, 2]",
        b"",
        b"   ",
    ]
    (folder / "dirty.jsonl.xz").write_bytes(lzma.compress(b"\n".join(lines)))
    noise = "".join(json.dumps({"text": english(1000 + i)}) + "\n" for i in range(50)).encode()
    whole = gzip.compress(noise)
    (folder / "torn.jsonl.gz").write_bytes(whole[: len(whole) * 3 // 4])
    table = pyarrow.table({"text": [english(2000 + i) for i in range(20)], "url": [f"u{i}" for i in range(20)]})
    pyarrow.parquet.write_table(table, folder / "columns.parquet")
    for i in range(4):
        body = "".join(f"<p>{line}</p>" for line in english(3000 + i).splitlines())
        page = f"<html><head><title>T{i}</title><script>var x;</script></head><body><nav>Menu</nav>{body}</body></html>"
        (folder / "pages" / f"p{i}.html").write_text(page)
    (folder / "pages" / "note.txt.zst").write_bytes(zstandard.compress(english(4000).encode()))
    (folder / "pages" / "latin.txt").write_bytes(f"{english(4001)} Été café.".encode("latin-1"))
    (folder / "pages" / "photo.png").write_bytes(b"\x89PNG")
    (home / "exam.jsonl").write_text(json.dumps({"question": BENCHMARK}) + "\n")
    ledger = write_ledger(home, "dirty", "torn", "columns", "in")
    code = build(folder, "--ledger", ledger, "--benchmarks", home / "exam.jsonl", "--out", home / "out")
    assert code == 0
    return home


def test_kept_held_out_and_dropped_are_what_was_read(built):
    report = read_json(built / "out" / "report.json")
    for name, one in report["sources"].items():
        files = {part: documents(built / "out", part, name) for part in ("docs", "heldout", "dropped")}
        assert len(files["docs"]) == one["kept"]["documents"]
        assert sum(map(len, files.values())) == one["read"]["documents"]
        assert Counter(d["reason"] for d in files["dropped"]) == {r: n["documents"] for r, n in one["reasons"].items()}
        ids = [d["id"] for part in files.values() for d in part]
        assert len(ids) == len(set(ids))
    assert set(report["sources"]) == {"dirty", "torn", "columns", "in"}
    assert report["skipped_files"] == ["pages/photo.png"]


def test_each_kind_of_dirt_is_dropped_by_its_name(built):
    found = Counter(d["reason"] for d in documents(built / "out", "dropped", "dirty"))
    assert found == {
        "duplicate_exact": 1, "duplicate_near": 1, "benchmark": 1, "language": 1, "c4_no_line_left": 1, "empty": 1,
        "fineweb_repeated_line_characters": 1, "broken_json": 1, "broken_utf8": 1, "no_text": 3,
    }  # fmt: skip


def test_a_broken_line_is_named_by_file_and_line(built):
    broken = read_json(built / "out" / "report.json")["sources"]["dirty"]["broken"]
    assert [line.split(": ")[:2] for line in broken][:2] == [
        ["broken_json", "dirty.jsonl.xz:69"], ["broken_utf8", "dirty.jsonl.xz:70"],
    ]  # fmt: skip
    assert "no_text: dirty.jsonl.xz:71: no `text`; it has messages" in broken


def test_a_torn_archive_gives_what_is_whole_and_one_named_break(built):
    dropped = documents(built / "out", "dropped", "torn")
    assert [d["reason"] for d in dropped] == ["broken_archive"] and "torn.jsonl.gz:" in dropped[0]["detail"]
    assert len(documents(built / "out", "docs", "torn")) > 20


def test_pages_texts_and_columns_become_documents(built):
    kept = {d["id"]: d for part in ("docs", "heldout") for d in documents(built / "out", part, "in")}
    page = kept["in:pages/p1.html:1"]
    assert page["title"] == "T1" and page["text"].split() == english(3001).split()
    assert kept["in:pages/note.txt.zst:1"]["text"] == english(4000)
    assert kept["in:pages/latin.txt:1"]["text"] == f"{english(4001)} Été café."
    assert documents(built / "out", "dropped", "in") == []
    assert read_json(built / "out" / "report.json")["sources"]["in"]["converted"] == {"cp1252": 1}
    columns = [d for part in ("docs", "heldout") for d in documents(built / "out", part, "columns")]
    assert len(columns) == 20 and all(d["url"].startswith("u") for d in columns)


def test_attribution_travels_and_personal_data_does_not(built):
    kept = [d for part in ("docs", "heldout") for d in documents(built / "out", part, "dirty")]
    assert {d["url"] for d in kept if "url" in d} <= {f"https://x.test/{i}" for i in range(60)}
    assert all(d["lang"] == "en" and d["source"] == "dirty" for d in kept)
    assert any(d["text"].endswith("Write to [EMAIL] or call [PHONE].") for d in kept)
    assert read_json(built / "out" / "report.json")["sources"]["dirty"]["masked"] == {"email": 1, "phone": 1}


def test_no_field_and_no_dropped_document_keeps_personal_data(tmp_path):
    mail = "jean.dupont@laposte.net"
    row = {"url": f"https://x.fr/?e={mail}", "title": "tel 06 12 34 56 78", "author": f"Jean Dupont <{mail}>"}
    rows = [{"text": english(i), **row} for i in range(12)] + [{"text": f"Short: {mail}", **row}]
    pages = write_jsonl(tmp_path / "pages.jsonl", rows)
    assert build(pages, "--licence", "CC0-1.0", "--out", tmp_path / "out", "--workers", 1) == 0
    kept = documents(tmp_path / "out", "docs", "pages")
    assert kept[0]["author"] == "Jean Dupont <[EMAIL]>" and kept[0]["url"] == "https://x.fr/?e=[EMAIL]"
    assert kept[0]["title"] == "tel [PHONE]"
    (dropped,) = documents(tmp_path / "out", "dropped", "pages")
    assert dropped["text"] == "Short: [EMAIL]"
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            read = "\n".join(map(str, read_lines(file))) if file.suffix == ".zst" else file.read_text(errors="replace")
            assert mail not in read and "06 12 34 56 78" not in read, file


def test_the_artifact_is_whole_and_its_ledger_can_be_read_again(built):
    assert read_manifest(built / "out")["kind"] == "corpus" and verify(built / "out") == []
    assert {row.name: row.licence for row in read_ledger([built / "out" / "ledger.json"])}["dirty"] == "CC0-1.0"
    assert not (built / "out.work").exists() and not (built / "out.partial").exists()


def test_the_page_holds_no_outside_asset_and_escapes_what_it_shows(built):
    page = (built / "out" / "report.html").read_text()
    assert "<svg" in page and "fineweb_repeated_line_characters" in page
    page = page.replace(f"<script>{(ASSETS / 'base.js').read_text()}</script>", "", 1)  # ours, and no other
    for forbidden in ("<script", "http://", "<img", "<link", "@import", "url("):
        assert forbidden not in page


def test_the_report_verb_prints_a_table_markdown_and_json(built, capsys):
    assert main(["corpus", "report", str(built / "out")]) == 0
    assert "dirty" in capsys.readouterr().out
    assert main(["corpus", "report", str(built / "out"), "--markdown"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# A corpus, in numbers")
    assert "| dirty | CC0-1.0 |" in shown and "| source | email | phone |" in shown
    assert main(["corpus", "report", str(built / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["read"]["documents"] > 100


def test_another_number_of_workers_and_another_split_give_the_same_documents(built, tmp_path, capsys):
    words = [built / "in", "--ledger", built / "sources.json", "--benchmarks", built / "exam.jsonl"]
    assert build(*words, "--out", tmp_path / "out", "--workers", 2, "--set", "split_mb=1") == 0
    one, two = (read_json(folder / "out" / "report.json")["content_sha256"] for folder in (built, tmp_path))
    assert one == two


def test_a_big_file_cut_into_tasks_gives_the_documents_of_one_task(tmp_path):
    path = write_jsonl(tmp_path / "big.jsonl", [{"text": english(i, 16)} for i in range(1200)])
    assert path.stat().st_size > 1_100_000
    ledger = write_ledger(tmp_path, "big", near_dedup=False)
    for split in (1, 50):
        build(path, "--ledger", ledger, "--out", tmp_path / f"out{split}", "--set", f"split_mb={split}")
    one, two = (documents(tmp_path / f"out{split}", "docs", "big") for split in (1, 50))
    assert one == two and len(one) > 1100


# --- refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no ledger row gives the licence of `a`"),
        (["--set", "dedup.band=3"], "`dedup.band` is not a setting: Dedup has no `band`"),
        (["--set", "kind=poem"], "kind must be one of web, wiki"),
        (["--licence", "CC0-1.0", "--workers", "0"], "--workers must be at least 1"),
        (["--licence", "CC0-1.0", "--benchmarks", "no/such"], "`no/such` does not exist"),
        (["--licence", "CC0-1.0", "--limit-mb", "much"], "is not of the form MB or NAME=MB"),
        (["--ledger", "no.toml"], "`no.toml` is not a ledger: there is no such file"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, capsys, words, message):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(1)}])
    assert build(path, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_artifact_is_never_overwritten(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(1)}])
    (tmp_path / "out").mkdir()
    assert build(path, "--licence", "CC0-1.0", "--out", tmp_path / "out") == 3
    assert "already exists" in capsys.readouterr().err


def test_documents_without_a_licence_are_counted_where_that_is_asked_for(tmp_path, capsys):
    rows = [
        {"text": english(1)},
        {"text": english(2), "license": "CC-BY-4.0"},
        {"text": english(3), "license": "CC-BY-NC-4.0"},
    ]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    build(path, "--out", tmp_path / "out", "--set", "licence.unknown=drop", "--set", "licence.deny=-NC", "--json")
    report = json.loads(capsys.readouterr().out)
    assert {r: n["documents"] for r, n in report["sources"]["a"]["reasons"].items()} == {
        "licence_unknown": 1, "licence_denied": 1,
    }  # fmt: skip
    assert report["sources"]["a"]["kept"]["documents"] == 1


def test_a_dry_run_prints_settings_and_sources_and_writes_nothing(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(1)}])
    assert build(path, "--licence", "a=MIT", "--out", tmp_path / "out", "--dry-run") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (
        shown["sources"] == {"a": {"licence": "MIT", "kind": "guess", "tasks": 1}}
        and shown["settings"]["dedup"]["bands"] == 16
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


# --- killed and resumed


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_build_killed_in_the_middle_goes_on_and_ends_as_an_unbroken_one(tmp_path, workers):
    folder = tmp_path / "in"
    folder.mkdir()
    names = [f"s{i}" for i in range(8)]
    for i, name in enumerate(names):
        rows = [{"text": english(i * 80 + j)} for j in range(80)] + [{"text": english(7)}]
        write_jsonl(folder / f"{name}.jsonl", rows)
    words = [folder, "--ledger", write_ledger(tmp_path, *names), "--workers", workers]
    command = [sys.executable, "-m", "creuset", "corpus", "build", *map(str, words), "--out", str(tmp_path / "killed")]
    marks = tmp_path / "killed.work" / "executor" / "judge" / "completions"
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(os.listdir(marks) if marks.is_dir() else []) < 2:
        time.sleep(0.002)
    children = psutil.Process(running.pid).children(recursive=True) if running.poll() is None else []
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed").exists(), "it was killed too late"
    done = set(os.listdir(marks))
    assert 2 <= len(done) < len(names)
    assert psutil.wait_procs(children, timeout=20)[1] == [], "a worker outlived its build"
    stamps = {f.name: f.stat().st_mtime_ns for f in marks.iterdir()}
    assert build(*words, "--out", tmp_path / "killed") == 0
    assert build(*words[:3], "--out", tmp_path / "unbroken") == 0
    assert len(stamps) >= 2
    killed, unbroken = (read_json(tmp_path / n / "report.json") for n in ("killed", "unbroken"))
    assert killed["speed"]["resumed"] and not unbroken["speed"]["resumed"]
    for report in (killed, unbroken):
        del report["speed"]
        for one in report["sources"].values():
            del one["speed"]
    assert killed == unbroken
    for file in sorted((tmp_path / "unbroken").rglob("*.jsonl.zst")):
        assert file.read_bytes() == (tmp_path / "killed" / file.relative_to(tmp_path / "unbroken")).read_bytes()


def test_other_settings_do_not_go_on_with_the_work_of_a_killed_build(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(i)} for i in range(30)])
    for folder in ("out.partial", "out.work"):
        (tmp_path / folder / "docs").mkdir(parents=True)
        (tmp_path / folder / "docs" / "stale").touch()
    (tmp_path / "out.work" / "build.json").write_text('{"sha256": "of another build"}')
    assert build(path, "--licence", "CC0-1.0", "--out", tmp_path / "out") == 0
    assert verify(tmp_path / "out") == [] and not (tmp_path / "out" / "docs" / "stale").exists()


def test_a_second_build_of_the_same_name_is_refused_while_the_first_writes(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(1)}])
    (tmp_path / "out.work").mkdir()
    with (tmp_path / "out.work" / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        assert build(path, "--licence", "CC0-1.0", "--out", tmp_path / "out") == 2
    assert "another build is writing" in capsys.readouterr().err


def test_the_text_may_stand_in_another_field(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"content": english(1), "text": 7}])
    assert build(path, "--licence", "MIT", "--out", tmp_path / "out", "--set", "text_field=content") == 0
    assert [d["text"] for d in documents(tmp_path / "out", "docs", "a")] == [english(1)]


def test_the_passes_run_on_datatroves_own_executor_after_a_journey_as_bytes(tmp_path):
    import dill
    from datatrove.executor.local import LocalPipelineExecutor

    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(i)} for i in [*range(40), 7]])
    assert build(path, "--licence", "CC0-1.0", "--out", tmp_path / "ours") == 0
    settings, scratch, work = Corpus(), tmp_path / "theirs", tmp_path / "work"
    plan = make_plan([path], with_licences([], ["CC0-1.0"]), settings)
    Index.build([], work / "benchmarks", settings.leakage)
    run = passes(plan, settings, scratch=scratch, work=work)
    assert run.ranks == (0, 1, 1, 1, 1)
    for steps, ranks in zip((run.judge, run.decide, run.route), run.ranks[2:], strict=True):
        carried = dill.loads(dill.dumps(steps))  # as the Slurm executor sends them
        logs = str(tmp_path / "logs" / steps[0].name)
        LocalPipelineExecutor(pipeline=carried, tasks=ranks, workers=1, logging_dir=logs).run()
    for part in ("docs", "heldout", "dropped"):
        assert documents(scratch, part, "a") == documents(tmp_path / "ours", part, "a")
