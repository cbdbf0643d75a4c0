"""What clients of both dialects do with a reply: count what it used, and say what is odd about it. No torch."""

from dataclasses import replace
from typing import Any

from creuset.evals.clients.adapt import Adaptation
from creuset.evals.clients.http import HttpClient, HttpReply, Json
from creuset.evals.model import Ability, Budget, GenerateRequest, Reply


class Replies:
    """What the dialects share: warnings about what an endpoint says of itself."""

    def __init__(self, client: HttpClient, model: str) -> None:
        self.client, self.model = client, model
        self.width = client.calling.concurrency
        self.why_not: dict[str, str] = {}
        self.abilities: frozenset[Ability] = frozenset()
        self._reported = ""
        self.adapted = Adaptation()

    def wanted(self, ask: GenerateRequest) -> GenerateRequest:
        """`ask` with what the settings have in the place of each task's own."""
        calling = self.client.calling
        if calling.temperature is not None:
            ask = replace(ask, temperature=calling.temperature)
        if calling.max_tokens is not None:
            ask = replace(ask, max_tokens=calling.max_tokens)
        if calling.system and ask.messages:
            own = [m["content"] for m in ask.messages if m["role"] == "system"]
            rest = tuple(m for m in ask.messages if m["role"] != "system")
            system = {"role": "system", "content": "\n\n".join([calling.system, *own])}
            ask = replace(ask, messages=(system, *rest))
        return ask

    @property
    def path(self) -> None:
        return None

    @property
    def budget(self) -> Budget:
        return self.client.budget

    async def close(self) -> None:
        await self.client.close()

    def doubts(self, reported: str) -> list[str]:
        if reported and not self._reported:
            self._reported = reported
        if reported and reported != self._reported:
            return [f"model_changed: it was {self._reported}, now it is {reported}"]
        return []

    def reply(
        self,
        ask: GenerateRequest,
        answer: HttpReply,
        *,
        text: str,
        finish: str,
        usage: tuple[Any, Any],
        reported: str,
        reasoning: str = "",
        stops_sent: int = 0,
        calls: tuple[Json, ...] = (),
    ) -> Reply:
        """Count what was used, and say what is odd about it."""
        warnings = answer.warnings + self.doubts(reported)
        prompt, completion = (u if isinstance(u, int) and not isinstance(u, bool) and u >= 0 else None for u in usage)
        if prompt is None or completion is None:
            warnings.append("usage_missing: the reply does not say what it used")
        elif (not completion and text) or not prompt:
            warnings.append(f"usage_zero: {prompt} and {completion} tokens for {len(text)} characters")
        elif completion > ask.max_tokens:
            warnings.append(f"usage_over: {completion} tokens, {ask.max_tokens} were allowed")
        if not text and not calls and finish != "tool_calls":
            filtered = finish == "content_filter"
            warnings.append("filtered: the endpoint's filter" if filtered else "empty: a reply without text")
            if finish == "length" and reasoning:
                warnings.append(f"no_room: {ask.max_tokens} tokens were not enough for the thought")
        at = min((i for s in ask.stop[stops_sent:] if (i := text.find(s)) >= 0), default=None)
        if at is not None:
            text, finish = text[:at], "stop"
        self.client.pay(prompt or 0, completion or 0)
        return Reply(
            text=text,
            finish=finish,
            prompt_tokens=prompt or 0,
            completion_tokens=completion or 0,
            seconds=answer.seconds,
            first_token_s=answer.first_s,
            model=reported,
            attempts=answer.attempts,
            reasoning=reasoning,
            warnings=tuple(warnings),
            tool_calls=calls,
        )
