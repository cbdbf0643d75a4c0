"""Bytes out of archives: ranges of lines, several members, damaged ends."""

import bz2
import gzip
import lzma
from functools import partial

import pytest
import zstandard

from creuset.core.compressed import BrokenArchive, lines, whole

PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=1),
    ".zst": zstandard.ZstdCompressor().compress,
}
TEXT = b"".join(b"line %d %s\n" % (i, b"x" * (i * 37 % 90)) for i in range(400))


def packed(folder, ending, raw=TEXT):
    path = folder / f"lines.jsonl{ending}"
    path.write_bytes(PACK[ending](raw))
    return path


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("split", [1, 50, 51, 52, 1000, 10**6])
def test_adjoining_ranges_see_each_line_once_with_its_number(tmp_path, ending, split):
    path = packed(tmp_path, ending)
    expected = list(enumerate(TEXT.splitlines(), 1))
    if split == 1:
        split = 7
    ranges = [(s, s + split) for s in range(0, len(TEXT), split)]
    ranges[-1] = (ranges[-1][0], None)
    if len(ranges) > 200:
        ranges = [*ranges[:100], (ranges[100][0], None)]
    assert [line for start, end in ranges for line in lines(path, start, end)] == expected


def test_a_last_line_without_newline_is_a_line(tmp_path):
    path = packed(tmp_path, "", b"one\ntwo")
    assert list(lines(path)) == [(1, b"one"), (2, b"two")]


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst", ".bz2"])
def test_several_members_in_one_file_are_read_one_after_the_other(tmp_path, ending):
    path = tmp_path / f"two{ending}"
    path.write_bytes(PACK[ending](b"one\n") + PACK[ending](b"two\n"))
    assert whole(path) == b"one\ntwo\n"


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst", ".bz2"])
def test_a_truncated_archive_gives_its_good_lines_and_is_reported_by_one_range_only(tmp_path, ending):
    noise = b"".join(b"%x\n" % pow(7, i + 200, 10**60) for i in range(4_000))
    path = packed(tmp_path, ending, noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    good, broken = [], 0
    split = 30_000
    for start in range(0, 10 * split, split):
        try:
            for _, line in lines(path, start, start + split if start < 9 * split else None):
                good.append(line)
        except BrokenArchive:
            broken += 1
    assert broken == 1
    assert good == noise.splitlines()[: len(good)] and (ending in (".xz", ".bz2") or len(good) > 500)


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst", ".bz2"])
def test_a_file_that_is_no_archive_is_broken(tmp_path, ending):
    path = tmp_path / f"no{ending}"
    path.write_bytes(b"this is no archive at all, whatever its name says")
    with pytest.raises(BrokenArchive):
        whole(path)
