"""pydantic-ai: an agent with an output type, an agent with a tool, on the chat-completions model."""

from common import Person, Program, base_url, is_text, model, run, weather
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

SETTINGS = {"max_tokens": 150}


def chat_model() -> OpenAIChatModel:
    return OpenAIChatModel(model(), provider=OpenAIProvider(base_url=base_url(), api_key="none"))


def typed(output: object) -> object:
    agent = Agent(chat_model(), output_type=output, model_settings=SETTINGS)
    return agent.run_sync("Ada Lovelace was 36 years old.").output


def with_a_tool() -> str:
    agent = Agent(chat_model(), tools=[weather], model_settings=SETTINGS)
    return agent.run_sync("What is the weather in Oslo?").output


async def streamed() -> str:
    agent = Agent(chat_model(), model_settings=SETTINGS)
    async with agent.run_stream("Say hello.") as result:
        return await result.get_output()


run(
    Program("agent with an output type, by a tool", lambda: typed(ToolOutput(Person))),
    Program("agent with an output type, by a JSON schema", lambda: typed(NativeOutput(Person))),
    Program("agent with a tool", with_a_tool, is_text),
    Program("agent, streamed", streamed, is_text),
)
