"""Robustness: the same question in twenty forms. MMLU and ARC; by likelihood of the letter, or by chat.

data       the files of mmlu, arc_easy and arc_challenge; perturbations/correct_to_misspelling.json
licence    MIT (MMLU), CC-BY-SA-4.0 (ARC), Apache-2.0 (misspellings)
metric     acc: as asked, under each of ten perturbations (perturb.py), three other orders of the options, three other
           wordings of the instruction, three other formats; worst and mean over each kind; flip rate: share of
           changed questions whose answer is another option than as asked; format spread: highest minus lowest
reference  none: COMPL-AI averages the same ten kinds over its own texts

Only the question is perturbed, not its options. A question that a perturbation leaves as it is (nothing to contract)
is not asked again: it keeps its answer in `acc`, and is not in the flip rate. Zero worked examples.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from creuset.benchmarks.choices import LETTERS, ChoiceItem, first_highest
from creuset.benchmarks.figures import FEWEST, Floats, Social, user
from creuset.benchmarks.multiple_choice import task_class
from creuset.benchmarks.robustness.perturb import MISSPELLINGS, draw_for, load_misspellings, ten
from creuset.core.sentences import sentence
from creuset.core.stats import Interval, bootstrap, share
from creuset.evals import extract
from creuset.evals.model import Likelihood, LoglikelihoodRequest, Outcome, Reply
from creuset.evals.task import Form, Row, Sample
from creuset.types.measure import Measure

SEED = 1234
ORDERS = 3
KINDS = {"perturbation": "perturbed", "order": "shuffled", "wording": "reworded", "format": "reformatted"}
ASKED = "Answer the multiple-choice question. Your last line must be `Answer: X`, where X is one of {letters}."
WORDINGS = (  # for chat
    "Which option is right? Finish with a line `Answer: X`, X being one of {letters}.",
    "Here is an exam question with several options, exactly one of which is correct. Choose it, and write on the last "
    "line only `Answer: X` with X among {letters}.",
    "Please pick the best option below. End your reply with `Answer: X` (X is {letters}).",
)
BARE = (  # before a question whose answer's likelihood is read
    "Which option is right?",
    "Here is an exam question with several options, exactly one of which is correct.",
    "Please pick the best option below.",
)
FORMATS = ("{letter}) {text}", "({letter}) {text}", "{letter} - {text}")
PLAIN = "{letter}. {text}"


def shown(stem: str, options: Sequence[str], line: str = PLAIN) -> str:
    lines = [line.format(letter=letter, text=text) for letter, text in zip(LETTERS, options, strict=False)]
    return f"{stem}\n" + "\n".join(lines)


def variants(q: ChoiceItem, misspellings: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Each way to ask `q`: kind, name, the text, the instruction, and for each letter the option it stands for."""
    straight = list(range(len(q.options)))
    made: list[dict[str, Any]] = [
        {"kind": "", "name": "asked", "text": shown(q.stem, q.options), "asked": ASKED, "bare": "", "order": straight}
    ]
    for name, perturb in ten(misspellings).items():
        stem = perturb(q.stem, draw_for(SEED, name, q.id))
        if stem != q.stem:
            made.append({**made[0], "kind": "perturbation", "name": name, "text": shown(stem, q.options)})
    draw, seen = draw_for(SEED, "order", q.id), [straight]
    for number in range(ORDERS):
        order = straight[:]
        while order in seen and len(seen) < 6:  # 3 options and more have at least 6 orders
            draw.shuffle(order)
        seen.append(order)
        text = shown(q.stem, [q.options[i] for i in order])
        made.append({**made[0], "kind": "order", "name": f"order{number + 1}", "text": text, "order": order})
    for number, words in enumerate(WORDINGS):
        told = {"asked": words, "bare": BARE[number]}
        made.append({**made[0], "kind": "wording", "name": f"wording{number + 1}", **told})
    for number, line in enumerate(FORMATS):
        text = shown(q.stem, q.options, line)
        made.append({**made[0], "kind": "format", "name": f"format{number + 1}", "text": text})
    return made


