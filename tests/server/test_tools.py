"""Which tools may be called, must be called, or may not: read from the request, enforced by the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.server.chat.tools import ToolUse, take_tools
from creuset.server.model import describe
from creuset.server.run import worker_command
from creuset.testing import tiny_model_folder, tiny_tokenizer
from creuset.text.calls.forced import GrammarWriter
from creuset.text.calls.formats import HERMES
from creuset.types.fields import Fields
from tests.lazy import lazily

from .conftest import start

if TYPE_CHECKING:
    import jsonschema
    from openai import OpenAI
else:
    jsonschema = lazily("jsonschema")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Nîmes", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **more}}


def custom(name: str, syntax: str = "", definition: str = "", **more: Any) -> dict[str, Any]:
    form = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
    return {"type": "custom", "custom": {"name": name, **({"format": form} if syntax else {}), **more}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]}}


def read(**body: Any) -> ToolUse:
    fields = Fields(body)
    use = take_tools(fields)
    fields.refuse_rest()
    return use


TWO = [tool("weather"), tool("news", strict=True)]


@pytest.mark.parametrize(
    ("body", "names", "choice", "forced", "one", "constrained"),
    [
        ({}, [], "none", False, False, False),
        ({"tools": [], "tool_choice": "none"}, [], "none", False, False, False),
        ({"tools": TWO}, ["weather", "news"], "auto", False, False, True),
        ({"tools": TWO[:1]}, ["weather"], "auto", False, False, False),
        ({"tools": TWO, "tool_choice": "none"}, [], "none", False, False, False),
        ({"tools": TWO, "tool_choice": "required"}, ["weather", "news"], "required", True, False, True),
        ({"tools": TWO, "tool_choice": "required", "parallel_tool_calls": False},
         ["weather", "news"], "required", True, True, True),
        ({"tools": TWO, "tool_choice": named("news")}, ["news"], "named", True, True, True),
        ({"tools": TWO, "tool_choice": allowed("auto", "weather")}, ["weather"], "auto", False, False, True),
        ({"tools": TWO, "tool_choice": allowed("required", "news")}, ["news"], "required", True, False, True),
        ({"functions": [{"name": "f"}]}, ["f"], "auto", False, True, False),
        ({"functions": [{"name": "f"}, {"name": "g"}], "function_call": {"name": "g"}},
         ["g"], "named", True, True, True),
        ({"functions": [{"name": "f"}], "function_call": "none"}, [], "none", False, True, False),
    ],
)  # fmt: skip
def test_a_choice_says_which_tools_are_shown_and_what_is_enforced(
    body: dict[str, Any], names: list[str], choice: str, forced: bool, one: bool, constrained: bool
) -> None:
    use = read(**body)
    assert [shown["function"]["name"] for shown in use.tools] == names and use.choice == choice
    assert (use.forced, use.one, use.constrained) == (forced, one, constrained)
    assert not any("strict" in shown["function"] for shown in use.tools)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"tools": TWO, "tool_choice": "always"}, "tool_choice", '"auto", "required", or an object, got "always"'),
        ({"tools": TWO, "tool_choice": 5}, "tool_choice", "got 5"),
        ({"tool_choice": "required"}, "tool_choice", "only with tools"),
        ({"tool_choice": named("f")}, "tool_choice.function.name", "no tools were given"),
        ({"tools": TWO, "tool_choice": named("f")}, "tool_choice.function.name", 'no tool has the name "f"'),
        ({"tools": TWO, "tool_choice": {"type": "function"}}, "tool_choice.function", "is required"),
        ({"tools": TWO, "tool_choice": {"type": "file"}}, "tool_choice.type", 'got "file"'),
        ({"tools": TWO, "tool_choice": {"type": "custom"}}, "tool_choice.custom", "the name of the custom tool"),
        ({"tools": TWO, "tool_choice": {"type": "custom", "custom": {"name": "news"}}}, "tool_choice.custom.name",
         'names a function, got the type "custom"'),
        ({"tools": [custom("run")], "tool_choice": named("run")}, "tool_choice.function.name", "names a custom tool"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom", "is required"),
        ({"tools": [custom("a b")]}, "tools[0].custom.name", "1 to 64 letters"),
        ({"tools": [custom("a", format={"type": "json"})]}, "tools[0].custom.format.type", '"text" or "grammar"'),
        ({"tools": [custom("a", format={"type": "grammar"})]}, "tools[0].custom.format.grammar", "is required"),
        ({"tools": [custom("a", "gbnf", "x")]}, "tools[0].custom.format.grammar.syntax", '"lark" or "regex"'),
        ({"tools": [custom("a", "lark", "")]}, "tools[0].custom.format.grammar.definition", "is required"),
        ({"tools": TWO, "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", "is required"),
        ({"tools": TWO, "tool_choice": allowed("any", "news")}, "tool_choice.allowed_tools.mode", 'got "any"'),
        ({"tools": TWO, "tool_choice": allowed("auto")}, "tool_choice.allowed_tools.tools", "at least one"),
        ({"tools": TWO, "tool_choice": allowed("auto", "f")}, "tool_choice.allowed_tools.tools", '"f"'),
        ({"tools": [TWO[0], TWO[0]]}, "tools[1].function.name", 'is "weather", which `tools[0]` has already'),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name", "has already"),
        ({"functions": [{"name": "f"}], "tools": TWO}, "functions", "give one of the two"),
        ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call", '"none", "auto", or an object'),
        ({"functions": [{"name": "f"}], "tool_choice": "auto"}, "tool_choice", "is not served"),
        ({"tools": TWO, "function_call": "auto"}, "function_call", "is not served"),
        ({"tools": [tool("f", parameters={"type": "array"})]}, "tools[0].function.parameters.type", 'got "array"'),
        ({"tools": [tool("f", strict="yes")]}, "tools[0].function.strict", "true or false"),
        ({"tools": TWO, "parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_its_path(body: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(**body)
    assert refused.value.param == param and words in str(refused.value)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"tools": [TWO[0], tool("f", parameters={"properties": {"a": {"pattern": "("}}})]}, "tools[1].function"),
        ({"functions": [{"name": "f", "parameters": {"properties": {"a": {"pattern": "("}}}}]}, "functions[0]"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_refused_where_it_must_be(body: dict[str, Any], path: str) -> None:
    choice = "function_call" if "functions" in body else "tool_choice"
    forced = read(**body, **{choice: {"name": "f"} if "functions" in body else named("f")})
    writer = GrammarWriter(HERMES, {})
    with pytest.raises(RequestError) as refused:
        forced.grammar(writer, "none", None)
    assert refused.value.param is not None and refused.value.param.startswith(f"{path}.parameters.properties.a.pattern")
    assert read(**body).grammar(writer, "none", None) is None, "nothing has to be enforced"


@pytest.mark.parametrize(
    ("taught", "said", "several"),
    [(True, {}, True), (False, {}, False), (False, {"parallel_tool_calls": True}, True),
     (True, {"parallel_tool_calls": False}, False)],
)  # fmt: skip
@pytest.mark.parametrize("answer", [None, 'start: "no"'])
def test_a_model_that_never_learned_to_call_writes_one_call_unless_several_are_asked_for(
    taught: bool, said: dict[str, bool], several: bool, answer: str | None
) -> None:
    use = read(tools=TWO[:1], tool_choice="auto" if answer else "required", **said)
    text = use.grammar(GrammarWriter(replace(HERMES, shows_tools=taught), {}), "none", answer)
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo", "days": 1}}\n</tool_call>'
    assert text is not None
    tokenizer = tiny_tokenizer()
    grammars = Grammars(tokenizer, end_ids=[tokenizer.im_end], vocab_size=tokenizer.vocab_size)
    for calls, fits in ((call, True), (f"{call}\n{call}", several)):
        matcher, ids = grammars.compile(text).result().deep_copy(), tokenizer.encode(calls)
        assert (matcher.try_consume_tokens(ids) == len(ids)) is fits


@pytest.mark.parametrize(("syntax", "text"), [("regex", "("), ("lark", "start: nobody"), ("lark", "start: /^a/")])
def test_a_custom_tool_whose_grammar_cannot_be_enforced_is_refused_by_its_path(syntax: str, text: str) -> None:
    use = read(tools=[TWO[0], custom("run", syntax, text)])
    with pytest.raises(RequestError) as refused:
        use.grammar(GrammarWriter(HERMES, {}), "none", None)
    assert refused.value.param == "tools[1].custom.format.grammar.definition"


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """A real engine with a random model, behind the official client."""
    tiny = tiny_model_folder(tmp_path_factory.mktemp("real") / "tiny", context=2048)
    command = worker_command(tiny, json.dumps({"dtype": "fp32", "kv_tokens": 4096}))
    running = start(folder, more=[(describe(tiny, ["babbler"]), command)])
    yield running.openai()
    running.close()


def ask(client: OpenAI, **body: Any) -> Any:
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 200, "seed": 5} | body
    return client.chat.completions.create(model="babbler", **body)


def test_a_named_tool_is_called_once_with_arguments_that_are_valid(client: OpenAI) -> None:
    choice = ask(client, tools=TWO, tool_choice=named("weather")).choices[0]
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather" and choice.finish_reason == "stop" and choice.message.content is None
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    chunks = [chunk.choices[0] for chunk in ask(client, tools=TWO, tool_choice=named("weather"), stream=True)]
    pieces = [c.function.arguments for chunk in chunks for c in chunk.delta.tool_calls or ()]
    assert "".join(pieces) == call.function.arguments and len(pieces) > 2
    assert chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize("choice", [named("weather"), "required"])
def test_a_forced_call_that_the_limit_cuts_is_never_told_as_words(client: OpenAI, choice: Any) -> None:
    for limit in (1, 4, 12, 24, 40, 60):
        body = {"tools": TWO[:1], "tool_choice": choice, "max_tokens": limit}
        whole = ask(client, **body).choices[0]
        assert whole.message.content is None and whole.finish_reason == "length", limit
        deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True, **body)]
        assert not any(delta.content for delta in deltas)
        told = [call.function for delta in deltas for call in delta.tool_calls or ()]
        calls = [] if not told else [("".join(f.name or "" for f in told), "".join(f.arguments for f in told))]
        assert calls == [(c.function.name, c.function.arguments) for c in whole.message.tool_calls or ()]
        assert calls in ([], [("weather", calls[0][1] if calls else "")])
    assert calls and not calls[0][1].endswith("}"), "the longest is cut within its arguments"


def test_a_call_that_may_be_made_and_is_cut_is_no_words_where_the_grammar_says_that_it_is_a_call(
    client: OpenAI,
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": "x" * 99}}}
    for seed in range(4):
        said = ask(client, tools=TWO, response_format=form, max_tokens=8, seed=seed).choices[0].message.content
        assert not (said or "").startswith("<tool_call>")


@pytest.mark.parametrize("strict", [False, True])
def test_some_tool_is_called_where_one_is_required(client: OpenAI, strict: bool) -> None:
    tools = [tool("weather", strict=strict), tool("news", strict=strict)]
    choice = ask(client, tools=tools, tool_choice="required", parallel_tool_calls=False).choices[0]
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and call.function.name in ("weather", "news")
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)


def test_the_old_form_is_forced_too(client: OpenAI) -> None:
    function = {"name": "weather", "parameters": SCHEMA}
    choice = ask(client, functions=[function], function_call={"name": "weather"}).choices[0]
    jsonschema.validate(json.loads(choice.message.function_call.arguments), SCHEMA)
    assert choice.finish_reason == "stop" and choice.message.tool_calls is None


def test_with_a_form_of_answer_a_reply_is_a_call_or_has_that_form(client: OpenAI) -> None:
    answer = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": answer}}
    for seed in range(4):
        message = ask(client, tools=TWO, response_format=form, seed=seed, parallel_tool_calls=False).choices[0].message
        for call in message.tool_calls or ():
            jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
        if not message.tool_calls:
            jsonschema.validate(json.loads(message.content), answer)


def test_a_forced_call_thinks_first_where_the_model_is_told_to(client: OpenAI) -> None:
    body = {"enable_thinking": True, "thinking_budget": 4}
    found = ask(client, tools=TWO[:1], tool_choice=named("weather"), extra_body=body, logit_bias={"510": 100})
    (call,) = found.choices[0].message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    assert found.choices[0].message.reasoning_content
    # No mark can stand inside a character, which may take three tokens more.
    assert 4 <= found.usage.completion_tokens_details.reasoning_tokens <= 7


def test_an_answer_has_no_properties_that_its_schema_does_not_name(client: OpenAI) -> None:
    answer = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": answer}}
    for seed in range(3):
        choice = ask(client, response_format=form, seed=seed).choices[0]
        assert choice.finish_reason == "stop" and json.loads(choice.message.content).keys() == {"ok"}


CUSTOM = [
    (custom("run"), r"(?s).*"),
    (custom("run", "regex", r"[a-c]{2,4}\n\"\d"), r"[a-c]{2,4}\n\"\d"),
    (custom("run", "lark", 'start: WORD (" " WORD)*\nWORD: /[a-c\\\\"]{1,2}/ | "\\n"'), r"(?s)[a-c\\\"\n ]*"),
]


@pytest.mark.parametrize(("one", "pattern"), CUSTOM)
def test_a_custom_tool_gets_its_input_as_a_text_that_fits_its_grammar(
    client: OpenAI, one: dict[str, Any], pattern: str
) -> None:
    choice = {"type": "custom", "custom": {"name": "run"}}
    for seed in range(3):
        body = {"tools": [TWO[0], one], "tool_choice": choice, "seed": seed, "max_tokens": 60}
        found = ask(client, **body).choices[0]
        (call,) = found.message.tool_calls
        assert (call.type, call.custom.name, found.message.content) == ("custom", "run", None)
        assert found.finish_reason == "length" or re.fullmatch(pattern, call.custom.input)
        deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True, **body)]
        told = [
            call for delta in deltas for call in (delta.model_extra or {}).get("tool_calls") or delta.tool_calls or ()
        ]
        assert (
            told[0].type == "custom"
            and "".join(one.model_extra["custom"]["input"] for one in told) == call.custom.input
        )
    history = [
        {"role": "user", "content": "hi"}, found.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "done"},
    ]  # fmt: skip
    assert ask(client, messages=history, tools=[one], max_tokens=4).choices[0].finish_reason


def test_a_custom_tool_of_the_responses_api(client: OpenAI) -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": r'[a-c"]{2,4}'}
    one = {"type": "custom", "name": "run", "description": "Runs it.", "format": grammar}
    body: dict[str, Any] = {
        "model": "babbler", "input": "hi", "tools": [one], "tool_choice": {"type": "custom", "name": "run"},
        "max_output_tokens": 160,
    }  # fmt: skip
    reply = client.responses.create(**body)
    (call,) = reply.output
    assert (call.type, call.name, call.status) == ("custom_tool_call", "run", "completed")
    assert re.fullmatch(grammar["definition"], call.input) and reply.tools[0].model_dump(exclude_unset=True) == one
    events = list(client.responses.create(**body, stream=True))
    pieces = [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"]
    (done,) = [event for event in events if event.type == "response.custom_tool_call_input.done"]
    assert "".join(pieces) == done.input == events[-1].response.output[0].input
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}
    later = client.responses.create(**body | {"previous_response_id": reply.id, "input": [result]})
    assert later.output[0].type == "custom_tool_call"
    again = [{"role": "user", "content": "hi"}, call.model_dump(exclude_none=True), result]
    assert client.responses.create(**body | {"input": again}).usage.input_tokens == later.usage.input_tokens
