"""First programs of AutoGen."""

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from common import MODEL, URL, run, weather

INFO = {"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}


def client():
    return OpenAIChatCompletionClient(model=MODEL, base_url=f"{URL}/v1", api_key="none", model_info=INFO)


async def create():
    assert (await client().create([UserMessage(content="hi", source="user")])).content


async def assistant():
    assert (await AssistantAgent("a", model_client=client()).run(task="hi")).messages[-1].content


async def assistant_with_a_tool():
    agent = AssistantAgent("a", model_client=client(), tools=[weather])
    assert (await agent.run(task="hi")).messages[-1].content


async def assistant_streamed():
    agent = AssistantAgent("a", model_client=client(), model_client_stream=True)
    assert [one async for one in agent.run_stream(task="hi")]


run(create=create, assistant=assistant, assistant_with_a_tool=assistant_with_a_tool, streamed=assistant_streamed)
