"""Tasks whose replies another model judges: what they share. The judge is a ModelClient like any other.

A score by a judge depends on the judge. So each score carries facts about it (`judge_facts`): its name and address, the
temperature and prompts, the tokens that it used, how often it agrees with itself when positions are swapped, and how
many verdicts could not be read. A verdict that cannot be read gives no score: it is counted and left out of the mean,
and its sample is neither right nor wrong. The journal keeps the judge's calls after the model's own calls. Its first
line says who judged.

On published judgments both readers give the authors' results (validation/published_judgments.py).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from creuset.core.artifact import sha256_json
from creuset.core.errors import ConfigError
from creuset.evals.extract import without_thinking
from creuset.evals.model import Ability, Failure, GenerateRequest, ModelClient, Outcome, Reply
from creuset.evals.task import Form, Row, Task

Message = dict[str, str]
RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
VERDICT = re.compile(r"\[\[\s*(A>>B|A>B|A=B|B=A|B>A|B>>A|A<B|A<<B|B<A|B<<A)\s*\]\]")
SAME = {"B=A": "A=B", "A<B": "B>A", "A<<B": "B>>A", "B<A": "A>B", "B<<A": "A>>B"}
TEMPERATURE = 0.0


def rating(text: str) -> float | None:
    """The last [[n]] of a judge's reply, 1 to 10; None where there is none or it is out of range."""
    found = RATING.findall(without_thinking(text))
    value = float(found[-1]) if found else None
    return value if value is not None and 1 <= value <= 10 else None


def verdict(text: str) -> str | None:
    """The one verdict of a judge's reply; None where there is none, or two that differ."""
    found = {SAME.get(v, v) for v in VERDICT.findall(without_thinking(text))}
    return found.pop() if len(found) == 1 else None


class JudgedTask(Task):
    """`judge` is set by whoever runs the task; without one nothing is asked."""

    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    judged: ClassVar[bool] = True

    def __init__(self, judge: ModelClient | None = None) -> None:
        self.judge = judge

    async def ask_judge(self, questions: Sequence[tuple[str, str]], *, max_tokens: int = 2048) -> list[Outcome]:
        """One verdict for each (system prompt, question), at temperature 0."""
        if self.judge is None:
            raise ConfigError(f"{self.name} needs a judge", hint="another endpoint that grades the replies")
        asks = []
        for system, question in questions:
            messages: list[Message] = [{"role": "system", "content": system}] if system else []
            asks.append(
                GenerateRequest(
                    messages=(*messages, {"role": "user", "content": question}),
                    max_tokens=max_tokens,
                    temperature=TEMPERATURE,
                )
            )
        return await judged_by(self.judge, asks)


def judge_row(outcomes: Sequence[Outcome], read: Sequence[object | None]) -> Row:
    """What a row says about its judge: `outcomes` are the judge's calls, `read` is the verdict read from each."""
    replies = [o for o in outcomes if isinstance(o, Reply)]
    return {
        "judge": next((o.model for o in replies), ""),
        "judge_failed": len(outcomes) - len(replies),
        "unread": sum(isinstance(o, Reply) and r is None for o, r in zip(outcomes, read, strict=True)),
        "judge_calls": sum(not (isinstance(o, Failure) and o.reason == "not_asked") for o in outcomes),
        "judge_tokens": [sum(o.prompt_tokens for o in replies), sum(o.completion_tokens for o in replies)],
    }


def judge_facts(task: Task, prompts: object, rows: Sequence[Row]) -> dict[str, Any]:
    """What stands beside each judged figure. `prompts`: the texts that the judge was asked with, JSON."""
    judge = task.judged_by or (task.judge.identity() if task.judge is not None else {})
    models = sorted({row["judge"] for row in rows if row["judge"]})
    asked = [row for row in rows if row["judge_calls"]]
    return {
        "judge": str(judge.get("name") or ", ".join(models)), "judge_models": models,
        "judge_at": str(judge.get("url") or judge.get("sha256") or judge.get("kind") or ""),
        "judge_temperature": TEMPERATURE, "judge_prompt_sha256": sha256_json(prompts),
        **{key: sum(row[key] for row in asked) for key in ("judge_calls", "judge_failed", "unread")},
        "judge_tokens": {kind: sum(row["judge_tokens"][at] for row in asked)
                         for at, kind in enumerate(("prompt", "completion"))},
    }  # fmt: skip


async def judged_by(judge: ModelClient, asks: Sequence[GenerateRequest]) -> list[Outcome]:
    """What the judge says, marked as its own: it is counted and paid apart."""
    return [replace(outcome, by="judge") for outcome in await judge.generate(asks)]


def not_asked(reason: str) -> Failure:
    """Stands for a call that was not made because an earlier one failed, so that the row keeps its order."""
    return Failure(reason="not_asked", detail=reason, attempts=0, by="judge")


def text_of(outcome: Outcome) -> str | None:
    """What was said, thinking left out; None where the call failed."""
    return without_thinking(outcome.text) if isinstance(outcome, Reply) else None