BY = f"bootstrap of questions, from {FEWEST} of them"


def _drawn(table: Floats, statistic: Callable[[Floats], float]) -> Interval | None:
    """The interval of a statistic of (questions, forms) when questions are drawn again; None for a handful of them,
    and where all agree: an interval of no width would claim certainty."""
    found = bootstrap(lambda i: statistic(table[i]), len(table)) if len(table) >= FEWEST else None
    return None if found is None or found.low == found.high else found


class Robustness(Social):
    """By likelihood; the chat form is below. Give it `questions`."""

    form: ClassVar[Form] = "loglikelihood"
    note = sentence("benchmarks.robustness")

    def questions(self, folder: Path) -> Iterator[ChoiceItem]:
        raise NotImplementedError

    def samples(self, folder: Path) -> Iterator[Sample]:
        misspellings = load_misspellings(folder)
        for q in self.questions(folder):
            forms = variants(q, misspellings)
            letters = LETTERS[: len(q.options)]
            gold = {
                "gold": q.gold,
                "options": list(q.options),
                "forms": [{k: f[k] for k in ("kind", "name", "order")} for f in forms],
            }
            yield Sample(id=q.id, gold=gold, cluster=q.cluster, **self._asked(forms, letters))

    def _asked(self, forms: list[dict[str, Any]], letters: str) -> dict[str, Any]:
        told = [f"{f['bare']}\n\n{f['text']}\nAnswer:".lstrip() for f in forms]
        return {"pairs": tuple(LoglikelihoodRequest(text, f" {letter}") for text in told for letter in letters)}

    def _letters(self, sample: Sample, outcomes: Sequence[Outcome]) -> list[int | None]:
        totals = [o.total for o in outcomes if isinstance(o, Likelihood)]
        many = len(sample.gold["options"])
        return [first_highest(totals[i : i + many]) for i in range(0, len(totals), many)]

    def about(self, sample: Sample) -> Row:
        return {"gold": LETTERS[sample.gold["gold"]], "chance": 1 / len(sample.gold["options"])}

    def scored(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        gold = sample.gold
        chosen: dict[str, int | None] = {}
        for form, letter in zip(gold["forms"], self._letters(sample, outcomes), strict=True):
            chosen[form["name"]] = None if letter is None else form["order"][letter]
        asked = chosen["asked"]
        return {
            "extracted": asked is not None, "answer": None if asked is None else LETTERS[asked],
            "correct": int(asked == gold["gold"]),
            "right": {name: int(option == gold["gold"]) for name, option in chosen.items()},
            "flipped": {n: int(option != asked) for n, option in chosen.items() if n != "asked"},
            "kinds": {f["name"]: f["kind"] for f in gold["forms"]},
            "lost": sum(option is None for option in chosen.values()),
        }  # fmt: skip

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        good = [r for r in rows if not r["failed"]]
        chance = sum(r["chance"] for r in rows) / max(1, len(rows))
        found = [self.accuracy("acc", rows, extra={"chance": chance})]
        for kind, word in KINDS.items():
            names = list(dict.fromkeys(n for r in good for n, k in r["kinds"].items() if k == kind))
            if not names:
                continue
            table = np.array([[r["right"].get(n, r["right"]["asked"]) for n in names] for r in good], dtype=float)
            # All forms of one question are drawn together: the question is the unit.
            for metric, pick in (("mean", np.mean), ("worst", np.min)):
                value = float(pick(table.mean(0)))
                interval = _drawn(table, lambda t, p=pick: float(p(t.mean(0))))  # type: ignore[misc]
                found.append(
                    self.figure(
                        f"acc_{metric}.{word}", rows, value, interval, BY, n=len(good), extra={"chance": chance}
                    )
                )
            for at, name in enumerate(names):
                changed = [r for r in good if name in r["flipped"]]
                flips = sum(r["flipped"][name] for r in changed)
                found.append(
                    self.figure(
                        f"acc.{name}",
                        rows,
                        share(table[:, at]),
                        n=len(good),
                        extra={"changed": len(changed), "flipped": flips},
                    )
                )
            found.append(self._flips(f"flip_rate.{word}", rows, names))
        if good:
            names = ["asked", *(n for n, k in good[0]["kinds"].items() if k == "format")]
            table = np.array([[r["right"][n] for n in names] for r in good], dtype=float)
            spread = _drawn(table, lambda t: float(np.ptp(t.mean(0))))
            found.append(
                self.figure(
                    "format_spread",
                    rows,
                    float(np.ptp(table.mean(0))),
                    spread,
                    BY,
                    better="lower",
                    unit="ratio",
                    n=len(good),
                )
            )
        return found

    def _flips(self, metric: str, rows: Sequence[Row], names: list[str]) -> Measure:
        pairs = [(r["flipped"][n], r["id"]) for r in rows if not r["failed"] for n in names if n in r["flipped"]]
        value = share([f for f, _ in pairs], [q for _, q in pairs]) if pairs else None
        return self.figure(
            metric,
            rows,
            value,
            better="lower",
            n=len(pairs),
            denominator=len(pairs),
            why=sentence("benchmarks.no_question_changed"),
        )


class RobustnessChat(Robustness):
    form: ClassVar[Form] = "chat"
    extractor = "letter_lenient"
    max_tokens: ClassVar[int] = 256

    def _asked(self, forms: list[dict[str, Any]], letters: str) -> dict[str, Any]:
        told = [f"{f['asked'].format(letters=', '.join(letters))}\n\n{f['text']}" for f in forms]
        return {"asks": tuple(user(text, max_tokens=self.max_tokens) for text in told)}

    def _letters(self, sample: Sample, outcomes: Sequence[Outcome]) -> list[int | None]:
        found: list[int | None] = []
        for form, outcome in zip(sample.gold["forms"], outcomes, strict=True):
            options = [sample.gold["options"][i] for i in form["order"]]
            text = extract.without_thinking(outcome.text) if isinstance(outcome, Reply) else ""
            letter = extract.letter_lenient(text, options)
            found.append(None if letter is None else LETTERS.index(letter))
        return found


def _mmlu(folder: Path) -> Iterator[ChoiceItem]:
    """One question of each subject in turn, so that the first few hundred hold all subjects."""
    for layer in zip_longest(*(group.questions for group in task_class("mmlu")().groups(folder))):
        yield from (q for q in layer if q is not None)


def _arc(folder: Path) -> Iterator[ChoiceItem]:
    easy, hard = (next(task_class(name)().groups(folder)).questions for name in ("arc_easy", "arc_challenge"))
    for pair in zip_longest(easy, hard):
        yield from (q for q in pair if q is not None and len(q.options) >= 3)


MOST = 1000  # questions: each is asked about twenty times


class MmluRobustness(Robustness):
    name = "robustness_mmlu"
    files = (*task_class("mmlu").files, MISSPELLINGS)
    licence = "MIT; misspellings Apache-2.0"

    def questions(self, folder: Path) -> Iterator[ChoiceItem]:
        return islice(_mmlu(folder), MOST)


class ArcRobustness(Robustness):
    name = "robustness_arc"
    files = (*task_class("arc_easy").files, *task_class("arc_challenge").files, MISSPELLINGS)
    licence = "CC-BY-SA-4.0; misspellings Apache-2.0"

    def questions(self, folder: Path) -> Iterator[ChoiceItem]:
        return islice(_arc(folder), MOST)


class MmluRobustnessChat(RobustnessChat, MmluRobustness):
    pass


class ArcRobustnessChat(RobustnessChat, ArcRobustness):
    pass
