"""Text <-> token ids, by the `tokenizers` library: ours, and those that other models bring.

Ours is a byte-level BPE with Qwen2.5's pre-token pattern. Ids: 256 byte tokens, the merges in the order they were
learned, then the control tokens, contiguous and last, in Qwen2.5's order (22) followed by the four that Qwen3 added.
Read are, besides, any byte-level or metaspace BPE and Unigram: `tokenizer.json`, the vocabulary of a GGUF file, and a
sentencepiece `tokenizer.model`.

Two encoders share one vocabulary. `encode` knows no control token: whatever a user types is text, so that
`<|im_end|>` in a message can never end the message. `encode_special` recognises them, for text that we wrote.

Qwen normalises to NFC before encoding; the tokenizers trained here do not: what comes out of `decode` is what
went into `encode`, character for character, which code, names and file paths need. Composing characters is the
corpus pipeline's business, where a change is counted. A loaded tokenizer keeps its own normalizer.

Reading order: `train`, `Tokenizer.encode`, `Tokenizer.decode`, `Tokenizer.load`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from creuset.core.artifact import sha256_json
from creuset.core.errors import ArtifactError, ConfigError, RequestError
from creuset.text.sources import read_tokenizer
from creuset.text.vocabulary.control import CONTROL, is_control, matcher, stand_in
from creuset.text.vocabulary.pieces import Pieces, check_spec, vocabulary

ENDOFTEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# Qwen2.5's: contractions; a word with at most one mark before it; each digit alone; marks with the line ends
# behind them; line ends; spaces. A space belongs to the word that follows it.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    ],
}

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"

# Tokens that end a document, where an answer may have another end.
_ENDS = (ENDOFTEXT, "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>")


def train(texts: Iterable[str], *, vocab_size: int, max_token_chars: int = 24) -> "Tokenizer":
    """Learn a vocabulary of exactly `vocab_size` ids, control tokens included; the same texts give the same one.

    `max_token_chars` keeps rulers (`--------`) and indentation from taking ids that words need. When the texts
    are too few for that many merges, fillers that `encode` never gives take the ids before the control tokens.
    """
    regular = vocab_size - len(CONTROL)
    if regular < 256:
        raise ConfigError(f"vocab_size={vocab_size} is too small: it holds 256 bytes and {len(CONTROL)} control tokens")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=regular,
        min_frequency=2,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=max_token_chars,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    return Tokenizer(_finish(json.loads(backend.to_str()), regular))


def _finish(spec: dict[str, Any], regular: int) -> dict[str, Any]:
    """Fill the vocabulary up to `regular` ids and put the control tokens behind it."""
    vocab: dict[str, int] = spec["model"]["vocab"]
    for id in range(len(vocab), regular):
        vocab[f"<|filler_{id}|>"] = id
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    spec["added_tokens"] = [
        {"id": regular + at, "content": text, **flags, "special": hidden}
        for at, (text, hidden) in enumerate(CONTROL.items())
    ]
    return spec


class Tokenizer:
    def __init__(
        self,
        spec: dict[str, Any],
        *,
        where: str = TOKENIZER_FILE,
        config: Mapping[str, Any] | None = None,
        templates: Iterable[str] = (),
    ) -> None:
        """`spec` is the content of a `tokenizer.json`; `where` names it in errors.

        `config`: that of the `tokenizer_config.json` beside it. `templates`: the model's chat templates; what they
        write and the vocabulary has as a token is a control token.
        """
        check_spec(spec, where)
        self._spec = {**spec, "truncation": None, "padding": None}  # how much is read is not the tokenizer's business
        self._where = where
        added = {token["content"]: token for token in spec["added_tokens"]}
        ids = sorted((token["id"], text) for text, token in added.items())
        control = {text: id for id, text in ids if is_control(added[text], templates)}
        self.special: dict[str, int] = control  # the tokens that steer the model, by their text
        self.hidden = frozenset(id for id, text in ids if added[text]["special"])
        self.vocab_size = 1 + max([*(id for _, id in vocabulary(spec)), *(id for id, _ in ids)])
        self.pieces = Pieces.read(spec, {text: id for id, text in ids}, self.vocab_size, where)
        self._id_of_byte = self.pieces.byte_ids()
        self._plain = _backend(without_control(self._spec, control), where)
        # Cut into words by PATTERN and nothing else, each word encoded on its own: what `bulk.py` relies on.
        self.cuts_like_qwen = spec.get("normalizer") is None and spec.get("pre_tokenizer") == _PRE_TOKENIZER
        self.config = dict(config) if config is not None else None
        self.named_tokens = _named(self.config, control)

    @cached_property
    def _trusted(self) -> Backend:
        return _backend(self._spec, self._where)

    @cached_property
    def controls(self) -> re.Pattern[str]:
        """Finds the texts of control tokens."""
        return matcher(self.special)

    @cached_property
    def lookalikes(self) -> re.Pattern[str]:
        """Finds them in any case."""
        return matcher(self.special, re.IGNORECASE)

    @cached_property
    def control_names(self) -> str:
        """All of them in lower case, NUL between them."""
        return "\0".join(self.special).lower()

    def id_named(self, name: str) -> int | None:
        """The id of `bos_token`, `eos_token` and their like; None where the tokenizer has none."""
        text = self.named_tokens.get(name)
        return None if text is None else self.special.get(text)

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """Ids that go before and after a text which is no chat: Llama's `<s>`, T5's `</s>`. Ours has none."""
        bare, framed = (self._trusted.encode("a", add_special_tokens=add).ids for add in (False, True))
        at = next((i for i in range(len(framed)) if framed[i : i + len(bare)] == bare), 0)
        return framed[:at], framed[at + len(bare) :]

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer or a document, as far as the tokenizer says it."""
        found = [self.special.get(IM_END), self.special.get(ENDOFTEXT), self.id_named("eos_token")]
        return frozenset(id for id in found if id is not None)

    @property
    def endoftext(self) -> int:
        """The token that ends a document. ArtifactError where the vocabulary has none."""
        for name in _ENDS:
            if name in self.special:
                return self.special[name]
        if (eos := self.id_named("eos_token")) is None:
            raise ArtifactError(f"`{self._where}` has no token that ends a document")
        return eos

    @cached_property
    def start(self) -> int:
        """The token that stands before a document: the one that begins a text, else the one that ends them."""
        before, bos = self.frame[0], self.id_named("bos_token")
        if IM_START not in self.special and bos is not None:
            return bos
        return before[0] if before else self.endoftext

    @property
    def im_start(self) -> int:
        return self._chatml(IM_START)

    @property
    def im_end(self) -> int:
        return self._chatml(IM_END)

    def _chatml(self, name: str) -> int:
        if name not in self.special:
            raise ArtifactError(f"`{self._where}` has no token `{name}`", hint="tokenizers of the Qwen family have it")
        return self.special[name]

    @property
    def identity(self) -> str:
        """A hash that two tokenizers share when they cut every text into the same ids."""
        merges = [m if isinstance(m, str) else " ".join(m) for m in self._spec["model"].get("merges", [])]
        parts = ("normalizer", "pre_tokenizer")
        added = {t["content"]: t["id"] for t in self._spec["added_tokens"]}
        vocab = self._spec["model"]["vocab"]
        vocab = vocab | added if isinstance(vocab, dict) else [vocab, added]
        return sha256_json({"vocab": vocab, "merges": merges, **{p: self._spec.get(p) for p in parts}})

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """The tokenizer of a tokenizer, shards or model folder, ours or Hugging Face's, or of a GGUF file.

        Raises ArtifactError that names the file, and what converts it where it cannot be read here.
        """
        found = read_tokenizer(path)
        return cls(found.spec, where=found.where, config=found.config, templates=found.templates.values())

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`: `AutoTokenizer` gives the same ids and prompts."""
        folder.mkdir(parents=True, exist_ok=True)
        config = self._own_config() if self.config is None else self.config
        (folder / TOKENIZER_FILE).write_text(json.dumps(self._spec, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / CONFIG_FILE).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def _own_config(self) -> dict[str, Any]:
        from creuset.text.chat import chat_template

        return {
            # Not Qwen2Tokenizer: that class puts its own NFC normalizer in the place of what the file says.
            # (transformers takes it all the same beside a config.json of model_type `qwen2`, the dense Qwen2.5.)
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": {
                str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in self._spec["added_tokens"]
            },
            "additional_special_tokens": [n for n, id in self.special.items() if id in self.hidden][1:],
            "bos_token": None,
            "eos_token": IM_END,
            "pad_token": ENDOFTEXT,
            "unk_token": None,
            "add_bos_token": False,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": False,
            "model_max_length": 1_000_000_000,
            "chat_template": chat_template(),
        }

    def encode(self, text: str) -> list[int]:
        """Ids of `text`: a control token's name inside it stays text. What `control.stand_in` gives is the token."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text, on all cores."""
        return _run(self._plain, texts)

    def encode_special(self, text: str) -> list[int]:
        """Ids of trusted `text`: control tokens in it are recognised. Never for what a user wrote."""
        return _run(self._trusted, [text])[0]

    def encode_prompt(self, text: str, *, trusted: bool = False) -> list[int]:
        """Ids of a text that a model goes on with: behind the token that its texts begin with. Never empty.

        `trusted`: control tokens in it are recognised. One that begins the text already is not put there twice.
        """
        ids = self.encode_special(text) if trusted else self.encode(text)
        before = self.frame[0]
        return (ids if ids[: len(before)] == before else [*before, *ids]) or [self.start]

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any bytes: `decode_bytes` gives them back. Those that are not UTF-8 become byte tokens."""
        ids: list[int] = []
        text = data.decode("utf-8", "surrogateescape")
        start = 0
        for at, character in enumerate(text):
            if "\udc80" <= character <= "\udcff":
                if (id := self._id_of_byte.get(ord(character) - 0xDC00)) is None:
                    raise RequestError(f"the byte 0x{ord(character) - 0xDC00:02x} at character {at} is not UTF-8, and "
                                       f"`{self._where}` has no token for it")  # fmt: skip
                ids += [*self.encode(text[start:at]), id]
                start = at + 1
        return ids + self.encode(text[start:])

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """Text of `ids`; bytes that are not UTF-8 become U+FFFD. Without `special`, tokens in `hidden` are left out.

        A metaspace vocabulary puts a space before the first word of a text; it is taken off again.
        """
        if not special:
            ids = [id for id in ids if id not in self.hidden]
        pieces = self.pieces
        said = list(map(self.token_bytes, ids))
        if said and ids[0] in pieces.bare_first:
            said[0] = said[0].replace(b" ", b"")
        whole = b"".join(said)
        at = 0
        while at < pieces.lead and whole[at : at + 1] == b" ":
            at += 1
        return whole[at:].decode("utf-8", "replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    def token_bytes(self, id: int) -> bytes:
        """Bytes of one token. An id that no token has (a model's embedding may be padded) is empty."""
        if id < 0:
            raise RequestError(f"{id} is not a token id: ids start at 0", param="tokens")
        return self.pieces.table[id] if id < self.vocab_size else b""


def _run(backend: Backend, texts: Sequence[str]) -> list[list[int]]:
    try:
        return [found.ids for found in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    except (TypeError, UnicodeEncodeError):
        for text in texts:
            _refuse_surrogates(text)
        raise


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise RequestError(
            f"the text has half a surrogate pair (U+{code:04X}) at character {error.start}, which is not a character"
        ) from None


def without_control(spec: dict[str, Any], control: Mapping[str, int]) -> dict[str, Any]:
    """The tokenizer in which each control token has its stand-in for a text, so that no text of a user becomes one.

    Other added tokens, such as runs of spaces, stay. Some vocabularies list control tokens among their words too,
    where a BPE could put them together and a Unigram find them: there they get the other name as well.
    """
    added = [{**t, "content": stand_in(t["id"]) if t["content"] in control else t["content"]}
             for t in spec["added_tokens"]]  # fmt: skip
    model = dict(spec["model"])
    vocab = model["vocab"]
    if isinstance(vocab, list):
        model["vocab"] = [[stand_in(id) if row[0] in control else row[0], *row[1:]] for id, row in enumerate(vocab)]
    elif not vocab.keys().isdisjoint(control):
        model["vocab"] = {stand_in(id) if text in control else text: id for text, id in vocab.items()}
        joined = ((m, m.replace(" ", "", 1) if isinstance(m, str) else "".join(m)) for m in model.get("merges", []))
        model["merges"] = [merge for merge, text in joined if text not in control]
    unknown = model.get("unk_token")
    if isinstance(unknown, str) and unknown in control:  # one that also ends a text must not come of a text
        model["unk_token"] = None if unknown in (ENDOFTEXT, "</s>", "<s>") else stand_in(control[unknown])
    return {**spec, "added_tokens": added, "model": model, "post_processor": None}


def _backend(spec: dict[str, Any], where: str) -> Backend:
    try:
        backend = Backend.from_str(json.dumps(spec, ensure_ascii=False))
    except Exception as error:  # the library raises bare Exception
        raise ArtifactError(f"`{where}` is damaged: {error}") from error
    wrong = next((t for t in spec["added_tokens"] if backend.token_to_id(t["content"]) != t["id"]), None)
    if wrong is None:
        return backend
    # The library numbers the tokens beside the vocabulary one after the other. Where the file leaves ids out, they
    # are listed in the vocabulary, so that each keeps its own.
    vocab, listed = spec["model"]["vocab"], {t["content"]: t["id"] for t in spec["added_tokens"]}
    if isinstance(vocab, dict) and not listed.items() <= vocab.items():
        return _backend({**spec, "model": {**spec["model"], "vocab": vocab | listed}}, where)
    id = backend.token_to_id(wrong["content"])
    raise ArtifactError(
        f"`{where}`: the token `{wrong['content']}` has id {wrong['id']} there, and would be read as {id}"
    )


def _named(config: Mapping[str, Any] | None, control: Mapping[str, int]) -> dict[str, str]:
    """What a template may call by name: `bos_token`, `eos_token` and their like."""
    if config is None:
        config = {"eos_token": IM_END, "pad_token": ENDOFTEXT} if IM_END in control else {}
    found = {}
    for name in ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"):
        said = config.get(name)
        text = said.get("content") if isinstance(said, dict) else said
        if isinstance(text, str):
            found[name] = text
    return found
