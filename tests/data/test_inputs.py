"""Files as people have them: encodings, tables, archives, files that change while they are read."""

import bz2
import gzip
import io
import itertools
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from sources_for_tests import english, write_jsonl

from creuset.cli import main
from creuset.core.compressed import blocks, first_lines, split
from creuset.data.build.parts import read_json, read_lines
from creuset.data.read.encoding import decode, detect
from creuset.data.read.main_text import page_of
from creuset.data.read.ranges import find_starts
from creuset.data.read.readers import records
from creuset.data.read.sources import FORMATS, FilePart, format_of, plan
from creuset.data.settings import Corpus

FRENCH = "Les élèves étaient à l'école, où ils ont mangé des pâtes. Ça leur a plu, et nous voilà déjà à Noël."


def part(path, **fields):
    looked = path.stat() if path.exists() else None
    size, stamp = (looked.st_size, looked.st_mtime_ns) if looked else (0, 0)
    return FilePart(str(path), path.name, format_of(path), bytes=size, stamp=stamp, **fields)


def read(path, raw=None, **fields):
    if raw is not None:
        path.write_bytes(raw)
    return list(records(part(path), **fields))


# --- encodings


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (FRENCH, "latin-1", "cp1252"), (FRENCH + " 5 €", "cp1252", "cp1252"), ("été", "latin-1", "cp1252"),
        (FRENCH, "utf-16", "utf-16-le"), (FRENCH, "utf-16-le", "utf-16-le"), (FRENCH, "utf-16-be", "utf-16-be"),
        (FRENCH, "utf-32", "utf-32-le"), (FRENCH, "utf-8-sig", "utf-8"), (FRENCH, "utf-8", "utf-8"),
        ("Все люди рождаются свободными и равными в своем достоинстве.", "cp1251", "cp1251"),
        ("Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.", "cp1250", "cp1250"),
        ("すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。", "euc_jp", "euc_jp"),
    ],
)  # fmt: skip
def test_a_text_is_read_whatever_it_was_written_in(tmp_path, text, encoding, name):
    (record,) = read(tmp_path / "a.txt", text.encode(encoding))
    assert (record.text, record.encoding, record.broken) == (text, name, "")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-be", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_lines_are_read_whatever_they_were_written_in(tmp_path, encoding, ending):
    raw = "".join(json.dumps({"text": f"{FRENCH} {i}"}, ensure_ascii=False) + "\n" for i in range(5)).encode(encoding)
    found = read(tmp_path / f"a{ending}", gzip.compress(raw) if ending.endswith(".gz") else raw)
    assert [r.text for r in found] == [f"{FRENCH} {i}" for i in range(5)]
    assert len({r.encoding for r in found}) == 1 and (found[0].encoding == "utf-8") == (encoding == "utf-8-sig")


def test_a_line_of_an_older_file_among_utf8_is_converted_and_damage_is_named(tmp_path):
    lines = [f'{{"text": "{FRENCH}"}}'.encode()] * 3 + [
        '{"text": "déjà vu"}'.encode("latin-1"),
        b'{"text": "\xc3\xa9t\xe9"}',
    ]
    found = read(tmp_path / "a.jsonl", b"\n".join(lines))
    assert [(r.encoding, r.broken) for r in found[2:]] == [("utf-8", ""), ("cp1252", ""), ("utf-8", "broken_utf8")]
    assert found[3].text == "déjà vu"


def test_a_mark_before_lines_and_before_an_array(tmp_path):
    raw = '\ufeff{"text": "first record"}\n{"text": "second record"}\n'.encode()
    assert [r.text for r in read(tmp_path / "a.jsonl", raw)] == ["first record", "second record"]
    assert [r.text for r in read(tmp_path / "a.json", '\ufeff[{"text": "one"}, {"text": "two"}]'.encode())] == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b'{"text": "A good text.", "score": NaN}', "nan"), (b'{"text": "A good text.", "score": -Infinity}', "-inf"),
        (b'{"text": "A good text.", "score": 1' + b"0" * 30 + b"}", "1" + "0" * 30),
    ],
)  # fmt: skip
def test_a_number_that_json_has_not_does_not_cost_the_text(tmp_path, line, fields):
    (record,) = read(tmp_path / "a.jsonl", line)
    assert (record.text, record.broken) == ("A good text.", "") and str(record.fields["score"]) == fields


def test_half_characters_and_tabs_in_strings_do_not_cost_the_text(tmp_path):
    found = read(tmp_path / "a.jsonl", b'{"text": "a\tb"}\n{"text": "x \\ud83d y"}\n')
    assert [r.text for r in found] == ["a\tb", "x \ufffd y"]


