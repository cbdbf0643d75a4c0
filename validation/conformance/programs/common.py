"""What the programs share: where the server is, and how a program says what came of it: one JSON object a line."""

import asyncio
import inspect
import json
import os
from collections.abc import Callable
from typing import Any

URL = os.environ["CREUSET_URL"]
MODEL = os.environ.get("CREUSET_MODEL", "gpt-4o-mini")


def run(**programs: Callable[[], Any]) -> None:
    """Run each program; what it raises is why it failed."""
    for name, program in programs.items():
        failed = ""
        try:
            found = program()
            if inspect.isawaitable(found):
                asyncio.run(_waited(found))
        except BaseException as error:
            failed = f"{type(error).__name__}: {error}"
        print(json.dumps({"program": name.replace("_", " "), "failed": " ".join(failed.split())[:300]}), flush=True)


async def _waited(found: Any) -> Any:
    return await found


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."
