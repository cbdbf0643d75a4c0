"""The guards of one request, in order: those of the server, of its organization, of its project."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from creuset.core.errors import RequestError
from creuset.server.protect.guards.hooks import GuardRefused, GuardScene, TextFilter, after, before, joined
from creuset.server.protect.guards.settings import GuardSettings, parse_guards
from creuset.server.protect.guards.strings import Strings
from creuset.types.tenants import Caller


@dataclass(slots=True)
class GuardChain:
    """What has passed is remembered, so that a text that is kept and told to the model is looked at once."""

    guards: Sequence[GuardSettings]
    scene: GuardScene
    _passed: dict[str, str] = field(default_factory=dict)

    @property
    def changes_answers(self) -> bool:
        return any("after" in guard.stages for guard in self.guards)

    async def texts(self, given: Sequence[str]) -> list[str]:
        """`given`, as the model may read it. GuardRefused, GuardFailed."""
        new = [text for text in dict.fromkeys(given) if text and text not in self._passed]
        found = new
        for guard in self.guards:
            if "before" in guard.stages and found:
                found = await before(guard, found, self.scene)
        self._passed |= dict(zip(new, found, strict=True))
        self._passed |= {text: text for text in found}
        return [self._passed[text] if text else text for text in given]

    async def json(self, value: Any) -> Any:
        """`value` with every text in it as the model may read it."""
        return await self._strings(Strings(value))

    async def relayed(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body that goes on to another server: every text of every field of it."""
        new: dict[str, Any] = await self._strings(Strings(body, whole=True))
        return new

    def parts(self, body: dict[str, Any]) -> dict[str, Any]:
        """`body` with the parts of each of its texts looked at as one, before a dialect joins them. GuardRefused."""
        strings = Strings(body, whole=True)
        self._join(strings)
        new: dict[str, Any] = strings.replaced(strings.found)
        return new

    async def _strings(self, strings: Strings) -> Any:
        self._join(strings)
        return strings.replaced(await self.texts(strings.found))

    def _join(self, strings: Strings) -> None:
        for guard in self.guards:
            if "before" in guard.stages:
                for start, end in strings.joined:
                    strings.found[start:end] = joined(guard, strings.found[start:end])

    async def arguments(self, text: str) -> str:
        """The arguments of an earlier call: JSON stays JSON."""
        try:
            value = json.loads(text)
        except ValueError:
            return (await self.texts([text]))[0]
        new = await self.json(value)
        return text if new == value else json.dumps(new, ensure_ascii=False)

    def filters(self) -> list[TextFilter]:
        """What a text of the answer goes through."""
        return [after(guard, self.scene) for guard in self.guards if "after" in guard.stages]

    async def answered(self, text: str) -> str:
        """A text of the answer that is whole."""
        return await finished(self.filters(), text)


def refuse_tokens(what: str) -> RequestError:
    """Tokens cannot be looked at by a guard that changes text."""
    return GuardRefused(f"`{what}` cannot be used here: the guards of this project look at text", param=what)


async def pushed(filters: Sequence[TextFilter], text: str) -> str:
    for one in filters:
        if not text:
            break
        text = await one.push(text)
    return text


async def finished(filters: Sequence[TextFilter], text: str = "") -> str:
    """`text`, the last of it, and what was held back."""
    for one in filters:
        text = (await one.push(text) if text else "") + await one.finish()
    return text


def guards_of(server: Sequence[GuardSettings], who: Caller | None) -> tuple[GuardSettings, ...]:
    own = () if who is None else who.policy.guards
    return (*server, *(guard for text in own for guard in _parsed(text)))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[GuardSettings, ...]:
    return tuple(parse_guards(text))
