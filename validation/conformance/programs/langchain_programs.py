"""First programs of LangChain, by chat completions, Responses, Messages and embeddings."""

from common import MODEL, URL, run, weather
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

KEY = {"base_url": f"{URL}/v1", "api_key": "none", "model": MODEL}


class City(BaseModel):
    """A city."""

    name: str
    people: int


def chat():
    assert ChatOpenAI(**KEY).invoke("hi").content


def responses():
    assert ChatOpenAI(**KEY, use_responses_api=True).invoke("hi").text


def responses_streamed():
    assert list(ChatOpenAI(**KEY, use_responses_api=True).stream("hi"))


def responses_with_a_form():
    found = ChatOpenAI(**KEY, use_responses_api=True).with_structured_output(City).invoke("hi")
    assert isinstance(found, City)


def agent_by_responses():
    agent = create_agent(ChatOpenAI(**KEY, use_responses_api=True), tools=[weather])
    assert agent.invoke({"messages": [{"role": "user", "content": "hi"}]})["messages"][-1].text


def messages():
    assert ChatAnthropic(model=MODEL, base_url=URL, api_key="none").invoke("hi").text


def agent_by_messages():
    agent = create_agent(ChatAnthropic(model=MODEL, base_url=URL, api_key="none"), tools=[weather])
    assert agent.invoke({"messages": [{"role": "user", "content": "hi"}]})["messages"][-1].text


def embeddings():
    found = OpenAIEmbeddings(**KEY, check_embedding_ctx_length=False).embed_documents(["a", "b"])
    assert len(found) == 2


names = list(globals().items())
run(**{n: f for n, f in names if getattr(f, "__module__", "") == __name__ and not isinstance(f, type) and callable(f)})
