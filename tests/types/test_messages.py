"""One parser of messages: what both modes take, what only the lenient one takes, and every refusal with its words."""

import pytest

from creuset.core.errors import RequestError
from creuset.types.messages import MAX_TOOLS, ChatMessage, ToolCall, parse_messages, parse_tools

MODES = ("strict", "lenient")
FUNCTION = {"name": "f", "arguments": '{"a": 1}'}
CALL = {"id": "c1", "type": "function", "function": FUNCTION}


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content=None, **more):
    return {"role": "assistant", "content": content, **more}


def function(**more):
    return {"type": "function", "function": {"name": "f", **more}}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (user("a"), ChatMessage(role="user", content="a")),
        (user("a", name="ann"), ChatMessage(role="user", content="a", name="ann")),
        (user(""), ChatMessage(role="user", content="")),
        (user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), ChatMessage(role="user", content="ab")),
        ({"role": "developer", "content": "a"}, ChatMessage(role="system", content="a")),
        ({"role": "tool", "tool_call_id": "c1", "content": "a"},
         ChatMessage(role="tool", content="a", tool_call_id="c1")),
        ({"role": "function", "name": "f", "content": "a"}, ChatMessage(role="tool", content="a", name="f")),
        (assistant("a", refusal=None, audio=None, annotations=[], new_field={}, other=None),
         ChatMessage(role="assistant", content="a")),
        (assistant("a", reasoning_content="r"), ChatMessage(role="assistant", content="a", reasoning="r")),
        (assistant("a", reasoning="r"), ChatMessage(role="assistant", content="a", reasoning="r")),
        (assistant("a", reasoning="s", reasoning_content="r"),
         ChatMessage(role="assistant", content="a", reasoning="r")),
        (assistant(None, refusal="no"), ChatMessage(role="assistant", content="no")),
        (assistant("yes", refusal="no"), ChatMessage(role="assistant", content="yes")),
        (assistant([{"type": "refusal", "refusal": "no"}]), ChatMessage(role="assistant", content="no")),
        (assistant(None, tool_calls=[CALL | {"index": 0}]),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", '{"a": 1}', CALL["id"]),))),
        (assistant(None, tool_calls=[{"function": {"name": "f", "arguments": ""}}]),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", "{}"),))),
        (assistant(None, function_call=FUNCTION),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", '{"a": 1}'),))),
        (user("a", tool_calls=[], reasoning_content=None), ChatMessage(role="user", content="a")),
    ],
)  # fmt: skip
def test_both_modes_read_the_same(mode, given, expected):
    assert parse_messages([given], mode) == [expected]
    assert parse_messages([expected], mode) == [expected]  # what is parsed stays as it is


@pytest.mark.parametrize(
    ("given", "expected", "param", "words"),
    [
        (assistant("a", weight=0), ChatMessage(role="assistant", content="a", weight=0.0),
         "messages[0].weight", "is not a field that this server knows"),
        ({"role": "tool", "content": "a"}, ChatMessage(role="tool", content="a"),
         "messages[0].tool_call_id", "is required: the id of the call that this answers"),
        (user([]), ChatMessage(role="user", content=""),
         "messages[0].content", "must be a string or a list of text parts, got []"),
        (user([{"type": "text", "text": "a", "x": 1}]), ChatMessage(role="user", content="a"),
         "messages[0].content[0].x", "is not a field that this server knows"),
        (user(({"type": "text", "text": "a"},)), ChatMessage(role="user", content="a"), None, ""),
        (assistant("", tool_calls=[{"name": "f", "arguments": "{}"}]),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", "{}"),)),
         "messages[0].tool_calls[0].function", "must be an object, got null"),
        (assistant("", tool_calls=[{"function": {"name": "f", "arguments": {"é": 1}}}]),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", '{"é": 1}'),)),
         "messages[0].tool_calls[0].function.arguments", "must be a string that holds JSON"),
        (assistant("", tool_calls=[{"function": FUNCTION | {"x": 1}}]),
         ChatMessage(role="assistant", content="", tool_calls=(ToolCall("f", '{"a": 1}'),)),
         "messages[0].tool_calls[0].function.x", "is not a field that this server knows"),
    ],
)  # fmt: skip
def test_what_only_files_may_say(given, expected, param, words):
    assert parse_messages([given], "lenient") == [expected]
    if param is not None:
        with pytest.raises(RequestError) as refused:
            parse_messages([given], "strict")
        assert refused.value.param == param and words in str(refused.value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([], "messages", "is required: a list with at least one message"),
        ("", "messages", "is required"),
        (None, "messages", "is required"),
        ("hi", "messages", 'must be a list, got "hi"'),
        (b"hi", "messages", "must be a list"),
        (7, "messages", "must be a list, got 7"),
        (["hi"], "messages[0]", 'must be an object, got "hi"'),
        ([user("a"), {"content": "x"}], "messages[1].role",
         "must be one of system, developer, user, assistant, tool, function, got null"),
        ([user("a"), {"role": "bot", "content": "x"}], "messages[1].role", 'got "bot"'),
        ([{"role": ["user"], "content": "x"}], "messages[0].role", 'got ["user"]'),
        ([{"role": "user"}], "messages[0].content", "is required"),
        ([user(None)], "messages[0].content", "is required"),
        ([user(3)], "messages[0].content", "must be a string or a list of text parts, got 3"),
        ([user({"type": "text"})], "messages[0].content", "must be a string or a list of text parts"),
        ([user(["a"])], "messages[0].content[0]", 'must be an object, got "a"'),
        ([user([{"type": "image_url"}])], "messages[0].content[0].type", 'is served as "text" only, got "image_url"'),
        ([user([{"type": "refusal", "refusal": "x"}])], "messages[0].content[0].type", 'got "refusal"'),
        ([user([{"text": "x"}])], "messages[0].content[0].type", "got null"),
        ([user([{"type": "text"}])], "messages[0].content[0].text", "is required"),
        ([user([{"type": "text", "text": 1}])], "messages[0].content[0].text", "must be a string, got 1"),
        ([user("a", name=1)], "messages[0].name", "must be a string, got 1"),
        ([user("a", mood=1)], "messages[0].mood", "is not a field that this server knows"),
        ([user("a", tool_calls=[CALL])], "messages[0].tool_calls", "belongs to the assistant, not to user"),
        ([user("a", reasoning_content="r")], "messages[0].reasoning_content", "belongs to the assistant"),
        ([{"role": "function", "content": "a"}], "messages[0].name", "is required: the function whose result this is"),
        ([{"role": "tool", "tool_call_id": "c"}], "messages[0].content", "is required"),
        ([assistant("a", reasoning_content=1)], "messages[0].reasoning_content", "must be a string, got 1"),
        ([assistant("a", audio={"id": "x"})], "messages[0].audio", "is not served here"),
        ([assistant("a", refusal=1)], "messages[0].refusal", "must be a string"),
        ([assistant("", tool_calls="f")], "messages[0].tool_calls", 'must be a list, got "f"'),
        ([assistant("", tool_calls=[1])], "messages[0].tool_calls[0]", "must be an object, got 1"),
        ([assistant("", tool_calls=[CALL | {"id": 1}])], "messages[0].tool_calls[0].id", "must be a string"),
        ([assistant("", tool_calls=[CALL | {"x": 1}])], "messages[0].tool_calls[0].x", "is not a field"),
        ([assistant("", tool_calls=[{"type": "custom"}])], "messages[0].tool_calls[0].custom",
         "is required: an object with `name` and `input`"),
        ([assistant("", tool_calls=[{"type": "web"}])], "messages[0].tool_calls[0].type", 'got "web"'),
        ([assistant("", tool_calls=[{"function": 1}])], "messages[0].tool_calls[0].function", "must be an object"),
        ([assistant("", tool_calls=[{"function": {"name": "", "arguments": "{}"}}])],
         "messages[0].tool_calls[0].function.name", "is required"),
        ([assistant("", tool_calls=[{"function": {"name": "f", "arguments": 3}}])],
         "messages[0].tool_calls[0].function.arguments", "must be a string that holds JSON, got 3"),
        ([assistant("", tool_calls=[{"function": {"name": "f", "arguments": "a"}}])],
         "messages[0].tool_calls[0].function.arguments", "must hold JSON"),
        ([user("a", reasoning="r")], "messages[0].reasoning", "belongs to the assistant"),
        ([assistant("", tool_calls=[{"function": {"name": "f", "arguments": "[1]"}}])],
         "messages[0].tool_calls[0].function.arguments", "must hold a JSON object, got [1]"),
        ([assistant("", function_call=1)], "messages[0].function_call", "must be an object, got 1"),
    ],
)  # fmt: skip
def test_both_modes_refuse_it_by_its_path(mode, messages, param, words):
    if param.endswith((".x",)) and mode == "lenient":
        messages[0]["tool_calls"][0].pop("function")  # a bare call: its other keys are its own business
        messages[0]["tool_calls"][0]["function"] = FUNCTION
    with pytest.raises(RequestError) as refused:
        parse_messages(messages, mode)
    assert refused.value.param == param and words in str(refused.value) and f"`{param}`" in str(refused.value)


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ([assistant("a", weight=0.5)], "messages[0].weight", "must be 0 or 1, got 0.5"),
        ([assistant()], "messages[0].content", "is required unless there are tool calls"),
        ([assistant("", tool_calls=[{"function": {"name": "f", "arguments": "{"}}])],
         "messages[0].tool_calls[0].function.arguments", "must hold JSON"),
        ([assistant("a", weight=True)], "messages[0].weight", "must be 0 or 1, got true"),
        ([assistant("", tool_calls=[{"function": {"name": "f", "arguments": {1: {2}}}}])],
         "messages[0].tool_calls[0].function.arguments", "is not JSON"),
    ],
)  # fmt: skip
def test_what_files_may_say_is_checked_too(given, param, words):
    with pytest.raises(RequestError) as refused:
        parse_messages(given, "lenient")
    assert refused.value.param == param and words in str(refused.value)


