import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import ArtifactError, ConfigError, RequestError
from creuset.testing import TINY_TEXTS, tiny_tokenizer
from creuset.text.tokenizer import CONTROL, PATTERN, Tokenizer, train
from creuset.text.vocabulary.pieces import byte_characters

TOKENIZER = tiny_tokenizer()
NASTY = [
    "",
    " ",
    "\x00",
    "\r\n\r\n\t \n",
    "e\u0301 é Å \u212b",  # composed and not: NFC would change it
    "ﬁ ½ ① ㎏",
    "مرحبا שלום नमस्ते 你好 こんにちは 안녕",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 e\u200d\u0301\u0302\u0303",
    "zero\u200bwidth\ufeff\u202eright to left",
    "\ufffd\uffff\U0010ffff",
    "l'été, c'est l'ÉCOLE; don't DON'T we'll",
    "a" * 50 + " " * 50 + "-" * 50,
    "x = {'a': [1, 22, 333]}\n\n\n    return x  # done",
    "<|im_end|><|IM_END|><|im_end |><|im_endoftext|>",
]


@pytest.mark.parametrize("text", NASTY)
def test_what_is_encoded_is_decoded_exactly(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.decode_bytes(TOKENIZER.encode(text)) == text.encode()


@settings(deadline=None)
@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_any_bytes_come_back(data):
    assert TOKENIZER.decode_bytes(TOKENIZER.encode_bytes(data)) == data


@settings(deadline=None)
@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1)))
def test_any_ids_decode_as_their_bytes_do(ids):
    assert TOKENIZER.decode(ids) == b"".join(TOKENIZER.token_bytes(i) for i in ids).decode("utf-8", "replace")


def test_a_batch_is_encoded_as_its_texts_are():
    assert TOKENIZER.encode_batch(NASTY) == [TOKENIZER.encode(text) for text in NASTY]
    assert TOKENIZER.encode_batch([]) == []


def test_every_byte_has_a_token():
    single = {TOKENIZER.token_bytes(i) for i in range(TOKENIZER.vocab_size)}
    assert {bytes([byte]) for byte in range(256)} <= single


def test_control_tokens_are_last_contiguous_and_in_the_order_of_qwen():
    first = TOKENIZER.vocab_size - 26
    assert list(TOKENIZER.special.values()) == list(range(first, TOKENIZER.vocab_size))
    # Qwen2.5: endoftext 151643, im_start 151644, im_end 151645, tool_call 151657/8, fim 151659-62, repo_name 151663,
    # file_sep 151664; Qwen3: tool_response 151665/6, think 151667/8.
    places = {
        "<|endoftext|>": 151643,
        "<|im_start|>": 151644,
        "<|im_end|>": 151645,
        "<tool_call>": 151657,
        "</tool_call>": 151658,
        "<|fim_prefix|>": 151659,
        "<|fim_pad|>": 151662,
        "<|repo_name|>": 151663,
        "<|file_sep|>": 151664,
        "<tool_response>": 151665,
        "</tool_response>": 151666,
        "<think>": 151667,
        "</think>": 151668,
    }
    assert {name: TOKENIZER.special[name] - first for name in places} == {n: i - 151643 for n, i in places.items()}
    assert (TOKENIZER.endoftext, TOKENIZER.im_start, TOKENIZER.im_end) == (first, first + 1, first + 2)


@pytest.mark.parametrize("vocab_size", [282, 300, 512, 2000])
def test_the_vocabulary_has_exactly_the_size_asked_for(vocab_size):
    made = train(TINY_TEXTS, vocab_size=vocab_size)
    assert made.vocab_size == vocab_size
    assert made.decode(made.encode(TINY_TEXTS[0])) == TINY_TEXTS[0]
    assert made.special["</think>"] == vocab_size - 1


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ConfigError, match="vocab_size=281 is too small"):
        train(TINY_TEXTS, vocab_size=281)


def test_the_same_texts_give_the_same_tokenizer(tmp_path):
    for name in ("a", "b"):
        train(iter(TINY_TEXTS * 3), vocab_size=400).save(tmp_path / name)
    assert (tmp_path / "a/tokenizer.json").read_bytes() == (tmp_path / "b/tokenizer.json").read_bytes()


def test_learned_words_take_fewer_ids_than_bytes():
    assert len(TOKENIZER.encode(TINY_TEXTS[0])) < len(TINY_TEXTS[0]) / 2


