import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.testing import tiny_tokenizer
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import CONTROL

TOKENIZER = tiny_tokenizer()
BYTES = st.integers(0, 255)


def streamed(ids, *, special=False):
    stream = Detokenizer(TOKENIZER, special=special)
    return [*(stream.push(id) for id in ids), stream.finish()]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1) | BYTES), st.booleans())
def test_streamed_text_is_the_whole_text(ids, special):
    assert "".join(streamed(ids, special=special)) == TOKENIZER.decode(ids, special=special)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=0x80, exclude_categories=["Cs"])))
def test_valid_text_never_shows_a_replacement_character_or_half_a_character(text):
    ids = TOKENIZER.encode_bytes(text.encode())
    pieces = streamed(ids)
    assert "".join(pieces) == text
    assert all(piece == "" or piece in text for piece in pieces)


def test_a_character_comes_with_its_last_byte():
    ids = [TOKENIZER.encode_bytes(bytes([byte]))[0] for byte in "é😀".encode()]
    assert streamed(ids) == ["", "é", "", "", "", "😀", ""]


def test_bytes_that_can_never_become_a_character_are_shown_at_once_or_at_the_end():
    lead, letter = TOKENIZER.encode_bytes(b"\xf0")[0], TOKENIZER.encode("A")[0]
    assert streamed([lead, letter]) == ["", "\ufffdA", ""]
    assert streamed([lead]) == ["", "\ufffd"]


def test_a_finished_stream_starts_again_clean():
    stream = Detokenizer(TOKENIZER)
    stream.push(TOKENIZER.encode_bytes(b"\xf0")[0])
    assert stream.finish() == "\ufffd"
    assert stream.push(TOKENIZER.encode("A")[0]) == "A" and stream.finish() == ""


@pytest.mark.parametrize("name", CONTROL)
def test_a_control_token_in_a_stream_is_hidden_or_shown_as_its_flag_says(name):
    ids = [TOKENIZER.special[name]]
    assert "".join(streamed(ids, special=True)) == name
    assert "".join(streamed(ids)) == ("" if CONTROL[name] else name)


@pytest.mark.parametrize("name", CONTROL)
def test_a_control_token_typed_as_text_streams_as_text(name):
    assert "".join(streamed(TOKENIZER.encode(name))) == name
