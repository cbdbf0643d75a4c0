"""First programs of pydantic-ai: `openai:` models are asked by Responses, `anthropic:` ones by Messages."""

import os

from common import MODEL, URL, run, weather
from pydantic import BaseModel

os.environ |= {"OPENAI_BASE_URL": f"{URL}/v1", "OPENAI_API_KEY": "none", "ANTHROPIC_BASE_URL": URL,
               "ANTHROPIC_API_KEY": "none"}  # fmt: skip

import pydantic_ai


class City(BaseModel):
    name: str
    people: int


def pydantic_ai_openai_text():
    assert pydantic_ai.Agent(f"openai:{MODEL}").run_sync("hi").output


def pydantic_ai_openai_output_type():
    assert isinstance(pydantic_ai.Agent(f"openai:{MODEL}", output_type=City).run_sync("hi").output, City)


def pydantic_ai_openai_tool():
    assert pydantic_ai.Agent(f"openai:{MODEL}", tools=[weather]).run_sync("hi").output


def pydantic_ai_openai_chat():
    assert pydantic_ai.Agent(f"openai-chat:{MODEL}").run_sync("hi").output


def pydantic_ai_anthropic_text():
    assert pydantic_ai.Agent(f"anthropic:{MODEL}").run_sync("hi").output


def pydantic_ai_anthropic_tool():
    assert pydantic_ai.Agent(f"anthropic:{MODEL}", tools=[weather]).run_sync("hi").output


async def pydantic_ai_openai_streamed():
    async with pydantic_ai.Agent(f"openai:{MODEL}").run_stream("hi") as found:
        assert [text async for text in found.stream_text()]


names = [name for name in list(globals()) if name.startswith("pydantic_ai_")]
run(**{name: globals()[name] for name in names})
