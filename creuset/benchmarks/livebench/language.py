"""LiveBench's language: groups of four words (old and new form), sentences of a plot put in order, typos corrected."""

import re
from difflib import get_close_matches

from creuset.benchmarks.livebench.marks import Read, bare, boxed, distance, solutions

Groups = list[set[str]]


def groups(words: list[str]) -> Groups:
    """Four by four, as they stand."""
    found: Groups = []
    for word in words:
        # A word said twice in one group leaves it with three, and it takes the next one: as published.
        if not found or len(found[-1]) == 4:
            found.append(set())
        found[-1].add(word.strip().lower())
    return found


def connections(truth: str, text: str, question: str) -> Read:
    """Since 2024-11-25: the words in the tags, in any order within a group; share of the groups that are right."""
    wanted = truth.split(",")
    marked = solutions(text, across_lines=True)
    if not marked and "\\boxed" in text and (box := boxed(text)) is not None:
        marked = [bare(box)]
    if not marked:
        return 0.0, None
    said = [word for span in marked for word in span.replace("\n", "").split(",")]
    said = said[-len(wanted) :] if len(marked) > 1 else said
    right = groups(wanted)
    return sum(group in right for group in groups(said)) / len(right), ",".join(said)


def connections_before(truth: str, text: str, question: str) -> Read:
    """Before 2024-11-25: words in bold; of several spans the one with most groups."""
    right = groups(truth.split(","))
    best: Read = (0.0, None)
    for span in re.findall(r"\*\*(.*?)\*\*", text.replace("\n", "")):
        said = groups(span.split(","))
        score = sum(any(group <= own for own in said) for group in right) / len(right)
        if best[1] is None or score > best[0]:
            best = score, span
    return best


def plot(truth: str, text: str, question: str) -> Read:
    """Each sentence of the truth is looked for in the reply, the most similar one counts: 1 - edit distance / n."""
    tags = re.search(r"<PLOT_SUMMARY>(.*)</PLOT_SUMMARY>", text, re.DOTALL) or re.search(
        r"<PLOT_SUMMARY>(.*)", text, re.DOTALL
    )
    summary = tags[1] if tags else text
    wanted = _sentences(truth)
    said = [s for s in _sentences(summary) if s not in ("</PLOT_SUMMARY>", "**End of Plot Summary**")]
    nearest = [get_close_matches(sentence, said, n=1, cutoff=0.0) for sentence in wanted]
    order = [said.index(found[0]) for found in nearest if found]
    return 1 - distance(range(len(wanted)), order) / len(wanted), summary.strip() if tags else None


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in text.split(".") if s.strip()]


def typos(truth: str, text: str, question: str) -> Read:
    """The corrected text, whole, in the tags; without tags between ` --- `, else anywhere in the reply."""
    marked = re.findall(r"<solution>(.*?)</solution>", text)
    said = marked[-1] if marked else re.sub("</?solution>", "", text)
    if not marked and (between := re.search(".* --- (.*?) --- .*", said)):
        said = between[1]
    said = " ".join(line for line in said.strip().split("\n") if line)
    return float(truth in said), said or None
