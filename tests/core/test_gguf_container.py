"""The GGUF container against the library's own reader, and against every way in which a file can be wrong."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf

VALUES: dict[str, tuple[Any, GGUFValueType]] = {
    "a.uint8": (200, GGUFValueType.UINT8),
    "a.int8": (-3, GGUFValueType.INT8),
    "a.uint16": (60000, GGUFValueType.UINT16),
    "a.int16": (-30000, GGUFValueType.INT16),
    "a.uint32": (4_000_000_000, GGUFValueType.UINT32),
    "a.int32": (-5, GGUFValueType.INT32),
    "a.uint64": (2**63 + 1, GGUFValueType.UINT64),
    "a.int64": (-(2**40), GGUFValueType.INT64),
    "a.float32": (0.5, GGUFValueType.FLOAT32),
    "a.float64": (0.1, GGUFValueType.FLOAT64),
    "a.bool": (True, GGUFValueType.BOOL),
    "a.string": ("Où est l'école ?\n", GGUFValueType.STRING),
}


def written(file: Path, tensors: dict[str, np.ndarray] | None = None) -> Path:
    writer = GGUFWriter(file, "llama")
    for name, (value, kind) in VALUES.items():
        writer.add_key_value(name, value, kind)
    writer.add_array("b.words", ["a", "", "é", "<|im_end|>"])
    writer.add_array("b.numbers", [1, -2, 3])
    writer.add_array("b.scores", [0.5, -1.25])
    writer.add_array("b.flags", [True, False, True])
    for name, tensor in (tensors or {"one.weight": np.arange(12, dtype=np.float32).reshape(3, 4)}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_metadata_and_tensors_are_those_of_the_librarys_reader(tmp_path):
    rows = np.arange(64, dtype=np.float32).reshape(2, 32)
    packed = np.zeros((5, 18), np.uint8)
    file = tmp_path / "m.gguf"
    writer = GGUFWriter(written(tmp_path / "x.gguf"), "llama")
    writer.close()
    writer = GGUFWriter(file, "llama")
    writer.add_key_value("a.bool", False, GGUFValueType.BOOL)
    writer.add_custom_alignment(64)
    writer.add_tensor("w.weight", rows)
    writer.add_tensor("half.weight", rows.astype(np.float16))
    writer.add_tensor("packed.weight", packed, raw_dtype=GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for one in (written(tmp_path / "x.gguf"), file):
        ours, theirs = GgufFile(one), GGUFReader(one)
        fields = {k: f.contents() for k, f in theirs.fields.items() if not k.startswith("GGUF.")}
        assert ours.metadata == fields
        assert [type(v) for v in ours.metadata.values()] == [type(v) for v in fields.values()]
        assert list(ours.tensors) == [t.name for t in theirs.tensors]
        for tensor in theirs.tensors:
            mine = ours.tensors[tensor.name]
            assert (mine.type, mine.offset, mine.nbytes) == (tensor.tensor_type, tensor.data_offset, tensor.n_bytes)
            assert mine.shape == tuple(tensor.shape.tolist()[::-1])
            assert np.array_equal(ours.raw(tensor.name).ravel(), tensor.data.view(np.uint8).ravel())
    assert ours.tensors["packed.weight"].shape == (5, 32) and ours.raw("packed.weight").shape == (5, 18)
    assert ours.metadata["general.alignment"] == 64


def test_a_file_cut_at_any_byte_is_refused(tmp_path):
    whole = written(tmp_path / "m.gguf").read_bytes()
    assert GgufFile(tmp_path / "m.gguf").metadata["b.words"] == ["a", "", "é", "<|im_end|>"]
    end = len(whole) - (-48 % 32)  # behind the last tensor there is only padding
    for length in range(end):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"cut\.gguf` is not a GGUF file"):
            GgufFile(tmp_path / "cut.gguf")
    (tmp_path / "cut.gguf").write_bytes(whole[:end])
    GgufFile(tmp_path / "cut.gguf")


def test_a_damaged_byte_in_the_header_gives_an_error_of_ours_or_none(tmp_path):
    whole = bytearray(written(tmp_path / "m.gguf").read_bytes())
    header = len(whole) - 64
    for at in range(header):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        (tmp_path / "m.gguf").write_bytes(damaged)
        try:
            GgufFile(tmp_path / "m.gguf")
        except ArtifactError as error:
            assert "m.gguf" in str(error)


def raw(*parts: bytes, version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, *shape: int, kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a GGUF file: it is empty"),
        (b"ggml" + bytes(40), "it begins with b'ggml', not with `GGUF`"),
        (raw(version=1), "version at byte 4: version 1 is not read, only 2 and 3"),
        (raw(version=0x03000000), "version at byte 4: the file is big-endian"),
        (raw(tensors=10**12), "tensor_count at byte 8: the file is cut or damaged: it cannot hold 1000000000000"),
        (raw(keys=1), "kv_count at byte 16: the file is cut or damaged: it cannot hold 1 of them"),
        (raw(text(b"k") + struct.pack("<I", 77), bytes(8), keys=1), "`k` at byte 33: values of type 77 are not known"),
        (raw(text(b"k") + struct.pack("<IQ", 8, 99), keys=1), "`k` at byte 37: the file is cut or damaged"),
        (raw(text(b"k") + struct.pack("<IB", 7, 3), keys=1), "`k` at byte 37: a boolean is 3"),
        (raw(text(b"k") + struct.pack("<I", 8) + text(b"\xff"), keys=1), "byte 45: text that is not UTF-8"),
        (raw(text(b"k") + struct.pack("<IIQ", 9, 8, 1) + text(b"\xff"), keys=1), "byte 49: entry 0 is not UTF-8"),
        (raw(text(b"k") + struct.pack("<IB", 0, 3), text(b"k"), struct.pack("<I", 0), keys=2), "`k` is there twice"),
        (
            raw(text(b"general.alignment") + struct.pack("<II", 4, 33), keys=1),
            "general.alignment must be a power of two, got 33",
        ),
        (raw(tensor(b"t", 4), bytes(64), tensors=1)[:70], "tensor `t`.*the file is cut: it ends at byte 70"),
        (raw(tensor(b"t", 4, kind=4), bytes(64), tensors=1), "tensor `t` at byte 45: type 4 is not known"),
        (raw(tensor(b"t", 4, kind=2), bytes(64), tensors=1), r"rows of 4 are not whole blocks of 32 \(Q4_0\)"),
        (raw(tensor(b"t", 4, offset=7), bytes(64), tensors=1), "its place 7 is not a multiple of 32"),
        (raw(tensor(b"t", 4, 0), bytes(64), tensors=1), r"tensor `t`.*shape \[0, 4\]"),
        (raw(tensor(b"t", *[1] * 5), bytes(64), tensors=1), "5 dimensions"),
        (raw(tensor(b"t", 4) * 2, bytes(64), tensors=2), "tensor `t` is there twice"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path, content, words):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(ArtifactError, match=words):
        GgufFile(tmp_path / "bad.gguf")


def split(folder: Path, *, count: int = 3) -> list[Path]:
    files = []
    for at in range(count):
        file = folder / f"m-{at + 1:05d}-of-{count:05d}.gguf"
        writer = GGUFWriter(file, "llama")
        writer.add_key_value("split.no", at, GGUFValueType.UINT16)
        writer.add_key_value("split.count", count, GGUFValueType.UINT16)
        writer.add_key_value("split.tensors.count", count, GGUFValueType.INT32)
        writer.add_tensor(f"t{at}.weight", np.full((2, 4), at, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        files.append(file)
    return files


def test_a_split_model_is_read_through_its_first_part(tmp_path):
    files = split(tmp_path)
    found = GgufFile(files[0])
    assert list(found.tensors) == ["t0.weight", "t1.weight", "t2.weight"] and found.files == files
    assert [found.raw(name).view(np.float32)[1, 3] for name in found.tensors] == [0, 1, 2]
    with pytest.raises(ArtifactError, match=r"part 2 of 3") as error:
        GgufFile(files[1])
    assert "m-00001-of-00003.gguf" in error.value.hint
    files[1].replace(tmp_path / "elsewhere.gguf")
    with pytest.raises(ArtifactError, match=r"its part 2 of 3, `m-00002-of-00003\.gguf`, is missing"):
        GgufFile(files[0])
    files[2].replace(files[1])
    files[1].with_name(files[2].name).write_bytes(files[1].read_bytes())
    with pytest.raises(ArtifactError, match=r"split\.no is 2, its name says 1"):
        GgufFile(files[0])


def test_a_file_is_known_by_its_name_or_its_first_bytes(tmp_path):
    file = written(tmp_path / "m.gguf")
    file.replace(tmp_path / "blob")
    (tmp_path / "text.txt").write_text("GGU")
    assert is_gguf(tmp_path / "blob") and not is_gguf(tmp_path / "text.txt") and not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "nowhere.gguf")
