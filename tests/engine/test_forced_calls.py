"""A model that babbles is made to call: in every form, each call is found, known, and valid by its schema."""

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.testing import tiny_tokenizer
from creuset.text.calls.forced import MAX_CALLS, ForcedTool, GrammarWriter, closed
from creuset.text.calls.formats import FORMATS, NO_PARAMETERS, call_format
from creuset.text.calls.pieces import join_pieces
from creuset.text.grammar import json_schema
from creuset.text.output import OutputParser
from creuset.text.stream import Detokenizer
from creuset.types.generation import Sampling
from tests.lazy import lazily

if TYPE_CHECKING:
    import jsonschema
else:
    jsonschema = lazily("jsonschema")

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", 'y"', "é"]}, "c": {"type": ["boolean", "null"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
TOOLS = [ForcedTool("f", SCHEMA, "tools[0].function.parameters"), ForcedTool("g", NO_PARAMETERS, "tools[1]")]
SHOWN = [{"name": tool.name, "parameters": tool.schema} for tool in TOOLS]
SPECIAL = tiny_tokenizer().special


@pytest.fixture(scope="module")
def grammars():
    tokenizer = tiny_tokenizer()
    return Grammars(tokenizer, end_ids=[tokenizer.im_end], vocab_size=tokenizer.vocab_size)


def writer(name):
    return GrammarWriter(call_format("<think>", (), name), SPECIAL)


def babble(grammars, grammar, form, *, seed, tokens, prefer=()):
    """Text of random tokens that the grammar allows, and whether it came to its end by itself."""
    tokenizer, chance = tiny_tokenizer(), random.Random(seed)
    mask = grammars.mask(grammars.compile(grammar).result(), Sampling(max_tokens=tokens))
    text, ended = Detokenizer(tokenizer, visible=form.visible_ids(SPECIAL)), False
    said = ""
    while not ended and tokens and (allowed_V := mask.allowed()) is not None:
        able = np.flatnonzero(allowed_V).tolist()
        wanted = [id for id in prefer if id in able]
        token = wanted[0] if wanted and chance.random() < 0.9 else chance.choice(able)
        ended, tokens = mask.accept(token), tokens - 1
        said += "" if token == tokenizer.im_end else text.push(token)
    return said + text.finish(), bool(tokens)


def answers(grammars, name, grammar, thought="none", *, count=3, tokens=250, **options):
    form = call_format("<think>", (), name)
    options["prefer"] = (SPECIAL["</think>"], *options.get("prefer", ()))
    for seed in range(count):
        said, ended = babble(grammars, grammar, form, seed=seed, tokens=tokens, **options)
        parser = OutputParser(form, tools=SHOWN, thinking=thought != "none", opened=thought == "opened")
        yield join_pieces([*parser.push(said), *parser.finish()]), ended


def check(calls):
    for call in calls:
        jsonschema.validate(json.loads(call.arguments), {"f": SCHEMA, "g": NO_PARAMETERS}[call.name])


@pytest.mark.parametrize("thought", ["none", "may", "opened"])
@pytest.mark.parametrize("name", FORMATS)
def test_exactly_one_call_comes_where_one_is_asked_for(grammars, name, thought):
    grammar, whole = writer(name).calls(TOOLS, one=True, thought=thought), 0
    for parsed, ended in answers(grammars, name, grammar, thought):
        if ended:
            assert len(parsed.calls) == 1 and not parsed.text
            check(parsed.calls)
            whole += 1
    assert whole


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "harmony"])
def test_several_calls_come_where_several_may_but_not_for_ever(grammars, name):
    closing = [SPECIAL["</tool_call>"], *tiny_tokenizer().encode("},; [")]
    grammar, numbers = writer(name).calls(TOOLS[1:], one=False, thought="none"), []
    for parsed, ended in answers(grammars, name, grammar, count=5, tokens=1500, prefer=closing):
        check(parsed.calls)
        assert ended and not parsed.text
        numbers.append(len(parsed.calls))
    assert 1 < max(numbers) <= MAX_CALLS


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("thought", ["none", "may"])
def test_in_free_text_a_call_that_begins_is_a_call(grammars, name, thought):
    grammar = writer(name).free_calls(TOOLS, thought=thought)
    # The channels of gpt-oss take some forty tokens of the test's tokenizer before the first word.
    for parsed, ended in answers(grammars, name, grammar, thought, tokens=200 if name == "harmony" else 40):
        assert ended or len(parsed.text + parsed.thought) > 40, "words are not forbidden"
    if (marks := call_format("", (), name).opening) and (mark := marks[0]) in SPECIAL:
        for parsed, _ in answers(grammars, name, grammar, thought, tokens=400, prefer=[SPECIAL[mark]]):
            check(parsed.calls[:-1])
            assert parsed.calls


def test_white_space_between_the_parts_of_json_is_bounded(grammars):
    """However much of it the model would write: forms of answers and arguments of tools have one rule for it."""
    byte_ids = {tiny_tokenizer().token_bytes(id): id for id in reversed(range(tiny_tokenizer().vocab_size))}
    for grammar in (json_schema(SCHEMA), writer("mistral_args").calls(TOOLS[:1], one=True, thought="none")):
        start = "" if grammar == json_schema(SCHEMA) else "[TOOL_CALLS]f[ARGS]"
        for space, written in (("\n" + " " * 40, True), ("\n" + " " * 41, False), ("  ", False), ("\n\n", False)):
            ids = [byte_ids[bytes([byte])] for byte in (start + "{" + space).encode()]
            found = grammars.compile(grammar).result().deep_copy().try_consume_tokens(ids)
            assert (found == len(ids)) == written, (start, space)


