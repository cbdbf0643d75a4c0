"""What calls for embeddings and reranking may say, field by field. No HTTP here, and no engine."""

from dataclasses import dataclass
from typing import Any, Literal

from creuset.core.errors import RequestError
from creuset.server.chat.sampling import check_ids, take_truncation
from creuset.server.model import ServedModel
from creuset.server.retrieval.vectors import TokenText
from creuset.types.fields import Fields, show

MAX_INPUTS = 2048  # as OpenAI's
MAX_DOCUMENTS = 1000  # as Cohere's


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingsAsk:
    texts: list[TokenText]
    encoding: Literal["float", "base64"]
    dimensions: int | None  # None: all
    ignored: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return sum(len(text.ids) for text in self.texts)


def parse_embeddings(fields: Fields, model: ServedModel) -> EmbeddingsAsk:
    _refuse_what_makes_none(model)
    value = fields.take("input")
    encoding = fields.text("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise fields.refuse("encoding_format", f'must be "float" or "base64", got {show(encoding)}')
    dimensions = fields.integer("dimensions", 1, model.config.hidden)
    keep = take_truncation(fields)
    fields.ignore("user")
    fields.text("user")
    texts = [token_text(one, path, model) for one, path in _inputs(fields, value)]
    fields.refuse_rest()
    if keep is not None:
        room = model.context if keep == -1 else keep
        texts = [TokenText(text.ids[-room:], text.path) for text in texts]
    return EmbeddingsAsk(
        texts=texts,
        encoding="base64" if encoding == "base64" else "float",
        dimensions=dimensions,
        ignored=tuple(fields.ignored),
    )


def _inputs(fields: Fields, value: Any) -> list[tuple[Any, str]]:
    if type(value) is str:
        return [(value, "input")]
    if type(value) is not list:
        words = "is required: a string, a list of strings, a list of token ids or a list of such lists"
        raise fields.refuse("input", f"{words}, got {show(value)}")
    if not value:
        raise fields.refuse("input", "must not be an empty list")
    if type(value[0]) is int:
        return [(value, "input")]
    if len(value) > MAX_INPUTS:
        raise fields.refuse("input", f"takes at most {MAX_INPUTS} texts, got {len(value)}")
    return [(one, f"input[{at}]") for at, one in enumerate(value)]


def _refuse_what_makes_none(model: ServedModel) -> None:
    if model.pooling.refused:
        words = f"{model.name} makes no embeddings here: {model.pooling.refused}"
        raise RequestError(words, param="model", code="unsupported_value")


def token_text(value: Any, path: str, model: ServedModel, *, kind: Literal["", "query", "document"] = "") -> TokenText:
    """Control tokens that are written in a text are text. A model made for embeddings reads it as its makers had it:
    behind what they put before a text of this `kind`, and with its tokenizer's last tokens."""
    if type(value) is str and value:
        ids = model.tokenizer.encode_prompt(model.pooling.prompts.get(kind, "") + value)
        return TokenText([*ids, *model.tokenizer.frame[1]] if model.pooling.trained else ids, path)
    if type(value) is list and value:
        return TokenText(check_ids(value, model.tokenizer.vocab_size, path), path)
    raise RequestError(
        f"`{path}` must be a string that is not empty or a list of token ids that is not, got {show(value)}", param=path
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RerankAsk:
    query: TokenText
    documents: list[TokenText]
    texts: list[str]  # of the documents
    top_n: int
    returns: bool  # with the documents' texts
    ignored: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return len(self.query.ids) + sum(len(document.ids) for document in self.documents)


def parse_rerank(fields: Fields, model: ServedModel) -> RerankAsk:
    _refuse_what_makes_none(model)
    query = fields.text("query")
    if not query:
        raise fields.refuse("query", "is required: the text that documents are compared with")
    listed = fields.items("documents")
    if not listed:
        raise fields.refuse("documents", "is required: a list with at least one text")
    if len(listed) > MAX_DOCUMENTS:
        raise fields.refuse("documents", f"takes at most {MAX_DOCUMENTS} texts, got {len(listed)}")
    texts = [_document(one, f"documents[{at}]") for at, one in enumerate(listed)]
    top_n = fields.integer("top_n", 1, 1_000_000)
    returns = fields.flag("return_documents") or False
    keep = fields.integer("max_tokens_per_doc", 1, 1_000_000)
    fields.ignore("user", "priority")
    for name in ("user", "priority"):
        fields.take(name)
    documents = [token_text(text, f"documents[{at}]", model, kind="document") for at, text in enumerate(texts)]
    fields.refuse_rest()
    documents = [TokenText(one.ids[:keep], one.path, "max_tokens_per_doc") for one in documents]
    return RerankAsk(
        query=token_text(query, "query", model, kind="query"),
        documents=documents,
        texts=texts,
        top_n=min(top_n or len(texts), len(texts)),
        returns=returns,
        ignored=tuple(fields.ignored),
    )


def _document(value: Any, path: str) -> str:
    """A text, or an object with the field `text`."""
    text = value.get("text") if type(value) is dict else value
    if type(text) is not str or not text:
        raise RequestError(f'`{path}` must be a text, or {{"text": ...}}, and not empty; got {show(value)}', param=path)
    return text
