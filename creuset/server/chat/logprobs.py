"""Log-probabilities in the two shapes of OpenAI's API: chat's list of objects, completions' parallel lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import TokenLogprob

LOWEST = -9999.0  # stands for minus infinity, which JSON cannot say


def token_text(tokenizer: Tokenizer, id: int) -> str:
    """Text of one token; one that is not whole characters is written by its bytes, so that no two look the same."""
    raw = tokenizer.token_bytes(id)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def finite(logprob: float) -> float:
    return logprob if logprob > LOWEST else LOWEST


def chat_logprobs(entries: Iterable[TokenLogprob], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    def one(id: int, logprob: float) -> dict[str, Any]:
        raw = tokenizer.token_bytes(id)
        return {"token": raw.decode("utf-8", "replace"), "logprob": finite(logprob), "bytes": list(raw)}

    return [one(e.token, e.logprob) | {"top_logprobs": [one(id, logprob) for id, logprob in e.top]} for e in entries]


def prompt_logprobs(entries: Iterable[TokenLogprob | None], tokenizer: Tokenizer) -> list[dict[str, Any] | None]:
    """vLLM's shape: for each token of a prompt what could have stood there, by token id. Nothing before the first."""

    def one(id: int, logprob: float, rank: int) -> dict[str, Any]:
        return {"logprob": finite(logprob), "rank": rank, "decoded_token": token_text(tokenizer, id)}

    found: list[dict[str, Any] | None] = []
    for entry in entries:
        if entry is None:
            found.append(None)
            continue
        said = {str(id): one(id, logprob, at + 1) for at, (id, logprob) in enumerate(entry.top)}
        found.append({str(entry.token): one(entry.token, entry.logprob, entry.rank)} | said)
    return found


@dataclass(slots=True)
class Cursor:
    """Where the next token's text begins. A character split over tokens counts where its last byte is."""

    chars: int = 0
    partial: bytes = b""

    def pass_over(self, raw: bytes) -> None:
        whole, self.partial = _whole_characters(self.partial + raw)
        self.chars += whole


Entry = tuple[int, TokenLogprob | None]  # a token, and what is known of it: nothing of a prompt's first


def completion_logprobs(entries: Iterable[Entry], tokenizer: Tokenizer, cursor: Cursor) -> dict[str, list[Any]]:
    """Four parallel lists; `cursor` moves on, so that the next chunk's offsets go on from here.

    `top_logprobs` holds the asked number of alternatives and the token itself, so that a client sees
    whether it was the most likely one. The first token of a prompt has neither (null).
    """
    found: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token, entry in entries:
        found["tokens"].append(token_text(tokenizer, token))
        found["text_offset"].append(cursor.chars)
        cursor.pass_over(tokenizer.token_bytes(token))
        if entry is None:
            found["token_logprobs"].append(None)
            found["top_logprobs"].append(None)
            continue
        top: dict[str, float] = {}
        for id, logprob in (*entry.top, (token, entry.logprob)):
            name = token_text(tokenizer, id)
            top[name] = max(finite(logprob), top.get(name, LOWEST))
        found["token_logprobs"].append(finite(entry.logprob))
        found["top_logprobs"].append(top)
    return found


def _whole_characters(raw: bytes) -> tuple[int, bytes]:
    """Characters complete in `raw`, and the bytes of one that is not."""
    for cut in range(min(4, len(raw) + 1)):
        try:
            return len(raw[: len(raw) - cut].decode()), raw[len(raw) - cut :]
        except UnicodeDecodeError:
            continue
    return len(raw.decode("utf-8", "replace")), b""
