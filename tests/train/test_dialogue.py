import gzip
import json

import numpy as np
import pytest

from creuset.core.errors import DataError
from creuset.testing import tiny_tokenizer
from creuset.text.chat import encode_chat
from creuset.train.dialogues.encode import DialogueReading, encode_dialogues, read_dialogues

HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
LONG = [{"role": "user", "content": "word " * 300}, {"role": "assistant", "content": "ok"}]


def save(path, lines):
    with gzip.open(path, "wt") as out:
        out.write("\n".join(line if isinstance(line, str) else json.dumps({"messages": line}) for line in lines) + "\n")
    return path


def test_bad_lines_are_counted_and_named_and_the_rest_is_read(tmp_path):
    path = save(tmp_path / "d.jsonl.gz", [HI, "{broken", [{"role": "king", "content": "x"}], HI[:1], '"text"', HI])
    reading = DialogueReading()
    assert list(read_dialogues(path, reading)) == [HI, HI]
    assert (reading.good, reading.bad) == (2, 4)
    assert [name.split(": ")[0] for name in reading.named] == [f"d.jsonl.gz:{n}" for n in (2, 3, 4, 5)]
    assert "messages[0].role" in reading.named[1] and "assistant" in reading.named[2]


def test_ids_and_mask_are_those_of_the_template(tmp_path):
    tokenizer = tiny_tokenizer()
    path = save(tmp_path / "d.jsonl.gz", [HI])
    ((ids, mask),) = encode_dialogues([path], tokenizer, 100)
    expected = encode_chat(tokenizer, HI)
    assert ids.tolist() == expected.ids and mask.tolist() == expected.mask
    assert ids.dtype == np.uint32 and mask.dtype == np.uint8
    assert tokenizer.decode([i for i, m in zip(ids.tolist(), mask.tolist(), strict=True) if m]) == "Hello!<|im_end|>"


def test_a_dialogue_that_is_too_long_is_left_out(tmp_path, capsys):
    path = save(tmp_path / "d.jsonl.gz", [LONG, HI])
    assert len(encode_dialogues([path], tiny_tokenizer(), 60)) == 1
    assert "1 dialogues of more than 60 tokens" in capsys.readouterr().err


def test_the_cache_gives_the_same_and_is_made_again_when_the_file_changes(tmp_path):
    tokenizer, cache = tiny_tokenizer(), tmp_path / "new" / "cache" / "d.npz"
    path = save(tmp_path / "d.jsonl.gz", [HI, HI])
    first = encode_dialogues([path], tokenizer, 100, cache=cache)
    again = encode_dialogues([path], tokenizer, 100, cache=cache)
    assert cache.is_file() and [a.tolist() for a, _ in first] == [a.tolist() for a, _ in again]
    save(path, [HI])
    assert len(encode_dialogues([path], tokenizer, 100, cache=cache)) == 1
    cache.write_bytes(b"damaged")
    assert len(encode_dialogues([path], tokenizer, 100, cache=cache)) == 1


def test_a_file_without_a_dialogue_is_an_error_that_names_a_bad_line(tmp_path):
    path = save(tmp_path / "d.jsonl.gz", ["nothing", "less", "least"])
    with pytest.raises(DataError, match=r"d\.jsonl\.gz") as error:
        encode_dialogues([path], tiny_tokenizer(), 100)
    assert "d.jsonl.gz:3" in error.value.hint, "the last bad line is named"
    with pytest.raises(DataError, match="not a file"):
        encode_dialogues([tmp_path / "none.jsonl"], tiny_tokenizer(), 100)
