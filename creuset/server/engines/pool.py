"""The engines of a server, each with the model that it runs, looked up by the name that a request uses."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from creuset.core.errors import ConfigError, CreusetError, NotFound
from creuset.server.engines.client import EngineClient, State
from creuset.server.model import ServedModel
from creuset.types.fields import Fields, show

_WORST_FIRST: tuple[State, ...] = ("failed", "down", "starting", "closed", "ready")


@dataclass(frozen=True, slots=True)
class ServedEngine:
    model: ServedModel
    client: EngineClient

    @property
    def window(self) -> int:
        """Tokens that one prompt and its reply may have together."""
        return self.client.window(self.model.context)

    @property
    def fingerprint(self) -> str:
        """Says which weights answer, and in which arithmetic where that is not fp32."""
        dtype = self.client.facts.get("choices", {}).get("dtype", "fp32")
        return self.model.fingerprint + ("" if dtype == "fp32" else f"_{dtype}")

    def health(self) -> dict[str, Any]:
        return {"model": self.model.name, "state": self.client.state, "choices": self.client.facts.get("choices")}


class EnginePool:
    """A list of engines. No two serve one name."""

    def __init__(self, engines: Sequence[ServedEngine]) -> None:
        if not engines:
            raise ConfigError("a server needs at least one model")
        self.engines = tuple(engines)
        self._by_name: dict[str, ServedEngine] = {}
        for engine in engines:
            for name in engine.model.names:
                if name in self._by_name:
                    raise ConfigError(f"two models are to be served as `{name}`", hint="give one another --served-name")
                self._by_name[name] = engine

    @property
    def names(self) -> str:
        return ", ".join(self._by_name)

    @property
    def state(self) -> State:
        """The worst state of any engine: "ready" when all are."""
        return min((engine.client.state for engine in self.engines), key=_WORST_FIRST.index)

    def find(self, name: str) -> ServedEngine:
        """The engine that serves `name`. Raises NotFound."""
        if name not in self._by_name:
            raise NotFound(
                f"the model {show(name)} is not served here; this server has {self.names}",
                param="model",
                code="model_not_found",
            )
        return self._by_name[name]

    def chosen_by(self, fields: Fields, *, optional: bool = False) -> tuple[str, ServedEngine]:
        """The name in a request's `model`, and its engine. With `optional`, no field stands for the first model."""
        if optional and not fields.has("model"):
            return self.engines[0].model.name, self.engines[0]
        name = fields.text("model")
        if name is None:
            raise fields.refuse("model", f"is required; this server has {self.names}")
        return name, self.find(name)

    async def run(self, on_end: Callable[[], object]) -> None:
        """Keep all engines alive until `close`. `on_end` is called when one cannot be started at all."""
        tasks = [asyncio.create_task(engine.client.run()) for engine in self.engines]
        for task in tasks:
            task.add_done_callback(lambda _: on_end())
        await asyncio.gather(*tasks)

    def close(self) -> None:
        """End all engine processes and every open generation, now."""
        for engine in self.engines:
            engine.client.close()

    @property
    def failure(self) -> CreusetError | None:
        """Why an engine could not be started at all."""
        return next((engine.client.failure for engine in self.engines if engine.client.failure is not None), None)
