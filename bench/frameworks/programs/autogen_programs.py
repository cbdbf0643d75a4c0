"""AutoGen: an assistant, an assistant with a tool, an assistant with an output type."""

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from common import Person, Program, base_url, is_text, model, run, weather

INFO = {
    "family": ModelFamily.UNKNOWN, "vision": False, "function_calling": True, "json_output": True,
    "structured_output": True,
}  # fmt: skip


def client() -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model=model(), base_url=base_url(), api_key="none", model_info=INFO, max_tokens=150, max_retries=0
    )


async def answer() -> object:
    return (await client().create([UserMessage(content="Say hello.", source="user")])).content


async def assistant(**options: object) -> object:
    agent = AssistantAgent("assistant", client(), **options)
    result = await agent.run(task="What is the weather in Oslo?")
    return result.messages[-1].content


run(
    Program("client", answer, is_text),
    Program("assistant", assistant, is_text),
    Program("assistant with a tool", lambda: assistant(tools=[weather]), is_text),
    Program("assistant with an output type", lambda: assistant(output_content_type=Person)),
    Program("assistant, streamed", lambda: assistant(model_client_stream=True), is_text),
)
