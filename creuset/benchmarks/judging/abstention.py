"""Whether a reply says that it cannot know: a rule over its clauses, in English and French. Pure functions. No torch.

strict     it says that it does not or cannot know, or that nobody can
lenient    or that it lacks access, that it depends, that only the other one can tell; or it only asks back

"I do not know why you ask, but it is ice" answers: what is not known is something else, or an answer follows "but".
Words of others, and words that are only supposed, do not count. The words are in data/abstention.toml.
"""

from creuset.benchmarks.judging.clauses import Clause, clauses, words

_TABLE = words("abstention")
_VOICES = ("reply", "withheld", "asked")


def abstains(reply: str) -> tuple[bool, bool]:
    """(strict, lenient) of `reply`, without its thinking."""
    found = clauses(reply)
    strict = _abstains(found, "lacks") or _unsure(found)
    lenient = strict or _abstains(found, "hedges")
    return strict, lenient or (bool(found) and all(clause.asked for clause in found))


def _abstains(found: list[Clause], name: str) -> bool:
    """Whether some clause says so, and no clause of its sentence behind it answers after all."""
    return any(_says(clause, name) and not _answered(found, at) for at, clause in enumerate(found))


def _unsure(found: list[Clause]) -> bool:
    """Whether it says that it is not sure, and nothing that could be an answer."""
    kinds = [bool(_TABLE["unsure"].search(c.text)) or (_says(c, "hedges") or c.asked) for c in found]
    return all(kinds) and any(_TABLE["unsure"].search(c.text) for c in found)


def _says(clause: Clause, name: str) -> bool:
    if _TABLE["besides"].search(clause.text):
        return False
    return any(clause.voice(match.start()) in _VOICES for match in _TABLE[name].finditer(clause.text))


def _answered(found: list[Clause], at: int) -> bool:
    """Whether an answer follows the clause: behind "but", in this sentence or at the start of the next."""
    for clause in found[at + 1 :]:
        if clause.sentence > found[at].sentence + 1:
            return False
        says = _says(clause, "lacks") or _says(clause, "hedges")
        if not says and not clause.asked and _TABLE["but_answers"].search(clause.text):
            return True
    return False
