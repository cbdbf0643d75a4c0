"""Where a choice begins: a context and what follows it, cut into tokens together. No torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer


def continuation(tokenizer: "Tokenizer", context: str, choice: str, *, prefix: bool = True) -> tuple[list[int], int]:
    """Ids of `<eot> context choice`, and the first input whose next token belongs to the choice.

    The whole is cut into tokens at once, and the context's own tokens are taken off its front, so that a choice is
    tokenized as it would be in running text. Without `prefix` the <eot> is left out, unless there is no context.
    """
    first = [tokenizer.endoftext] if prefix or not context else []
    before = len(tokenizer.encode(context))
    whole = [*first, *tokenizer.encode(context + choice)]
    # A cut that joins the last of the context to the choice must leave the choice at least one token.
    return whole, max(0, min(len(first) + before - 1, len(whole) - 2))
