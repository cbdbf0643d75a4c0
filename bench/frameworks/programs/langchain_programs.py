"""LangChain: structured output in two ways, a tool that must be called, an agent."""

from common import Person, Program, base_url, is_text, model, run
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """The weather in a city, in a few words."""
    return f"It is sunny in {city}."


def chat_model(**options: object) -> ChatOpenAI:
    return ChatOpenAI(base_url=base_url(), api_key="none", model=model(), max_tokens=150, max_retries=0, **options)


def structured(method: str) -> object:
    return chat_model().with_structured_output(Person, method=method).invoke("Ada Lovelace was 36 years old.")


def called() -> object:
    return chat_model().bind_tools([weather], tool_choice="any").invoke("What is the weather in Oslo?").tool_calls


def agent() -> object:
    state = create_agent(chat_model(), tools=[weather]).invoke(
        {"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]}
    )
    return state["messages"][-1].content


def typed_agent() -> object:
    state = create_agent(chat_model(), tools=[weather], response_format=Person).invoke(
        {"messages": [{"role": "user", "content": "Who is Ada Lovelace?"}]}
    )
    return state["structured_response"]


run(
    Program("with_structured_output, by a JSON schema", lambda: structured("json_schema")),
    Program("with_structured_output, by a function", lambda: structured("function_calling")),
    Program("a tool that must be called", called, lambda calls: bool(calls) and calls[0]["name"] == "weather"),
    Program("agent with a tool", agent, is_text),
    Program("agent with a form of answer", typed_agent),
    Program("streamed", lambda: "".join(part.text for part in chat_model().stream("Say hello.")), is_text),
)
