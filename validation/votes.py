"""Agreement of a judge with people over pairs of replies, as MT-Bench's paper counts it. Pure functions.

One vote says which of two models answered a question's turn better. The judge has one vote a pair, people may have
several; each of a person's votes is set against the judge's, and people against each other, two by two. "With ties":
a tie (also one that only the judge's two orders make) is a third answer; without: pairs of votes with a tie on either
side are left out (Zheng et al. 2023, arXiv 2306.05685, table 5: setups S1 and S2). Intervals are clustered by question.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

from creuset.core.stats import Estimate, share

Winner = Literal["model_a", "model_b", "tie"]
Key = tuple[int, str, str, str]  # turn, question, the two models in the order of their names
Votes = Mapping[Key, Sequence[str]]


def by_pair(rows: Iterable[Mapping[str, object]]) -> dict[Key, list[str]]:
    """Votes of each pair. A row has turn, question_id, model_a, model_b and winner: model_a, model_b or a kind of tie.

    Raises ValueError where a winner is none of these.
    """
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for row in rows:
        one, other, winner = str(row["model_a"]), str(row["model_b"]), str(row["winner"])
        if winner not in ("model_a", "model_b") and not winner.startswith("tie"):
            raise ValueError(f"the winner is `{winner}`, which is neither model nor a tie")
        said = {"model_a": one, "model_b": other}.get(winner, "")
        found[(int(str(row["turn"])), str(row["question_id"]), *sorted((one, other)))].append(said)  # type: ignore[index]
    return dict(found)


def with_people(judge: Votes, people: Votes, *, ties: bool) -> Estimate | None:
    """Share of people's votes that the judge's vote on the same pair equals; None where no pair has both.

    Raises ValueError where the judge voted twice on a pair.
    """
    same: list[tuple[float, str]] = []
    for key, votes in judge.items():
        if len(votes) != 1:
            raise ValueError(f"the judge has {len(votes)} votes on {key}: one is counted")
        same += [(float(votes[0] == vote), key[1]) for vote in people.get(key, ()) if ties or (votes[0] and vote)]
    return _share(same)


def among_people(people: Votes, *, ties: bool) -> Estimate | None:
    """Share of pairs of people's votes on the same pair that are equal; None where nobody voted on what another did."""
    return _share([
        (float(one == other), key[1]) for key, votes in people.items() for one, other in combinations(votes, 2)
        if ties or (one and other)
    ])  # fmt: skip


def _share(same: list[tuple[float, str]]) -> Estimate | None:
    return share([value for value, _ in same], [question for _, question in same]) if same else None
