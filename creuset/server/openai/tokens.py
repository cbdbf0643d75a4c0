"""/tokenize, /detokenize, /tokenizer_info, in the shapes of vLLM: enough for lm-evaluation-harness to need no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from creuset.server.chat.sampling import check_ids
from creuset.server.chat.thinking import take_thinking
from creuset.server.chat.tools import take_tools
from creuset.server.model import ServedModel
from creuset.types.fields import Fields, show
from creuset.types.messages import ChatMessage, parse_messages


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    """Either `prompt` or `messages` is given."""

    prompt: str | None
    framed: bool  # with the tokens that the model's texts begin with, such as `<s>`
    messages: list[ChatMessage]
    tools: Sequence[dict[str, Any]]
    add_generation_prompt: bool
    kwargs: dict[str, Any]  # variables of the chat template
    strings: bool


def parse_tokenize(fields: Fields, model: ServedModel) -> TokenizeRequest:
    prompt = fields.text("prompt")
    if (prompt is None) == (fields.peek("messages") is None):
        raise fields.refuse("prompt", "or `messages` is required: one of the two")
    framed = fields.flag("add_special_tokens")
    strings = fields.flag("return_token_strs") or False
    if prompt is not None:
        fields.refuse_rest(("messages",))
        return TokenizeRequest(prompt, framed is not False, [], [], False, {}, strings)
    messages = parse_messages(fields.take("messages"), "strict")
    tools, kwargs = take_tools(fields).tools, take_thinking(fields, model).kwargs
    add = fields.flag("add_generation_prompt")
    fields.refuse_rest()
    return TokenizeRequest(None, False, messages, tools, add is not False, kwargs, strings)


def tokenized(ids: list[int], ask: TokenizeRequest, model: ServedModel) -> dict[str, Any]:
    strings = [model.tokenizer.token_bytes(i).decode("utf-8", "replace") for i in ids] if ask.strings else None
    return {"count": len(ids), "max_model_len": model.context, "tokens": ids, "token_strs": strings}


def parse_detokenize(fields: Fields, model: ServedModel) -> list[int]:
    ids = fields.take("tokens")
    if type(ids) is not list:
        raise fields.refuse("tokens", f"is required: a list of token ids, got {show(ids)}")
    fields.refuse_rest()
    return check_ids(ids, model.tokenizer.vocab_size, "tokens")


def tokenizer_info(model: ServedModel) -> dict[str, Any]:
    """`eos_token` ends a reply and `pad_token` a document; `bos_token` stands before one, where clients put it.

    `add_bos_token` says whether /v1/completions does so by itself.
    """
    words = model.tokenizer
    text = {id: name for name, id in words.special.items()}
    end = text.get(words.endoftext)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "vocab_size": model.tokenizer.vocab_size,
        "model_max_length": model.context,
        "bos_token": text.get(words.start),
        "eos_token": words.named_tokens.get("eos_token", end),
        "pad_token": words.named_tokens.get("pad_token", end),
        "unk_token": model.tokenizer.named_tokens.get("unk_token"),
        "add_bos_token": bool(words.frame[0]),
        "additional_special_tokens": list(model.tokenizer.special),
        "chat_template": model.template.source or None,
    }