def test_gpt_oss_makes_one_call_an_answer():
    grammars = [writer("harmony").calls(TOOLS, one=one, thought="may") for one in (True, False)]
    assert grammars[0] == grammars[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_bare_call_of_llama_in_free_text_is_one_of_the_tools_by_its_schema(grammars, seed):
    form, tokenizer = call_format("", (), "llama3"), tiny_tokenizer()
    brace = tokenizer.encode("{")[0]
    grammar = writer("llama3").free_calls(TOOLS, thought="none")
    said, ended = babble(grammars, grammar, form, seed=seed, tokens=400, prefer=(brace,))
    parser = OutputParser(form, tools=SHOWN)
    parsed = join_pieces([*parser.push(said), *parser.finish()])
    check(parsed.calls if ended else parsed.calls[:-1])
    assert parsed.calls or parsed.text


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("llama3", "It is sunny.", True),
        ("llama3", '{"a": 1}', True),
        ("llama3", ' [{"name": "other", "parameters": {}}]', True),
        ("llama3", '{"name": "f", "parameters": {"a": 1, "b": "x"}}', True),
        ("llama3", '{"name": "f", "parameters": {"zz', False),
        ("llama3", '[ {"name" : "g"', False),
        ("llama3", '{"name": "\\u0066"', False),
        ("llama3", '{"n\\u0061me": "g"', False),
        ("llama3", '{"arguments": {}', False),
        ("llama3", "Well: <|python_tag|>", False),
        ("hermes", "Well: {", True),
        ("hermes", "<tool_call>", False),  # spelled, in tokens of text
        ("harmony", "<|channel|>final<|message|>Sunny.", True),
        ("harmony", "<|channel|>analysis<|message|>Well.<|end|><|start|>assistant<|channel|>final<|message|>", True),
        ("harmony", "<|channel|>final<|message|>Sunny.<|channel|>", False),
        ("harmony", "<|channel|>commentary to=functions.h", False),
        ("harmony", "<|channel|>commentary to=functions.g <|constrain|>json<|message|>{}", True),
        ("harmony", '<|channel|>commentary to=functions.g <|constrain|>json<|message|>{"', False),
    ],
)
def test_free_text_holds_any_words_and_no_call_but_those_of_the_tools(grammars, name, text, written):
    tokenizer, grammar = tiny_tokenizer(), writer(name).free_calls(TOOLS, thought="none")
    byte_ids = {tokenizer.token_bytes(id): id for id in reversed(range(tokenizer.vocab_size))}
    ids = [byte_ids[bytes([byte])] for byte in text.encode()]
    assert (grammars.compile(grammar).result().deep_copy().try_consume_tokens(ids) == len(ids)) == written


def test_a_call_of_gpt_oss_in_free_text_is_one_of_the_tools_by_its_schema(grammars):
    grammar, called = writer("harmony").free_calls(TOOLS, thought="none"), 0
    for parsed, ended in answers(grammars, "harmony", grammar, count=12, tokens=300):
        check(parsed.calls if ended else parsed.calls[:-1])
        called += bool(parsed.calls)
    assert called, "a call may begin in any answer"


@pytest.mark.parametrize("thought", ["none", "may", "opened"])
@pytest.mark.parametrize("name", ["hermes", "mistral", "harmony"])
def test_an_answer_keeps_its_grammar_behind_a_thought(grammars, name, thought):
    grammar, whole = writer(name).answer(json_schema(SCHEMA), thought=thought), 0
    for parsed, ended in answers(grammars, name, grammar, thought, count=5):
        if ended:
            jsonschema.validate(json.loads(parsed.text), SCHEMA)
            whole += 1
    assert whole


def test_a_schema_that_cannot_be_enforced_is_refused_by_its_path():
    broken = ForcedTool("f", {"type": "object", "properties": {"a": {"pattern": "("}}}, "tools[0].function.parameters")
    with pytest.raises(RequestError) as refused:
        writer("hermes").calls([broken], one=True, thought="none")
    assert refused.value.param.startswith("tools[0].function.parameters")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "additionalProperties": False}),
        ({"properties": {"a": {}}, "additionalProperties": True}, None),
        ({"properties": {"a": {}}, "patternProperties": {"^b": {}}}, None),
        ({"type": "object"}, None),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, None),
        (
            {"$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}, "anyOf": [{"$ref": "#/$defs/A"}]},
            {
                "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}, "additionalProperties": False}},
                "anyOf": [{"$ref": "#/$defs/A"}],
            },
        ),
        ({"items": {"properties": {"if": {"properties": {"x": {}}}}}}, None),
    ],
)
def test_objects_are_closed_where_one_place_says_what_they_hold(schema, expected):
    assert closed(schema) == (schema if expected is None else expected)


def test_a_schema_of_any_depth_is_left_to_the_compiler():
    deep = {"properties": {"a": {}}}
    for _ in range(2000):
        deep = {"items": deep}
    assert closed(deep) is deep
