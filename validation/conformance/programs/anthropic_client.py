"""anthropic-python with strict validation."""

import anthropic
from common import MODEL, URL, run

client = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0, _strict_response_validation=True)
ASK = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}


def message():
    assert client.messages.create(**ASK, system="Be brief.").content[0].text


def message_streamed():
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().stop_reason == "end_turn"


def events_of_a_stream():
    kinds = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


def a_tool_and_its_result():
    found = client.messages.create(**ASK, tools=[TOOL])
    call = found.content[-1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    more = [*ASK["messages"], {"role": "assistant", "content": found.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(**ASK | {"messages": more}, tools=[TOOL]).content[0].text


def a_form():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"format": {"type": "json_schema", "schema": schema | {"additionalProperties": False}}}
    assert client.messages.create(**ASK, output_config=form).content[0].text.startswith("{")


def count_tokens():
    assert client.messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens


def a_refusal_is_the_error_it_should_be():
    try:
        client.messages.create(**ASK | {"model": "nobody"})
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error"
    else:
        raise AssertionError("no error")


names = list(globals().items())
run(**{name: found for name, found in names if getattr(found, "__module__", "") == __name__ and callable(found)})
