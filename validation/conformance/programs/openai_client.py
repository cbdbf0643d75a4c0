"""openai-python with strict validation: a reply that is not to the letter what its types say raises."""

import openai
from common import MODEL, URL, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, _strict_response_validation=True)
TALK = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


def chat():
    found = client.chat.completions.create(model=MODEL, messages=TALK, logprobs=True, top_logprobs=2, n=2)
    assert found.choices[1].message.content and found.usage.total_tokens


def chat_streamed():
    stream = client.chat.completions.create(
        model=MODEL, messages=TALK, stream=True, stream_options={"include_usage": True}, logprobs=True
    )
    assert [chunk for chunk in stream][-1].usage.total_tokens


def chat_with_a_form():
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    found = client.chat.completions.create(model=MODEL, messages=TALK, response_format=form)
    assert found.choices[0].message.content.startswith("{")


def chat_with_a_tool():
    tools = [{"type": "function", "function": FUNCTION}]
    found = client.chat.completions.create(model=MODEL, messages=TALK, tools=tools)
    assert found.choices[0].message.tool_calls[0].function.name == "look"
    chunks = list(client.chat.completions.create(model=MODEL, messages=TALK, tools=tools, stream=True))
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def completion():
    found = client.completions.create(model=MODEL, prompt="say a b c", logprobs=2, max_tokens=5)
    assert found.choices[0].text


def completion_streamed():
    stream = client.completions.create(model=MODEL, prompt="say a b c", stream=True, max_tokens=5)
    assert "".join(chunk.choices[0].text for chunk in stream)


def responses():
    found = client.responses.create(model=MODEL, input="hi")
    assert found.output_text and client.responses.retrieve(found.id).id == found.id
    again = client.responses.create(model=MODEL, input="again", previous_response_id=found.id)
    assert [item.type for item in client.responses.input_items.list(again.id)]
    client.responses.delete(found.id)


def responses_streamed():
    kinds = [event.type for event in client.responses.create(model=MODEL, input="hi", stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"


def responses_with_a_tool_and_a_form():
    tools = [{"type": "function", **FUNCTION, "strict": False}]
    found = client.responses.create(model=MODEL, input="hi", tools=tools)
    assert found.output[-1].type == "function_call"
    form = {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}}
    assert client.responses.create(model=MODEL, input="hi", text=form).output_text.startswith("{")


def responses_in_the_background():
    made = client.responses.create(model=MODEL, input="say a", background=True)
    kinds = [event.type for event in client.responses.retrieve(made.id, stream=True, starting_after=0)]
    assert kinds[-1] == "response.completed"


def conversations():
    made = client.conversations.create(items=[{"type": "message", "role": "user", "content": "hi"}])
    assert list(client.conversations.items.list(made.id))
    client.conversations.delete(made.id)


def embeddings():
    # Without `encoding_format` it asks for base64, which its own types do not allow before it has decoded it.
    found = client.embeddings.create(model=MODEL, input=["a", "b"], encoding_format="float", dimensions=4)
    assert [len(row.embedding) for row in found.data] == [4, 4]


def moderations():
    assert client.moderations.create(input="hello").results


def models():
    assert client.models.retrieve(next(iter(client.models.list())).id)


def a_refusal_is_the_error_it_should_be():
    try:
        client.chat.completions.create(model="nobody", messages=TALK)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    else:
        raise AssertionError("no error")


run(
    **{
        name: found
        for name, found in list(globals().items())
        if getattr(found, "__module__", "") == __name__ and callable(found)
    }
)
