"""What LiveBench's scorers share: where a reply marks its answer, and how far two orders are apart. Pure functions."""

import re
from collections.abc import Callable, Sequence
from typing import Any

Read = tuple[float, str | None]  # score from 0 to 1; the answer that was read, None where none was
Scorer = Callable[[str, str, str], Read]  # ground truth, reply, question


def solutions(text: str, *, across_lines: bool = False) -> list[str]:
    """All `<solution>` spans of one line; where there are none, those that were opened by `</solution>`.

    `across_lines`: where a line holds none, spans may go over several.
    """
    texts = (text, text.replace("\n", "")) if across_lines else (text,)
    for tag in ("<solution>", "</solution>"):
        for one in texts:
            if found := re.findall(f"{tag}(.*?)</solution>", one):
                return found
    return []


def boxed(text: str) -> str | None:
    r"""The last `\boxed{...}` or `\fbox{...}`, braces balanced; `\boxed 7` up to the next dollar sign."""
    if "\\boxed " in text:
        return text.rsplit("\\boxed ", 1)[1].split("$")[0]
    start = text.rfind("\\boxed")
    start = text.rfind("\\fbox") if start < 0 else start
    opened = re.compile(r"\\(?:boxed|fbox)\{").match(text, start) if start >= 0 else None
    if opened is None:
        return None
    depth = 0
    for at in range(opened.end() - 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[opened.end() : at].replace("$", "")
    return None


def bare(box: str) -> str:
    r"""What a box holds, without `\text{`, closing braces and backslashes."""
    return box.replace("\\text{", "").replace("}", "").replace("\\", "")


def last_line(text: str) -> str:
    return text.strip().split("\n")[-1]


def distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Fewest insertions, deletions and replacements that make `b` of `a` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        above, row = row, [i]
        for j, right in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
    return row[-1]
