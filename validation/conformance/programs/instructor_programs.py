"""First programs of instructor."""

import instructor
import openai
from common import MODEL, URL, run
from pydantic import BaseModel


class City(BaseModel):
    name: str
    people: int


TALK = [{"role": "user", "content": "hi"}]


def client(mode=instructor.Mode.TOOLS):
    return instructor.from_openai(openai.OpenAI(base_url=f"{URL}/v1", api_key="none"), mode=mode)


def by_a_tool():
    assert isinstance(client().chat.completions.create(model=MODEL, response_model=City, messages=TALK), City)


def by_a_schema():
    found = client(instructor.Mode.JSON_SCHEMA).chat.completions.create(model=MODEL, response_model=City, messages=TALK)
    assert isinstance(found, City)


def by_responses():
    found = client(instructor.Mode.RESPONSES_TOOLS).responses.create(model=MODEL, response_model=City, input="hi")
    assert isinstance(found, City)


run(by_a_tool=by_a_tool, by_a_schema=by_a_schema, by_responses=by_responses)
