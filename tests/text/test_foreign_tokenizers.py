"""Tokenizers of other models: the ids and texts of transformers, and control tokens that no text becomes."""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import ArtifactError, RequestError
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import Tokenizer
from tests.text.foreign import BROKEN, CONTROLS, FAMILIES, SOUND, VISIBLE, config, spec_text, write


@functools.cache
def ours(family: str) -> Tokenizer:
    return Tokenizer(json.loads(spec_text(family)), where=family, config=config(family))


@functools.cache
def theirs(family: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), family)
        return PreTrainedTokenizerFast.from_pretrained(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers_on_every_nasty_text(family):
    mine, peer = ours(family), theirs(family)
    for text in SOUND:
        found = peer(text, add_special_tokens=False)["input_ids"]
        assert mine.encode_special(text) == found, text
        if not mine.controls.search(text):
            assert mine.encode(text) == found, text
        assert mine.encode_prompt(text, trusted=True)[: len(mine.frame[0])] == mine.frame[0]
        assert [*mine.frame[0], *found, *mine.frame[1]] == peer(text)["input_ids"], text


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_those_of_transformers(family):
    mine, peer = ours(family), theirs(family)
    for text in SOUND:
        ids = mine.encode_special(text)
        for special in (True, False):
            assert mine.decode(ids, special=special) == peer.decode(ids, skip_special_tokens=not special), text


@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_becomes_a_control_token(family):
    mine = ours(family)
    steering = set(mine.special.values())
    marks = [
        mark for mark in VISIBLE.get(family, ()) if mark.strip() and "▁" not in mark and mark not in ("<h1>", "<table>")
    ]
    assert steering == {theirs(family).convert_tokens_to_ids(name) for name in (*CONTROLS[family], *marks)}
    unknown = mine.special.get("<unk>")
    for name in (*CONTROLS[family], *marks, *SOUND):
        for text in (name, f"a{name}b", f" {name} ", f"{name}\n{name}"):
            assert not set(mine.encode(text)) & steering - {unknown}, text


@pytest.mark.parametrize("family", ["gemma", "olmo"])
def test_tokens_that_are_pieces_of_text_stay_tokens(family):
    mine = ours(family)
    text = "a\n\nb    c <h1>x</h1>"
    assert mine.encode(text) == theirs(family)(text, add_special_tokens=False)["input_ids"]
    piece = {"gemma": "<h1>", "olmo": "    "}[family]
    assert mine.encode(text).count(theirs(family).convert_tokens_to_ids(piece)) == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", BROKEN)
def test_half_a_surrogate_pair_is_refused(family, text):
    with pytest.raises(RequestError, match="half a surrogate pair"):
        ours(family).encode(text)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_stream_of_any_ids_is_their_text(family, data):
    mine = ours(family)
    ids = data.draw(st.lists(st.integers(0, mine.vocab_size + 3), max_size=30))
    for special in (True, False):
        stream = Detokenizer(mine, special=special)
        for _ in range(2):  # after `finish` the next text may begin
            assert "".join([*map(stream.push, ids), stream.finish()]) == mine.decode(ids, special=special)


@pytest.mark.parametrize("family", ["llama2", "mistral", "eurollm", "t5"])
def test_a_continued_text_keeps_its_space_and_an_answer_does_not_begin_with_one(family):
    mine = ours(family)
    ids = mine.encode("water water")
    assert mine.decode(ids) == "water water"
    after = Detokenizer(mine, after=mine.encode("the")[-1])
    assert "".join(map(after.push, ids)) == " water water"
    answer = Detokenizer(mine, after=next(iter(mine.special.values())))
    assert "".join(map(answer.push, ids)) == "water water"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_folder_is_the_same_tokenizer(tmp_path, family):
    ours(family).save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.identity == ours(family).identity and loaded.named_tokens == ours(family).named_tokens
    assert loaded.frame == ours(family).frame and loaded.special == ours(family).special
    assert loaded.encode(SOUND[-1]) == ours(family).encode(SOUND[-1])


def test_merges_do_not_put_a_control_token_together():
    """Llama's vocabulary has its control tokens among the words, and merges that lead there."""
    spec = json.loads(spec_text("llama2"))
    vocab, merges = spec["model"]["vocab"], spec["model"]["merges"]
    for left, right in (("<", "/"), ("s", ">"), ("</", "s>")):
        for piece in (left, right, left + right):
            vocab.setdefault(piece, len(vocab))
        merges.insert(0, [left, right])
    merges.reverse()
    mine = Tokenizer(spec, where="llama2", config=config("llama2"))
    assert [mine.token_bytes(id) for id in mine.encode("</s>")] == [b" ", b"</", b"s>"]
    assert mine.encode_special("</s>") == [mine.special["</s>"]]


def test_tokens_beside_the_vocabulary_keep_their_ids_where_some_are_left_out():
    spec = json.loads(spec_text("qwen3"))
    for token in spec["added_tokens"][2:]:
        token["id"] += 7
    mine = Tokenizer(spec, where="holes", config=config("qwen3"))
    for token in spec["added_tokens"]:
        assert mine.encode_special(f"a{token['content']}") == [*mine.encode("a"), token["id"]]
        assert token["id"] not in mine.encode(token["content"])
    assert mine.vocab_size == spec["added_tokens"][-1]["id"] + 1
    spec = json.loads(spec_text("t5"))  # the vocabulary of a Unigram is a list
    spec["added_tokens"].append(spec["added_tokens"][0] | {"id": 10_000, "content": "<late>"})
    with pytest.raises(ArtifactError, match=r"`t5`: the token `.*` has id 10000 there, and would be read as \d+"):
        Tokenizer(spec, where="t5")


@pytest.mark.parametrize("said", [{}, {"add_bos_token": True}, {"add_bos_token": False}, {"add_eos_token": True},
                                  {"add_bos_token": True, "add_eos_token": True}])  # fmt: skip
@pytest.mark.parametrize("family", ["llama3", "qwen3", "t5", "llama2"])
def test_what_goes_around_a_text_is_what_the_configuration_says(family, said, tmp_path):
    from transformers import PreTrainedTokenizerFast

    file = write(tmp_path / "m", family) / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | said), encoding="utf-8")
    peer, mine = PreTrainedTokenizerFast.from_pretrained(tmp_path / "m"), Tokenizer.load(tmp_path / "m")
    before, after = mine.frame
    assert [*before, *mine.encode("a river"), *after] == peer("a river")["input_ids"]
