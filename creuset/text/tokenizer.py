"""Text <-> token ids: byte-level BPE with Qwen2.5's pre-token pattern, run by the `tokenizers` library.

Ids: 256 byte tokens, the merges in the order they were learned, then the control tokens, contiguous and last,
in Qwen2.5's order (22) followed by the four that Qwen3 added.

Two encoders share one vocabulary. `encode` knows no control token: whatever a user types is bytes, so that
`<|im_end|>` in a message can never end the message. `encode_special` recognises them, for text that we wrote.

Qwen normalises to NFC before encoding; the tokenizers trained here do not: what comes out of `decode` is what
went into `encode`, character for character, which code, names and file paths need. Composing characters is the
corpus pipeline's business, where a change is counted. A loaded `tokenizer.json` keeps its own normalizer.

Reading order: `train`, `Tokenizer.encode`, `Tokenizer.decode_bytes`, `Tokenizer.load`.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from creuset.core.artifact import sha256_json
from creuset.core.errors import ArtifactError, ConfigError, RequestError

ENDOFTEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# Text of the token, and whether decoding may hide it (transformers' `skip_special_tokens`): marks that carry
# meaning for a program that reads the reply (tool calls, thinking, fill in the middle) stay visible, as in Qwen.
CONTROL: dict[str, bool] = {
    ENDOFTEXT: True,
    IM_START: True,
    IM_END: True,
    "<|object_ref_start|>": True,
    "<|object_ref_end|>": True,
    "<|box_start|>": True,
    "<|box_end|>": True,
    "<|quad_start|>": True,
    "<|quad_end|>": True,
    "<|vision_start|>": True,
    "<|vision_end|>": True,
    "<|vision_pad|>": True,
    "<|image_pad|>": True,
    "<|video_pad|>": True,
    "<tool_call>": False,
    "</tool_call>": False,
    "<|fim_prefix|>": False,
    "<|fim_middle|>": False,
    "<|fim_suffix|>": False,
    "<|fim_pad|>": False,
    "<|repo_name|>": False,
    "<|file_sep|>": False,
    "<tool_response>": False,
    "</tool_response>": False,
    "<think>": False,
    "</think>": False,
}

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
    def __init__(self, spec: dict[str, Any], *, where: str = TOKENIZER_FILE) -> None:
        """`spec` is the content of a `tokenizer.json`; `where` names it in errors."""
        _check_spec(spec, where)
        added = {token["content"]: token for token in spec["added_tokens"]}
        # Some folders list the control tokens in the model's vocabulary too; a BPE that ignores merges for whole
        # words could then produce them from plain text.
        vocab = {text: id for text, id in spec["model"]["vocab"].items() if text not in added}
        plain = {**spec, "added_tokens": [], "post_processor": None, "model": {**spec["model"], "vocab": vocab}}
        try:
            self._trusted = Backend.from_str(json.dumps(spec, ensure_ascii=False))
            self._plain = Backend.from_str(json.dumps(plain, ensure_ascii=False))
        except Exception as error:  # the library raises bare Exception
            raise ArtifactError(f"`{where}` is damaged: {error}") from error
        self._spec = spec
        self.special: dict[str, int] = {t["content"]: t["id"] for t in sorted(added.values(), key=lambda t: t["id"])}
        self.hidden = frozenset(t["id"] for t in added.values() if t["special"])
        self.vocab_size = 1 + max([*vocab.values(), *self.special.values()])
        self._bytes = _token_bytes(vocab, self.special, self.vocab_size, where)
        self._id_of_byte = _byte_ids(self._bytes, where)
        # Cut into words by PATTERN and nothing else, each word encoded on its own: what `bulk.py` relies on.
        self.cuts_like_qwen = spec.get("normalizer") is None and spec.get("pre_tokenizer") == _PRE_TOKENIZER
        for name in (ENDOFTEXT, IM_START, IM_END):
            if name not in self.special:
                raise ArtifactError(f"`{where}` has no token `{name}`", hint="tokenizers of the Qwen family have it")
        self.endoftext, self.im_start, self.im_end = (self.special[n] for n in (ENDOFTEXT, IM_START, IM_END))

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer or a document, as far as the tokenizer says it."""
        return frozenset((self.im_end, self.endoftext))

    @property
    def named_tokens(self) -> dict[str, str]:
        """What a template may call by name: `bos_token`, `eos_token` and their like."""
        return {"eos_token": IM_END, "pad_token": ENDOFTEXT}

    @property
    def identity(self) -> str:
        """A hash that two tokenizers share when they cut every text into the same ids."""
        merges = [m if isinstance(m, str) else " ".join(m) for m in self._spec["model"].get("merges", [])]
        parts = ("normalizer", "pre_tokenizer")
        added = {t["content"]: t["id"] for t in self._spec["added_tokens"]}
        return sha256_json(
            {"vocab": self._spec["model"]["vocab"] | added, "merges": merges, **{p: self._spec.get(p) for p in parts}}
        )

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read `tokenizer.json` from a tokenizer, shards or model folder, ours or Hugging Face's."""
        file = next((f for f in (path / TOKENIZER_FILE, path / "tokenizer" / TOKENIZER_FILE) if f.is_file()), None)
        if file is None:
            reason = f"it has no {TOKENIZER_FILE}" if path.is_dir() else "there is no such folder"
            raise ArtifactError(f"`{path}` is not a tokenizer: {reason}")
        try:
            spec = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ArtifactError(f"`{file}` is damaged: it is not JSON ({error})") from error
        return cls(spec, where=str(file))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`: `AutoTokenizer` gives the same ids and prompts."""
        from creuset.text.chat import chat_template

        folder.mkdir(parents=True, exist_ok=True)
        config = {
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
        (folder / TOKENIZER_FILE).write_text(json.dumps(self._spec, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / CONFIG_FILE).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as bytes: a control token's name inside it stays text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for each text, on all cores."""
        return _run(self._plain, texts)

    def encode_special(self, text: str) -> list[int]:
        """Ids of trusted `text`: control tokens in it are recognised. Never for what a user wrote."""
        return _run(self._trusted, [text])[0]

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any bytes: `decode_bytes` gives them back. Those that are not UTF-8 become byte tokens."""
        ids: list[int] = []
        text = data.decode("utf-8", "surrogateescape")
        start = 0
        for at, character in enumerate(text):
            if "\udc80" <= character <= "\udcff":
                ids += [*self.encode(text[start:at]), self._id_of_byte[ord(character) - 0xDC00]]
                start = at + 1
        return ids + self.encode(text[start:])

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """Text of `ids`; bytes that are not UTF-8 become U+FFFD. Without `special`, tokens in `hidden` are left out."""
        if not special:
            ids = [id for id in ids if id not in self.hidden]
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    def token_bytes(self, id: int) -> bytes:
        """Bytes of one token. An id that no token has (a model's embedding may be padded) is empty."""
        if id < 0:
            raise RequestError(f"{id} is not a token id: ids start at 0", param="tokens")
        return self._bytes[id] if id < self.vocab_size else b""


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


def _check_spec(spec: Any, where: str) -> None:
    """Refuse what is not a byte-level BPE, naming the part that is missing."""
    model = spec.get("model") if isinstance(spec, dict) else None
    if not isinstance(model, dict) or not isinstance(spec.get("added_tokens"), list):
        raise ArtifactError(f"`{where}` is damaged: it has no `model` and `added_tokens`")
    if model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict) or not model["vocab"]:
        raise ArtifactError(f"`{where}` holds a {model.get('type')} model: only byte-level BPE is read here")
    if not isinstance(spec.get("decoder"), dict) or '"ByteLevel"' not in json.dumps(spec["decoder"]):
        raise ArtifactError(f"`{where}` has no `ByteLevel` decoder: only byte-level BPE is read here")
    for at, token in enumerate(spec["added_tokens"]):
        if not isinstance(token, dict) or not {"id", "content", "special"} <= set(token):
            raise ArtifactError(f"`{where}` is damaged: `added_tokens[{at}]` lacks id, content or special")


def byte_characters() -> dict[str, int]:
    """The character that stands for each byte inside a byte-level vocabulary (GPT-2's table), with its byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + at): byte for at, byte in enumerate(hidden)}


def _token_bytes(vocab: dict[str, int], special: dict[str, int], size: int, where: str) -> list[bytes]:
    byte_of = byte_characters()
    table = [b""] * size
    for text, id in vocab.items():
        try:
            table[id] = bytes(byte_of[character] for character in text)
        except KeyError as missing:
            raise ArtifactError(f"`{where}`: token {id} has {missing}, which stands for no byte") from None
    for text, id in special.items():
        table[id] = text.encode()
    return table


def _byte_ids(table: list[bytes], where: str) -> list[int]:
    found = {token[0]: id for id, token in reversed(list(enumerate(table))) if len(token) == 1}
    for byte in range(256):
        if byte not in found:
            raise ArtifactError(f"`{where}` has no token for the byte 0x{byte:02x}: some texts could not be encoded")
    return [found[byte] for byte in range(256)]