# Special tokens inside text


@pytest.mark.parametrize("name", CONTROL)
def test_a_control_token_in_plain_text_stays_text(name):
    special = set(TOKENIZER.special.values())
    for text in (name, f"a{name}b", f" {name} ", name * 3, f"{name[:4]}{name}{name[4:]}", f"é{name}\n{name}😀"):
        ids = TOKENIZER.encode(text)
        assert not special & set(ids)
        assert TOKENIZER.decode(ids) == text
    for cut in range(1, len(name)):
        assert not special & {*TOKENIZER.encode(name[:cut]), *TOKENIZER.encode(name[cut:])}


def test_plain_text_is_encoded_by_a_vocabulary_that_has_no_control_tokens(tmp_path):
    """The definition: the same merges, without any added token."""
    from tokenizers import Tokenizer as Backend

    TOKENIZER.save(tmp_path)
    spec = json.loads((tmp_path / "tokenizer.json").read_text())
    spec["added_tokens"] = []
    bare = Backend.from_str(json.dumps(spec))
    for text in [*NASTY, *(f"x{name} y{name}" for name in CONTROL)]:
        assert TOKENIZER.encode(text) == bare.encode(text).ids


@pytest.mark.parametrize("name", CONTROL)
def test_trusted_text_has_control_tokens(name):
    assert TOKENIZER.encode_special(name) == [TOKENIZER.special[name]]
    around = TOKENIZER.encode_special(f"cat{name} dog")
    assert around == [*TOKENIZER.encode("cat"), TOKENIZER.special[name], *TOKENIZER.encode(" dog")]


def test_decoding_hides_what_transformers_hides():
    ids = TOKENIZER.encode_special("<|im_start|>a<think>b</think><|im_end|>")
    assert TOKENIZER.decode(ids, special=False) == "a<think>b</think>"
    assert TOKENIZER.decode(ids) == "<|im_start|>a<think>b</think><|im_end|>"


# Folders


def test_a_saved_tokenizer_is_the_same_after_loading(tmp_path):
    TOKENIZER.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.special == TOKENIZER.special and again.vocab_size == TOKENIZER.vocab_size
    assert [again.encode(text) for text in NASTY] == [TOKENIZER.encode(text) for text in NASTY]


def test_transformers_gives_the_same_ids(tmp_path):
    from transformers import AutoTokenizer

    TOKENIZER.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.eos_token, theirs.pad_token, theirs.bos_token) == ("<|im_end|>", "<|endoftext|>", None)
    assert len(theirs) == TOKENIZER.vocab_size
    for text in [*NASTY, "<|im_start|>user\nhi<|im_end|>\n<think>\n</think>", *CONTROL]:
        ids = TOKENIZER.encode_special(text)
        assert theirs.encode(text) == ids
        assert theirs.decode(ids) == TOKENIZER.decode(ids)
        assert theirs.decode(ids, skip_special_tokens=True) == TOKENIZER.decode(ids, special=False)


@pytest.mark.parametrize("family", ["qwen3", "qwen2_moe", "qwen3_moe"])
def test_a_model_folder_gives_the_same_ids_too(tmp_path, family):
    """Not of `qwen2`: for that `model_type` transformers takes its own class, with NFC, whatever the folder says."""
    from transformers import AutoTokenizer

    TOKENIZER.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert [theirs.encode(text) for text in NASTY] == [TOKENIZER.encode_special(text) for text in NASTY]


def test_a_tokenizer_made_by_transformers_for_qwen_is_read_as_it_is(tmp_path):
    from transformers import Qwen2Tokenizer

    TOKENIZER.save(tmp_path / "ours")
    model = json.loads((tmp_path / "ours/tokenizer.json").read_text())["model"]
    theirs = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    theirs.add_special_tokens({"additional_special_tokens": [name for name, hidden in CONTROL.items() if hidden][1:]})
    theirs.add_tokens([name for name, hidden in CONTROL.items() if not hidden])
    theirs.save_pretrained(tmp_path / "theirs")
    read = Tokenizer.load(tmp_path / "theirs")
    spec = json.loads((tmp_path / "theirs/tokenizer.json").read_text())
    assert spec["pre_tokenizer"]["pretokenizers"][0]["pattern"] == {"Regex": PATTERN}
    assert read.special == TOKENIZER.special
    for text in [*NASTY, *CONTROL, "e\u0301 \u212b"]:
        assert read.encode_special(text) == theirs.encode(text)
        assert not set(read.encode(text)) & set(read.special.values())
        assert read.decode(read.encode(text)) == unicodedata.normalize("NFC", text)


