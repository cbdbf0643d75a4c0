"""What the programs share: where the server is, a class to fill, and how a program says what came of it.

A program is a function that returns what its framework gave; a framework that checks its result raises for a wrong one.
The last line of each script is a JSON object for each program: its name, whether it passed, what failed.
"""

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field


class Person(BaseModel):
    """A person who is named in the text."""

    name: str = Field(description="full name", max_length=40)
    age: int = Field(description="age in years", ge=0, le=150)
    mood: Literal["happy", "sad", "unknown"] = Field(description="how the person feels")


@dataclass
class Program:
    name: str
    call: Callable[[], Any]
    check: Callable[[Any], bool] = lambda found: isinstance(found, Person)


def base_url() -> str:
    return os.environ["CREUSET_URL"]


def model() -> str:
    return os.environ["CREUSET_MODEL"]


def weather(city: str) -> str:
    """The weather in a city, in a few words."""
    return f"It is sunny in {city}."


def is_text(found: Any) -> bool:
    return isinstance(found, str)


def run(*programs: Program) -> None:
    """Run each program a number of times (REPEAT) and tell of each."""
    for program in programs:
        passed, failed = 0, ""
        for _ in range(int(os.environ.get("REPEAT", "1"))):
            try:
                found = program.call()
                if inspect.isawaitable(found):
                    found = asyncio.run(_waited(found))
                if not program.check(found):
                    raise ValueError(f"got {found!r}")
                passed += 1
            except Exception as error:  # whatever a framework raises is the result
                failed = f"{type(error).__name__}: {error}"
        print(json.dumps({"program": program.name, "passed": passed, "failed": failed[:300]}), flush=True)
        print(f"{program.name}: {passed} passed {failed}", file=sys.stderr)


async def _waited(found: Any) -> Any:
    return await found
