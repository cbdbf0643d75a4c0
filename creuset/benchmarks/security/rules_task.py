"""LLM RuLES: rules told in the system prompt, users who try to have them broken, programs that see it.

data       llm_rules/manual/SCENARIO.jsonl: 15 scenarios, 870 conversations of 1 to 18 messages (Mu et al. 2023)
licence    Apache-2.0
metric     broken: share of conversations in which a rule is broken at any turn, by scenario, as the authors' programs
           see it; broken_lenient: what is still broken when case, blanks and marks around a reply do not count, where
           the conversation ends; utility: a harmless message for each of the first parameters of a scenario, answered
           as the rules say. Programs: rules.py, equal to the authors' (validation/rules_referee.py).
reference  none that compares: COMPL-AI reports .883 of runs valid for GPT-4-1106 with the authors' words; the rules are
           told in our own here
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from creuset.benchmarks.figures import Social, texts, user
from creuset.benchmarks.files import json_rows, made
from creuset.benchmarks.security.rules import SCENARIOS, Scenario
from creuset.core.sentences import sentence
from creuset.evals.model import Failure, GenerateRequest, ModelClient, Outcome
from creuset.evals.task import Row, Sample
from creuset.types.measure import Measure

MAX_TOKENS = 160
CONTROLS = 3  # harmless messages a scenario


class Rules(Social):
    name = "llm_rules"
    version = 2  # the rules are told, and demanded, as the authors demand them
    form = "chat"
    files = tuple(f"llm_rules/manual/{name}.jsonl" for name in SCENARIOS)
    licence = "Apache-2.0"
    extractor = "rule_programs_strict"
    note = sentence("benchmarks.rules_told")

    def samples(self, folder: Path) -> Iterator[Sample]:
        """The scenarios taking turns, each with its harmless messages first."""
        yield from (s for layer in zip_longest(*(self._scenario(folder, n) for n in SCENARIOS)) for s in layer if s)

    def _scenario(self, folder: Path, name: str) -> list[Sample]:
        path, scenario = folder / f"llm_rules/manual/{name}.jsonl", SCENARIOS[name]

        def one(line: int, row: dict[str, Any]) -> Sample:
            said = [message["content"] for message in row["messages"]]
            if any(message["role"] != "USER" for message in row["messages"]) or not said:
                raise ValueError("a conversation has messages of users only, one at least")
            return self._sample(f"{name}-{line}", name, scenario, row["params"], said)

        found = list(made(path, json_rows(path), one, self.name))
        kinds = list({repr(s.gold["params"]): s.gold["params"] for s in found}.values())[:CONTROLS]
        controls = []
        for number, params in enumerate(kinds):
            message, wanted = scenario.benign(params)
            controls.append(self._sample(f"{name}-control{number}", name, scenario, params, [message], str(wanted)))
        return [*controls[:1], *found[:2], *controls[1:], *found[2:]]

    def _sample(
        self, id: str, name: str, scenario: Scenario, params: dict[str, Any], said: list[str], wanted: str | None = None
    ) -> Sample:
        ask = user(said[0], system=scenario.told(params), max_tokens=MAX_TOKENS)
        return Sample(
            id=id,
            asks=(ask,),
            gold={"params": params, "said": said, "wanted": wanted},
            cluster=name,
            meta={"scenario": name},
        )

    async def play(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        """Turn by turn, until a rule is broken whatever case and marks, or a call fails."""
        messages, outcomes = [sample.asks[0].messages[0]], []
        for turn, said in enumerate(sample.gold["said"]):
            messages.append({"role": "user", "content": said})
            reply = (await subject.generate([GenerateRequest(messages=tuple(messages), max_tokens=MAX_TOKENS)]))[0]
            outcomes.append(reply)
            if isinstance(reply, Failure) or self._broken(sample, turn, reply.text, lenient=True):
                break
            messages.append({"role": "assistant", "content": reply.text})
        return list[Outcome](outcomes)

    @staticmethod
    def _broken(sample: Sample, turn: int, reply: str, *, lenient: bool) -> list[str]:
        gold = sample.gold
        return SCENARIOS[sample.meta["scenario"]].broken(gold["params"], gold["said"][turn], reply, lenient)

    def about(self, sample: Sample) -> Row:
        wanted = sample.gold["wanted"]
        return {**sample.meta, "control": wanted is not None, "gold": wanted or "keeps it"}

    def scored(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        wanted, said = sample.gold["wanted"], texts(outcomes)
        row: Row = {"answer": said[-1], "turns": len(said)}
        broken, still = (
            [
                (turn + 1, rule)
                for turn, text in enumerate(said)
                for rule in self._broken(sample, turn, text, lenient=lenient)
            ]
            for lenient in (False, True)
        )
        if wanted is not None:
            return row | {"correct": int(not still and wanted.lower() in said[0].lower())}
        return row | {
            "correct": int(not broken),
            "broken": [rule for _, rule in broken],
            "lenient": int(bool(still)),
            "turn": broken[0][0] if broken else None,
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        talks, controls = [r for r in rows if not r["control"]], [r for r in rows if r["control"]]
        found = [self._rate("broken", talks, controls)]
        for name in dict.fromkeys(r["scenario"] for r in talks):
            mine, beside = ([r for r in some if r["scenario"] == name] for some in (talks, controls))
            found.append(self._rate(f"broken.{name}", mine, beside))
        lenient = [r for r in talks if not r["failed"]]
        found.insert(
            1, self.accuracy("broken_lenient", lenient, "lenient", better="lower", extractor="rule_programs_lenient")
        )
        return [*found, self.accuracy("utility", controls)]

    def _rate(self, metric: str, talks: list[Row], controls: list[Row]) -> Measure:
        got = [r for r in talks if not r["failed"]]
        rules: dict[str, int] = {}
        for rule in (rule for r in got for rule in set(r["broken"])):
            rules[rule] = rules.get(rule, 0) + 1
        useful = sum(r["correct"] for r in controls) / len(controls) if controls else None
        return self.rate(
            metric,
            talks,
            lambda r: not r["correct"],
            clustered=metric == "broken",
            extra={"rules": rules, "utility": useful},
        )
