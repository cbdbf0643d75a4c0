"""JSON lines: what is written is read back from every kind of file; damage is named; a kill tears one line at most."""

import bz2
import gzip
import json
import lzma
import os

import pytest
import zstandard

from creuset.core import jsonl
from creuset.core.errors import DataError

ROWS = [{"text": "é — 中文", "n": 1}, {"empty": {}, "list": [1, None, True]}, {"sum": 0.1 + 0.2, "far": float("inf")}]
UNPACK = {"": bytes, ".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress,
          ".zst": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw)}  # fmt: skip


@pytest.mark.parametrize("ending", UNPACK)
def test_what_is_written_is_read_back_and_any_other_reader_reads_it(tmp_path, ending):
    path = tmp_path / "new" / f"rows.jsonl{ending}"
    assert jsonl.write(path, ROWS) == 3
    assert list(jsonl.read(path)) == list(enumerate(ROWS, 1))
    plain = UNPACK[ending](path.read_bytes()).decode("utf-8")
    assert [json.loads(line) for line in plain.splitlines()] == ROWS
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("ending", UNPACK)
def test_the_same_rows_give_the_same_bytes(tmp_path, ending):
    for name in ("a", "b"):
        jsonl.write(tmp_path / f"{name}.jsonl{ending}", ROWS)
    assert (tmp_path / f"a.jsonl{ending}").read_bytes() == (tmp_path / f"b.jsonl{ending}").read_bytes()


@pytest.mark.parametrize(("line", "words"), [
    (b"{", "line 3 is not JSON"), (b"[1, 2]", "line 3 is a JSON list, not an object"),
    (b'"a"', "line 3 is a JSON str, not an object"), (b'{"a": "\xff"}', "line 3 is not UTF-8"),
    (b"[" * 100_000, "line 3 is not JSON"),
])  # fmt: skip
def test_a_damaged_line_is_named_by_its_number_and_the_lines_before_it_are_given(tmp_path, line, words):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b'\n{"a": 2}\n')
    seen = []
    with pytest.raises(DataError, match=rf"rows\.jsonl` {words}"):
        for row in jsonl.read(path):
            seen.append(row)
    assert seen == [(1, {"a": 1})]
    assert [(found.number, bool(found.broken)) for found in jsonl.parsed(path)][0::2] == [(1, False), (4, False)]


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst", ".bz2"])
def test_an_archive_that_ends_early_is_refused_and_not_taken_for_a_short_one(tmp_path, ending):
    path = tmp_path / f"rows.jsonl{ending}"
    jsonl.write(path, ({"n": i, "noise": str(pow(7, i + 200, 10**60))} for i in range(3_000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"line \d+ cannot be unpacked: the file ends before its archive does"):
        list(jsonl.read(path))
    assert [line.broken for line in jsonl.parsed(path) if line.broken] == ["broken_archive"]


def test_blank_lines_a_byte_order_mark_windows_ends_and_a_missing_last_line_feed_are_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n  \r\n{"a": 2}')
    assert list(jsonl.read(path)) == [(1, {"a": 1}), (3, {"a": 2})]


def test_half_a_surrogate_pair_goes_through(tmp_path):
    rows = [{"reply": "cut \ud83d"}]
    for ascii_only in (False, True):
        jsonl.write(tmp_path / "rows.jsonl", rows, ascii_only=ascii_only)
        assert [row for _, row in jsonl.read(tmp_path / "rows.jsonl")] == rows
        assert (tmp_path / "rows.jsonl").read_bytes().isascii() == ascii_only


def test_a_file_that_could_not_be_finished_leaves_the_one_before_it_as_it_was(tmp_path):
    path = tmp_path / "rows.jsonl"
    jsonl.write(path, ROWS)

    def broken():
        yield {"a": 1}
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        jsonl.write(path, broken())
    with pytest.raises(TypeError):
        jsonl.write(path, [{"a": object()}])
    assert [row for _, row in jsonl.read(path)] == ROWS and os.listdir(tmp_path) == ["rows.jsonl"]


@pytest.mark.parametrize("torn", range(1, 11))
def test_an_appender_goes_on_behind_the_last_whole_line_wherever_a_kill_tore_the_file(tmp_path, torn):
    path = tmp_path / "log" / "rows.jsonl"
    with jsonl.Appender(path) as log:
        log.write({"n": 1})
        log.write({"n": 2})
    path.write_bytes(path.read_bytes()[:-torn])
    whole = 1 if torn < 10 else 0  # a row has nine bytes
    assert jsonl.kept(path)[:whole] == [{"n": 1}][:whole]
    with jsonl.Appender(path) as log:
        log.write({"n": 3})
    assert jsonl.kept(path) == [*[{"n": 1}][:whole], {"n": 3}]


def test_whole_lines_of_a_file_larger_than_one_look(tmp_path):
    path = tmp_path / "rows.jsonl"
    for raw, size in ((b"", 0), (b"\n", 1), (b"x" * 200_000, 0), (b"{}\n" + b"x" * 200_000, 3)):
        path.write_bytes(raw)
        assert jsonl.whole_bytes(path) == size
        jsonl.mend(path)
        assert path.read_bytes() == raw[:size]


def test_each_row_of_an_appender_is_in_the_file_before_the_next(tmp_path):
    path = tmp_path / "rows.jsonl"
    with jsonl.Appender(path) as log:
        for n in range(3):
            log.write({"n": n})
            assert len(path.read_bytes().splitlines()) == n + 1


def test_of_a_file_that_is_not_there_nothing_is_kept(tmp_path):
    assert jsonl.kept(tmp_path / "none.jsonl") == []
    with pytest.raises(FileNotFoundError):
        list(jsonl.read(tmp_path / "none.jsonl"))
