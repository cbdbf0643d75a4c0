import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import ArtifactError
from creuset.data.shards.files import Counts, Shards, ShardWriter, SourceStats, dtype_for, write_index

DOCUMENTS = [[1, 2, 3], [], [4], [5, 6, 7, 8]]


def write(folder, documents=DOCUMENTS, *, vocab_size=512, eot=9):
    counts = {}
    for split in ("train", "heldout"):
        writer = ShardWriter(folder, split, "wiki", vocab_size=vocab_size, eot=eot)
        for ids in documents if split == "train" else documents[:1]:
            writer.add(ids, text_bytes=10 * len(ids))
        counts[split] = writer.finish()
    write_index(folder, {"wiki": SourceStats("CC0", **counts)}, vocab_size=vocab_size, eot=eot)
    return folder


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(512, "uint16"), (65535, "uint16"), (65536, "uint32"), (151936, "uint32")]
)
def test_what_was_written_is_read(tmp_path, vocab_size, dtype):
    shards = Shards.open(write(tmp_path, vocab_size=vocab_size, eot=vocab_size - 1))
    eot = vocab_size - 1
    assert shards.dtype.name == dtype == json.loads((tmp_path / "shards.json").read_text())["dtype"]
    assert shards.tokens("wiki", "train").tolist() == [1, 2, 3, eot, eot, 4, eot, 5, 6, 7, 8, eot]
    assert shards.offsets("wiki", "train").tolist() == [0, 4, 5, 7, 12]
    assert shards.bytes("wiki", "train").tolist() == [30, 0, 10, 40]
    assert shards.bytes("wiki").tolist() == [30]
    assert shards.sources["wiki"] == SourceStats("CC0", Counts(4, 12, 80), Counts(1, 4, 30))
    assert shards.sources["wiki"].train.bytes_per_token == 10


def test_a_split_without_documents_is_empty_and_not_an_error(tmp_path):
    shards = Shards.open(write(tmp_path, []))
    assert shards.tokens("wiki", "train").tolist() == [] and shards.offsets("wiki", "train").tolist() == [0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 511), max_size=6), max_size=8), st.integers(0, 200), st.integers(0, 200))
def test_killed_anywhere_it_goes_on_and_the_files_are_the_same(tmp_path_factory, documents, lost_ids, lost_sizes):
    """A kill loses the end of each file, wherever it lies; even in the middle of an id."""
    whole, cut = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("cut")

    def fill(folder, start=0):
        writer = ShardWriter(folder, "train", "s", vocab_size=512, eot=511)
        for ids in documents[writer.documents if start is None else start :]:
            writer.add(ids, text_bytes=len(ids))
        return writer

    counts = fill(whole).finish()
    fill(cut).close()
    for name, lost in (("s.bin.part", lost_ids), ("s.sizes.part", lost_sizes)):
        file = cut / "train" / name
        file.write_bytes(file.read_bytes()[: max(0, file.stat().st_size - lost)])
    assert fill(cut, start=None).finish() == counts
    for file in (whole / "train").iterdir():
        assert file.read_bytes() == (cut / "train" / file.name).read_bytes()
    assert sorted(f.name for f in (cut / "train").iterdir()) == ["s.bin", "s.bytes.npy", "s.offsets.npy"]


def test_a_finished_writer_reopened_counts_again_and_changes_nothing(tmp_path):
    write(tmp_path)
    writer = ShardWriter(tmp_path, "train", "wiki", vocab_size=512, eot=9)
    assert writer.finished and writer.documents == 4 and writer.finish() == Counts(4, 12, 80)


def test_an_id_outside_the_vocabulary_is_a_bug(tmp_path):
    writer = ShardWriter(tmp_path, "train", "wiki", vocab_size=512, eot=9)
    with pytest.raises(AssertionError, match="outside the vocabulary"):
        writer.add([512], text_bytes=1)
    writer.close()


def cut_short(file):
    file.write_bytes(file.read_bytes()[:-1])


def wrong_end(file):
    file.write_bytes(file.read_bytes()[:-2] + b"\x01\x00")


def not_growing(file):
    np.save(file, np.array([0, 4, 4, 7, 12]))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("train/wiki.bin", cut_short, "it has 23 bytes, shards.json says 24"),
        ("train/wiki.bin", wrong_end, "its last document is not ended by 9"),
        ("train/wiki.bin", lambda file: file.unlink(), "is missing"),
        ("heldout/wiki.offsets.npy", cut_short, "missing or damaged"),
        ("train/wiki.offsets.npy", not_growing, "does not grow"),
        ("train/wiki.offsets.npy", lambda file: np.save(file, np.arange(4)), r"does not go with shards\.json"),
        ("heldout/wiki.bytes.npy", lambda file: np.save(file, np.arange(4)), r"does not go with shards\.json"),
        ("heldout/wiki.bytes.npy", lambda file: file.unlink(), "missing or damaged"),
        ("shards.json", cut_short, "is damaged"),
        ("shards.json", lambda file: file.write_text("[]"), "is damaged"),
        ("shards.json", lambda file: file.write_text(file.read_text().replace("t16", "t32")), "does not go with 512"),
    ],
)
def test_a_damaged_shard_is_refused_by_name(tmp_path, name, damage, words):
    file = write(tmp_path) / name
    text = file.read_bytes()
    damage(file)
    if name == "shards.json" and file.read_bytes() == text[:-1]:  # only the last line end was lost: cut deeper
        file.write_bytes(text[:-3])
    with pytest.raises(ArtifactError, match=words) as refused:
        Shards.open(tmp_path)
    assert name in str(refused.value)


def test_a_folder_without_shards_and_an_unknown_source_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no shards\.json"):
        Shards.open(tmp_path)
    with pytest.raises(ArtifactError, match="has no source `wikki`"):
        Shards.open(write(tmp_path)).tokens("wikki", "train")


def test_small_vocabularies_take_two_bytes_an_id():
    assert dtype_for(8192).itemsize == 2 and dtype_for(151936).itemsize == 4
