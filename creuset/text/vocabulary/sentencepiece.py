"""A sentencepiece vocabulary -> the `tokenizer.json` that cuts texts into the same ids.

The vocabulary is a list of pieces with scores and kinds, as a `tokenizer.model` file and the metadata of a GGUF file
have it. A *BPE* joins the pair whose piece has the best score; as `tokenizers` does it, that is a list of merges in the
order of the scores. A *Unigram* takes the cut with the best sum of scores.
"""

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.text.vocabulary.pieces import METASPACE

NORMAL, UNKNOWN, CONTROL_PIECE, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # as both files number them


@dataclass(frozen=True, slots=True)
class PieceList:
    pieces: Sequence[str]
    scores: Sequence[float]
    kinds: Sequence[int]
    unigram: bool
    prefix_space: bool = True  # a space goes before a text
    squeeze: bool = False  # runs of spaces become one, and spaces at the ends go
    charsmap: bytes = b""  # sentencepiece's compiled normaliser
    whole_text_prefix: bool = False  # the space goes before the text only, not behind each control token too


def sentencepiece_spec(found: PieceList, where: str) -> dict[str, Any]:
    """The content of a `tokenizer.json`. ArtifactError where lists disagree or no piece is the unknown one."""
    if not len(found.pieces) == len(found.scores) == len(found.kinds):
        counts = f"{len(found.pieces)} tokens, {len(found.scores)} scores and {len(found.kinds)} types"
        raise ArtifactError(f"`{where}` is damaged: its vocabulary has {counts}")
    unknown = next((id for id, kind in enumerate(found.kinds) if kind == UNKNOWN), None)
    bytes_kept = BYTE in found.kinds
    model: dict[str, Any]
    if found.unigram:
        if unknown is None:
            raise ArtifactError(f"`{where}` is damaged: no token of its vocabulary stands for unknown text")
        vocab = [[piece, score] for piece, score in zip(found.pieces, found.scores, strict=True)]
        model = {"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": bytes_kept}
    else:
        vocabulary = {piece: id for id, piece in enumerate(found.pieces)}
        model = {
            "type": "BPE", "vocab": vocabulary, "merges": list(merges(found)), "dropout": None,
            "unk_token": None if unknown is None else found.pieces[unknown], "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": bytes_kept, "ignore_merges": False,
        }  # fmt: skip
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": id, "content": piece, **flags, "special": kind != USER_DEFINED}
        for id, (piece, kind) in enumerate(zip(found.pieces, found.kinds, strict=True))
        if kind in (UNKNOWN, CONTROL_PIECE, USER_DEFINED) and piece
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": _normalizer(found),
        "pre_tokenizer": _pre_tokenizer(found), "post_processor": None, "decoder": _decoder(found), "model": model,
    }  # fmt: skip


def merges(found: PieceList) -> Iterator[list[str]]:
    """Pairs that make a piece, the best score first; of one piece, the longest left part first."""
    usable = {p: s for p, s, k in zip(found.pieces, found.scores, found.kinds, strict=True) if k == NORMAL}
    pairs = [
        (-score, -at, piece)
        for piece, score in usable.items()
        for at in range(1, len(piece))
        if piece[:at] in usable and piece[at:] in usable
    ]
    pairs.sort(key=lambda pair: pair[:2])
    return ([piece[:-at], piece[-at:]] for _, at, piece in pairs)


def _normalizer(found: PieceList) -> dict[str, Any] | None:
    steps: list[dict[str, Any]] = []
    if found.charsmap:
        charsmap = base64.b64encode(found.charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if found.squeeze:
        steps.append({"type": "Strip", "strip_left": False, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": METASPACE})
    if _prepends(found):
        steps.append({"type": "Prepend", "prepend": METASPACE})
    if not _by_metaspace(found):
        steps.append({"type": "Replace", "pattern": {"String": " "}, "content": METASPACE})
    return {"type": "Sequence", "normalizers": steps} if steps else None


def _prepends(found: PieceList) -> bool:
    """Whether the space goes before a text that begins with a space, too; a Metaspace step leaves it out there."""
    return found.prefix_space and not found.whole_text_prefix and not found.squeeze


def _by_metaspace(found: PieceList) -> bool:
    """Whether a step behind the normaliser writes the spaces; a Unigram is cut at them there."""
    return found.unigram or found.whole_text_prefix or found.squeeze


def _pre_tokenizer(found: PieceList) -> dict[str, Any] | None:
    if not _by_metaspace(found):
        return None
    prefix = found.prefix_space and not _prepends(found)
    scheme = ("first" if found.whole_text_prefix else "always") if prefix else "never"
    return {"type": "Metaspace", "replacement": METASPACE, "prepend_scheme": scheme, "split": found.unigram}


def _decoder(found: PieceList) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": METASPACE}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]  # fmt: skip
    if found.prefix_space:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}


# The file `tokenizer.model`: a protocol buffer, of which a few fields are read.


def read_model_file(file: Path, *, whole_text_prefix: bool) -> PieceList:
    """The vocabulary of a `tokenizer.model`. ArtifactError for a damaged file, and for word or character models."""
    pieces: list[str] = []
    scores: list[float] = []
    kinds: list[int] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    try:
        for field, value in _fields(file.read_bytes()):
            if field == 1:
                piece = dict(_fields(value))
                pieces.append(piece[1].decode())
                scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)
                kinds.append(piece.get(3, NORMAL))
            elif field == 2:
                trainer = dict(_fields(value))
            elif field == 3:
                normalizer = dict(_fields(value))
        kind = trainer.get(3, 1)
    except (IndexError, KeyError, ValueError, AttributeError, TypeError, struct.error) as error:
        raise ArtifactError(f"`{file}` is damaged: it is not a sentencepiece model ({error})") from error
    if not pieces or kind not in (1, 2):
        reason = f"models of kind {kind} are not read" if pieces else "it has no pieces"
        raise ArtifactError(f"`{file}` is not a sentencepiece BPE or Unigram: {reason}")
    return PieceList(
        pieces, scores, kinds, unigram=kind == 1, prefix_space=bool(normalizer.get(3, 1)),
        squeeze=bool(normalizer.get(4, 1)), charsmap=normalizer.get(2, b""), whole_text_prefix=whole_text_prefix,
    )  # fmt: skip


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol buffer: number, and an int or bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        if size is None:
            if key & 7 != 2:
                raise ValueError(f"byte {at} begins no field")
            size = varint()
        if at + size > len(data):
            raise ValueError(f"it ends inside a field at byte {at}")
        yield key >> 3, data[at : at + size]
        at += size
