"""An endpoint of Anthropic's Messages dialect as a subject: it chats, and nothing else. No torch.

The system prompt travels apart, `max_tokens` is always given, roles must alternate (turns of one role are joined),
stop sequences of nothing but blanks are refused there and applied here. There is no seed.
"""

import json
from collections.abc import Sequence

from creuset.core.errors import ConfigError, EngineError
from creuset.core.sentences import sentence
from creuset.evals.clients.http import Broken, Json
from creuset.evals.clients.replies import Replies
from creuset.evals.model import (
    Done,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    NotTestable,
    Reply,
    RollingRequest,
    each,
)

VERSION = "2023-06-01"
FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
          "refusal": "content_filter"}  # fmt: skip


def headers(key: str) -> dict[str, str]:
    return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})


class AnthropicClient(Replies):
    context = 0

    def identity(self) -> Json:
        found = {"name": self.model, "kind": "endpoint", "url": self.client.url, "dialect": "anthropic"}
        return found | self.client.calling.told()

    async def generate(self, asks: Sequence[GenerateRequest], done: Done | None = None) -> list[Reply | Failure]:
        if not all(ask.messages for ask in asks):
            raise NotTestable(self.why_not["completion"])
        return await each(asks, self._generate, done)

    async def loglikelihood(
        self, pairs: Sequence[LoglikelihoodRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        raise NotTestable(self.why_not["loglikelihood"])

    async def loglikelihood_rolling(
        self, texts: Sequence[RollingRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        raise NotTestable(self.why_not["loglikelihood"])

    async def _generate(self, asked: GenerateRequest) -> Reply | Failure:
        ask = self.wanted(asked)
        body = request_body(ask, self.model) | dict(self.client.calling.extra_body)
        join = has_text = None
        if self.client.calling.stream and not ask.tools:  # calls come in pieces there, for nothing here
            body["stream"] = True
            join, has_text = _join_stream, _has_text
        answer = await self.adapted.send(
            body, lambda sent: self.client.post("/messages", sent, join=join, has_text=has_text)
        )
        if isinstance(answer, Failure):
            return answer
        try:
            blocks = answer.body["content"]
            text = "".join(b["text"] for b in blocks if b["type"] == "text")
            thought = "".join(b.get("thinking", "") for b in blocks if b["type"] == "thinking")
            calls = tuple(
                {
                    "id": str(b["id"]),
                    "type": "function",
                    "function": {"name": str(b["name"]), "arguments": json.dumps(b["input"], ensure_ascii=False)},
                }
                for b in blocks
                if b["type"] == "tool_use"
            )
        except (KeyError, TypeError) as error:
            return Failure(reason="broken_json", detail=f"a reply without text: {error!r}", attempts=answer.attempts)
        usage = answer.body.get("usage") or {}
        finish = str(answer.body.get("stop_reason") or "")
        return self.reply(
            ask,
            answer,
            text=text,
            finish=FINISH.get(finish, finish),
            reasoning=thought,
            usage=(usage.get("input_tokens"), usage.get("output_tokens")),
            reported=str(answer.body.get("model") or ""),
            calls=calls,
        )

    async def probe(self) -> None:
        if not self.model:
            raise ConfigError("which model of the endpoint?", hint="give --model NAME")
        tried = await self.client.post(
            "/messages", {"model": self.model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}
        )
        if isinstance(tried, Failure):
            raise EngineError(
                f"`{self.client.url}` does not answer: {tried.reason}: {tried.detail}",
                hint="check the URL (it ends in /v1), --model and --key-env",
            )
        self.why_not = {
            "completion": sentence("evals.messages_no_completion"),
            "loglikelihood": sentence("evals.messages_no_loglikelihood"),
            "weights": sentence("evals.no_weights"),
        }
        self.abilities = frozenset({"chat"})


def request_body(ask: GenerateRequest, model: str) -> Json:
    system: list[str] = []
    turns: list[Json] = []
    for message in ask.messages:
        role, content = message["role"], message["content"]
        if role == "tool" or message.get("tool_calls"):
            role, content = _blocks(message)
            if turns and turns[-1]["role"] == role and isinstance(turns[-1]["content"], list):
                turns[-1]["content"] += content
            else:
                turns.append({"role": role, "content": content})
        elif role in ("system", "developer"):
            system.append(content)
        elif turns and turns[-1]["role"] == role:
            before = turns[-1]["content"]
            blocks = isinstance(before, list)  # behind a tool's answer
            joined = [*before, {"type": "text", "text": content}] if blocks else f"{before}\n\n{content}"
            turns[-1] = {"role": role, "content": joined}
        else:
            turns.append({"role": role, "content": content})
    body: Json = {"model": model, "max_tokens": ask.max_tokens, "messages": turns, "temperature": ask.temperature}
    body |= {"top_p": ask.top_p} if ask.top_p != 1.0 else {}
    body |= {"system": "\n\n".join(system)} if system else {}
    body |= {"tools": [_tool(tool["function"]) for tool in ask.tools]} if ask.tools else {}
    stops = [stop for stop in ask.stop if stop.strip()]
    return body | ({"stop_sequences": stops} if stops else {})


def _tool(function: Json) -> Json:
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }


def _blocks(message: Json) -> tuple[str, list[Json]]:
    """A tool's answer, or a turn with calls, as this dialect has them: (role, blocks)."""
    if message["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]}
        return "user", [result]
    said: list[Json] = [{"type": "text", "text": message["content"]}] if message["content"] else []
    for call in message["tool_calls"]:
        try:
            given = json.loads(call["function"]["arguments"] or "{}")
        except ValueError:
            given = None
        given = given if isinstance(given, dict) else {"unreadable": call["function"]["arguments"]}
        said.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given})
    return message["role"], said


def _has_text(event: Json) -> bool:
    return event.get("type") == "content_block_delta"


def _join_stream(events: list[Json]) -> Json:
    body: Json = {"content": []}
    usage: Json = {}
    ended = False
    for event in events:
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message") or {}
            body["model"] = message.get("model")
            usage |= message.get("usage") or {}
        elif kind == "content_block_delta":
            delta = event.get("delta") or {}
            name = "thinking" if delta.get("type") == "thinking_delta" else "text"
            if isinstance(piece := delta.get(name), str):
                body["content"].append({"type": name, name: piece})
        elif kind == "message_delta":
            body["stop_reason"] = (event.get("delta") or {}).get("stop_reason")
            usage |= event.get("usage") or {}
        elif kind == "message_stop":
            ended = True
    if not ended:
        raise Broken("truncated", f"the stream ended after {len(events)} events without message_stop")
    return {**body, "usage": usage}
