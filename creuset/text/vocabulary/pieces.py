"""What each token of a vocabulary says, as bytes, read from a `tokenizer.json`.

Two writings exist. *Byte-level* vocabularies (GPT-2, Llama 3, Qwen, gpt-oss) write each byte as one visible character.
*Metaspace* vocabularies (Llama 2, Mistral, Gemma, T5: sentencepiece's) write text, with U+2581 for a space and perhaps
`<0x0A>` for a byte that no token has. These put a space before a text's first word, and decoding takes it off again.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from creuset.core.errors import ArtifactError

METASPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, slots=True)
class Pieces:
    table: list[bytes]  # by id; empty where the vocabulary has a hole
    byte_level: bool
    lead: int = 0  # so many spaces are taken off the front of a decoded text
    bare_first: frozenset[int] = frozenset()  # tokens that lose all their spaces when they come first

    @classmethod
    def read(cls, spec: dict[str, Any], added: dict[str, int], size: int, where: str) -> "Pieces":
        """`added`: text of the tokens beside the vocabulary. ArtifactError for a decoder that is not known here."""
        vocab = {text: id for text, id in vocabulary(spec) if text not in added}
        steps = _steps(spec.get("decoder"))
        kinds = {step.get("type") for step in steps}
        if "ByteLevel" in kinds:
            return cls(_with(added, _byte_level(vocab, size, where)), byte_level=True)
        unknown = kinds - {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}
        if unknown or not kinds & {"Replace", "Metaspace"}:
            named = ", ".join(sorted(str(kind) for kind in unknown)) or "no decoder"
            raise ArtifactError(
                f"`{where}` decodes with {named}: read are byte-level and metaspace vocabularies",
                hint="that is ByteLevel, or Replace/Metaspace with ByteFallback, Fuse and Strip",
            )
        space, lead, drops = METASPACE, 0, False
        for step in steps:
            if step["type"] == "Replace":
                space = step["pattern"]["String"]
            elif step["type"] == "Strip":
                lead = int(step["start"])
            elif step["type"] == "Metaspace":
                space = step["replacement"]
                drops = step.get("prepend_scheme", "always") != "never" and step.get("add_prefix_space", True)
        table = [b""] * size
        for text, id in vocab.items():
            byte = _BYTE.fullmatch(text) if "ByteFallback" in kinds else None
            table[id] = bytes([int(byte[1], 16)]) if byte else text.replace(space, " ").encode()
        every = vocab | added
        bare = frozenset(id for text, id in every.items() if space in text) if drops else frozenset()
        added = {text.replace(space, " "): id for text, id in added.items()}  # Gemma has runs of spaces among them
        return cls(_with(added, table), byte_level=False, lead=lead, bare_first=bare)

    def byte_ids(self) -> dict[int, int]:
        """The token of each byte that has one."""
        return {token[0]: id for id, token in reversed(list(enumerate(self.table))) if len(token) == 1}


def vocabulary(spec: dict[str, Any]) -> list[tuple[str, int]]:
    """Tokens and ids of a tokenizer's model, without those that are added to it."""
    vocab = spec["model"]["vocab"]
    if isinstance(vocab, dict):
        return list(vocab.items())
    return [(row[0], id) for id, row in enumerate(vocab)]


def check_spec(spec: Any, where: str) -> None:
    """Refuse what is neither BPE nor Unigram, and what is damaged, naming the part."""
    model = spec.get("model") if isinstance(spec, dict) else None
    if not isinstance(model, dict) or not isinstance(spec.get("added_tokens"), list):
        raise ArtifactError(f"`{where}` is damaged: it has no `model` and `added_tokens`")
    kind = model.get("type") or ("BPE" if "merges" in model else "Unigram")  # old files do not say it
    if kind not in ("BPE", "Unigram"):
        raise ArtifactError(f"`{where}` holds a {kind} model: read are BPE and Unigram")
    if not isinstance(model.get("vocab"), dict if kind == "BPE" else list) or not model["vocab"]:
        raise ArtifactError(f"`{where}` is damaged: its {kind} model has no `vocab`")
    for at, token in enumerate(spec["added_tokens"]):
        if not isinstance(token, dict) or not {"id", "content", "special"} <= set(token):
            raise ArtifactError(f"`{where}` is damaged: `added_tokens[{at}]` lacks id, content or special")


def byte_characters() -> dict[str, int]:
    """The character that stands for each byte inside a byte-level vocabulary (GPT-2's table), with its byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + at): byte for at, byte in enumerate(hidden)}


def _byte_level(vocab: dict[str, int], size: int, where: str) -> list[bytes]:
    byte_of = byte_characters()
    table = [b""] * size
    for text, id in vocab.items():
        try:
            table[id] = bytes(byte_of[character] for character in text)
        except KeyError as missing:
            raise ArtifactError(f"`{where}`: token {id} has {missing}, which stands for no byte") from None
    found = {token[0] for token in table if len(token) == 1}
    for byte in (*b"\n", *range(0x20, 0x7F)):  # SmolLM2 lacks some control characters: they are dropped, as everywhere
        if byte not in found:
            raise ArtifactError(f"`{where}` has no token for the byte 0x{byte:02x}: some texts could not be encoded")
    return table


def _with(added: dict[str, int], table: list[bytes]) -> list[bytes]:
    for text, id in added.items():
        table[id] = text.encode()
    return table


def _steps(decoder: Any) -> list[dict[str, Any]]:
    if not isinstance(decoder, dict):
        return []
    if decoder.get("type") == "Sequence":
        return [step for inner in decoder.get("decoders", []) for step in _steps(inner)]
    return [json.loads(json.dumps(decoder))]
