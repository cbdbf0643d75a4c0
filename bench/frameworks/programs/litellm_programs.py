"""LiteLLM: completion, streaming, a form of answer, a tool."""

import json

import litellm
from common import Person, Program, base_url, is_text, model, run

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"],
        },
    },
}  # fmt: skip


def ask(question: str, **options: object) -> object:
    return litellm.completion(
        model=f"openai/{model()}", api_base=base_url(), api_key="none", max_tokens=150, num_retries=0,
        messages=[{"role": "user", "content": question}], **options,
    )  # fmt: skip


def streamed() -> str:
    return "".join(part.choices[0].delta.content or "" for part in ask("Say hello.", stream=True))


def structured() -> Person:
    found = ask("Ada Lovelace was 36 years old.", response_format=Person)
    return Person.model_validate_json(found.choices[0].message.content)


def called() -> dict:
    (call,) = ask("What is the weather in Oslo?", tools=[TOOL], tool_choice={
        "type": "function", "function": {"name": "weather"}}).choices[0].message.tool_calls  # fmt: skip
    return json.loads(call.function.arguments)


run(
    Program("completion", lambda: ask("Say hello.").choices[0].message.content, is_text),
    Program("completion, streamed", streamed, is_text),
    Program("a form of answer", structured),
    Program("a tool that must be called", called, lambda found: isinstance(found["city"], str)),
)