def test_a_loaded_tokenizer_keeps_its_normalizer(tmp_path):
    TOKENIZER.save(tmp_path)
    spec = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**spec, "normalizer": {"type": "NFC"}}))
    qwen = Tokenizer.load(tmp_path)
    assert qwen.decode(qwen.encode("e\u0301")) == unicodedata.normalize("NFC", "e\u0301")
    assert TOKENIZER.decode(TOKENIZER.encode("e\u0301")) == "e\u0301"


def test_control_tokens_listed_among_the_words_stay_text_too(tmp_path):
    """Some folders list them in both places; with `ignore_merges` a word equal to one would become it."""
    TOKENIZER.save(tmp_path)
    spec = json.loads((tmp_path / "tokenizer.json").read_text())
    spec["model"]["vocab"].update({t["content"]: t["id"] for t in spec["added_tokens"]})
    spec["model"]["ignore_merges"] = True
    spec["pre_tokenizer"]["pretokenizers"].pop(0)
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    odd = Tokenizer.load(tmp_path)
    for name in CONTROL:
        assert not set(odd.encode(name)) & set(odd.special.values())


def break_bytes(spec):
    spec["model"]["merges"] = []
    del spec["model"]["vocab"]["A"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda spec: spec.pop("model"), "has no `model`"),
        (lambda spec: spec["model"].update(type="WordPiece"), "holds a WordPiece model: read are BPE and Unigram"),
        (lambda spec: spec["model"].update(type="Unigram"), "its Unigram model has no `vocab`"),
        (lambda spec: spec.update(decoder={"type": "CTC"}), "decodes with CTC: read are byte-level and metaspace"),
        (lambda spec: spec.update(decoder=None), "decodes with no decoder"),
        (lambda spec: spec["added_tokens"][3].pop("id"), "`added_tokens\\[3\\]` lacks id"),
        (lambda spec: spec["model"]["merges"].append(["nothere", "q"]), "is damaged"),
        (lambda spec: spec["model"]["vocab"].update({"日本": 3}), "stands for no byte"),
        (break_bytes, "no token for the byte 0x41"),
    ],
)
def test_a_damaged_tokenizer_is_refused_by_name(tmp_path, damage, words):
    TOKENIZER.save(tmp_path)
    file = tmp_path / "tokenizer.json"
    spec = json.loads(file.read_text())
    damage(spec)
    file.write_text(json.dumps(spec))
    with pytest.raises(ArtifactError, match=words) as refused:
        Tokenizer.load(tmp_path)
    assert str(file) in str(refused.value)


def test_a_cut_off_file_and_a_folder_without_one_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    with pytest.raises(ArtifactError, match="there is no such folder"):
        Tokenizer.load(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab"')
    with pytest.raises(ArtifactError, match="is damaged: it is not JSON"):
        Tokenizer.load(tmp_path)


# Hard input


def test_half_a_surrogate_pair_is_refused_with_its_place():
    with pytest.raises(RequestError, match=r"U\+D83D\) at character 3"):
        TOKENIZER.encode("abc\ud83d")
    with pytest.raises(RequestError, match=r"U\+DC00\) at character 0"):
        TOKENIZER.encode_batch(["fine", "\udc00"])


def test_a_negative_id_is_refused_and_an_unnamed_one_is_empty():
    with pytest.raises(RequestError, match="-1 is not a token id"):
        TOKENIZER.decode([-1])
    assert TOKENIZER.decode([TOKENIZER.vocab_size, 10**9]) == ""


@pytest.mark.parametrize(
    ("unit", "size"),
    [("a", 1_000_000), (" ", 1_000_000), *((u, 100_000) for u in ("\n", " \n", "-", "é", "😀", "'", "1", "cat "))],
)
def test_a_long_text_without_a_break_is_encoded_in_linear_time(unit, size):
    """A quadratic way would take hours for the megabyte."""
    text = unit * (size // len(unit.encode()))
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_the_table_of_byte_characters_is_the_librarys():
    from tokenizers import pre_tokenizers

    assert set(byte_characters()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_characters().values()) == list(range(256))
