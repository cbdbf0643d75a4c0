"""LlamaIndex: completion, chat, a structured answer, an agent with a tool."""

from common import Person, Program, base_url, is_text, model, run, weather
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai_like import OpenAILike


def llm(**options: object) -> OpenAILike:
    return OpenAILike(
        model=model(), api_base=base_url(), api_key="none", is_chat_model=True, is_function_calling_model=True,
        context_window=4096, max_tokens=150, max_retries=0, **options,
    )  # fmt: skip


def structured() -> object:
    return llm().structured_predict(Person, PromptTemplate("Ada Lovelace was 36 years old."))


def structured_by_schema() -> object:
    return llm(should_use_structured_outputs=True).structured_predict(
        Person, PromptTemplate("Ada Lovelace was 36 years old.")
    )


async def agent() -> str:
    one = FunctionAgent(tools=[weather], llm=llm(), system_prompt="You are a helpful assistant.")
    return str(await one.run("What is the weather in Oslo?"))


run(
    Program("complete", lambda: llm().complete("Oslo is").text, is_text),
    Program("chat", lambda: llm().chat([ChatMessage(role="user", content="Say hello.")]).message.content, is_text),
    Program("structured_predict, by a function", structured),
    Program("structured_predict, by a JSON schema", structured_by_schema),
    Program("agent with a tool", agent, is_text),
    Program("streamed", lambda: [part.delta for part in llm().stream_complete("Oslo is")][-1], is_text),
)
