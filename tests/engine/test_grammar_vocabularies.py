"""Grammars over the vocabularies of other models: what random allowed tokens spell, as a client reads it, fits."""

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.text import grammar
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import Sampling
from tests.lazy import lazily
from tests.text.foreign import CONTROLS, FAMILIES, spec_text

if TYPE_CHECKING:
    import jsonschema
else:
    jsonschema = lazily("jsonschema")

SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"enum": ["chat", "été ñ", "猫 \n"]},
        "b": {
            "type": "array",
            "items": {"type": "integer", "minimum": -9, "maximum": 99},
            "minItems": 1,
            "maxItems": 3,
        },
        "c": {"type": "string", "maxLength": 4},
    },
    "required": ["a", "b", "c"],
    "additionalProperties": False,
}


def written(tokenizer, grammars, text, seed):
    """What random allowed tokens spell behind a control token, as a client gets it."""
    chance = random.Random(seed)
    mask = grammars.mask(grammars.compile(text).result(), Sampling(max_tokens=999))
    detokenizer, said = Detokenizer(tokenizer, after=min(tokenizer.special.values())), ""
    for _ in range(600):
        if (allowed_V := mask.allowed()) is None:
            break
        token = int(chance.choice(np.flatnonzero(allowed_V)))
        done = mask.accept(token)
        said += "" if token in grammars.end_ids else detokenizer.push(token)
        if done:
            return said + detokenizer.finish()
    raise AssertionError(f"no end: {said!r}")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_fits(family):
    tokenizer = Tokenizer(json.loads(spec_text(family)))
    ends = [] if family == "llama3" else [tokenizer.special[CONTROLS[family][1]]]  # one has none that are known
    grammars = Grammars(tokenizer, end_ids=ends, vocab_size=tokenizer.vocab_size)
    pieces = {tokenizer.token_bytes(id) for id in range(tokenizer.vocab_size)}
    if not all(bytes([sign]) in pieces for sign in b'{}[]":,'):  # such a vocabulary cannot write JSON, and says so
        assert family == "t5"
        with pytest.raises(RequestError):
            written(tokenizer, grammars, grammar.json_schema(SCHEMA), 0)
        return
    for seed in range(4):
        jsonschema.validate(json.loads(written(tokenizer, grammars, grammar.json_schema(SCHEMA), seed)), SCHEMA)
        assert written(tokenizer, grammars, grammar.choice(["yes", "no way"]), seed) in ("yes", "no way")
        assert written(tokenizer, grammars, grammar.regex("[a-f]{3}-[0-9]{2}"), seed)[3] == "-"
