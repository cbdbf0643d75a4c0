"""Tasks whose replies another model judges: what they share. The judge is a Subject like any other.

A judge is no instrument: its name, its agreement with itself when positions are swapped, and the share of verdicts
that could not be read are printed beside each score. A verdict that cannot be read is left out of the mean and counted.
The judge's calls are in the journal behind the model's own, and in the usage of the run.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from creuset.core.errors import ConfigError
from creuset.evals.extract import without_thinking
from creuset.evals.subject import Ability, Ask, Failure, Outcome, Reply, Subject
from creuset.evals.task import Form, Task

Message = dict[str, str]
RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
VERDICT = re.compile(r"\[\[\s*(A>>B|A>B|A=B|B=A|B>A|B>>A)\s*\]\]")


def rating(text: str) -> float | None:
    """The last [[n]] of a judge's reply, 1 to 10; None where there is none or it is out of range."""
    found = RATING.findall(without_thinking(text))
    value = float(found[-1]) if found else None
    return value if value is not None and 1 <= value <= 10 else None


def verdict(text: str) -> str | None:
    """The one verdict of a judge's reply; None where there is none, or two that differ."""
    found = {v.replace("B=A", "A=B") for v in VERDICT.findall(without_thinking(text))}
    return found.pop() if len(found) == 1 else None


class JudgedTask(Task):
    """`judge` is set by whoever runs the task; without one nothing is asked."""

    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    judged: ClassVar[bool] = True

    def __init__(self, judge: Subject | None = None) -> None:
        self.judge = judge

    async def ask_judge(self, questions: Sequence[tuple[str, str]], *, max_tokens: int = 2048) -> list[Outcome]:
        """One verdict for each (system prompt, question), at temperature 0."""
        if self.judge is None:
            raise ConfigError(f"{self.name} needs a judge", hint="another endpoint that grades the replies")
        asks = []
        for system, question in questions:
            messages: list[Message] = [{"role": "system", "content": system}] if system else []
            asks.append(Ask(messages=(*messages, {"role": "user", "content": question}), max_tokens=max_tokens))
        return list(await self.judge.generate(asks))

    def judge_name(self) -> str:
        return str(self.judge.identity().get("name", "")) if self.judge is not None else ""


def not_asked(reason: str) -> Failure:
    """In the place of a call that could not be made because one before it failed: it keeps its place in the row."""
    return Failure(reason="not_asked", detail=reason, attempts=0)


def text_of(outcome: Outcome) -> str | None:
    """What was said, thinking left out; None where the call failed."""
    return without_thinking(outcome.text) if isinstance(outcome, Reply) else None
