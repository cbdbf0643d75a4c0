import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.testing import TINY_TEXTS, tiny_tokenizer
from creuset.text.bulk import BulkEncoder, later_than_unicode_3_2
from creuset.text.tokenizer import CONTROL, Tokenizer

TOKENIZER = tiny_tokenizer()
BULK = BulkEncoder(TOKENIZER)


@settings(deadline=None, max_examples=150)
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("aé1 \n\r\t'sS-.。١ \u00a0"))
def test_the_ids_are_those_of_the_tokenizer(text):
    assert BULK.encode(text) == TOKENIZER.encode(text)


@pytest.mark.parametrize("name", CONTROL)
def test_a_control_token_stays_text(name):
    assert BULK.encode(f"a{name}b") == TOKENIZER.encode(f"a{name}b")


def cut_alike(codes):
    for start in range(0, len(codes), 2000):
        part = map(chr, codes[start : start + 2000])
        text = "".join(f"a{c}b {c}1{c} 'x'{c} {c}\n{c}!" for c in part)
        assert not later_than_unicode_3_2().search(text)
        assert BULK.encode(text) == TOKENIZER.encode(text)


OLD = [c for c in range(0x110000) if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs", "Co")]


def test_characters_are_cut_alike_by_both_engines():
    """What the fast way rests on: letters, digits, spaces and the case of contractions mean the same to both."""
    cut_alike([c for c in OLD if not (c >= 0x20000 or 0x3400 <= c < 0xD7A4) or c % 500 == 0])


@pytest.mark.slow
def test_every_ideograph_and_syllable_is_cut_alike_too():
    assert len(OLD) > 90_000
    cut_alike(OLD)


def test_a_later_character_takes_the_slow_way():
    for text in ("\U0001f600 smile", "ꟊ", "\U00010940", "\U000323b0x"):
        assert later_than_unicode_3_2().search(text)
        assert BULK.encode(text) == TOKENIZER.encode(text)


def test_a_tokenizer_that_cuts_otherwise_takes_the_slow_way(tmp_path):
    TOKENIZER.save(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text().replace('"normalizer": null', '"normalizer": {"type": "NFC"}'))
    qwen = Tokenizer.load(tmp_path)
    assert TOKENIZER.cuts_like_qwen and not qwen.cuts_like_qwen
    assert BulkEncoder(qwen).encode("e\u0301 a") == qwen.encode("e\u0301 a")


def test_a_batch_is_its_texts():
    assert BULK.encode_batch([*TINY_TEXTS, ""]) == [*map(TOKENIZER.encode, TINY_TEXTS), []]