def test_detection_is_not_shaken_by_a_character_cut_at_the_end_of_the_sample():
    assert detect("é".encode()[:1], complete=False) == ("utf-8", 0)
    assert decode(b"\x81\x8d").text == "\x81\x8d"


# --- tables and archives


def test_csv_with_line_ends_in_fields_other_delimiters_and_a_long_field(tmp_path):
    (record,) = read(tmp_path / "a.csv", b'id,text\r\n1,"two\r\nlines, ""quoted"" \x0c \xe2\x80\xa8 end"\r\n')
    assert record.text == 'two\r\nlines, "quoted" \x0c \u2028 end' and record.fields == {"id": "1"}
    (record,) = read(tmp_path / "b.csv", "id;text\n1;déjà, vu\n".encode("cp1252"))
    assert (record.text, record.encoding) == ("déjà, vu", "cp1252")
    (record,) = read(tmp_path / "c.tsv", b"id\ttext\n1\t" + b"word " * 60_000 + b"\n")
    assert len(record.text) == 300_000
    (record,) = read(tmp_path / "d.csv", b"id,body\n1,x\n")
    assert (record.broken, record.detail) == ("no_text", "no `text`; it has id, body")


def packed_tar(members, mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, raw in members:
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


@pytest.mark.parametrize(
    ("ending", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_members_of_a_tar_file_are_read_by_their_own_endings(tmp_path, ending, mode):
    members = [
        ("x/a.txt", b"one"), ("x/b.jsonl.gz", gzip.compress(b'{"text": "two"}\n{"text": "three"}')),
        ("x/c.png", b"png"),
        ("x/d.csv.bz2", bz2.compress(b"text\nfour\n")), ("../e.txt", b"five"), ("f.txt.gz", b"no archive"),
    ]  # fmt: skip
    found = read(tmp_path / f"t{ending}", packed_tar(members, mode))
    name = f"t{ending}"
    assert [(r.where, r.text or r.broken) for r in found] == [
        (f"{name}/x/a.txt:1", "one"), (f"{name}/x/b.jsonl.gz:1", "two"), (f"{name}/x/b.jsonl.gz:2", "three"),
        (f"{name}/x/c.png:1", "not_text"), (f"{name}/x/d.csv.bz2:2", "four"), (f"{name}/../e.txt:1", "five"),
        (f"{name}/f.txt.gz:end", "broken_archive"),
    ]  # fmt: skip


def test_a_torn_tar_file_gives_its_whole_members_and_is_named(tmp_path):
    raw = packed_tar([(f"{i}.txt", b"text %d" % i * 400) for i in range(6)], "w")
    found = read(tmp_path / "t.tar", raw[: len(raw) // 3])
    assert found[0].text.startswith("text 0") and [r.broken for r in found if r.broken] == ["broken_archive"]


def warc(*records):
    out = b""
    for kind, url, block in records:
        head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{len(out)}>\r\n"
        head += "WARC-Date: 2026-01-02T03:04:05Z\r\n"
        if kind != "warcinfo":
            head += f"WARC-Target-URI: {url}\r\n"
        media = {"response": "application/http; msgtype=response", "conversion": "text/plain"}.get(kind, "text/plain")
        head += f"Content-Type: {media}\r\nContent-Length: {len(block)}\r\n\r\n"
        out += gzip.compress(head.encode() + block + b"\r\n\r\n")
    return out


def http(body, head="Content-Type: text/html; charset=utf-8", status="200 OK"):
    return f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body


def test_pages_of_a_warc_file_have_their_address_and_what_is_no_page_is_named(tmp_path):
    page = f"<title>Sea</title><body><p>{english(1)}</p></body>".encode()
    html, plain = "Content-Type: text/html", "Content-Type: text/plain"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page)
    raw = warc(
        ("warcinfo", "", b"software: x"),
        ("response", "https://a.test/1", http(page)),
        ("response", "https://a.test/2", http(gzip.compress(page), f"{html}\r\nContent-Encoding: gzip")),
        ("response", "https://a.test/3", http(chunked, f"{html}\r\nTransfer-Encoding: chunked")),
        ("response", "https://a.test/4", http(b"gone", status="404 Not Found")),
        ("response", "https://a.test/5", http(b"\x89PNG", "Content-Type: image/png")),
        ("response", "https://a.test/6", http(FRENCH.encode("latin-1"), f"{plain}; charset=iso-8859-1")),
        ("conversion", "https://a.test/7", "Le texte déjà extrait.".encode()),
    )  # fmt: skip
    found = read(tmp_path / "c.warc.gz", raw)
    assert [r.fields["url"] for r in found] == [f"https://a.test/{i}" for i in range(1, 8)]
    assert [r.broken for r in found] == ["", "", "", "http_status", "not_text", "", ""]
    assert {r.text for r in found[:3]} == {" ".join(english(1).split())} and found[0].fields["title"] == "Sea"
    assert found[5].text == FRENCH and found[6].text == "Le texte déjà extrait."
    broken = read(tmp_path / "d.warc.gz", raw[: len(raw) // 2])
    assert broken[0].text and broken[-1].broken == "broken_archive"


def test_every_ending_that_is_promised_is_read(tmp_path):
    for ending in FORMATS:
        for packed in ("", ".gz", ".xz", ".zst", ".bz2"):
            assert format_of(Path(f"x{ending}{packed}")) == FORMATS[ending]


# --- pages


PROSE = "".join(f"<p>{line}</p>" for line in english(7, 16).splitlines())


@pytest.mark.parametrize(
    ("page", "kept", "gone"),
    [
        (f"<form id=aspnetForm><div>{PROSE}</div></form>", [], []),
        (f"<body><header><h1>T</h1><p>The bridge that nobody wanted has been open for ten years now.</p></header>"
         f"<main><article>{PROSE}</article></main>", ["The bridge that nobody wanted has been open"], []),
        (f"<ul class=menu><li><a href=/>Home</a><li><a href=/a>Our prices</a></ul><article>{PROSE}</article>",
         [], ["Home", "Our prices"]),
        (f"<article>{PROSE}</article><div id=comments class=comments><h3>2 comments</h3><div class=comment><p>I do not "
         f"agree with any of this, said a reader.</p></div></div>", [], ["agree with any"]),
        (f"<article>{PROSE}<pre><code>def f(x):\n    return x\n</code></pre></article>",
         ["def f(x):\n    return x"], []),
    ],
)  # fmt: skip
def test_of_a_page_its_subject_is_kept(page, kept, gone):
    text = page_of(f"<html><head><title>A page</title></head><body>{page}</body></html>".encode())[0].text
    assert all(line in text for line in english(7, 16).splitlines())
    assert all(words in text for words in kept) and not any(words in text for words in gone)


# --- files that are not what they were


def test_a_file_that_vanished_is_named(tmp_path):
    (record,) = records(FilePart(str(tmp_path / "gone.jsonl"), "gone.jsonl", "jsonl", bytes=5, stamp=1))
    assert (record.where, record.broken) == ("gone.jsonl:end", "file_vanished")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/proc/self/mem")  # opens, and reading fails
    (tmp_path / "b.txt").mkdir()
    for name, why in (("a.jsonl", "Input/output error"), ("b.txt", "Is a directory")):
        (record,) = records(FilePart(str(tmp_path / name), name, format_of(Path(name))))
        assert (record.broken, record.detail) == ("file_unreadable", why)


def test_of_a_file_that_grows_what_it_had_is_read_and_the_growth_is_named(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "one"}, {"text": "two"}])
    piece = part(path)
    with path.open("a") as file:
        file.write('{"text": "three"}\n')
    found = list(records(piece))
    assert [r.text for r in found[:2]] == ["one", "two"] and len(found) == 3
    assert found[2].broken == "file_changed" and found[2].detail.startswith("it grew from 32 to 50 bytes")


def test_a_build_whose_files_vanish_names_them_and_ends(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(i)} for i in range(3)])
    other = write_jsonl(tmp_path / "b.jsonl", [{"text": english(9)}])
    from creuset.data.build import pipeline

    made = plan([path, other], [], Corpus(licence=replace(Corpus().licence, unknown="keep")))
    os.unlink(other)
    report = pipeline.build(
        made, Corpus(licence=replace(Corpus().licence, unknown="keep")), tmp_path / "out", quiet=True
    )
    assert report["sources"]["a"]["kept"]["documents"] == 3
    assert report["sources"]["b"]["reasons"] == {"file_vanished": {"documents": 1, "characters": 0}}
    assert report["sources"]["b"]["broken"] == ["file_vanished: b.jsonl:end: it was there when the build began"]


# --- what changed is done again, and nothing else


def test_one_changed_input_costs_its_own_work_only_and_it_is_said(tmp_path, capsys):
    for i in range(5):
        write_jsonl(tmp_path / f"s{i}.jsonl", [{"text": english(i * 10 + j)} for j in range(10)])
    inputs, work = [tmp_path / f"s{i}.jsonl" for i in range(5)], tmp_path / "kept"
    words = ["corpus", "build", *map(str, inputs), "--licence", "MIT", "--work", str(work)]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    stamps = {f.name: f.stat().st_mtime_ns for f in (work / "judged").iterdir()}
    write_jsonl(inputs[2], [{"text": english(900 + j)} for j in range(7)])
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "two")]) == 0
    assert "4 of 5 tasks are as they were and are not done again; changed: s2.jsonl" in capsys.readouterr().err
    after = {f.name: f.stat().st_mtime_ns for f in (work / "judged").iterdir()}
    assert len(after) == 5 and len(set(stamps.items()) & set(after.items())) == 4
    assert main([*words[:-2], "--out", str(tmp_path / "fresh")]) == 0
    two, fresh = (read_json(tmp_path / name / "report.json") for name in ("two", "fresh"))
    assert two["content_sha256"] == fresh["content_sha256"]
    assert main([*words, "--out", str(tmp_path / "three"), "--set", "heldout.share=0.5"]) == 0
    assert "5 of 5 tasks are as they were and are not done again; settings changed: heldout" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "four"), "--set", "leakage.ngram=12"]) == 0
    assert "0 of 5 tasks are as they were and are not done again; settings changed: " in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_not_taken_for_work(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": english(1)}])
    words = ["corpus", "build", str(path), "--licence", "MIT", "--out", str(tmp_path / "out"), "--work", str(tmp_path)]
    assert main(words) == 2 and "is no folder of earlier work: it holds `a.jsonl`" in capsys.readouterr().err
    assert path.is_file()


# --- names


def test_two_files_of_one_name_have_ids_of_their_own_and_one_given_twice_is_read_once(tmp_path):
    for folder, seed in (("x", 1), ("y", 2)):
        (tmp_path / folder).mkdir()
        write_jsonl(tmp_path / folder / "part.jsonl", [{"text": english(seed)}])
    inputs = [tmp_path / "x" / "part.jsonl", tmp_path / "y" / "part.jsonl", tmp_path / "x" / ".." / "x" / "part.jsonl"]
    assert main(["corpus", "build", *map(str, inputs), "--licence", "MIT", "--out", str(tmp_path / "out")]) == 0
    ids = [json.loads(line)["id"] for line in read_lines(tmp_path / "out" / "docs" / "part.jsonl.zst")]
    assert sorted(ids) == ["part:x/part.jsonl:1", "part:y/part.jsonl:1"]
    assert read_json(tmp_path / "out" / "report.json")["skipped_files"] == ["part.jsonl (given twice)"]


# --- ranges of big files


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_ranges_found_in_one_reading_are_those_found_by_reading_all_before(tmp_path, ending, encoding):
    raw = "".join(json.dumps({"text": "x" * (i * 37 % 90)}) + "\n" for i in range(300)).encode(encoding)
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(gzip.compress(raw) if ending else raw)
    bounds = [*range(0, 15_000, 1000), None]
    pieces = [part(path, start=a, end=b) for a, b in itertools.pairwise(bounds)]
    starts = find_starts(pieces, tmp_path / "pieces")
    slow = [[(r.where, r.text) for r in records(piece)] for piece in pieces]
    fast = [[(r.where, r.text) for r in records(p, start=s)] for p, s in zip(pieces, starts, strict=True)]
    assert fast == slow and sum(map(len, fast)) == 300


def test_a_range_of_a_torn_archive_is_named_once(tmp_path):
    noise = b"".join(b'{"text": "%x"}\n' % pow(7, i + 200, 10**60) for i in range(4000))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(noise)[:60_000])
    bounds = [0, 20_000, 40_000, None]
    pieces = [part(path, start=a, end=b) for a, b in itertools.pairwise(bounds)]
    found = [r for p, s in zip(pieces, find_starts(pieces, tmp_path / "p"), strict=True) for r in records(p, start=s)]
    assert [r.broken for r in found if r.broken] == ["broken_archive"] and len(found) > 500


def test_the_first_lines_of_ranges_are_those_of_the_definition(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"".join(b"%d%s\n" % (i, b"y" * (i * 53 % 400)) for i in range(200)) + b"z" * 3000)
    starts = [0, 1, 5, 6, 50, 51, 1000, 1001, 20_000, 39_000, 10**6]
    size = path.stat().st_size
    for (offset, before), start in zip(first_lines(blocks(path), starts), starts, strict=True):
        line = next(split(blocks(path), start), None)
        assert before + 1 == line[0] if line else offset == size
