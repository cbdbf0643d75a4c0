"""First programs of the OpenAI Agents SDK, which asks by Responses."""

import os
from functools import partial

from common import MODEL, URL, run, weather
from pydantic import BaseModel

os.environ |= {"OPENAI_BASE_URL": f"{URL}/v1", "OPENAI_API_KEY": "none",
               "OPENAI_AGENTS_DISABLE_TRACING": "1"}  # fmt: skip

import agents
import openai


class City(BaseModel):
    name: str
    people: int


async def agents_sdk_streamed():
    result = agents.Runner.run_streamed(agents.Agent(name="a", model=MODEL), "hi")
    assert [event async for event in result.stream_events()] and result.final_output


def agents_sdk_text():
    assert agents.Runner.run_sync(agents.Agent(name="a", model=MODEL), "hi").final_output


def agents_sdk_tool():
    agent = agents.Agent(name="a", model=MODEL, tools=[agents.function_tool(weather)])
    assert agents.Runner.run_sync(agent, "hi").final_output


def agents_sdk_output_type():
    agent = agents.Agent(name="a", model=MODEL, output_type=City)
    assert isinstance(agents.Runner.run_sync(agent, "hi").final_output, City)


names = [name for name in list(globals()) if name.startswith("agents_sdk_")]


def fresh(program):
    """A program with a client of its own: one that has been used is bound to the event loop of its first use."""
    agents.set_default_openai_client(openai.AsyncOpenAI())
    return program()


run(**{name: partial(fresh, globals()[name]) for name in names})