def test_what_changes_nothing_is_named_once():
    ignored: dict[str, None] = {"user": None}
    parse_messages([user("a", name="x"), user("b"), user("c", name="y")], "strict", ignored=ignored)
    assert list(ignored) == ["user", "messages.name"]


def test_what_clients_send_back_of_a_reply_is_taken_and_named():
    ignored: dict[str, None] = {}
    parts = [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}, "annotations": []}]
    sent = assistant(
        parts, id="1", annotations=[{"type": "url_citation"}], parsed={"a": 1}, provider_specific_fields={}
    )
    sent["tool_calls"] = [CALL | {"function": FUNCTION | {"parsed_arguments": {"a": 1}}}]
    (message,) = parse_messages([sent], "strict", ignored=ignored)
    assert message.content == "b" and message.tool_calls[0].arguments == FUNCTION["arguments"]
    assert set(ignored) == {
        "messages.id", "messages.annotations", "messages.parsed", "messages.content.cache_control",
        "messages.tool_calls.function.parsed_arguments",
    }  # fmt: skip


def test_an_api_takes_back_an_answer_that_broke_off():
    cut = {"id": "c", "function": {"name": "f", "arguments": '{"a": '}}
    first, empty = parse_messages([assistant(None, tool_calls=[cut]), assistant(None)], "strict")
    assert first.tool_calls == (ToolCall("f", '{"a": ', "c"),) and empty.content == ""


