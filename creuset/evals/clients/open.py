"""From what a user names (a folder, a shipped model, a URL) to a client that can be asked. torch only for folders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from creuset.core.errors import ConfigError
from creuset.evals.clients.http import CallSettings, HttpClient
from creuset.evals.clients.openai import OpenAIClient, bearer
from creuset.evals.clients.replies import Replies
from creuset.evals.model import ModelClient
from creuset.evals.prices import Price, load


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientSettings:
    """How to reach a model: the first half is for endpoints, the last four are for folders (two of them for both)."""

    model: str = ""
    dialect: str = "openai"
    key_env: str = ""
    concurrency: int = 8
    timeout_s: float = 120.0
    retries: int = 5
    price_cap: float | None = None
    prices: Path | None = None
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    max_tokens: int | None = None
    system: str = ""
    prefix: bool = True
    context: int = 0
    dtype: Literal["fp32", "bf16"] = "fp32"
    device: str = "cpu"


def is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))


async def open_client(name: str, to: ClientSettings, **clocks: Any) -> ModelClient:
    """Raises ConfigError, ArtifactError (no such model), EngineError (the endpoint does not answer)."""
    if is_url(name):
        price = load(to.prices).find(to.model) if to.model else None
        if price is None and to.price_cap is not None:
            named = f"`{to.model}` is in no price file" if to.model else "it has no name"
            raise ConfigError(
                f"a price cap needs the price of each endpoint that is asked; of `{name}` {named}",
                hint="give --prices FILE with its price, and its name",
            )
        calling = CallSettings(
            key_env=to.key_env,
            concurrency=to.concurrency,
            timeout_s=to.timeout_s,
            retries=to.retries,
            price_cap=to.price_cap,
            price=price,
            stream=to.stream,
            headers=to.headers,
            query=to.query,
            extra_body=to.extra_body,
            temperature=to.temperature,
            max_tokens=to.max_tokens,
            system=to.system,
        )
        return await open_endpoint(
            name,
            model=to.model,
            dialect=to.dialect,
            calling=calling,
            prefix=None if to.prefix else False,
            context=to.context,
            **clocks,
        )
    if to.price_cap is not None or to.model or to.key_env:
        raise ConfigError(f"`{name}` is no URL: --model, --key-env and --price-cap are for endpoints")
    if to.headers or to.query or to.extra_body or to.temperature is not None or to.max_tokens is not None or to.system:
        raise ConfigError(
            f"`{name}` is no URL: --header, --query, --extra-body, --temperature, --max-tokens and --system are for "
            "endpoints"
        )
    from creuset.evals.clients.local import LocalClient, find_model

    return LocalClient(find_model(name), prefix=to.prefix, context=to.context, dtype=to.dtype, device=to.device)


def share_budget(*models: ModelClient | None) -> None:
    """Let all endpoints pay from the first one's budget, so that a price cap holds for them together."""
    clients = [client for model in models if (client := _http(model)) is not None]
    currencies = sorted({client.calling.price.currency for client in clients if client.calling.price is not None})
    if len(currencies) > 1 and any(client.calling.price_cap is not None for client in clients):
        raise ConfigError(f"one price cap for prices in {' and '.join(currencies)}", hint="give prices in one currency")
    for client in clients[1:]:
        client.budget = clients[0].budget


def price_of(model: ModelClient, to: ClientSettings) -> Price | None:
    """The price of an endpoint's model, where the price file has one."""
    if (client := _http(model)) is None:
        return None
    return client.calling.price or load(to.prices).find(str(model.identity().get("name", "")))


def _http(model: object) -> HttpClient | None:
    """What an endpoint is called through; of a folder there is none."""
    return model.client if isinstance(model, Replies) else None


async def open_endpoint(
    url: str,
    *,
    model: str = "",
    dialect: str = "openai",
    calling: CallSettings | None = None,
    prefix: bool | None = None,
    context: int = 0,
    **clocks: Any,
) -> ModelClient:
    """A subject that has been asked what it can do. Raises ConfigError, EngineError."""
    calling = calling or CallSettings()
    if dialect == "anthropic":
        from creuset.evals.clients.anthropic import AnthropicClient, headers

        messages = AnthropicClient(HttpClient(url, calling, headers, **clocks), model)
        try:
            await messages.probe()
        except BaseException:
            await messages.close()
            raise
        return messages
    if dialect != "openai":
        raise ConfigError(f"`{dialect}` is not a dialect", hint="there are openai and anthropic")
    subject = OpenAIClient(HttpClient(url, calling, bearer, **clocks), model, prefix=prefix, context=context)
    try:
        await subject.probe()
    except BaseException:
        await subject.close()
        raise
    return subject
