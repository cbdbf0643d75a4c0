"""OpenAI Agents SDK, on its chat-completions model: an answer, an output type, a tool."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from common import Person, Program, base_url, is_text, model, run
from openai import AsyncOpenAI

set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    """The weather in a city, in a few words."""
    return f"It is sunny in {city}."


async def ask(question: str, **options: object) -> object:
    client = AsyncOpenAI(base_url=base_url(), api_key="none")
    settings = ModelSettings(max_tokens=150, **options.pop("settings", {}))
    agent = Agent(
        name="Assistant",
        instructions="You are a helpful assistant.",
        model=OpenAIChatCompletionsModel(model=model(), openai_client=client),
        model_settings=settings,
        **options,
    )
    return (await Runner.run(agent, question)).final_output


async def streamed() -> str:
    agent = Agent(
        name="Assistant",
        model=OpenAIChatCompletionsModel(model=model(), openai_client=AsyncOpenAI(base_url=base_url(), api_key="none")),
        model_settings=ModelSettings(max_tokens=100),
    )
    result = Runner.run_streamed(agent, "Say hello.")
    async for _ in result.stream_events():
        pass
    return result.final_output


WEATHER = "What is the weather in Oslo?"
run(
    Program("agent", lambda: ask("Say hello."), is_text),
    Program("agent with an output type", lambda: ask("Ada Lovelace was 36 years old.", output_type=Person)),
    Program("agent with a tool", lambda: ask(WEATHER, tools=[weather]), is_text),
    Program(
        "agent that must call its tool",
        lambda: ask(WEATHER, tools=[weather], settings={"tool_choice": "required"}),
        is_text,
    ),
    Program("agent with a tool and an output type", lambda: ask(WEATHER, tools=[weather], output_type=Person)),
    Program("agent, streamed", streamed, is_text),
)