def test_the_words_of_a_refused_value_are_cut():
    with pytest.raises(RequestError) as refused:
        parse_messages([{"role": "x" * 500, "content": ""}], "strict")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("tools", "param", "words"),
    [
        ("f", "tools", 'must be a list, got "f"'),
        ({}, "tools", "must be a list, got {}"),
        (["f"], "tools[0]", 'must be an object, got "f"'),
        ([function(), {"type": "function", "function": {}}], "tools[1].function.name", ""),
    ],
)
def test_tools_that_are_none_are_refused_by_their_path(mode, tools, param, words):
    with pytest.raises(RequestError) as refused:
        parse_tools(tools, mode)
    assert refused.value.param == param and words in str(refused.value)


@pytest.mark.parametrize(
    ("tool", "param", "words"),
    [
        ({"function": {"name": "f"}}, "tools[0].type", 'is served as "function" only, got null'),
        ({"type": "custom"}, "tools[0].type", 'got "custom"'),
        ({"type": "function"}, "tools[0].function", "must be an object, got null"),
        (function() | {"x": 1}, "tools[0].x", "is not a field"),
        (function(name="a b"), "tools[0].function.name", 'letters, digits, `_` or `-`, got "a b"'),
        (function(name="é"), "tools[0].function.name", "letters, digits"),
        (function(name="f" * 65), "tools[0].function.name", "at most 64 characters, got 65"),
        (function(description=1), "tools[0].function.description", "must be a string, got 1"),
        (function(parameters=[]), "tools[0].function.parameters", "must be a JSON schema, got []"),
        (function(x=1), "tools[0].function.x", "is not a field"),
    ],
)
def test_an_api_takes_tools_by_the_letter(tool, param, words):
    with pytest.raises(RequestError) as refused:
        parse_tools([tool], "strict")
    assert refused.value.param == param and words in str(refused.value)


def test_tools_are_shown_as_they_came_but_for_what_is_empty():
    assert parse_tools(None, "strict") == parse_tools([], "lenient") == []
    full = function(description="d", parameters={"type": "object"})
    assert parse_tools([full], "strict") == parse_tools([full], "lenient") == [full]
    assert parse_tools([function(strict=False, description=None)], "strict") == [function()]
    bare = {"name": "any name at all", "extra": 1}
    assert parse_tools([bare], "lenient") == [bare]
    with pytest.raises(RequestError, match=f"at most {MAX_TOOLS} tools, got {MAX_TOOLS + 1}"):
        parse_tools([function()] * (MAX_TOOLS + 1), "strict")
    with pytest.raises(RequestError, match="is not JSON"):
        parse_tools([function(parameters={1, 2})], "lenient")
