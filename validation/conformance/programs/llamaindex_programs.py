"""First programs of LlamaIndex."""

from common import MODEL, URL, run, weather
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

LLM = OpenAILike(model=MODEL, api_base=f"{URL}/v1", api_key="none", is_chat_model=True, is_function_calling_model=True)


def complete():
    assert LLM.complete("hi").text


def chat():
    assert LLM.chat([ChatMessage(role="user", content="hi")]).message.content


def chat_streamed():
    assert list(LLM.stream_chat([ChatMessage(role="user", content="hi")]))


async def agent():
    assert str(await FunctionAgent(tools=[weather], llm=LLM).run("hi"))


def embeddings():
    model = OpenAILikeEmbedding(model_name=MODEL, api_base=f"{URL}/v1", api_key="none")
    assert len(model.get_text_embedding_batch(["a", "b"])) == 2


run(complete=complete, chat=chat, chat_streamed=chat_streamed, agent=agent, embeddings=embeddings)
