"""Guards on the answer of another server that goes through as it is: a whole reply, or the chunks of a stream."""

from typing import Any

from creuset.server.protect.guards.chain import GuardChain, finished, pushed
from creuset.server.protect.guards.hooks import TextFilter

_FIELDS = ("content", "reasoning_content", "reasoning", "refusal", "text")


class RelayGuard:
    """Of one request. Nothing of a stream is released that a guard has not passed."""

    def __init__(self, chain: GuardChain) -> None:
        self._chain = chain
        self._open: dict[tuple[int, str], list[TextFilter]] = {}
        self._calls: dict[tuple[int, int], str] = {}  # arguments of each call, until the choice ends
        self._custom: set[tuple[int, int]] = set()  # of them, those of custom tools

    async def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        choices = [await self._choice(choice) for choice in reply.get("choices") or ()]
        return reply | {"choices": choices} if choices else reply

    async def _choice(self, choice: Any) -> Any:
        if not isinstance(choice, dict):
            return choice
        found = {name: value for name, value in choice.items() if name != "logprobs"}
        for holder in ("message", None):
            said = found.get(holder) if holder else found
            if isinstance(said, dict):
                new = {n: await self._chain.answered(said[n]) for n in _FIELDS if isinstance(said.get(n), str)}
                new |= await self._whole_calls(said)
                found = found | {holder: said | new} if holder else found | new
        return found

    async def _whole_calls(self, message: dict[str, Any]) -> dict[str, Any]:
        from creuset.server.chat.guarded import guarded_arguments

        calls = []
        for call in message.get("tool_calls") or ():
            if isinstance(custom := call.get("custom"), dict):  # whose input is a text
                calls.append(
                    call | {"custom": custom | {"input": await self._chain.answered(str(custom.get("input", "")))}}
                )
                continue
            function = dict(call.get("function") or {})
            function["arguments"] = await guarded_arguments(self._chain, str(function.get("arguments", "")))
            calls.append(call | {"function": function})
        return {"tool_calls": calls} if calls else {}

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """`chunk` with what may be told now in the place of what it said."""
        choices = []
        for at, choice in enumerate(chunk.get("choices") or ()):
            choices.append(await self._delta(choice.get("index", at), choice) if isinstance(choice, dict) else choice)
        return chunk | {"choices": choices} if choices else chunk

    async def _delta(self, index: int, choice: dict[str, Any]) -> dict[str, Any]:
        found = {name: value for name, value in choice.items() if name != "logprobs"}
        inside = isinstance(found.get("delta"), dict)
        said = dict(found["delta"]) if inside else found
        for name in _FIELDS:
            if isinstance(said.get(name), str):
                filters = self._open.setdefault((index, name), self._chain.filters())
                said[name] = await pushed(filters, said[name])
        if inside and said.get("tool_calls"):
            said["tool_calls"] = [self._held_call(index, call) for call in said["tool_calls"]]
        if choice.get("finish_reason") is not None:
            await self._flush(index, said)
        return found | {"delta": said} if inside else said

    def _held_call(self, index: int, call: dict[str, Any]) -> dict[str, Any]:
        place = (index, int(call.get("index", 0)))
        if isinstance(call.get("custom"), dict) or place in self._custom:
            self._custom.add(place)
            custom = dict(call.get("custom") or {})
            self._calls[place] = self._calls.get(place, "") + str(custom.pop("input", "") or "")
            return call | {"custom": custom | {"input": ""}}
        function = dict(call.get("function") or {})
        self._calls[place] = self._calls.get(place, "") + str(function.pop("arguments", "") or "")
        return call | {"function": function | {"arguments": ""}}

    async def _flush(self, index: int, said: dict[str, Any]) -> None:
        from creuset.server.chat.guarded import guarded_arguments

        for place, filters in list(self._open.items()):
            if place[0] == index:
                rest = await finished(filters)
                if rest:
                    said[place[1]] = (said.get(place[1]) or "") + rest
                del self._open[place]
        calls = []
        for at, number in [place for place in self._calls if place[0] == index]:
            text = self._calls.pop((at, number))
            if (at, number) in self._custom:
                calls.append({"index": number, "custom": {"input": await self._chain.answered(text)}})
                continue
            calls.append({"index": number, "function": {"arguments": await guarded_arguments(self._chain, text)}})
        if calls:
            said["tool_calls"] = [*(said.get("tool_calls") or ()), *calls]
