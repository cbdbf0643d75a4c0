"""What vLLM's tests import as `tests.utils`: their server is ours."""

import os

import anthropic
import openai

URL = os.environ["CREUSET_URL"]


class RemoteOpenAIServer:
    def __init__(self, model, *_args, **_more):
        self.model, self.url_root = model, URL

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def url_for(self, *parts):
        return "/".join([URL, *parts])

    def get_client(self, **more):
        return openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, **more)

    def get_async_client(self, **more):
        return openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, **more)

    def get_client_anthropic(self, **more):
        return anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0, **more)

    def get_async_client_anthropic(self, **more):
        return anthropic.AsyncAnthropic(base_url=URL, api_key="none", max_retries=0, **more)
